#include "auditkit/predictive_laws.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "auditkit/exact_sum.hpp"
#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kValues = 4096;  // a chunk of a parallel loop

/// Counts are far below 2^63: signed ones convert in one instruction.
double real(std::size_t count) { return static_cast<double>(static_cast<std::int64_t>(count)); }

double square(double x) { return x * x; }

struct Law {
  std::span<const double> atoms;
  std::size_t first;  // its place among all atoms
  double step;        // 1 / n
};

Law law(const StepLaws& laws, std::int64_t code) {
  const auto g = static_cast<std::size_t>(code);
  const auto begin = static_cast<std::size_t>(laws.starts[g]), n = static_cast<std::size_t>(laws.starts[g + 1]) - begin;
  return {laws.atoms.subspan(begin, n), begin, 1 / real(std::max<std::size_t>(n, 1))};
}

constexpr std::size_t kLanes = 8;

/// How many rising atoms come before each of `kLanes` values: those below it, or with `equal` those at most it. The
/// steps depend on the number of atoms alone, so there is nothing for the processor to guess, and the lanes, spelled
/// out so that they stay in registers, wait for memory together.
template <bool equal, std::size_t... lane>
std::array<std::size_t, kLanes> count_before(std::span<const double> atoms, const double* z,
                                             std::index_sequence<lane...>) {
  const auto before = [](double atom, double value) {
    return static_cast<std::size_t>(equal ? atom <= value : atom < value);
  };
  if (atoms.empty()) return {};
  const double* const first = atoms.data();
  const double* base[] = {(static_cast<void>(lane), first)...};
  for (std::size_t left = atoms.size(); left > 1;) {
    const std::size_t half = left / 2;
    ((base[lane] += half & (~before(base[lane][half - 1], z[lane]) + 1)), ...);
    left -= half;
  }
  return {(static_cast<std::size_t>(base[lane] - first) + before(*base[lane], z[lane]))...};
}

/// Calls use(i, its law, atoms before z[i]) for the values of a chunk: neighbours of one law at once.
template <bool equal, class Use>
void each_place(const StepLaws& laws, std::span<const std::int64_t> codes, std::span<const double> z, std::size_t begin,
                std::size_t end, const Use& use) {
  std::array<double, kLanes> lanes{};
  for (std::size_t i = begin; i < end;) {
    std::size_t count = 1;
    while (count < kLanes && i + count < end && codes[i + count] == codes[i]) ++count;
    std::copy_n(z.data() + i, count, lanes.data());
    const Law own = law(laws, codes[i]);
    const auto places = count_before<equal>(own.atoms, lanes.data(), std::make_index_sequence<kLanes>{});
    for (std::size_t lane = 0; lane < count; ++lane) use(i + lane, own, places[lane]);
    i += count;
  }
}

}  // namespace

void law_tables(const StepLaws& laws, std::span<double> left, std::span<double> right) {
  for (std::size_t g = 0; g + 1 < laws.starts.size(); ++g) {
    const auto [atoms, first, step] = law(laws, static_cast<std::int64_t>(g));
    const std::size_t n = atoms.size();
    if (n == 0) continue;
    ExactSum up, down;
    left[first] = 0;
    for (std::size_t k = 1; k < n; ++k) {
      up.add(square(real(k) * step) * (atoms[k] - atoms[k - 1]));
      left[first + k] = up.value();
    }
    right[first + n - 1] = 0;
    for (std::size_t k = n - 1; k > 0; --k) {
      down.add(square(real(n - k) * step) * (atoms[k] - atoms[k - 1]));
      right[first + k - 1] = down.value();
    }
  }
}

void law_places(const StepLaws& laws, std::span<const std::int64_t> codes, std::span<const double> z,
                std::span<std::int64_t> below, std::span<std::int64_t> at_most, unsigned n_threads) {
  parallel_for(z.size(), kValues, n_threads, [&](std::size_t begin, std::size_t end) {
    each_place<false>(laws, codes, z, begin, end,
                      [&](std::size_t i, const Law&, std::size_t k) { below[i] = static_cast<std::int64_t>(k); });
    each_place<true>(laws, codes, z, begin, end,
                     [&](std::size_t i, const Law&, std::size_t k) { at_most[i] = static_cast<std::int64_t>(k); });
  });
}

void law_scores(const StepLaws& laws, std::span<const double> left, std::span<const double> right,
                std::span<const std::int64_t> codes, std::span<const double> z, std::span<const double> scales,
                std::span<double> scores, unsigned n_threads) {
  const auto score = [&](const Law& own, double at, std::size_t k) {
    const auto [atoms, first, step] = own;
    const std::size_t n = atoms.size();
    if (n == 0) return std::numeric_limits<double>::quiet_NaN();
    if (k == 0) return (atoms[0] - at) + right[first];
    if (k == n) return left[first + n - 1] + (at - atoms[n - 1]);
    return left[first + k - 1] + square(real(k) * step) * (at - atoms[k - 1]) +
           square(real(n - k) * step) * (atoms[k] - at) + right[first + k];
  };
  parallel_for(z.size(), kValues, n_threads, [&](std::size_t begin, std::size_t end) {
    each_place<true>(laws, codes, z, begin, end, [&](std::size_t i, const Law& own, std::size_t k) {
      scores[i] = scales[i] * score(own, z[i], k);
    });
  });
}

}  // namespace auditkit
