/// Posterior of epsilon given the outcomes of a membership attack: contract. Host only.
///
/// X = FNR ~ Beta(FN + p, TP + p) and Y = FPR ~ Beta(FP + p, TN + p), independent; epsilon* is the smallest eps >= 0
/// whose (eps, delta) region contains (X, Y). Source: Zanella-Beguelin et al. (arXiv 2206.05199); derivation of the
/// one-dimensional integrals and their numerics in docs/theory/epsilon-posterior.md.
/// Every function is pure: same bits for any thread count and batch size.
#pragma once

#include <cstdint>

#include "auditkit/beta_law.hpp"

namespace auditkit {

/// Which boundary counts: both pairs of lines (the DP definition) or the two lower-left ones (attack direction fixed).
enum class Region { both, below };

struct AttackOutcome {
  BetaLaw fnr, fpr;  ///< posterior laws of the two error rates
  double delta;      ///< in [0, 1)
  Region region;
};

struct TailPair {
  double lower, upper;  ///< P(eps* <= e) and P(eps* > e)
  double log_lower, log_upper;
};

/// Distribution function, survival function and density at eps >= 0. At eps < 0 the lower tail is 0.
/// |error| <= 1e-12 for counts to 1e6, 1e-10 to 1e9; survival and density keep relative precision down to 1e-280.
TailPair epsilon_tails(const AttackOutcome& outcome, double epsilon, double* density);

/// log P(eps* <= e) with relative precision in the deep lower tail as well; up to a millisecond there.
double epsilon_log_cdf(const AttackOutcome& outcome, double epsilon);

/// Smallest eps with P(eps* <= eps) >= level; give the level as log(level) and log(1 - level), the smaller decides.
/// 0 when the atom at 0 reaches the level. Error <= 1e-9.
double epsilon_quantile(const AttackOutcome& outcome, double log_level, double log_complement);

/// Shortest [lower, upper] of probability >= 1 - alpha; the atom belongs to it whenever lower = 0.
struct Interval {
  double lower, upper;
};
Interval epsilon_highest_density(const AttackOutcome& outcome, double alpha);

/// Posterior mean: integral of the survival function.
double epsilon_mean(const AttackOutcome& outcome);

/// The same posterior read along delta: smallest delta with P(eps* <= epsilon; delta) >= level, for fixed epsilon.
double delta_quantile(AttackOutcome outcome, double log_level, double log_complement, double epsilon);

}  // namespace auditkit
