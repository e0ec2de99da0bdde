#include <algorithm>
#include <cmath>
#include <cstdint>

#include "arrays.hpp"
#include "auditkit/rank_sums.hpp"

namespace auditkit::bind {
namespace {

constexpr int kLargestGrid = 61;  ///< 4 L must divide 2^64
constexpr double kMostFactors = 4e9, kLargestFull = 1e9;

/// The weights, log2 of the grid, what was left out at most, and what rounding does at most.
py::tuple weights_of(std::int64_t n, std::int64_t m, double factors, bool full, unsigned n_threads) {
  if (n < 1 || m < 1 || n > (std::int64_t{1} << (kLargestGrid - 1)) / m)
    throw py::value_error("n and m must be positive, their product at most 2^60");
  if (!(factors >= 0.0 && factors <= kMostFactors)) throw py::value_error("factors out of range");
  if (full && static_cast<double>(n) * static_cast<double>(m) > kLargestFull)
    throw py::value_error("n m is too large for the full grid");
  RankSumWeights law;
  {
    const py::gil_scoped_release nogil;
    law = rank_sum_weights({n, m}, factors, full, n_threads);
  }
  Array weights = make_array(law.weights.size());
  std::ranges::copy(law.weights, mutable_view(weights).begin());
  return py::make_tuple(weights, law.log2_grid, law.left_out, law.rounding);
}

double phi_bound(std::int64_t n, std::int64_t m, double low, double high) {
  if (n < 1 || m < 1 || n > (std::int64_t{1} << (kLargestGrid - 1)) / m || !(low > 0.0 && low <= high && high < 3.2))
    throw py::value_error("n, m or the angles out of range");
  return rank_sum_phi_bound({n, m}, low, high);
}

double probability_of(const Array& weights, int log2_grid, std::uint64_t product, std::uint64_t u) {
  if (log2_grid < 1 || log2_grid > kLargestGrid || u > product || product >= (std::uint64_t{1} << log2_grid))
    throw py::value_error("u <= product < 2^log2_grid is required");
  const auto terms = view(weights);
  const py::gil_scoped_release nogil;
  return rank_sum_probability(terms, log2_grid, product, u);
}

}  // namespace

void register_rank_sums(py::module_& m) {
  m.def("rank_sum_weights", &weights_of, py::arg("n"), py::arg("m"), py::arg("factors"), py::arg("full"),
        py::arg("n_threads"));
  m.def("rank_sum_phi_bound", &phi_bound, py::arg("n"), py::arg("m"), py::arg("low"), py::arg("high"));
  m.def("rank_sum_probability", &probability_of, py::arg("weights").noconvert(), py::arg("log2_grid"),
        py::arg("product"), py::arg("u"));
}

}  // namespace auditkit::bind
