#include "auditkit/privacy_bounds.hpp"

#include <algorithm>
#include <cmath>

#include "auditkit/beta_law.hpp"
#include "tail_panel.hpp"

namespace auditkit {
namespace {

/// Relative error allowed to a Beta quantile and to its complement. beta_quantile stops at 1e-15 in the logit and its
/// tails are good to 1e-13 of themselves; an error e of the log tail moves the logit by e / hazard, and the hazard of a
/// tail of at most 1/2 is at least 1/2 in units of sqrt(n x (1-x)) or of the count: never below 0.3. Hence below 1e-12.
constexpr double kQuantileError = 1e-12;

Probability upper_limit(double a, double b, double miss) {
  const BetaPoint point = beta_quantile(make_beta_law(a, b), std::log1p(-miss), std::log(miss), TailPanel{});
  return {std::min(1.0, point.x * (1.0 + kQuantileError)), point.one_minus_x * (1.0 - kQuantileError)};
}

}  // namespace

Probability clopper_pearson_upper(std::int64_t errors, std::int64_t successes, double miss) {
  if (successes == 0) return {1.0, 0.0};
  return upper_limit(static_cast<double>(errors) + 1.0, static_cast<double>(successes), miss);
}

Probability jeffreys_upper(std::int64_t errors, std::int64_t successes, double miss) {
  if (successes == 0) return {1.0, 0.0};
  return upper_limit(static_cast<double>(errors) + 0.5, static_cast<double>(successes) + 0.5, miss);
}

void fill_binomial_window(std::int64_t n, Probability p, double dropped, BinomialWindow& window) {
  auto& out = window.probability;
  out.clear();
  const double size = static_cast<double>(n);
  if (p.value <= 0.0 || p.complement <= 0.0) {
    window.first = p.value <= 0.0 ? 0 : n;
    out.push_back(1.0);
    return;
  }
  const auto mode = std::clamp<std::int64_t>(static_cast<std::int64_t>((size + 1.0) * p.value), 0, n);
  const double peak = std::exp(binomial_log_pmf(static_cast<double>(mode), size, p));
  const double odds = p.value / p.complement;
  double term = peak;
  std::int64_t k = mode;
  for (; k > 0 && term * static_cast<double>(k) > dropped; --k) {
    term *= static_cast<double>(k) / (static_cast<double>(n - k + 1) * odds);
    out.push_back(term);
  }
  std::reverse(out.begin(), out.end());
  window.first = k;
  out.push_back(peak);
  term = peak;
  for (k = mode; k < n && term * static_cast<double>(n - k) > dropped; ++k) {
    term *= static_cast<double>(n - k) * odds / static_cast<double>(k + 1);
    out.push_back(term);
  }
}

}  // namespace auditkit
