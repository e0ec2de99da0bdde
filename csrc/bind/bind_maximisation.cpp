#include <algorithm>
#include <cmath>
#include <cstdint>

#include "arrays.hpp"
#include "auditkit/maximisation.hpp"

namespace auditkit::bind {
namespace {

constexpr std::int64_t kLargestCount = 1'000'000'000;

void check_values(std::span<const double> values) {
  require(!values.empty() && std::ranges::is_sorted(values) && std::isfinite(values.front()) &&
              std::isfinite(values.back()),
          "values must be finite and not fall");
}

SumMethod method_of(int method) {
  require(method >= 0 && method <= 3, "method out of range");
  return static_cast<SumMethod>(method);
}

/// `values` holds `sets` rows of equal length.
Array sums(const Array& values, std::int64_t sets, std::int64_t m, std::int64_t total, int method, unsigned n_threads) {
  const auto all = view(values);
  require(sets >= 1 && m >= 1 && m <= kLargestCount && all.size() % static_cast<std::size_t>(sets) == 0,
          "shape mismatch");
  const std::size_t size = all.size() / static_cast<std::size_t>(sets);
  require(size >= 1 && total >= 0 && total <= m * static_cast<std::int64_t>(size - 1), "total out of range");
  for (std::size_t i = 0; i < static_cast<std::size_t>(sets); ++i) check_values(all.subspan(i * size, size));
  const SumMethod chosen = method_of(method);
  Array result = make_array(static_cast<std::size_t>(sets));
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  const unsigned inner = sets == 1 ? n_threads : 1;  // many sets: a set a thread
  parallel_for(out.size(), 1, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      out[i] = largest_sum(all.subspan(i * size, size), m, total, chosen, inner);
  });
  return result;
}

double weighted(const Array& values, const Array& weights, std::int64_t total) {
  const auto scores = view(values), places = view(weights);
  check_values(scores);
  require(!places.empty() && std::ranges::all_of(places, [](double w) { return w >= 0.0 && std::isfinite(w); }),
          "weights out of range");
  require(total >= 0 && total <= static_cast<std::int64_t>(places.size() * (scores.size() - 1)), "total out of range");
  const py::gil_scoped_release nogil;
  return largest_weighted(scores, places, total);
}

IntArray level_sums(const IntArray& levels, std::int64_t m, std::uint64_t seed, std::uint64_t first, std::int64_t draws,
                    unsigned n_threads) {
  require(levels.size() >= 2 && m >= 1 && m <= kLargestCount && draws >= 0, "levels, m or draws out of range");
  const std::span<const std::int64_t> steps{levels.data(), static_cast<std::size_t>(levels.size())};
  IntArray result(static_cast<py::ssize_t>(draws));
  const std::span<std::int64_t> out{result.mutable_data(), static_cast<std::size_t>(draws)};
  const py::gil_scoped_release nogil;
  draw_level_sums(steps, m, seed, first, n_threads, out);
  return result;
}

}  // namespace

void register_maximisation(py::module_& m) {
  using py::arg;
  m.def("largest_sums", sums, arg("values").noconvert(), arg("sets"), arg("m"), arg("total"), arg("method"),
        arg("n_threads"));
  m.def("largest_weighted", weighted, arg("values").noconvert(), arg("weights").noconvert(), arg("total"));
  m.def("draw_level_sums", level_sums, arg("levels").noconvert(), arg("m"), arg("seed"), arg("first"), arg("draws"),
        arg("n_threads"));
}

}  // namespace auditkit::bind
