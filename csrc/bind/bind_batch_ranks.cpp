#include <algorithm>
#include <cstdint>
#include <vector>

#include "arrays.hpp"
#include "auditkit/batch_ranks.hpp"

namespace auditkit::bind {
namespace {

constexpr std::int64_t kLargest = 1'000'000'000;
constexpr std::int64_t kMostCalibration = 1'000'000'000'000'000;  // every count stays exact in a double

BatchRank checked_rank(std::int64_t n, std::int64_t m, std::int64_t zeta) {
  require(n >= 0 && n <= kMostCalibration && m >= 1 && m <= kLargest && zeta >= 1 && zeta <= m,
          "n, m or zeta out of range");
  return {n, m, zeta};
}

std::span<const std::int64_t> whole_numbers(const IntArray& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

py::tuple cdf(std::int64_t n, std::int64_t m, std::int64_t zeta, std::int64_t k) {
  const BatchRank rank = checked_rank(n, m, zeta);
  const BoundedProbability found = rank_cdf(rank, k);
  return py::make_tuple(found.value, found.error);
}

double probability(std::int64_t n, std::int64_t m, std::int64_t zeta, std::int64_t k) {
  const BatchRank rank = checked_rank(n, m, zeta);
  require(k >= 1 && k <= n + 1, "k out of range");
  return rank_probability(rank, k);
}

py::tuple pair_probability(std::int64_t n, std::int64_t m, std::int64_t zeta1, std::int64_t zeta2, std::int64_t lower,
                           std::int64_t upper) {
  const BatchRank first = checked_rank(n, m, zeta1);
  require(zeta1 < zeta2 && zeta2 <= m, "zeta2 out of range");
  BoundedProbability found{};
  {
    const py::gil_scoped_release nogil;
    found = rank_pair_probability(first, zeta2, lower, upper);
  }
  return py::make_tuple(found.value, found.error);
}

double band(std::int64_t n, const IntArray& lower, const IntArray& upper) {
  const auto lows = whole_numbers(lower), ups = whole_numbers(upper);
  require(n >= 1 && n <= kLargest && lows.size() == ups.size() && !ups.empty(), "n or the limits out of range");
  require(std::ranges::is_sorted(lows) && std::ranges::is_sorted(ups), "limits must not fall");
  const py::gil_scoped_release nogil;
  return band_probability(n, lows, ups);
}

IntArray upper_ranks(std::int64_t n, std::int64_t m, const IntArray& zetas, double eta) {
  const auto wanted = whole_numbers(zetas);
  require(eta > 0.0 && eta < 1.0 && n >= 1 && !wanted.empty(), "n, zetas or eta out of range");
  for (const std::int64_t zeta : wanted) checked_rank(n, m, zeta);
  require(std::ranges::is_sorted(wanted), "zetas must not fall");
  IntArray result(static_cast<py::ssize_t>(wanted.size()));
  const std::span<std::int64_t> out{result.mutable_data(), wanted.size()};
  const py::gil_scoped_release nogil;
  band_upper_ranks(n, m, wanted, eta, out);
  return result;
}

}  // namespace

void register_batch_ranks(py::module_& m) {
  using py::arg;
  m.def("rank_cdf", cdf, arg("n"), arg("m"), arg("zeta"), arg("k"));
  m.def("rank_probability", probability, arg("n"), arg("m"), arg("zeta"), arg("k"));
  m.def("rank_pair_probability", pair_probability, arg("n"), arg("m"), arg("zeta1"), arg("zeta2"), arg("lower"),
        arg("upper"));
  m.def("band_probability", band, arg("n"), arg("lower").noconvert(), arg("upper").noconvert());
  m.def("band_upper_ranks", upper_ranks, arg("n"), arg("m"), arg("zetas").noconvert(), arg("eta"));
}

}  // namespace auditkit::bind
