#include "auditkit/one_run.hpp"

#include <algorithm>
#include <cmath>

#include "auditkit/binomial.hpp"
#include "auditkit/normal.hpp"

namespace auditkit {
namespace {

constexpr double kDropped = 1e-24;  ///< mass left out at each end of the window, put back as a whole

/// The largest x >= 0 (to the last bits) that `rejected`, a predicate that goes from true to false, still accepts; 0 if
/// it is false at 0.
template <class Predicate>
double last_true(const Predicate& rejected, double resolution) {
  if (!rejected(0.0)) return 0.0;
  double low = 0.0, high = 1.0;
  while (rejected(high)) {
    low = high;
    high *= 2.0;
  }
  while (high - low > resolution * high) {
    const double middle = 0.5 * (low + high);
    (rejected(middle) ? low : high) = middle;
  }
  return low;
}

double p_value(const OneRunOutcome& outcome, double epsilon, double delta, BinomialWindow& window) {
  const std::int64_t v = outcome.correct;
  if (v == 0) return 1.0;
  fill_binomial_window(outcome.guesses, {1.0 / (1.0 + std::exp(-epsilon)), 1.0 / (1.0 + std::exp(epsilon))}, kDropped,
                       window);
  double beta = kDropped;
  for (std::int64_t k = window.last(); k >= std::max(v, window.first); --k)
    beta += window.probability[k - window.first];
  // The largest average of P(W = v-1), P(W = v-2), ...; once (1 - beta) / (i + 1) is not above it no later i can win.
  double below = kDropped, largest = 0.0;
  for (std::int64_t i = std::max<std::int64_t>(1, v - window.last()); i <= v; ++i) {
    if (v - i >= window.first) below += window.probability[v - i - window.first];
    largest = std::max(largest, below / static_cast<double>(i));
    if ((1.0 - beta) / static_cast<double>(i + 1) <= largest) break;
  }
  const double value = beta + 2.0 * static_cast<double>(outcome.canaries) * delta * largest;
  // The first probability is good to 1e-14; every ratio away from it rounds three times by 1.2e-16.
  const double rounding = 1e-13 + 4e-16 * static_cast<double>(window.probability.size());
  return std::min(1.0, value * (1.0 + rounding));
}

}  // namespace

double one_run_p_value(const OneRunOutcome& outcome, double epsilon, double delta) {
  BinomialWindow window;
  return p_value(outcome, epsilon, delta, window);
}

double one_run_epsilon(const OneRunOutcome& outcome, double delta, double alpha, double resolution) {
  BinomialWindow window;
  return last_true([&](double epsilon) { return p_value(outcome, epsilon, delta, window) <= alpha; }, resolution);
}

bool one_run_rejects_gaussian(const OneRunOutcome& outcome, double mu, double alpha) {
  const double m = static_cast<double>(outcome.canaries), r = static_cast<double>(outcome.guesses);
  const double v = static_cast<double>(outcome.correct);
  // Each step rounds R + H by about 1e-16 of (i / (r - i)) H <= r H; the margin covers a million steps.
  const double limit = r / m * (1.0 + 1e-9);
  double right = alpha * v / m, wrong = alpha * (r - v) / m;
  if (!(right > 0.0)) return false;
  double z = normal_quantile(right);
  for (double i = v - 1.0; i >= 0.0; i -= 1.0) {
    // Phi^-1(right) by Newton on log Phi, which is concave: `right` has grown, so the steps rise to the root.
    const double log_right = std::log(right);
    for (int step = 0; step < 60; ++step) {
      const double log_cdf = normal_log_cdf(z);
      const double change = (log_right - log_cdf) * std::exp(log_cdf - normal_log_density(z));
      z += change;
      if (std::fabs(change) < 1e-9) break;  // quadratic: the next one would be below 1e-17
    }
    const double grown = std::max(wrong, normal_cdf(z - mu));
    right += i / (r - i) * (grown - wrong);
    wrong = grown;
    if (right + wrong > limit) return true;  // both only grow
  }
  return false;
}

double one_run_gaussian_mu(const OneRunOutcome& outcome, double alpha) {
  return last_true([&](double mu) { return one_run_rejects_gaussian(outcome, mu, alpha); }, 1e-12);
}

bool one_run_rejects_lines(const OneRunOutcome& outcome, std::span<const double> deltas,
                           std::span<const double> weights, double alpha) {
  const double m = static_cast<double>(outcome.canaries), r = static_cast<double>(outcome.guesses);
  const double v = static_cast<double>(outcome.correct);
  // The sums round as in the Gaussian case; the margin also covers the rounding of a line.
  const double limit = r / m * (1.0 + 1e-9);
  double right = alpha * v / m, wrong = alpha * (r - v) / m;
  for (double i = v - 1.0; i >= 0.0; i -= 1.0) {
    double grown = wrong;
    for (std::size_t j = 0; j < deltas.size(); ++j) grown = std::max(grown, (right - deltas[j]) / weights[j]);
    right += i / (r - i) * (grown - wrong);
    wrong = grown;
    if (right + wrong > limit) return true;  // both only grow
  }
  return false;
}

}  // namespace auditkit
