#include <cstdint>
#include <algorithm>

#include "arrays.hpp"
#include "auditkit/rank_sums.hpp"

namespace auditkit::bind {
namespace {

constexpr std::int64_t kLargest = 1'000'000'000;
constexpr std::int64_t kLargestProduct = std::int64_t{1} << 58;

void check_sizes(std::int64_t n, std::int64_t m) {
  require(n >= 1 && n <= kLargest && m >= 1 && m <= kLargest && n <= kLargestProduct / m, "n or m out of range");
}

/// A prepared law as grid, weights and error: the Python layer keeps it for later totals.
py::tuple prepare(std::int64_t n, std::int64_t m, bool full, std::int64_t most_terms) {
  check_sizes(n, m);
  RankSumLaw law{};
  {
    const py::gil_scoped_release nogil;
    law = make_rank_sum_law(n, m, full, most_terms);
  }
  Array weights = make_array(law.weights.size());
  std::copy(law.weights.begin(), law.weights.end(), weights.mutable_data());
  return py::make_tuple(law.grid, weights, law.error);
}

double cdf(std::int64_t n, std::int64_t m, std::int64_t grid, const Array& weights, std::int64_t u) {
  check_sizes(n, m);
  require(grid > n * m && (grid & (grid - 1)) == 0 && u >= 0 && u <= n * m, "grid or u out of range");
  const auto values = view(weights);
  RankSumLaw law{n, m, grid, {values.begin(), values.end()}, 0.0};
  const py::gil_scoped_release nogil;
  return rank_sum_cdf(law, u);
}

double tail_bound(std::int64_t n, std::int64_t m, std::int64_t grid, double from) {
  check_sizes(n, m);
  require(grid > n * m && from > 0.0, "grid or angle out of range");
  const py::gil_scoped_release nogil;
  return rank_sum_tail_bound(n, m, grid, from);
}

}  // namespace

void register_rank_sums(py::module_& m) {
  using py::arg;
  m.def("rank_sum_law", prepare, arg("n"), arg("m"), arg("full"), arg("most_terms"));
  m.def("rank_sum_cdf", cdf, arg("n"), arg("m"), arg("grid"), arg("weights").noconvert(), arg("u"));
  m.def("rank_sum_tail_bound", tail_bound, arg("n"), arg("m"), arg("grid"), arg("angle"));
}

}  // namespace auditkit::bind
