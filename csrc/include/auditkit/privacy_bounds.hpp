/// Lower confidence bounds on epsilon from the four counts of a membership attack whose rule was fixed beforehand.
/// X = FNR (false negative rate), Y = FPR (false positive rate).
#pragma once

#include <cstdint>
#include <span>

#include "auditkit/binomial.hpp"

namespace auditkit {

struct AttackCounts {
  std::int64_t true_positives, false_negatives, false_positives, true_negatives;

  std::int64_t members() const { return true_positives + false_negatives; }
  std::int64_t nonmembers() const { return false_positives + true_negatives; }
};

/// Upper Clopper-Pearson limit of a rate after `errors` of `errors + successes`: the 1 - miss quantile of
/// Beta(errors + 1, successes), moved up by the relative error of the quantile.
Probability clopper_pearson_upper(std::int64_t errors, std::int64_t successes, double miss);

/// The same with Jeffreys' prior: Beta(errors + 1/2, successes + 1/2), and 1 when there is no success.
Probability jeffreys_upper(std::int64_t errors, std::int64_t successes, double miss);

enum class BuehlerStatus { certified, budget_exhausted };

struct BuehlerBound {
  double epsilon;
  BuehlerStatus status;
  std::int64_t cells;  ///< cells examined, a measure of the work
};

/// Exact joint bound (Buehler 1957): the largest eps at which every (x, y) of the region R(eps, delta) gives the
/// outcomes that are at least as extreme as the observed ones a probability of at most alpha.
///
/// Outcomes are ordered by T = max over the two logs of (estimate - 1.645 delta-method standard deviations), rates
/// (k + 1/2)/(n + 1). The supremum over the region is bracketed by certified cells (see buehler.cpp), so the returned
/// value is never above the exact bound, and at most 1e-8 below it. `cell_budget` limits the work.
BuehlerBound buehler_bound(const AttackCounts& counts, double delta, double alpha, std::int64_t cell_budget);

/// The acceptance set of `buehler_bound` as a staircase: out[i] is the largest j such that (FN, FP) = (i, j) is at
/// least as extreme as the observed outcome, -1 where there is none; size members() + 1, non-increasing.
void buehler_staircase(const AttackCounts& counts, double delta, std::span<std::int64_t> out);

/// P(FP <= staircase[FN]) for FN ~ Bin(P, x) and FP ~ Bin(N, y), to 1e-13; P = staircase.size() - 1.
double staircase_probability(std::span<const std::int64_t> staircase, std::int64_t nonmembers, Probability x,
                             Probability y);

}  // namespace auditkit
