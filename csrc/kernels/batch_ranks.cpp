#include "auditkit/batch_ranks.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "auditkit/log_math.hpp"
#include "auditkit/normal.hpp"

namespace auditkit {
namespace {

constexpr double kRounding = 0x1p-53;
constexpr double kPointError = 2e-13;  ///< relative error of one probability, see `log_table_probability`
constexpr double kLeast = 1e-200;      ///< paths less likely than this are dropped from the band

/// What log k! holds beyond k log k - k.
double log_factorial_rest(double k) { return k == 0.0 ? 0.0 : kLogSqrt2Pi + 0.5 * std::log(k) + stirling_error(k); }

/// O log(O / E) + (E - O), where E = O - excess.
double cell_deviance(double observed, double expected, double excess) {
  if (observed == 0.0) return expected;
  return -observed * log1p_minus(-excess / observed, expected / observed);
}

/// log P(X = x) for X hypergeometric: x marked among `draws` of a population of n + m with m marked, inside the support.
/// The deviance form: the excess over the mean is formed exactly in integers, so nothing of size n cancels. Four
/// deviances of at most 700 in all, good to a few roundings each, and nine logarithms below 22: error below 2e-13.
double log_table_probability(std::int64_t n, std::int64_t m, std::int64_t draws, std::int64_t x) {
  const double dn = static_cast<double>(n), dm = static_cast<double>(m), dd = static_cast<double>(draws);
  const double population = dn + dm, left = population - dd;
  const double a = static_cast<double>(x), b = dm - a, c = dd - a, d = dn - c;
  const std::int64_t total = n + m;
  // x - m draws / (n + m), the product in 128 bits: both factors may be 1e9
  const __int128 numerator = static_cast<__int128>(x) * total - static_cast<__int128>(m) * draws;
  const double excess = static_cast<double>(numerator) / population;
  const double deviance = cell_deviance(a, dm * (dd / population), excess) +
                          cell_deviance(b, dm * (left / population), -excess) +
                          cell_deviance(c, dn * (dd / population), -excess) +
                          cell_deviance(d, dn * (left / population), excess);
  const double margins = log_factorial_rest(dm) + log_factorial_rest(dn) + log_factorial_rest(dd) +
                         log_factorial_rest(left) - log_factorial_rest(population);
  return margins - log_factorial_rest(a) - log_factorial_rest(b) - log_factorial_rest(c) - log_factorial_rest(d) -
         deviance;
}

/// P(X >= x) beyond the mode, or P(X <= x) before it, from the probability at x outwards.
BoundedProbability outer_tail(std::int64_t n, std::int64_t m, std::int64_t draws, std::int64_t x, bool upwards) {
  const double dn = static_cast<double>(n), dm = static_cast<double>(m), dd = static_cast<double>(draws);
  double a = static_cast<double>(x), term = 1.0, sum = 1.0, steps = 0.0, rest = 0.0;
  for (;;) {
    const double b = dm - a, c = dd - a, d = dn - c;
    const double ratio = upwards ? b * c / ((a + 1.0) * (d + 1.0)) : a * d / ((b + 1.0) * (c + 1.0));
    if (!(ratio > 0.0)) break;
    // The law is log-concave: later ratios are smaller, so what remains is below a geometric series.
    rest = ratio < 1.0 ? term * ratio / (1.0 - ratio) : kInfinity;
    if (rest <= 1e-17 * sum) break;
    rest = 0.0;
    term *= ratio;
    sum += term;
    a += upwards ? 1.0 : -1.0;
    steps += 1.0;
  }
  const double value = std::exp(log_table_probability(n, m, draws, x)) * sum;
  return {value, value * (kPointError + 5.0 * kRounding * (steps + 2.0)) + value / sum * rest};
}

}  // namespace

double rank_probability(const BatchRank& rank, std::int64_t k) {
  // The z-th batch score is the step after k - 1 calibration and z - 1 batch scores.
  const std::int64_t before = k + rank.zeta - 2, total = rank.n + rank.m;
  const double next = static_cast<double>(rank.m - rank.zeta + 1) / static_cast<double>(total - before);
  return std::exp(log_table_probability(rank.n, rank.m, before, rank.zeta - 1)) * next;
}

BoundedProbability rank_cdf(const BatchRank& rank, std::int64_t k) {
  if (k <= 0) return {0.0, 0.0};
  if (k > rank.n) return {1.0, 0.0};
  // At least zeta batch scores among the first k + zeta - 1 of all.
  const std::int64_t draws = k + rank.zeta - 1;
  const std::int64_t least = std::max<std::int64_t>(0, draws - rank.n), most = std::min(rank.m, draws);
  if (rank.zeta <= least) return {1.0, 0.0};
  if (rank.zeta > most) return {0.0, 0.0};
  const __int128 mean_gap = static_cast<__int128>(rank.zeta) * (rank.n + rank.m) - static_cast<__int128>(rank.m) * draws;
  if (mean_gap >= 0) return outer_tail(rank.n, rank.m, draws, rank.zeta, true);
  const BoundedProbability below = outer_tail(rank.n, rank.m, draws, rank.zeta - 1, false);
  return {1.0 - below.value, below.error + kRounding};
}

BoundedProbability rank_pair_probability(const BatchRank& first, std::int64_t zeta2, std::int64_t lower,
                                         std::int64_t upper) {
  const std::int64_t from = std::max<std::int64_t>(lower, 1), to = std::min(upper, first.n + 1);
  double sum = 0.0, error = 0.0;
  for (std::int64_t k = from; k <= to; ++k) {
    const double here = rank_probability(first, k);
    if (here < kLeast) continue;  // at most 2e9 of them: 1e-190 in all
    const BatchRank after{first.n - k + 1, first.m - first.zeta, zeta2 - first.zeta};
    const BoundedProbability then = rank_cdf(after, upper - k + 1);
    sum += here * then.value;
    error += here * (then.error + then.value * kPointError);
  }
  return {sum, error + sum * kRounding * static_cast<double>(std::max<std::int64_t>(to - from, 0) + 2)};
}

double band_probability(std::int64_t n, std::span<const std::int64_t> lower, std::span<const std::int64_t> upper) {
  const auto m = static_cast<std::int64_t>(upper.size());
  std::vector<double> inverse(static_cast<std::size_t>(n + m + 1));
  for (std::size_t k = 1; k < inverse.size(); ++k) inverse[k] = 1.0 / static_cast<double>(k);
  // at[j]: probability of j batch scores so far and all limits kept; only at[first..last] can be positive.
  std::vector<double> at(static_cast<std::size_t>(m + 1), 0.0);
  at[0] = 1.0;
  std::int64_t first = 0, last = 0, open = 0, closed = 0;
  for (std::int64_t r = 1; r <= n + 1; ++r) {
    const std::int64_t left = n + m - (r - 1);  // scores not yet seen before any batch score of this rank
    while (open < m && lower[static_cast<std::size_t>(open)] <= r) ++open;  // the batch scores that may have rank r
    for (std::int64_t j = first + 1; j <= open; ++j) {
      const double before = at[static_cast<std::size_t>(j - 1)];
      if (j > last) {
        if (before < kLeast) break;
        last = j;
      }
      at[static_cast<std::size_t>(j)] +=
          before * (static_cast<double>(m - j + 1) * inverse[static_cast<std::size_t>(left - (j - 1))]);
    }
    if (r > n) break;
    while (closed < m && upper[static_cast<std::size_t>(closed)] <= r) ++closed;  // these must have come by now
    while (first < closed || (first < last && at[static_cast<std::size_t>(first)] < kLeast))
      at[static_cast<std::size_t>(first++)] = 0.0;
    if (first > last) return 0.0;
    const double calibration = static_cast<double>(n - r + 1);
    for (std::int64_t j = first; j <= last; ++j)
      at[static_cast<std::size_t>(j)] *= calibration * inverse[static_cast<std::size_t>(left - j)];
  }
  return at[static_cast<std::size_t>(m)];
}

void band_upper_ranks(std::int64_t n, std::int64_t m, std::span<const std::int64_t> zetas, double eta,
                      std::span<std::int64_t> upper) {
  const double level = normal_quantile(1.0 - eta);
  const double total = static_cast<double>(n + m), dm = static_cast<double>(m), dn = static_cast<double>(n);
  std::int64_t floor = 1;
  for (std::size_t i = 0; i < zetas.size(); ++i) {
    const BatchRank rank{n, m, zetas[i]};
    const double z = static_cast<double>(zetas[i]);
    const double mean = z * (dn + 1.0) / (dm + 1.0);
    const double sd = std::sqrt(z * (dm + 1.0 - z) * (dn + 1.0) * (total + 1.0) / ((dm + 1.0) * (dm + 1.0) * (dm + 2.0)));
    const auto reached = [&](std::int64_t k) { return rank_cdf(rank, k).value >= 1.0 - eta; };
    std::int64_t low = floor - 1, high = n + 1;  // not reached (or below the floor), reached
    std::int64_t guess = std::clamp(static_cast<std::int64_t>(mean + level * sd), floor, n + 1);
    for (auto step = std::max<std::int64_t>(1, static_cast<std::int64_t>(sd / 16.0)); low + 1 < high; step *= 4) {
      if (reached(guess)) {
        high = guess;
        guess = std::max(floor, guess - step);
        if (high == floor) break;
        if (!reached(guess)) {
          low = guess;
          break;
        }
      } else {
        low = guess;
        guess = std::min(n + 1, guess + step);
        if (guess >= high) break;
      }
    }
    while (low + 1 < high) {
      const std::int64_t middle = low + (high - low) / 2;
      (reached(middle) ? high : low) = middle;
    }
    upper[i] = floor = high;
  }
}

}  // namespace auditkit
