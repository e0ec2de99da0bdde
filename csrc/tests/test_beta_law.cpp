#include "auditkit/beta_law.hpp"

#include <cmath>
#include <initializer_list>

#include "check.hpp"

namespace auditkit {
namespace {

using test::kEpsilon;

constexpr double kCounts[] = {0.5, 1.0, 1.5, 7.0, 40.5, 333.0, 1e4 + 0.5, 1e6, 1e9};

template <class Body>
void for_each_law(Body&& body) {
  for (const double a : kCounts)
    for (const double b : kCounts) body(a, b);
}

/// Binomial upper tail P(Bin(n, p) >= k) = I_p(k, n - k + 1), summed in extended precision.
long double binomial_tail(int n, int k, long double p) {
  long double sum = 0.0L;
  for (int i = k; i <= n; ++i)
    sum += expl(lgammal(n + 1.0L) - lgammal(i + 1.0L) - lgammal(n - i + 1.0L) + i * logl(p) + (n - i) * log1pl(-p));
  return sum;
}

}  // namespace

TEST(both_tails_add_to_one_and_mirror) {
  for_each_law([](double a, double b) {
    for (const double z : {-6.0, -1.0, -0.1, 0.0, 0.3, 2.0, 9.0}) {
      const double sd = std::sqrt((a / (a + b)) * (b / (a + b)) / (a + b + 1.0));
      const double x = a / (a + b) + z * sd;
      if (x <= 0.0 || x >= 1.0) continue;
      const BetaTails tails = beta_tails(a, b, x, 1.0 - x);
      CHECK_NEAR(tails.lower + tails.upper, 1.0, 2 * kEpsilon);
      CHECK_CLOSE(tails.lower, std::exp(tails.log_lower), 4 * kEpsilon);
      CHECK_CLOSE(tails.upper, std::exp(tails.log_upper), 4 * kEpsilon);
      const BetaTails mirror = beta_tails(b, a, 1.0 - x, x);
      // The mirrored law forms its offset from the other mean, which is rounded apart: one ulp of it moves the log tail
      // by at most the score |z| / sd times eps * (1 - m).
      const double tolerance = 1e-14 + (1.0 + std::fabs(z)) * kEpsilon / sd;
      CHECK_CLOSE(mirror.upper, tails.lower, tolerance);
      CHECK_CLOSE(mirror.lower, tails.upper, tolerance);
    }
  });
}

TEST(closed_forms) {
  for (const double x : {1e-300, 1e-9, 0.1, 0.5, 0.75, 0.999}) {
    for (const double b : {0.5, 1.0, 3.0, 1e3, 1e6}) {
      // I_x(1, b) = 1 - (1 - x)^b and its mirror. A tail is the exponential of its logarithm, whose rounding it
      // inherits.
      const double lower = -std::expm1(b * std::log1p(-x));
      const double tolerance = 1e-14 + 2 * kEpsilon * std::fabs(std::log(lower));
      CHECK_CLOSE(beta_tails(1.0, b, x).lower, lower, tolerance);
      CHECK_CLOSE(beta_tails(1.0, b, x).log_upper, b * std::log1p(-x), tolerance + 1e-13);
      CHECK_CLOSE(beta_tails(b, 1.0, x).log_lower, b * std::log(x), 1e-13);
    }
    // The arcsine law.
    CHECK_CLOSE(beta_tails(0.5, 0.5, x).lower, std::asin(std::sqrt(x)) * 0.63661977236758134308, 1e-13);
  }
}

TEST(agrees_with_the_binomial_sum) {
  for (const int n : {1, 5, 30, 200})
    for (const int k : {1, n / 3 + 1, n})
      for (const double p : {0.001, 0.2, 0.5, 0.93}) {
        // lgammal(201) carries an error near 1e-16, the terms inherit it.
        CHECK_CLOSE(beta_tails(k, n - k + 1.0, p).lower, static_cast<double>(binomial_tail(n, k, p)), 1e-13);
      }
}

TEST(the_ends_of_the_interval) {
  const BetaTails zero = beta_tails(2.0, 3.0, 0.0, 1.0);
  CHECK(zero.lower == 0.0 && zero.upper == 1.0 && zero.log_lower == -kInfinity && zero.log_upper == 0.0);
  const BetaTails one = beta_tails(2.0, 3.0, 1.0, 0.0);
  CHECK(one.lower == 1.0 && one.upper == 0.0 && one.log_upper == -kInfinity && one.log_lower == 0.0);
}

TEST(tails_are_monotone) {
  for_each_law([](double a, double b) {
    double previous = -kInfinity;
    for (double s = -30.0; s <= 30.0; s += 0.37) {
      const BetaLaw law = make_beta_law(a, b);
      const double log_lower = beta_tails(law, beta_point_at_logit(law, s), ScalarTailPanel{}).log_lower;
      CHECK(log_lower >= previous);
      previous = log_lower;
    }
  });
}

TEST(quantile_round_trip) {
  for_each_law([](double a, double b) {
    const BetaLaw law = make_beta_law(a, b);
    for (const double log_p : {-500.0, -40.0, -5.0, -1.0, -0.3, -1e-3, -1e-9}) {
      const double log_1mp = log1m_exp(log_p);
      const BetaPoint point = beta_quantile(law, log_p, log_1mp);
      if (point.x < 1e-300 || point.one_minus_x < 1e-300) continue;  // the logit stops at 708
      const BetaTails tails = beta_tails(law, point, ScalarTailPanel{});
      const double got = log_p <= log_1mp ? tails.log_lower : tails.log_upper;
      const double target = log_p <= log_1mp ? log_p : log_1mp;
      // The point is a rounded double: half an ulp of the logit moves the log tail by its slope.
      const double logit = std::fabs(std::log(point.x / point.one_minus_x));
      const double slope = std::exp(log_logit_density(law, point) - got);
      CHECK_NEAR(got, target, 1e-13 * (1.0 + std::fabs(target)) + 4 * kEpsilon * (1.0 + logit) * slope);
    }
  });
}

TEST(quantile_meets_its_ends) {
  const BetaLaw law = make_beta_law(2.0, 3.0);
  CHECK(beta_quantile(law, -kInfinity, 0.0).x == 0.0);
  CHECK(beta_quantile(law, 0.0, -kInfinity).x == 1.0);
}

TEST(a_symmetric_law_has_its_median_at_one_half) {
  for (const double a : kCounts) CHECK_NEAR(beta_quantile(make_beta_law(a, a), -kLogTwo, -kLogTwo).x, 0.5, 1e-15);
}

}  // namespace auditkit
