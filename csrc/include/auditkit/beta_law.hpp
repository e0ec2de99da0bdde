/// A Beta(a, b) law prepared so that nothing cancels at any count: density in the logit by its deviance, both tails and
/// their logarithms with relative precision, quantiles. Cost does not grow with a + b.
///
/// With n = a + b and mean m = a / n, the density of s = log(x / (1 - x)) at x = m + d is exp(C - I(x)) where
///   I(x) = -[ a lm(d / m) + b lm(-d / (1 - m)) ] >= 0,  lm(u) = log(1 + u) - u,
///   C = log(a b / (2 pi n)) / 2 + st(n) - st(a) - st(b).
/// (Writing a log x + b log(1 - x) - log B(a, b) instead subtracts numbers of size n.)
#pragma once

#include "auditkit/gauss_legendre.hpp"
#include "auditkit/log_math.hpp"

namespace auditkit {

struct BetaLaw {
  double a, b;          ///< parameters, > 0
  double n;             ///< a + b
  double m, q;          ///< mean and 1 - mean, each with its own relative precision
  double m_low, q_low;  ///< what rounding took from them: a / n = m + m_low, b / n = q + q_low
  double log_c;         ///< C above
};

AUDITKIT_HD inline BetaLaw make_beta_law(double a, double b) {
  BetaLaw law{};
  law.a = a;
  law.b = b;
  law.n = a + b;
  law.m = a / law.n;
  law.q = b / law.n;
  // What rounding took from a + b (0 for counts with halves): the mean must not inherit it, sd / mean may be 1e-9.
  const double b_part = law.n - a;
  const double n_low = (a - (law.n - b_part)) + (b - b_part);
  law.m_low = (::fma(-law.m, law.n, a) - law.m * n_low) / law.n;
  law.q_low = (::fma(-law.q, law.n, b) - law.q * n_low) / law.n;
  law.log_c = 0.5 * ::log(a * law.q) - kLogSqrt2Pi + stirling_error(law.n) - stirling_error(a) - stirling_error(b);
  return law;
}

AUDITKIT_HD inline BetaLaw mirrored(const BetaLaw& law) {
  BetaLaw other = law;
  other.a = law.b;
  other.b = law.a;
  other.m = law.q;
  other.q = law.m;
  other.m_low = law.q_low;
  other.q_low = law.m_low;
  return other;
}

/// A point of the unit interval that keeps its precision at both ends and against the mean of a law.
struct BetaPoint {
  double x, one_minus_x;
  double offset;  ///< x minus the exact mean of the law
};

AUDITKIT_HD inline BetaPoint beta_point(const BetaLaw& law, double x, double one_minus_x) {
  // Subtract on the side where x is known best.
  const double offset = x <= one_minus_x ? (x - law.m) - law.m_low : -((one_minus_x - law.q) - law.q_low);
  return {x, one_minus_x, offset};
}

AUDITKIT_HD inline double deviance(const BetaLaw& law, const BetaPoint& p) {
  return -(law.a * log1p_minus(p.offset / law.m, p.x / law.m) +
           law.b * log1p_minus(-p.offset / law.q, p.one_minus_x / law.q));
}

/// log of the density of the logit at p.
AUDITKIT_HD inline double log_logit_density(const BetaLaw& law, const BetaPoint& p) {
  return law.log_c - deviance(law, p);
}

/// The two tails at a point: P(X <= x) and P(X > x), with the logarithm of the smaller one computed directly.
struct BetaTails {
  double lower, upper;
  double log_lower, log_upper;
};

/// The point `tau` (<= 0) logits below p; the offset is carried, not recomputed, while the step is short.
AUDITKIT_HD inline BetaPoint step_down(const BetaLaw& law, const BetaPoint& p, double tau) {
  const double grown = ::exp(tau);
  const double den = 1.0 / (p.one_minus_x + p.x * grown);  // not 1 + x expm1(tau), which cancels at x near 1
  const double x = p.x * grown * den;
  const double one_minus_x = p.one_minus_x * den;
  if (tau > -0.7) return {x, one_minus_x, p.offset + p.x * p.one_minus_x * ::expm1(tau) * den};
  return beta_point(law, x, one_minus_x);
}

/// Integral of the logit density over the `width` logits below p, divided by the density at p, by 16 Gauss nodes.
/// Scalar; kernels pass a vectorised one of the same contract.
struct ScalarTailPanel {
  AUDITKIT_HD double operator()(const BetaLaw& law, const BetaPoint& p, double deviance_at_p, double width) const {
    constexpr GaussRule rule = gauss_rule();
    double sum = 0.0;
    for (int j = 0; j < kGaussNodes; ++j) {
      const BetaPoint node = step_down(law, p, -0.5 * width * (1.0 + rule.node[j]));
      sum += rule.weight[j] * ::exp(deviance_at_p - deviance(law, node));
    }
    return 0.5 * width * sum;
  }
};

/// P(X <= x) / (logit density at x), for x below the mean: Gauss panels towards 0 until the power series
/// x^a (1 - x)^b / (a B) [1 + sum of positive terms] (DLMF 8.17.8) converges quickly, or nothing is left.
template <class TailPanel>
AUDITKIT_HD double lower_tail_ratio(const BetaLaw& law, BetaPoint p, const TailPanel& panel) {
  const double start = deviance(law, p);
  double here = start;
  double sum = 0.0;
  for (int panels = 0; panels < 400; ++panels) {
    const double weight = ::exp(start - here);
    if (p.x < 0.75 && law.n * p.x < 0.5 * (law.a + 1.0)) {  // the ratio of terms starts at n x / (a + 1), tends to x
      double term = 1.0;
      double series = 1.0;
      for (double k = 0.0; k < 400.0 && term > 1e-18 * series; k += 1.0) {
        term *= (law.n + k) * p.x / (law.a + 1.0 + k);
        series += term;
      }
      return sum + weight * series / law.a;
    }
    if (weight < 1e-19 * sum) return sum;
    const double local_sd = 1.0 / ::sqrt(law.n * p.x * p.one_minus_x);
    double width = min2(3.0, 2.5 * local_sd);
    const double slope = law.n * ::fabs(p.offset);  // |d log density / ds|
    if (slope * width > 14.0) width = 14.0 / slope;
    sum += weight * panel(law, p, here, width);
    p = step_down(law, p, -width);
    here = deviance(law, p);
  }
  return sum;
}

template <class TailPanel>
AUDITKIT_HD BetaTails beta_tails(const BetaLaw& law, const BetaPoint& p, const TailPanel& panel) {
  BetaTails tails{};
  if (p.x <= 0.0 || p.one_minus_x <= 0.0) {
    const bool at_zero = p.x <= 0.0;
    tails.lower = at_zero ? 0.0 : 1.0;
    tails.upper = 1.0 - tails.lower;
    tails.log_lower = at_zero ? -kInfinity : 0.0;
    tails.log_upper = at_zero ? 0.0 : -kInfinity;
    return tails;
  }
  const bool lower_is_small = p.offset <= 0.0;
  const BetaLaw side = lower_is_small ? law : mirrored(law);
  const BetaPoint at = lower_is_small ? p : BetaPoint{p.one_minus_x, p.x, -p.offset};
  const double log_small = min2(log_logit_density(side, at) + ::log(lower_tail_ratio(side, at, panel)), 0.0);
  const double small = ::exp(log_small);
  const double log_large = log1m_exp(log_small);
  tails.lower = lower_is_small ? small : 1.0 - small;
  tails.upper = lower_is_small ? 1.0 - small : small;
  tails.log_lower = lower_is_small ? log_small : log_large;
  tails.log_upper = lower_is_small ? log_large : log_small;
  return tails;
}

/// Regularised incomplete beta I_x(a, b) and its complement; give 1 - x separately where it is known better.
AUDITKIT_HD inline BetaTails beta_tails(double a, double b, double x, double one_minus_x) {
  const BetaLaw law = make_beta_law(a, b);
  return beta_tails(law, beta_point(law, x, one_minus_x), ScalarTailPanel{});
}

AUDITKIT_HD inline BetaTails beta_tails(double a, double b, double x) { return beta_tails(a, b, x, 1.0 - x); }

/// The point at logit s.
AUDITKIT_HD inline BetaPoint beta_point_at_logit(const BetaLaw& law, double s) {
  const double e = ::exp(-::fabs(s));
  const double small = e / (1.0 + e);
  const double large = 1.0 / (1.0 + e);
  return s <= 0.0 ? beta_point(law, small, large) : beta_point(law, large, small);
}

/// The point below which the law has probability p; give log(p) and log(1 - p) (whichever is the smaller is used).
/// Safeguarded Newton on the log of the smaller tail, in the logit. Relative error of x and 1 - x near 1e-13.
template <class TailPanel = ScalarTailPanel>
AUDITKIT_HD BetaPoint beta_quantile(const BetaLaw& law, double log_p, double log_1mp, const TailPanel& panel = {}) {
  if (log_p == -kInfinity) return beta_point(law, 0.0, 1.0);
  if (log_1mp == -kInfinity) return beta_point(law, 1.0, 0.0);
  const bool lower = log_p <= log_1mp;
  const double target = lower ? log_p : log_1mp;
  double low = -708.0, high = 708.0;
  double s = ::log(law.a) - ::log(law.b);
  for (int step = 0; step < 200; ++step) {
    const BetaPoint at = beta_point_at_logit(law, s);
    const BetaTails tails = beta_tails(law, at, panel);
    const double log_tail = lower ? tails.log_lower : tails.log_upper;
    const double gap = log_tail - target;
    if ((gap > 0.0) == lower) high = s;
    else low = s;
    const double slope = ::exp(min2(log_logit_density(law, at) - log_tail, 700.0));  // |d log tail / ds|
    double next = s - (lower ? gap : -gap) / slope;
    const bool newton = next > low && next < high;
    if (!newton) next = 0.5 * (low + high);
    const double change = ::fabs(next - s);
    s = next;
    // Newton squares the error: a step that moved the log tail by 1e-8 leaves 1e-16 of it.
    if ((newton && change * slope <= 1e-8) || change <= 1e-15 * ::fabs(s) + 1e-16) break;
  }
  return beta_point_at_logit(law, s);
}

}  // namespace auditkit
