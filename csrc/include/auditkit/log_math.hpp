/// Logarithms and exponentials where the textbook form loses digits.
#pragma once

#include "auditkit/portable.hpp"

namespace auditkit {

/// sum over k >= 0 of z^k / (2k + 3), 0 <= z <= 1/16: the tail of the atanh series, to 1e-17.
AUDITKIT_HD inline double atanh_series_tail(double z) {
  double sum = 1.0 / 29.0;
  for (int odd = 27; odd >= 3; odd -= 2) sum = sum * z + 1.0 / odd;
  return sum;
}

/// log(1 + u) - u <= 0, given u and r = 1 + u formed separately (so that r keeps its relative precision near 0).
/// Near u = 0 both terms cancel, so the atanh series of log((1 + s) / (1 - s)), s = u / (2 + u), is used there.
AUDITKIT_HD inline double log1p_minus(double u, double r) {
  if (u > -0.4 && u < 0.6) {
    const double s = u / (2.0 + u);
    const double z = s * s;
    return s * (2.0 * z * atanh_series_tail(z) - u);
  }
  return ::log(r) - (r - 1.0);
}

AUDITKIT_HD inline double log1p_minus(double u) { return log1p_minus(u, 1.0 + u); }

/// log(1 - e^x) for x <= 0. Source: Maechler, "Accurately computing log(1 - exp(-|a|))" (2012).
AUDITKIT_HD inline double log1m_exp(double x) { return x > -kLogTwo ? ::log(-::expm1(x)) : ::log1p(-::exp(x)); }

/// log(e^a + e^b); minus infinity stands for an empty term.
AUDITKIT_HD inline double log_add_exp(double a, double b) {
  const double high = max2(a, b);
  if (high == -kInfinity) return high;
  return high + ::log1p(::exp(min2(a, b) - high));
}

/// log(e^a - e^b) for a >= b.
AUDITKIT_HD inline double log_sub_exp(double a, double b) { return a + log1m_exp(b - a); }

/// log(e^x - 1) for x > 0, without overflow.
AUDITKIT_HD inline double log_expm1(double x) { return x > 36.0 ? x : ::log(::expm1(x)); }

/// Stirling's error st(x) = log Gamma(x) - [(x - 1/2) log x - x + log(2 pi) / 2], x > 0. Relative error below 1e-14.
/// From 16 on the asymptotic series; below, st(x) = st(x + 1) + (x + 1/2) log(1 + 1/x) - 1, applied upwards.
AUDITKIT_HD inline double stirling_error(double x) {
  double shift = 0.0;
  double y = x;
  for (; y < 16.0; y += 1.0) {
    // (y + 1/2) log(1 + 1/y) - 1 = 2 (y + 1/2) s^3 (1/3 + s^2/5 + ...), s = 1 / (2y + 1): positive terms only.
    const double s = 1.0 / (2.0 * y + 1.0);
    if (s < 0.25) {
      shift += s * s * atanh_series_tail(s * s);
    } else {
      shift += (y + 0.5) * ::log1p(1.0 / y) - 1.0;
    }
  }
  const double w = 1.0 / (y * y);
  const double series =
      1.0 / 12.0 -
      w * (1.0 / 360.0 -
           w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w * (1.0 / 1188.0 - w * (691.0 / 360360.0 - w / 156.0)))));
  return shift + series / y;
}

}  // namespace auditkit
