/// The standard normal law: distribution function, its logarithm far into the tail, quantile.
#pragma once

#include "auditkit/log_math.hpp"

namespace auditkit {

AUDITKIT_HD inline double normal_cdf(double z) { return 0.5 * ::erfc(-z * 0.70710678118654752440); }

AUDITKIT_HD inline double normal_log_density(double z) { return -0.5 * z * z - kLogSqrt2Pi; }

/// log Phi(z). Below -30 erfc underflows or loses digits, so Laplace's continued fraction of the Mills ratio is used.
AUDITKIT_HD inline double normal_log_cdf(double z) {
  if (z > -1.0) return ::log1p(-normal_cdf(-z));
  if (z > -30.0) return ::log(normal_cdf(z));
  const double t = -z;
  double fraction = t;
  for (int k = 24; k >= 1; --k) fraction = t + k / fraction;
  return normal_log_density(z) - ::log(fraction);
}

/// The z with log Phi(z) = log_p, for log_p <= log(1/2); Newton on the log tail, which is concave, so it cannot stray.
AUDITKIT_HD inline double normal_quantile_of_log(double log_p) {
  if (log_p == -kInfinity) return -kInfinity;
  double z = log_p < -2.0 ? -::sqrt(-2.0 * log_p - ::log(12.566370614359172 * -log_p)) : 0.0;
  for (int step = 0; step < 60; ++step) {
    const double log_cdf = normal_log_cdf(z);
    const double change = (log_cdf - log_p) / ::exp(normal_log_density(z) - log_cdf);
    z -= change;
    if (::fabs(change) <= 4e-16 * ::fabs(z) + 1e-17) break;
  }
  return z;
}

/// Phi^-1(p), 0 <= p <= 1. Above one half use -normal_quantile(1 - p) with 1 - p formed without cancellation.
AUDITKIT_HD inline double normal_quantile(double p) {
  const double excess = p - 0.5;
  if (::fabs(excess) > 0.25) return p <= 0.5 ? normal_quantile_of_log(::log(p)) : -normal_quantile_of_log(::log1p(-p));
  // Near one half log(p) no longer tells p from it; the excess is exact. erf is concave on each side: Newton cannot
  // stray.
  double z = 2.5066282746310005024 * excess;
  for (int step = 0; step < 60; ++step) {
    const double change = (0.5 * ::erf(z * 0.70710678118654752440) - excess) * ::exp(-normal_log_density(z));
    z -= change;
    if (::fabs(change) <= 4e-16 * ::fabs(z)) break;
  }
  return z;
}

/// delta(eps; mu) = Phi(mu/2 - eps/mu) - e^eps Phi(-mu/2 - eps/mu), as a logarithm, mu > 0.
/// Source: Dong, Roth, Su (arXiv 1905.02383), Corollary 2.13.
AUDITKIT_HD inline double gaussian_log_delta(double epsilon, double mu) {
  const double first = normal_log_cdf(0.5 * mu - epsilon / mu);
  const double second = epsilon + normal_log_cdf(-0.5 * mu - epsilon / mu);
  return second >= first ? -kInfinity : log_sub_exp(first, second);
}

/// The epsilon of a mu-Gaussian-DP mechanism at delta: 0 when delta(0; mu) <= delta, infinite at delta = 0 and mu > 0.
AUDITKIT_HD inline double gaussian_epsilon(double mu, double delta) {
  if (!(mu > 0.0)) return 0.0;
  if (mu == kInfinity || delta <= 0.0) return kInfinity;
  const double log_delta = ::log(delta);
  if (gaussian_log_delta(0.0, mu) <= log_delta) return 0.0;
  double low = 0.0, high = mu * (mu + 1.0);
  while (gaussian_log_delta(high, mu) > log_delta) high *= 2.0;
  for (int step = 0; step < 200; ++step) {
    const double middle = 0.5 * (low + high);
    if (middle <= low || middle >= high) break;
    (gaussian_log_delta(middle, mu) > log_delta ? low : high) = middle;
  }
  return low;
}

}  // namespace auditkit
