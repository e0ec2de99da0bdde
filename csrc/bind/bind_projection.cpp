#include "auditkit/projection.hpp"

#include <algorithm>
#include <cmath>

#include "arrays.hpp"

namespace auditkit::bind {
namespace {

using Flags = py::array_t<bool, py::array::c_style>;

template <class T>
void check_rows(const Matrix<T>& rows, const Matrix<T>& start) {
  require(rows.ndim() == 2 && start.ndim() == 2 && rows.shape(0) == start.shape(0) && rows.shape(1) == start.shape(1),
          "rows and start must have one shape");
  require(rows.size() >= 1, "rows must not be empty");
  const auto finite = [](T value) { return std::isfinite(value); };
  require(std::ranges::all_of(flat(rows), finite) && std::ranges::all_of(flat(start), finite), "rows must be finite");
}

Norm norm_of(int norm) {
  require(norm >= 0 && norm <= 2, "unknown norm");
  return static_cast<Norm>(norm);
}

template <class T>
Matrix<T> step(const Matrix<T>& rows, const Matrix<T>& start, const Matrix<T>& slopes, const Array& radius,
               const Array& length, const Flags& free, double low, double high, int norm, unsigned n_threads) {
  check_rows(rows, start);
  const auto n = rows.shape(0), d = rows.shape(1);
  require(slopes.size() == 0 || slopes.size() == rows.size(), "one slope an entry");
  require(std::ranges::all_of(flat(slopes), [](T value) { return std::isfinite(value); }), "slopes must be finite");
  const auto valid = [](double value) { return value >= 0.0 && std::isfinite(value); };
  require(radius.size() == n && std::ranges::all_of(view(radius), valid), "one radius a row, at least 0");
  require(length.size() == n && std::ranges::all_of(view(length), valid), "one length a row, at least 0");
  require(free.size() == d || free.size() == n * d, "one flag a feature or an entry");
  const auto inside = [&](T value) { return value >= low && value <= high; };
  require(std::ranges::all_of(flat(start), inside), "the start must lie in the box");
  const std::span<const std::uint8_t> flags{reinterpret_cast<const std::uint8_t*>(free.data()),
                                            static_cast<std::size_t>(free.size())};
  const BallAndBox<T> set{flat(start), static_cast<std::size_t>(d), view(radius), flags, low, high, norm_of(norm)};
  Matrix<T> moved({n, d});
  std::ranges::copy(flat(rows), moved.mutable_data());
  const std::span<T> out{moved.mutable_data(), static_cast<std::size_t>(moved.size())};
  {
    const py::gil_scoped_release nogil;
    projected_step<T>(set, flat(slopes), view(length), n_threads, out);
  }
  return moved;
}

template <class T>
Array norms(const Matrix<T>& rows, const Matrix<T>& start, int norm) {
  check_rows(rows, start);
  const Norm kind = norm_of(norm);
  const auto n = static_cast<std::size_t>(rows.shape(0)), d = static_cast<std::size_t>(rows.shape(1));
  Array found = make_array(n);
  const auto out = mutable_view(found);
  const auto x = flat(rows), x0 = flat(start);
  {
    const py::gil_scoped_release nogil;
    for (std::size_t i = 0; i < n; ++i) out[i] = move_norm<T>(x.subspan(i * d, d), x0.subspan(i * d, d), kind);
  }
  return found;
}

template <class T>
void register_steps(py::module_& m) {
  using py::arg;
  m.def("projected_step", step<T>, arg("rows").noconvert(), arg("start").noconvert(), arg("slopes").noconvert(),
        arg("radius").noconvert(), arg("length").noconvert(), arg("free").noconvert(), arg("low"), arg("high"),
        arg("norm"), arg("n_threads"));
  m.def("move_norms", norms<T>, arg("rows").noconvert(), arg("start").noconvert(), arg("norm"));
}

}  // namespace

void register_projection(py::module_& m) {
  register_steps<double>(m);
  register_steps<float>(m);
}

}  // namespace auditkit::bind
