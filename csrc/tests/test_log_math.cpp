#include "auditkit/log_math.hpp"

#include <cmath>
#include <initializer_list>

#include "auditkit/log_gamma.hpp"
#include "check.hpp"

namespace auditkit {

using test::kEpsilon;

TEST(log1p_minus_agrees_with_extended_precision) {
  // log1pl(u) - u loses |u|^-1 of 64 bits: at |u| >= 1e-3 it still has 54.
  for (double u = 1e-3; u < 1e6; u *= 1.13) {
    CHECK_CLOSE(log1p_minus(u), static_cast<double>(log1pl(u) - static_cast<long double>(u)), 8 * kEpsilon);
    if (u < 1.0)
      CHECK_CLOSE(log1p_minus(-u), static_cast<double>(log1pl(-u) + static_cast<long double>(u)), 8 * kEpsilon);
  }
}

TEST(log1p_minus_has_its_series_near_zero) {
  for (double u = 1e-3; u > 1e-150; u *= 0.01)
    for (const double v : {u, -u}) {
      const double series = v * v * (-0.5 + v * (1.0 / 3.0 - v * (0.25 - v * (0.2 - v * (1.0 / 6.0)))));
      CHECK_CLOSE(log1p_minus(v), series, 4 * kEpsilon);
    }
  CHECK(log1p_minus(0.0) == 0.0);
}

TEST(log1p_minus_uses_the_ratio_that_it_is_given) {
  // u rounds to -1 but r = 1 + u is known: log(r) - u stays finite and exact.
  CHECK_CLOSE(log1p_minus(-1.0, 1e-300), std::log(1e-300) + 1.0, 2 * kEpsilon);
}

TEST(stirling_error_has_its_known_values) {
  CHECK_CLOSE(stirling_error(0.5), 0.15342640972002734529, 1e-14);  // (1 - log 2) / 2
  CHECK_CLOSE(stirling_error(1.0), 0.08106146679532725822, 1e-14);  // 1 - log(2 pi) / 2
  CHECK_CLOSE(stirling_error(1e9), 1.0 / 12e9, 2 * kEpsilon);
}

TEST(stirling_error_meets_its_recurrence) {
  for (double x = 0.5; x < 60.0; x += 0.25) {
    const long double step = (x + 0.5L) * log1pl(1.0L / x) - 1.0L;
    CHECK_CLOSE(stirling_error(x), stirling_error(x + 1.0) + static_cast<double>(step), 1e-14);
  }
}

TEST(log_gamma_meets_factorials_and_its_zeros) {
  CHECK(log_gamma(1.0) == 0.0);
  CHECK(log_gamma(2.0) == 0.0);
  double log_factorial = 0.0;
  for (int n = 1; n < 170; ++n) {
    log_factorial = static_cast<double>(std::lgamma(static_cast<long double>(n) + 1.0L));
    CHECK_CLOSE(log_gamma(n + 1.0), log_factorial, 4 * kEpsilon);
  }
  CHECK_CLOSE(log_gamma(0.5), 0.57236494292470008707, 4 * kEpsilon);  // log(pi) / 2
}

TEST(log1m_exp_agrees_with_extended_precision) {
  for (double x = 1e-18; x < 700.0; x *= 1.3) {
    const long double want =
        x < 1.0 ? logl(-expm1l(-static_cast<long double>(x))) : log1pl(-expl(-static_cast<long double>(x)));
    CHECK_CLOSE(log1m_exp(-x), static_cast<double>(want), 4 * kEpsilon);
  }
  CHECK(log1m_exp(0.0) == -kInfinity);
  CHECK(log1m_exp(-kInfinity) == 0.0);
}

TEST(log_add_and_log_subtract_are_inverse) {
  for (const double a : {-700.0, -3.0, 0.0, 5.0, 700.0})
    for (const double gap : {0.25, 1.0, 30.0}) {
      const double b = a - gap;
      CHECK_NEAR(log_sub_exp(log_add_exp(a, b), b), a, 16 * kEpsilon * (1.0 + std::fabs(a)));
      CHECK(log_add_exp(a, b) == log_add_exp(b, a));
    }
  CHECK(log_add_exp(-kInfinity, -kInfinity) == -kInfinity);
  CHECK(log_add_exp(-kInfinity, 2.0) == 2.0);
  CHECK(log_sub_exp(2.0, 2.0) == -kInfinity);
}

TEST(log_expm1_does_not_overflow) {
  CHECK(log_expm1(1e5) == 1e5);
  CHECK_CLOSE(log_expm1(1e-12), std::log(1e-12) + 0.5e-12, 2 * kEpsilon);
  CHECK_CLOSE(log_expm1(36.0), log_expm1(std::nextafter(36.0, 37.0)), 4 * kEpsilon);
}

}  // namespace auditkit
