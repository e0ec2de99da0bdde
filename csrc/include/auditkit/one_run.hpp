/// Lower bounds on epsilon from one training run: each of m canaries was included by its own fair coin, and an attack
/// committed `guesses` guesses of which `correct` were right.
#pragma once

#include <cstdint>
#include <span>

namespace auditkit {

struct OneRunOutcome {
  std::int64_t canaries, guesses, correct;  ///< canaries >= guesses >= correct
};

/// Upper bound of P(correct guesses >= observed) under (epsilon, delta)-DP, in [0, 1]:
///   P(W >= v) + 2 m delta max_{1<=i<=v} P(v-i <= W < v) / i,  W ~ Bin(r, e^eps / (1 + e^eps)).
/// Source: Steinke, Nasr, Jagielski 2023 (arXiv 2305.08846), Theorem 5.2.
double one_run_p_value(const OneRunOutcome& outcome, double epsilon, double delta);

/// The largest epsilon that `one_run_p_value` rejects at level alpha, rounded down by at most the relative `resolution`
/// (of the larger of 1 and epsilon); 0 when it rejects none.
double one_run_epsilon(const OneRunOutcome& outcome, double delta, double alpha, double resolution);

/// Whether the outcome contradicts mu-Gaussian DP at level alpha.
/// Source: Mahloujifar, Melis, Chaudhuri 2024 (arXiv 2410.22235), Theorem 3.2 and its algorithm.
bool one_run_rejects_gaussian(const OneRunOutcome& outcome, double mu, double alpha);

/// The largest mu rejected by `one_run_rejects_gaussian` (which is monotone in mu), rounded down; 0 when none is.
double one_run_gaussian_mu(const OneRunOutcome& outcome, double alpha);

/// The same test for a mechanism of which P(E | coin) <= delta_j + weight_j P(E | other coin) is known for every event
/// E, both values of the coin, and every j. Larger deltas or fewer lines only make it reject less.
bool one_run_rejects_lines(const OneRunOutcome& outcome, std::span<const double> deltas,
                           std::span<const double> weights, double alpha);

}  // namespace auditkit
