/// What every binding file shares: array types without silent casts, and the loop over broadcast cases.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>

#include "auditkit/parallel.hpp"

namespace auditkit::bind {

namespace py = pybind11;

/// C-contiguous float64, never converted: bind arguments of this type with `.noconvert()`.
using Array = py::array_t<double, py::array::c_style>;

/// C-contiguous int64, likewise.
using IntArray = py::array_t<std::int64_t, py::array::c_style>;

/// Rows of float64 or float32: the binding is made for both, and the dtype chooses.
template <class T>
using Matrix = py::array_t<T, py::array::c_style>;

/// Refuses arguments that would be unsafe for the kernel: the Python layer has said so in better words before.
inline void require(bool condition, const char* message) {
  if (!condition) throw py::value_error(message);
}

template <class T>
std::span<const T> flat(const Matrix<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <class T>
std::span<T> mutable_flat(Matrix<T>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

inline std::span<const double> view(const Array& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

inline std::span<double> mutable_view(Array& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

/// All arrays of a call have one length: the Python layer broadcasts, the binding re-checks for memory safety.
inline std::size_t common_size(std::initializer_list<std::span<const double>> arrays) {
  const std::size_t size = arrays.begin()->size();
  for (const auto& array : arrays)
    if (array.size() != size) throw py::value_error("all arrays must have the same length");
  return size;
}

inline Array make_array(std::size_t size) { return Array(static_cast<py::ssize_t>(size)); }

void register_build(py::module_& m);
void register_special(py::module_& m);
void register_epsilon_posterior(py::module_& m);
void register_privacy_bounds(py::module_& m);
void register_batch_ranks(py::module_& m);
void register_rank_sums(py::module_& m);
void register_maximisation(py::module_& m);
void register_kernel_posterior(py::module_& m);
void register_neighbours(py::module_& m);
void register_matching(py::module_& m);
void register_projection(py::module_& m);
void register_calibration(py::module_& m);
void register_calibration_walk(py::module_& m);
void register_conformal(py::module_& m);
void register_predictive_laws(py::module_& m);

}  // namespace auditkit::bind
