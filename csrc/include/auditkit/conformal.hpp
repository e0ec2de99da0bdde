/// Conformity scores and prediction sets of adaptive (APS) and regularised adaptive (RAPS) prediction. Host only,
/// C++20.
///
/// Labels of a row are ranked from the most probable down, equal ones by their column. The score of the label of rank r
/// is
///   sum of probabilities ranked before it + u * its own + penalty * max(0, r - free_ranks),
/// with u = 1 unless randomised. Sources: Romano, Sesia, Candes (NeurIPS 2020), section 2; Angelopoulos, Bates, Malik,
/// Jordan (ICLR 2021), section 2.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auditkit {

struct AdaptiveRule {
  double penalty = 0;
  std::int64_t free_ranks = 0;
};

/// `u` is empty or has one value a row.
template <class T>
void adaptive_scores(std::span<const T> p, std::size_t classes, std::span<const std::int64_t> labels,
                     std::span<const double> u, const AdaptiveRule& rule, std::span<double> scores, unsigned n_threads);

/// sets[i, k] = 1 where the score of label k in row i is at most thresholds[i]. Scores never fall with the rank, so a
/// set is the most probable labels; they are taken from a heap until one is too large.
template <class T>
void adaptive_sets(std::span<const T> p, std::size_t classes, std::span<const double> thresholds,
                   std::span<const double> u, const AdaptiveRule& rule, std::span<std::uint8_t> sets,
                   unsigned n_threads);

/// For each value the number of earlier ones that are larger, and that are equal to it. `ranks` are those of the values
/// among all distinct ones, 0 to distinct - 1. O(log distinct) a value.
void count_earlier(std::span<const std::int64_t> ranks, std::size_t distinct, std::span<std::int64_t> larger,
                   std::span<std::int64_t> equal);

}  // namespace auditkit
