#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "arrays.hpp"
#include "auditkit/kernel_posterior.hpp"

namespace auditkit::bind {
namespace {

template <class T>
void check_matrix(const Matrix<T>& x) {
  require(x.ndim() == 2 && x.shape(0) >= 1 && x.shape(1) >= 1, "points must have rows and columns");
  require(std::ranges::all_of(flat(x), [](T value) { return std::isfinite(value); }), "points must be finite");
}

template <class T>
LabelledPoints<T> points_of(const Matrix<T>& x, const IntArray& codes, std::int64_t classes, const Array& log_weights) {
  check_matrix(x);
  const auto n = x.shape(0);
  require(classes >= 1 && classes <= 65535 && codes.size() == n && log_weights.size() == n, "sizes must agree");
  const std::span<const std::int64_t> labels{codes.data(), static_cast<std::size_t>(n)};
  require(std::ranges::all_of(labels, [&](std::int64_t c) { return c >= 0 && c < classes; }), "codes out of range");
  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  require(std::ranges::all_of(view(log_weights), [](double w) { return std::isfinite(w) || w == kNothing; }),
          "weights out of range");
  return {flat(x), static_cast<std::size_t>(x.shape(1)), labels, view(log_weights), static_cast<std::size_t>(classes)};
}

/// Squares of bandwidths must neither vanish nor overflow.
bool in_range(double h) { return h >= 1e-150 && h <= 1e150; }

std::span<const double> bandwidths_of(const Array& bandwidths) {
  const auto all = view(bandwidths);
  require(!all.empty() && std::ranges::all_of(all, in_range), "bandwidths must be positive");
  return all;
}

void check_tau(double tau) { require(tau >= 0.0 && std::isfinite(tau), "tau out of range"); }

template <class T>
py::tuple posterior(const Matrix<T>& x, const IntArray& codes, std::int64_t classes, const Array& log_weights,
                    const IntArray& groups, const Array& bandwidths, unsigned n_threads) {
  const auto points = points_of(x, codes, classes, log_weights);
  const auto grid = bandwidths_of(bandwidths);
  require(groups.size() == x.shape(0), "one group a point");
  const std::span<const std::int64_t> kept{groups.data(), points.size()};
  Matrix<T> log_z({bandwidths.size(), x.shape(0)}),
      p({bandwidths.size(), x.shape(0), static_cast<py::ssize_t>(classes)});
  const auto z_out = mutable_flat(log_z), p_out = mutable_flat(p);
  {
    const py::gil_scoped_release nogil;
    kernel_posterior<T>(points, kept, {}, grid, n_threads, z_out, p_out);
  }
  return py::make_tuple(log_z, p);
}

template <class T>
py::tuple posterior_at(const Matrix<T>& queries, const Matrix<T>& x, const IntArray& codes, std::int64_t classes,
                       const Array& log_weights, const Array& bandwidths, unsigned n_threads) {
  const auto points = points_of(x, codes, classes, log_weights);
  const auto grid = bandwidths_of(bandwidths);
  check_matrix(queries);
  require(queries.shape(1) == x.shape(1), "queries and points must have the same columns");
  Matrix<T> log_z({bandwidths.size(), queries.shape(0)}),
      p({bandwidths.size(), queries.shape(0), static_cast<py::ssize_t>(classes)});
  const auto z_out = mutable_flat(log_z), p_out = mutable_flat(p);
  {
    const py::gil_scoped_release nogil;
    kernel_posterior<T>(points, {}, flat(queries), grid, n_threads, z_out, p_out);
  }
  return py::make_tuple(log_z, p);
}

template <class T>
py::tuple gradient(const Matrix<T>& x, const IntArray& codes, std::int64_t classes, const Array& log_weights,
                   const IntArray& groups, double bandwidth, double tau, unsigned n_threads) {
  const auto points = points_of(x, codes, classes, log_weights);
  require(groups.size() == x.shape(0), "one group a point");
  require(in_range(bandwidth), "bandwidth must be positive");
  check_tau(tau);
  const std::span<const std::int64_t> kept{groups.data(), points.size()};
  Matrix<T> slope({x.shape(0), x.shape(1)});
  const auto out = mutable_flat(slope);
  double value = 0.0;
  {
    const py::gil_scoped_release nogil;
    std::ranges::fill(out, T{0});
    value = kernel_gradient<T>(points, kept, {}, bandwidth, tau, n_threads, out);
  }
  return py::make_tuple(value, slope);
}

template <class T>
py::tuple gradient_at(const Matrix<T>& queries, const Matrix<T>& x, const IntArray& codes, std::int64_t classes,
                      const Array& log_weights, double bandwidth, double tau, unsigned n_threads) {
  const auto points = points_of(x, codes, classes, log_weights);
  check_matrix(queries);
  require(queries.shape(1) == x.shape(1), "queries and points must have the same columns");
  require(in_range(bandwidth), "bandwidth must be positive");
  check_tau(tau);
  Matrix<T> slope({queries.shape(0), queries.shape(1)});
  const auto out = mutable_flat(slope);
  double value = 0.0;
  {
    const py::gil_scoped_release nogil;
    std::ranges::fill(out, T{0});
    value = kernel_gradient<T>(points, {}, flat(queries), bandwidth, tau, n_threads, out);
  }
  return py::make_tuple(value, slope);
}

template <class T>
void register_kernels(py::module_& m) {
  using py::arg;
  m.def("kernel_posterior", posterior<T>, arg("points").noconvert(), arg("codes").noconvert(), arg("classes"),
        arg("log_weights").noconvert(), arg("groups").noconvert(), arg("bandwidths").noconvert(), arg("n_threads"));
  m.def("kernel_posterior_at", posterior_at<T>, arg("queries").noconvert(), arg("points").noconvert(),
        arg("codes").noconvert(), arg("classes"), arg("log_weights").noconvert(), arg("bandwidths").noconvert(),
        arg("n_threads"));
  m.def("kernel_gradient", gradient<T>, arg("points").noconvert(), arg("codes").noconvert(), arg("classes"),
        arg("log_weights").noconvert(), arg("groups").noconvert(), arg("bandwidth"), arg("tau"), arg("n_threads"));
  m.def("kernel_gradient_at", gradient_at<T>, arg("queries").noconvert(), arg("points").noconvert(),
        arg("codes").noconvert(), arg("classes"), arg("log_weights").noconvert(), arg("bandwidth"), arg("tau"),
        arg("n_threads"));
}

}  // namespace

void register_kernel_posterior(py::module_& m) {
  register_kernels<double>(m);
  register_kernels<float>(m);
}

}  // namespace auditkit::bind
