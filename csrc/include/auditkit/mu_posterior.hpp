/// Posterior of mu under the hypothesis that the mechanism's trade-off curve is Gaussian (mu-GDP): contract. Host only.
///
/// mu* = |Phi^-1(1 - Y) - Phi^-1(X)| (region both) or its positive part in the fixed direction (region below), with X,
/// Y as in epsilon_posterior.hpp. Source: Dong, Roth, Su (arXiv 1905.02383) for the curve; docs/theory for the
/// integral.
#pragma once

#include "auditkit/epsilon_posterior.hpp"

namespace auditkit {

/// Tails and density at mu >= 0; delta of the outcome is not used. Accuracy as epsilon_tails.
TailPair mu_tails(const AttackOutcome& outcome, double mu, double* density);

/// Smallest mu whose lower tail reaches the level, given as log(level) and log(1 - level).
double mu_quantile(const AttackOutcome& outcome, double log_level, double log_complement);

}  // namespace auditkit
