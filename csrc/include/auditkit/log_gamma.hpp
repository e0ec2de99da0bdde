/// log Gamma on the positive axis, shared by host and device so that both give the same digits.
#pragma once

#include "auditkit/log_math.hpp"

namespace auditkit {

/// log Gamma(1 + e) for |e| <= 0.5 by sum over k of (-1)^k zeta(k) e^k / k, with the slowly converging part summed in
/// closed form: log Gamma(1+e) = -log1p(e) + e (1 - gamma) + sum_{k>=2} (-1)^k (zeta(k) - 1) e^k / k.
AUDITKIT_HD inline double log_gamma_near_one(double e) {
  constexpr double zeta_minus_one[] = {
      6.4493406684822643647e-1, 2.0205690315959428540e-1, 8.2323233711138191516e-2, 3.6927755143369926331e-2,
      1.7343061984449139714e-2, 8.3492773819228268398e-3, 4.0773561979443393786e-3, 2.0083928260822144179e-3,
      9.9457512781808533715e-4, 4.9418860411946455870e-4, 2.4608655330804829864e-4, 1.2271334757848914676e-4,
      6.1248135058704829259e-5, 3.0588236307020493552e-5, 1.5282259408651871733e-5, 7.6371976378997622736e-6,
      3.8172932649998398565e-6, 1.9082127165539389257e-6, 9.5396203387279611315e-7, 4.7693298678780646312e-7,
      2.3845050272773299000e-7, 1.1921992596531107307e-7, 5.9608189051259479613e-8, 2.9803503514652280186e-8};
  constexpr double one_minus_euler = 4.2278433509846713939e-1;
  double power = e;
  double sum = 0.0;
  for (int k = 2; k < 26; ++k) {
    power *= -e;
    sum -= zeta_minus_one[k - 2] * power / k;
  }
  // log1p(e) - e (1 - gamma) would cancel; log1p(e) = e + (log1p(e) - e) keeps the small difference exact.
  return -log1p_minus(e) - e * (1.0 - one_minus_euler) + sum;
}

/// log Gamma(x) for x > 0. Relative error near 1e-15, also at the zeros 1 and 2 (where a difference of two logs fails).
AUDITKIT_HD inline double log_gamma(double x) {
  if (x < 0.5) return log_gamma_near_one(x) - ::log(x);
  if (x <= 1.5) return log_gamma_near_one(x - 1.0);
  if (x <= 2.5) return log_gamma_near_one(x - 2.0) + ::log1p(x - 2.0);
  return (x - 0.5) * (::log(x) - 1.0) - 0.5 + kLogSqrt2Pi + stirling_error(x);
}

}  // namespace auditkit
