#include "auditkit/predictive_laws.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kValues = 4096;  // a chunk of a parallel loop

/// A sum of terms of at least 0 whose rounding is carried along (Knuth's exact addition).
class CarriedSum {
 public:
  double add(double term) {
    const double next = sum_ + term;
    const double back = next - sum_;
    carry_ += (sum_ - (next - back)) + (term - back);
    sum_ = next;
    return sum_ + carry_;
  }

 private:
  double sum_ = 0;
  double carry_ = 0;
};

std::span<const double> law(const StepLaws& laws, std::int64_t code) {
  const auto g = static_cast<std::size_t>(code);
  const auto begin = static_cast<std::size_t>(laws.starts[g]), end = static_cast<std::size_t>(laws.starts[g + 1]);
  return laws.atoms.subspan(begin, end - begin);
}

constexpr std::size_t kLanes = 8;

/// How many rising atoms come before each of `kLanes` values: those below it, or with `equal` those at most it. The
/// steps depend on the number of atoms alone, so there is nothing for the processor to guess, and the lanes wait for
/// memory together.
template <bool equal>
std::array<std::size_t, kLanes> count_before(std::span<const double> atoms, const double* z) {
  const auto before = [](double atom, double value) { return equal ? atom <= value : atom < value; };
  std::array<std::size_t, kLanes> base{};
  if (atoms.empty()) return base;
  for (std::size_t left = atoms.size(); left > 1;) {
    const std::size_t half = left / 2;
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      base[lane] += half & (~static_cast<std::size_t>(before(atoms[base[lane] + half - 1], z[lane])) + 1);
    left -= half;
  }
  for (std::size_t lane = 0; lane < kLanes; ++lane)
    base[lane] += static_cast<std::size_t>(before(atoms[base[lane]], z[lane]));
  return base;
}

/// Calls use(i, atoms before z[i]) for the values of a chunk: neighbours of one law at once.
template <bool equal, class Use>
void each_place(const StepLaws& laws, std::span<const std::int64_t> codes, std::span<const double> z, std::size_t begin,
                std::size_t end, const Use& use) {
  std::array<double, kLanes> lanes{};
  for (std::size_t i = begin; i < end;) {
    std::size_t count = 1;
    while (count < kLanes && i + count < end && codes[i + count] == codes[i]) ++count;
    std::copy_n(z.data() + i, count, lanes.data());
    const auto places = count_before<equal>(law(laws, codes[i]), lanes.data());
    for (std::size_t lane = 0; lane < count; ++lane) use(i + lane, places[lane]);
    i += count;
  }
}

double square(double x) { return x * x; }

}  // namespace

void law_tables(const StepLaws& laws, std::span<double> left, std::span<double> right) {
  for (std::size_t g = 0; g + 1 < laws.starts.size(); ++g) {
    const auto atoms = law(laws, static_cast<std::int64_t>(g));
    const auto first = static_cast<std::size_t>(laws.starts[g]);
    const std::size_t n = atoms.size();
    if (n == 0) continue;
    const double mass = static_cast<double>(n);
    CarriedSum up, down;
    left[first] = 0;
    for (std::size_t k = 1; k < n; ++k)
      left[first + k] = up.add(square(static_cast<double>(k) / mass) * (atoms[k] - atoms[k - 1]));
    right[first + n - 1] = 0;
    for (std::size_t k = n - 1; k > 0; --k)
      right[first + k - 1] = down.add(square(static_cast<double>(n - k) / mass) * (atoms[k] - atoms[k - 1]));
  }
}

void law_places(const StepLaws& laws, std::span<const std::int64_t> codes, std::span<const double> z,
                std::span<std::int64_t> below, std::span<std::int64_t> at_most, unsigned n_threads) {
  parallel_for(z.size(), kValues, n_threads, [&](std::size_t begin, std::size_t end) {
    each_place<false>(laws, codes, z, begin, end,
                      [&](std::size_t i, std::size_t k) { below[i] = static_cast<std::int64_t>(k); });
    each_place<true>(laws, codes, z, begin, end,
                     [&](std::size_t i, std::size_t k) { at_most[i] = static_cast<std::int64_t>(k); });
  });
}

void law_scores(const StepLaws& laws, std::span<const double> left, std::span<const double> right,
                std::span<const std::int64_t> codes, std::span<const double> z, std::span<const double> scales,
                std::span<double> scores, unsigned n_threads) {
  const auto score = [&](std::span<const double> atoms, std::size_t first, double at, std::size_t k) {
    const std::size_t n = atoms.size();
    if (n == 0) return std::numeric_limits<double>::quiet_NaN();
    if (k == 0) return (atoms[0] - at) + right[first];
    if (k == n) return left[first + n - 1] + (at - atoms[n - 1]);
    const double share = static_cast<double>(k) / static_cast<double>(n);
    const double rest = static_cast<double>(n - k) / static_cast<double>(n);
    return left[first + k - 1] + square(share) * (at - atoms[k - 1]) + square(rest) * (atoms[k] - at) +
           right[first + k];
  };
  parallel_for(z.size(), kValues, n_threads, [&](std::size_t begin, std::size_t end) {
    each_place<true>(laws, codes, z, begin, end, [&](std::size_t i, std::size_t k) {
      const auto first = static_cast<std::size_t>(laws.starts[static_cast<std::size_t>(codes[i])]);
      scores[i] = scales[i] * score(law(laws, codes[i]), first, z[i], k);
    });
  });
}

}  // namespace auditkit
