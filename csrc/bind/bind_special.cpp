#include "arrays.hpp"
#include "auditkit/beta_law.hpp"
#include "auditkit/normal.hpp"

namespace auditkit::bind {
namespace {

template <class Function>
Array map1(const Array& x, Function&& f) {
  const auto in = view(x);
  Array result = make_array(in.size());
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = f(in[i]);
  return result;
}

/// Rows: lower, upper, log lower, log upper.
Array beta_tail_table(const Array& a, const Array& b, const Array& x, const Array& one_minus_x) {
  const auto va = view(a), vb = view(b), vx = view(x), vq = view(one_minus_x);
  const std::size_t size = common_size({va, vb, vx, vq});
  Array result({static_cast<py::ssize_t>(4), static_cast<py::ssize_t>(size)});
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < size; ++i) {
    const BetaTails tails = beta_tails(va[i], vb[i], vx[i], vq[i]);
    out[i] = tails.lower;
    out[size + i] = tails.upper;
    out[2 * size + i] = tails.log_lower;
    out[3 * size + i] = tails.log_upper;
  }
  return result;
}

/// Rows: x, 1 - x.
Array beta_quantile_table(const Array& a, const Array& b, const Array& log_p, const Array& log_1mp) {
  const auto va = view(a), vb = view(b), vp = view(log_p), vq = view(log_1mp);
  const std::size_t size = common_size({va, vb, vp, vq});
  Array result({static_cast<py::ssize_t>(2), static_cast<py::ssize_t>(size)});
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < size; ++i) {
    const BetaPoint point = beta_quantile(make_beta_law(va[i], vb[i]), vp[i], vq[i]);
    out[i] = point.x;
    out[size + i] = point.one_minus_x;
  }
  return result;
}

}  // namespace

void register_special(py::module_& m) {
  using py::arg;
  const auto x = arg("x").noconvert();
  m.def("log_gamma", [](const Array& v) { return map1(v, [](double t) { return log_gamma(t); }); }, x);
  m.def("stirling_error", [](const Array& v) { return map1(v, [](double t) { return stirling_error(t); }); }, x);
  m.def("log1p_minus", [](const Array& v) { return map1(v, [](double t) { return log1p_minus(t); }); }, x);
  m.def("normal_cdf", [](const Array& v) { return map1(v, [](double t) { return normal_cdf(t); }); }, x);
  m.def("normal_log_cdf", [](const Array& v) { return map1(v, [](double t) { return normal_log_cdf(t); }); }, x);
  m.def("normal_quantile", [](const Array& v) { return map1(v, [](double t) { return normal_quantile(t); }); }, x);
  m.def("beta_tails", beta_tail_table, arg("a").noconvert(), arg("b").noconvert(), x, arg("one_minus_x").noconvert());
  m.def("beta_quantile", beta_quantile_table, arg("a").noconvert(), arg("b").noconvert(), arg("log_p").noconvert(),
        arg("log_1mp").noconvert());
}

}  // namespace auditkit::bind
