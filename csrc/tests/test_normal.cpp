#include "auditkit/normal.hpp"

#include <cmath>
#include <initializer_list>

#include "check.hpp"

namespace auditkit {

using test::kEpsilon;

TEST(both_tails_add_to_one) {
  for (double z = -8.0; z <= 8.0; z += 0.125) CHECK_NEAR(normal_cdf(z) + normal_cdf(-z), 1.0, 2 * kEpsilon);
}

TEST(the_log_tail_meets_the_mills_ratio_bounds) {
  // phi(t) t / (t^2 + 1) < Phi(-t) < phi(t) / t, on both sides of the switch to the continued fraction.
  for (double t = 2.0; t <= 1e8; t *= 1.07) {
    const double log_ratio = normal_log_cdf(-t) - normal_log_density(-t);
    const double slack = 4 * kEpsilon * 0.5 * t * t;
    CHECK(log_ratio <= -std::log(t) + slack);
    CHECK(log_ratio >= std::log(t / (t * t + 1)) - slack);
  }
}

TEST(the_log_tail_is_continuous_where_the_method_changes) {
  for (const double z : {-30.0, -1.0}) {
    const double below = normal_log_cdf(std::nextafter(z, -100.0));
    CHECK_CLOSE(normal_log_cdf(z), below, 8 * kEpsilon);
  }
}

TEST(quantile_and_log_tail_are_inverse) {
  for (double log_p = -0.7; log_p > -1e15; log_p *= 1.37) {
    const double z = normal_quantile_of_log(log_p);
    // d log Phi / dz is about |z|, so a relative error of z is doubled in log_p, which is about z^2 / 2.
    CHECK_CLOSE(normal_log_cdf(z), log_p, 16 * kEpsilon);
  }
}

TEST(quantile_is_odd_and_meets_its_ends) {
  CHECK(normal_quantile(0.0) == -kInfinity);
  CHECK(normal_quantile(1.0) == kInfinity);
  CHECK_NEAR(normal_quantile(0.5), 0.0, kEpsilon);
  for (const double p : {0.25, 0.125, 0.0625}) CHECK(normal_quantile(1.0 - p) == -normal_quantile(p));
}

TEST(gaussian_epsilon_inverts_gaussian_delta) {
  for (const double mu : {0.1, 0.5, 1.0, 3.0, 10.0})
    for (const double delta : {1e-2, 1e-5, 1e-10}) {
      const double epsilon = gaussian_epsilon(mu, delta);
      if (epsilon == 0.0) CHECK(gaussian_log_delta(0.0, mu) <= std::log(delta));
      else CHECK_CLOSE(gaussian_log_delta(epsilon, mu), std::log(delta), 1e-10);
    }
  CHECK(gaussian_epsilon(0.0, 1e-5) == 0.0);
  CHECK(gaussian_epsilon(1.0, 0.0) == kInfinity);
}

}  // namespace auditkit
