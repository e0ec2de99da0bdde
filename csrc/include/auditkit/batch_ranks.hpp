/// Ranks of the sorted scores of a batch among calibration scores: one, two, or all of them in a band.
///
/// n calibration and m batch scores are exchangeable without ties; R_z = 1 + #{calibration scores below the z-th
/// smallest batch score}. (R_1..R_m) is uniform over the non-decreasing vectors in {1..n+1}^m: a lattice path of n
/// calibration and m batch steps in uniformly random order.
#pragma once

#include <cstdint>
#include <span>

namespace auditkit {

/// 0 <= n <= 1e15, 1 <= zeta <= m <= 1e9.
struct BatchRank {
  std::int64_t n, m, zeta;
};

/// A probability and a proved bound on its absolute error, the C library's log and exp taken to be good to one ulp.
struct BoundedProbability {
  double value, error;
};

/// P(R_zeta = k), 1 <= k <= n + 1. Relative error below 2e-13 + 5e-15 |log P|.
double rank_probability(const BatchRank& rank, std::int64_t k);

/// P(R_zeta <= k): a tail of the hypergeometric law, summed on its smaller side in a number of steps that grows like
/// its standard deviation s of that law. The error is below 2e-13 + 5e-15 |log P| + 6e-16 steps, relative to that
/// smaller side; steps are about 9 s, and s <= sqrt(m) / 2.
BoundedProbability rank_cdf(const BatchRank& rank, std::int64_t k);

/// P(R_zeta1 >= lower, R_zeta2 <= upper) for zeta1 < zeta2, as a sum of positive terms over the number of batch
/// scores before the lower limit. Cost: about 18 s tails.
BoundedProbability rank_pair_probability(const BatchRank& first, std::int64_t zeta2, std::int64_t lower,
                                         std::int64_t upper);

/// P(lower_j <= R_j <= upper_j for all j), limits non-decreasing: dynamic programming over lattice paths, only positive
/// terms. Probabilities below 1e-200 of a path on its way are dropped, which only lowers the result. Every path
/// multiplies n + m factors that round four times each: relative error upwards below 4 (n + m) 2^-53. O(n m) time, O(m)
/// memory.
double band_probability(std::int64_t n, std::span<const std::int64_t> lower, std::span<const std::int64_t> upper);

/// For each zeta of `zetas` (ascending) about the least k with P(R_zeta <= k) >= 1 - eta: never falling, otherwise only
/// as good as tails in double precision, because a band is certified as a whole.
void band_upper_ranks(std::int64_t n, std::int64_t m, std::span<const std::int64_t> zetas, double eta,
                      std::span<std::int64_t> upper);

}  // namespace auditkit
