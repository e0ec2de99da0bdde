/// Conformity scores and prediction sets of adaptive (APS) and regularised adaptive (RAPS) prediction. Host only,
/// C++20.
///
/// Labels of a row are ranked from the most probable down, equal ones by their column. The score of the label of rank r
/// is
///   sum of probabilities ranked before it + u * its own + penalty * max(0, r - free_ranks),
/// with u = 1 unless randomised.
///
/// In sums a probability is its nearest multiple of 2^-52 (grid_mass in adaptive_rows.hpp), an error no larger than
/// that of adding it to a number near one. Every sum up to two is then exact: a score is one number, whichever kernel,
/// order, instruction set or table type (float32 or float64 of the same values) it came from, so a label whose own
/// score is the threshold is always in the set. Ranks compare the probabilities themselves. Sums in floating point in a
/// fixed order would ask for a sort of every row, and exact sums of unrounded doubles for 2,100 bits. Probabilities are
/// in [0, 1] and rows sum to two at most; other numbers do no harm to memory and end, but their scores mean nothing.
///
/// Sources: Romano, Sesia, Candes (NeurIPS 2020), section 2; Angelopoulos, Bates, Malik, Jordan (ICLR 2021),
/// section 2.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auditkit {

struct AdaptiveRule {
  double penalty = 0;
  std::int64_t free_ranks = 0;
};

/// `u` is empty or has one value a row. One pass over a row, and nothing is sorted.
template <class T>
void adaptive_scores(std::span<const T> p, std::size_t classes, std::span<const std::int64_t> labels,
                     std::span<const double> u, const AdaptiveRule& rule, std::span<double> scores, unsigned n_threads);

/// sets[i, k] = 1 where the score of label k in row i is at most thresholds[i], else 0; NaN keeps none. Scores never
/// fall with the rank, so a set is the most probable labels: bisection finds the level at which it ends, each step one
/// pass over the row. About log2(classes) + 2 passes, 64 at most.
template <class T>
void adaptive_sets(std::span<const T> p, std::size_t classes, std::span<const double> thresholds,
                   std::span<const double> u, const AdaptiveRule& rule, std::span<std::uint8_t> sets,
                   unsigned n_threads);

/// For each value the number of earlier ones that are larger, and that are equal to it. `ranks` are those of the values
/// among all distinct ones, 0 to distinct - 1. O(log distinct) a value.
void count_earlier(std::span<const std::int64_t> ranks, std::size_t distinct, std::span<std::int64_t> larger,
                   std::span<std::int64_t> equal);

}  // namespace auditkit
