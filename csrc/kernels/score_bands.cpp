#include "auditkit/score_bands.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "auditkit/beta_law.hpp"
#include "auditkit/dispatch.hpp"

namespace auditkit {
namespace {

constexpr double kSmallestIncrement = 1e-19;  ///< Poisson probabilities below are dropped: coverage only falls
constexpr double kSmallestState = 1e-20;      ///< likewise states at the upper end

/// Poisson probabilities of `mean` from 0 up to the first negligible one beyond the mode, at most `limit` + 1 of them.
void fill_poisson(double mean, std::size_t limit, std::vector<double>& out) {
  out.clear();
  // e^-mean underflows for means above 745, which no increment of a band reaches; scaling would hide nothing else.
  double term = std::exp(-mean);
  for (std::size_t k = 0; k <= limit; ++k) {
    out.push_back(term);
    term *= mean / static_cast<double>(k + 1);
    const bool beyond_mode = static_cast<double>(k) > mean;
    if (beyond_mode && term < kSmallestIncrement) break;
  }
}

/// sums[k] = sum over m of steps[m] * states[k - m]: the law after one more Poisson increment. `states` has a border of
/// steps.size() zeros at both ends, so that four increments at a time need no edge cases.
void convolve(const double* states, std::span<const double> steps, std::span<double> sums) {
  const std::size_t size = sums.size();
  double* const out = sums.data();
  std::fill(sums.begin(), sums.end(), 0.0);
  std::size_t m = 0;
  for (; m + 4 <= steps.size(); m += 4) {
    const double w0 = steps[m], w1 = steps[m + 1], w2 = steps[m + 2], w3 = steps[m + 3];
    const double* const s = states - m;
    for (std::size_t k = 0; k < size; ++k) out[k] += (w0 * s[k] + w1 * s[k - 1]) + (w2 * s[k - 2] + w3 * s[k - 3]);
  }
  for (; m < steps.size(); ++m)
    for (std::size_t k = 0; k < size; ++k) out[k] += steps[m] * states[k - m];
}

/// Newton on the log of the upper tail, from a start close by. Converges quadratically: a last step below 1e-7 in the
/// logit leaves an error below 1e-13.
double band_quantile(const BetaLaw& law, double log_eta, double& logit) {
  for (int step = 0; step < 60; ++step) {
    const BetaPoint at = beta_point_at_logit(law, logit);
    const double log_tail = beta_tails(law, at, kernels().tail_panel).log_upper;
    const double slope = std::exp(std::min(log_logit_density(law, at) - log_tail, 700.0));
    const double change = std::clamp((log_tail - log_eta) / slope, -2.0, 2.0);
    logit += change;
    if (std::fabs(change) < 1e-7) break;
  }
  return beta_point_at_logit(law, logit).x;
}

/// Upper quantiles of the ordered uniforms of some ranks, for a sequence of etas; each starts from the one before.
class LimitSolver {
 public:
  LimitSolver(std::size_t n, std::span<const double> ranks)
      : size_(static_cast<double>(n)), ranks_(ranks.begin(), ranks.end()), logits_(ranks.size()) {}

  void solve(double eta, std::span<double> out) {
    const double log_eta = std::log(eta);
    double shift = 2.0;  // from the mean, in standard deviations of the logit: nearly the same for neighbours
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      const BetaLaw law = make_beta_law(ranks_[i], size_ - ranks_[i] + 1.0);
      const double centre = std::log(law.a / law.b);
      const double deviation = std::sqrt(law.n / (law.a * law.b));
      if (!started_) logits_[i] = centre + shift * deviation;
      out[i] = band_quantile(law, log_eta, logits_[i]);
      shift = (logits_[i] - centre) / deviation;
      if (i > 0) out[i] = std::max(out[i], out[i - 1]);
    }
    started_ = true;
  }

 private:
  double size_;
  std::vector<double> ranks_, logits_;
  bool started_ = false;
};

std::vector<double> all_ranks(std::size_t n) {
  std::vector<double> ranks(n);
  for (std::size_t i = 0; i < n; ++i) ranks[i] = static_cast<double>(i) + 1.0;
  return ranks;
}

}  // namespace

void band_limits(std::size_t n, std::span<const double> ranks, double eta, std::span<double> out) {
  LimitSolver(n, ranks).solve(eta, out);
}

void band_limits(double eta, std::span<double> out) { band_limits(out.size(), all_ranks(out.size()), eta, out); }

double band_coverage(std::span<const double> limits) {
  const std::size_t n = limits.size();
  const double mean = static_cast<double>(n);
  // states[k - low] = P(N(u_j) = k and N(u_m) >= m for all m <= j), N a Poisson process of rate n.
  std::vector<double> states{1.0}, bordered, sums, steps;
  std::size_t low = 0;
  double before = 0.0;
  for (std::size_t i = 1; i <= n; ++i) {
    fill_poisson(mean * (limits[i - 1] - before), n - low, steps);
    before = limits[i - 1];
    bordered.assign(states.size() + 2 * steps.size(), 0.0);
    std::copy(states.begin(), states.end(), bordered.begin() + static_cast<std::ptrdiff_t>(steps.size()));
    sums.resize(std::min(states.size() + steps.size() - 1, n - low + 1));
    convolve(bordered.data() + steps.size(), steps, sums);
    const std::size_t cut = i - low;
    if (cut >= sums.size()) return 0.0;
    std::size_t end = sums.size();
    while (end > cut + 1 && sums[end - 1] < kSmallestState) --end;
    states.assign(sums.begin() + static_cast<std::ptrdiff_t>(cut), sums.begin() + static_cast<std::ptrdiff_t>(end));
    low = i;
  }
  // Condition on N(1) = n: nothing more may come after u_n, and P(Poisson(n) = n) = e^{-st(n)} / sqrt(2 pi n).
  const double log_hit = -stirling_error(mean) - kLogSqrt2Pi - 0.5 * std::log(mean);
  const double coverage = states[0] * std::exp(-mean * (1.0 - limits[n - 1]) - log_hit);
  // Positive terms only: at most about 25 additions and products a step, each rounding by 1.2e-16 of the result.
  return coverage * (1.0 - 3e-15 * (mean + 10.0));
}

double band_level(std::size_t n, double miss) {
  // The log of (missed probability / miss) to end at, with room for the rounding of 1 - coverage.
  const double aim = -5e-10 - 2e-15 / miss;
  const double size = static_cast<double>(n);
  const double log_miss = std::log(miss);
  LimitSolver solver(n, all_ranks(n));
  std::vector<double> limits(n);
  const auto excess = [&](double log_eta) {
    solver.solve(std::exp(log_eta), limits);
    return std::log(std::max(1.0 - band_coverage(limits), 1e-300)) - log_miss;
  };
  // The union bound puts the level above miss / n; each single inequality puts it below miss.
  double low = log_miss - std::log(size) - 1e-9, high = log_miss;
  // miss / eta is nearly quadratic in log n (fitted to the levels of n = 100 to 1e5 at miss 0.025).
  const double log_size = std::log(size);
  double x = log_miss - std::log(std::clamp(-13.0 + log_size * (6.025 + 0.384 * log_size), 1.0, size));
  double previous_x = 0.0, previous_value = 0.0;
  for (int round = 0; round < 100 && high - low > 1e-13; ++round) {
    const double value = excess(x);
    (value <= 0.0 ? low : high) = x;
    if (value <= 0.25 * aim && value >= 2.0 * aim) break;
    const double slope = round == 0 ? 1.0 : (value - previous_value) / (x - previous_x);
    previous_x = x;
    previous_value = value;
    x -= (value - aim) / slope;
    if (!(x > low && x < high)) x = 0.5 * (low + high);
  }
  return std::exp(low);
}

}  // namespace auditkit
