#include "arrays.hpp"
#include "auditkit/beta_law.hpp"
#include "auditkit/log_gamma.hpp"
#include "auditkit/normal.hpp"
#include "auditkit/philox.hpp"

namespace auditkit::bind {
namespace {

/// Rows of a table are computed this many at a time; one row costs about a microsecond.
constexpr std::size_t kGrain = 64;

template <class Function>
Array map1(const Array& x, Function&& f) {
  const auto in = view(x);
  Array result = make_array(in.size());
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < in.size(); ++i) out[i] = f(in[i]);
  return result;
}

template <class Function>
Array map2(const Array& x, const Array& y, Function&& f) {
  const auto vx = view(x), vy = view(y);
  const std::size_t size = common_size({vx, vy});
  Array result = make_array(size);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < size; ++i) out[i] = f(vx[i], vy[i]);
  return result;
}

Array make_table(std::size_t rows, std::size_t size) {
  return Array({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(size)});
}

/// Rows: lower, upper, log lower, log upper.
Array beta_tail_table(const Array& a, const Array& b, const Array& x, const Array& one_minus_x, unsigned n_threads) {
  const auto va = view(a), vb = view(b), vx = view(x), vq = view(one_minus_x);
  const std::size_t size = common_size({va, vb, vx, vq});
  Array result = make_table(4, size);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  parallel_for(size, kGrain, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const BetaTails tails = beta_tails(va[i], vb[i], vx[i], vq[i]);
      out[i] = tails.lower;
      out[size + i] = tails.upper;
      out[2 * size + i] = tails.log_lower;
      out[3 * size + i] = tails.log_upper;
    }
  });
  return result;
}

/// Rows: x, 1 - x.
Array beta_quantile_table(const Array& a, const Array& b, const Array& log_p, const Array& log_1mp,
                          unsigned n_threads) {
  const auto va = view(a), vb = view(b), vp = view(log_p), vq = view(log_1mp);
  const std::size_t size = common_size({va, vb, vp, vq});
  Array result = make_table(2, size);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  parallel_for(size, kGrain, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const BetaPoint point = beta_quantile(make_beta_law(va[i], vb[i]), vp[i], vq[i]);
      out[i] = point.x;
      out[size + i] = point.one_minus_x;
    }
  });
  return result;
}

using Words = py::array_t<u32, py::array::c_style>;

Words philox_words(const Words& counter, const Words& key) {
  if (counter.size() != 4 || key.size() != 2) throw py::value_error("counter must have 4 words and key 2");
  PhiloxCounter block{};
  for (int i = 0; i < 4; ++i) block.word[i] = counter.data()[i];
  block = philox4x32_10(block, {{key.data()[0], key.data()[1]}});
  Words result(4);
  for (int i = 0; i < 4; ++i) result.mutable_data()[i] = block.word[i];
  return result;
}

Array philox_uniforms(u64 seed, u64 task, u64 first, std::size_t size) {
  Array result = make_array(size);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < size; ++i) out[i] = philox_uniform({seed, task}, first + i);
  return result;
}

}  // namespace

void register_special(py::module_& m) {
  using py::arg;
  const auto x = arg("x").noconvert(), y = arg("y").noconvert(), a = arg("a").noconvert(), b = arg("b").noconvert();
  const auto map = [&](const char* name, double (*function)(double)) {
    m.def(name, [function](const Array& v) { return map1(v, function); }, x);
  };
  const auto map_pairs = [&](const char* name, double (*function)(double, double)) {
    m.def(name, [function](const Array& v, const Array& w) { return map2(v, w, function); }, x, y);
  };
  map("log_gamma", log_gamma);
  map("stirling_error", stirling_error);
  map("log1p_minus", log1p_minus);
  map("log1m_exp", log1m_exp);
  map("log_expm1", log_expm1);
  map("normal_cdf", normal_cdf);
  map("normal_log_cdf", normal_log_cdf);
  map("normal_quantile", normal_quantile);
  map("normal_quantile_of_log", normal_quantile_of_log);
  map_pairs("log_add_exp", log_add_exp);
  map_pairs("log_sub_exp", log_sub_exp);
  map_pairs("gaussian_log_delta", gaussian_log_delta);
  m.def("beta_tails", beta_tail_table, a, b, x, arg("one_minus_x").noconvert(), arg("n_threads") = 1U);
  m.def("beta_quantile", beta_quantile_table, a, b, arg("log_p").noconvert(), arg("log_1mp").noconvert(),
        arg("n_threads") = 1U);
  m.def("philox4x32_10", philox_words, arg("counter").noconvert(), arg("key").noconvert());
  m.def("philox_uniform", philox_uniforms, arg("seed"), arg("task"), arg("first"), arg("size"));
}

}  // namespace auditkit::bind
