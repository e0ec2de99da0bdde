/// The binomial law Bin(n, p) for counts of any size: its log probability by the deviance, and a window of
/// probabilities around the mode outside of which almost nothing lies.
#pragma once

#include <cstdint>
#include <vector>

#include "auditkit/log_math.hpp"

namespace auditkit {

/// p and 1 - p, each with its own relative precision.
struct Probability {
  double value, complement;
};

/// log P(Bin(n, p) = k), 0 <= k <= n. The deviance k log(k/np) + (n-k) log((n-k)/nq) is written with log(1+u) - u, so
/// no terms of size n are subtracted. Relative error of the probability near 1e-15 (1 + |k - np|).
inline double binomial_log_pmf(double k, double n, Probability p) {
  if (n == 0.0) return 0.0;
  if (k == 0.0) return p.value < 0.5 ? n * std::log1p(-p.value) : n * std::log(p.complement);
  if (k == n) return p.complement < 0.5 ? n * std::log1p(-p.complement) : n * std::log(p.value);
  if (p.value <= 0.0 || p.complement <= 0.0) return -kInfinity;
  const double misses = n - k;
  const double excess = p.value <= p.complement ? std::fma(n, p.value, -k) : -std::fma(n, p.complement, -misses);
  const double deviance = -(k * log1p_minus(excess / k, n * p.value / k) +
                            misses * log1p_minus(-excess / misses, n * p.complement / misses));
  return 0.5 * std::log(n / (k * misses)) - kLogSqrt2Pi + stirling_error(n) - stirling_error(k) -
         stirling_error(misses) - deviance;
}

/// Consecutive probabilities P(Bin(n, p) = first + i) around the mode.
struct BinomialWindow {
  std::int64_t first = 0;
  std::vector<double> probability;

  std::int64_t last() const { return first + static_cast<std::int64_t>(probability.size()) - 1; }
};

/// Fills `window` by ratios from the mode outwards. The law is unimodal, so what remains beyond a term t is at most t
/// times the number of outcomes left; a side ends when that is below `dropped`.
void fill_binomial_window(std::int64_t n, Probability p, double dropped, BinomialWindow& window);

}  // namespace auditkit
