#include "auditkit/batch_ranks.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "auditkit/log_math.hpp"
#include "auditkit/normal.hpp"

namespace auditkit {
namespace {

constexpr double kRounding = 0x1p-53;
constexpr double kMarginsError = 2e-13;              ///< of nine logarithms, see `log_table_probability`
constexpr double kDevianceError = 40.0 * kRounding;  ///< relative, of a deviance
constexpr double kUnderflow = 1e-290;                ///< covers every probability that is 0 or subnormal
constexpr double kNegligible = 1e-17;                ///< share of a sum below which the rest is only bounded
constexpr double kLeast = 1e-200;                    ///< paths less likely than this are dropped from the band

/// The logarithm of a probability and a bound on its absolute error.
struct BoundedLogarithm {
  double value, error;
};

/// What log k! holds beyond k log k - k.
double log_factorial_rest(double k) { return k == 0.0 ? 0.0 : kLogSqrt2Pi + 0.5 * std::log(k) + stirling_error(k); }

/// O log(O / E) + (E - O), where E = O - excess.
double cell_deviance(double observed, double expected, double excess) {
  if (observed == 0.0) return expected;
  return -observed * log1p_minus(-excess / observed, expected / observed);
}

/// log P(X = x) for X hypergeometric: x marked among `draws` of a population of n + m with m marked, inside the
/// support. The deviance form: the excess over the mean is formed exactly in integers, so nothing of size n cancels.
/// Error, with u = 2^-53: the nine rests are at most 18.3 for sizes to 1e15, each good to 97 u, their sum to 880 u
/// more: below 2e-13. A deviance is positive and good to 34 u of itself: u = excess / observed and r = expected /
/// observed carry three roundings each, and log r - (r - 1) turns them into 25 u where it cancels most, at its ends
/// -0.4 and 0.6; adding four, subtracting them and the final exponential round six times.
BoundedLogarithm log_table_probability(std::int64_t n, std::int64_t m, std::int64_t draws, std::int64_t x) {
  const double dn = static_cast<double>(n), dm = static_cast<double>(m), dd = static_cast<double>(draws);
  const double population = dn + dm, left = population - dd;
  const double a = static_cast<double>(x), b = dm - a, c = dd - a, d = dn - c;
  const std::int64_t total = n + m;
  // x - m draws / (n + m), the product in 128 bits: both factors may be 1e9
  const __int128 numerator = static_cast<__int128>(x) * total - static_cast<__int128>(m) * draws;
  const double excess = static_cast<double>(numerator) / population;
  const double deviance =
      cell_deviance(a, dm * (dd / population), excess) + cell_deviance(b, dm * (left / population), -excess) +
      cell_deviance(c, dn * (dd / population), -excess) + cell_deviance(d, dn * (left / population), excess);
  const double margins = log_factorial_rest(dm) + log_factorial_rest(dn) + log_factorial_rest(dd) +
                         log_factorial_rest(left) - log_factorial_rest(population);
  const double rests =
      margins - log_factorial_rest(a) - log_factorial_rest(b) - log_factorial_rest(c) - log_factorial_rest(d);
  return {rests - deviance, kMarginsError + kDevianceError * deviance};
}

/// What one step of a walk over the support of the hypergeometric law multiplies its probability by; 0 at the end.
double walk_ratio(double n, double m, double draws, double a, bool upwards) {
  const double b = m - a, c = draws - a, d = n - c;
  return upwards ? b * c / ((a + 1.0) * (d + 1.0)) : a * d / ((b + 1.0) * (c + 1.0));
}

/// What remains of a walk at a term whose next ratio is known: the law is log-concave, later ratios are smaller, so it
/// is below a geometric series.
double walk_rest(double term, double ratio) {
  if (ratio <= 0.0) return 0.0;
  return ratio < 1.0 ? term * ratio / (1.0 - ratio) : kInfinity;
}

/// Relative error of the sum of `steps` terms by ratios of five roundings each.
double walk_error(double steps) { return 5.0 * kRounding * (steps + 2.0); }

/// The greatest mode of the hypergeometric law.
std::int64_t likeliest(std::int64_t n, std::int64_t m, std::int64_t draws) {
  return static_cast<std::int64_t>(static_cast<__int128>(draws + 1) * (m + 1) / (n + m + 2));
}

/// P(X >= x) beyond the mode, or P(X <= x) before it, from the probability at x outwards.
BoundedProbability outer_tail(std::int64_t n, std::int64_t m, std::int64_t draws, std::int64_t x, bool upwards) {
  const double dn = static_cast<double>(n), dm = static_cast<double>(m), dd = static_cast<double>(draws);
  double a = static_cast<double>(x), term = 1.0, sum = 1.0, steps = 0.0;
  double ratio = walk_ratio(dn, dm, dd, a, upwards);
  while (walk_rest(term, ratio) > kNegligible * sum) {
    term *= ratio;
    sum += term;
    a += upwards ? 1.0 : -1.0;
    steps += 1.0;
    ratio = walk_ratio(dn, dm, dd, a, upwards);
  }
  const BoundedLogarithm start = log_table_probability(n, m, draws, x);
  const double value = std::exp(start.value) * sum;
  return {value, value * (start.error + walk_error(steps) + 2.0 * kNegligible) + kUnderflow};
}

/// P(X >= x) for X hypergeometric: `draws` of a population of n + m, m of them marked.
BoundedProbability at_least(std::int64_t n, std::int64_t m, std::int64_t draws, std::int64_t x) {
  if (x <= std::max<std::int64_t>(0, draws - n)) return {1.0, 0.0};
  if (x > std::min(m, draws)) return {0.0, 0.0};
  // From the mode outwards, because the side that is small must keep its relative precision.
  if (x > likeliest(n, m, draws)) return outer_tail(n, m, draws, x, true);
  const BoundedProbability below = outer_tail(n, m, draws, x - 1, false);
  return {1.0 - below.value, below.error + kRounding};
}

}  // namespace

double rank_probability(const BatchRank& rank, std::int64_t k) {
  // The z-th batch score is the step after k - 1 calibration and z - 1 batch scores.
  const std::int64_t before = k + rank.zeta - 2, total = rank.n + rank.m;
  const double next = static_cast<double>(rank.m - rank.zeta + 1) / static_cast<double>(total - before);
  return std::exp(log_table_probability(rank.n, rank.m, before, rank.zeta - 1).value) * next;
}

BoundedProbability rank_cdf(const BatchRank& rank, std::int64_t k) {
  if (k <= 0) return {0.0, 0.0};
  if (k > rank.n) return {1.0, 0.0};
  return at_least(rank.n, rank.m, k + rank.zeta - 1, rank.zeta);
}

BoundedProbability rank_pair_probability(const BatchRank& first, std::int64_t zeta2, std::int64_t lower,
                                         std::int64_t upper) {
  const std::int64_t n = first.n, m = first.m;
  if (upper < std::max<std::int64_t>(lower, 1) || lower > n + 1) return {0.0, 0.0};  // R_zeta1 <= R_zeta2
  if (lower <= 1) return rank_cdf({n, m, zeta2}, upper);
  if (upper > n) return rank_cdf({n, m, m + 1 - first.zeta}, n + 2 - lower);
  // Fewer than zeta1 batch scores among the first `head` of all, x say, and at least zeta2 among the first head + body:
  // a sum over x, from its likeliest value outwards.
  const std::int64_t head = lower + first.zeta - 2, body = upper + zeta2 - 1 - head;
  const std::int64_t least = std::max<std::int64_t>(0, head - n), most = std::min(first.zeta - 1, head);
  const std::int64_t start = std::clamp(likeliest(n, m, head), least, most);
  const BoundedLogarithm weight = log_table_probability(n, m, head, start);
  const double dn = static_cast<double>(n), dm = static_cast<double>(m), dhead = static_cast<double>(head);
  double sum = 0.0, weights = 0.0, error = 0.0, rest = 0.0, terms = 0.0;
  const auto add = [&](std::int64_t x, double term) {
    const BoundedProbability then = at_least(n - head + x, m - x, body, zeta2 - x);
    weights += term;
    sum += term * then.value;
    error += term * then.error;
    terms += 1.0;
  };
  add(start, 1.0);
  for (const bool upwards : {true, false}) {
    double term = 1.0;
    for (std::int64_t x = start; x != (upwards ? most : least);) {
      const double ratio = walk_ratio(dn, dm, dhead, static_cast<double>(x), upwards);
      const double beyond = walk_rest(term, ratio);
      if (beyond <= kNegligible * weights) {
        rest += beyond;
        break;
      }
      term *= ratio;
      x += upwards ? 1 : -1;
      add(x, term);
    }
  }
  const double scale = std::exp(weight.value), value = scale * sum;
  return {value, value * (weight.error + walk_error(terms)) + 1.001 * scale * (error + rest) + kUnderflow};
}

double band_probability(std::int64_t n, std::span<const std::int64_t> lower, std::span<const std::int64_t> upper) {
  const auto m = static_cast<std::int64_t>(upper.size());
  if (upper.front() < 1) return 0.0;
  // at[j]: probability of j batch scores so far and all limits kept; only at[first..last] can be positive.
  std::vector<double> at(static_cast<std::size_t>(m + 1), 0.0);
  at[0] = 1.0;
  std::int64_t first = 0, last = 0, open = 0, closed = 0;
  for (std::int64_t r = 1; r <= n + 1; ++r) {
    while (open < m && lower[static_cast<std::size_t>(open)] <= r) ++open;  // the batch scores that may have rank r
    while (closed < m && upper[static_cast<std::size_t>(closed)] <= r) ++closed;  // these must have come with rank r
    const double calibration = static_cast<double>(n - r + 1);
    double left = calibration + static_cast<double>(m - first), batch = static_cast<double>(m - first);
    double arriving = 0.0;  // from at[j - 1] by one more batch score of this rank
    for (std::int64_t j = first; j <= std::max(last, open); ++j) {
      double& here = at[static_cast<std::size_t>(j)];
      const double now = here + arriving;
      if (j > last) {
        if (now < kLeast) break;
        last = j;
      }
      if (r == n + 1) {
        here = now;
        arriving = j < open ? now : 0.0;  // only batch scores are left
      } else {
        const double share = 1.0 / left;
        here = now * (calibration * share);
        arriving = j < open ? now * (batch * share) : 0.0;
      }
      left -= 1.0;
      batch -= 1.0;
    }
    if (r == n + 1) break;
    while (first < closed || (first < last && at[static_cast<std::size_t>(first)] < kLeast))
      at[static_cast<std::size_t>(first++)] = 0.0;
    if (first > last) return 0.0;
  }
  return at[static_cast<std::size_t>(m)];
}

void band_upper_ranks(std::int64_t n, std::int64_t m, std::span<const std::int64_t> zetas, double eta,
                      std::span<std::int64_t> upper) {
  const double deviate = -normal_quantile(eta);
  const double total = static_cast<double>(n + m), dm = static_cast<double>(m), dn = static_cast<double>(n);
  std::int64_t floor = 1;
  for (std::size_t i = 0; i < zetas.size(); ++i) {
    const double z = static_cast<double>(zetas[i]);
    const double mean = z * (dn + 1.0) / (dm + 1.0);
    const double sd =
        std::sqrt(z * (dm + 1.0 - z) * (dn + 1.0) * (total + 1.0) / ((dm + 1.0) * (dm + 1.0) * (dm + 2.0)));
    const BatchRank mirror{n, m, m + 1 - zetas[i]};
    const auto reached = [&](std::int64_t k) { return rank_cdf(mirror, n + 1 - k).value <= eta; };  // P(R > k)
    std::int64_t low = floor - 1, high = n + 1;  // not reached or below the floor; reached
    const double guessed = std::clamp(mean + deviate * sd, static_cast<double>(floor), dn + 1.0);
    auto guess = static_cast<std::int64_t>(guessed);
    for (auto step = static_cast<std::int64_t>(sd / 16.0) + 1; low < guess && guess < high; step *= 2) {
      if (reached(guess)) {
        high = guess;
        guess -= step;
      } else {
        low = guess;
        guess += step;
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
