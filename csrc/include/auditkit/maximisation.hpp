/// The largest sum of m scores whose ranks add up to a given total.
///
/// V_0 <= V_1 <= ... <= V_{N-1} finite; choose m indices with repetition that add up to `total`; maximise the sum of their
/// values. Theory: docs/theory/batch-mean.md.
#pragma once

#include <cstdint>
#include <span>

namespace auditkit {

enum class SumMethod {
  exact,      ///< shortest path over residues, by `doubling` where its answer breaks the number of items
  relaxed,    ///< the concave hull: an upper bound, at most one score above the maximum, O(N)
  doubling,   ///< min-plus products of windows: exact, O(N^2 log m) at worst
  reference,  ///< the plain recurrence, O(m total N): an oracle
};

/// The maximum rounded up, so that it is never below the true one; exact where scores are multiples of a power of two of
/// few enough bits. The same for any number of threads. 0 <= total <= m (N - 1).
double largest_sum(std::span<const double> values, std::int64_t m, std::int64_t total, SumMethod method,
                   unsigned n_threads);

/// The largest w_1 s_(1) + ... + w_m s_(m) of the sorted choice, weights at least 0, rounded up. O(N m total) time,
/// O(m total) memory.
double largest_weighted(std::span<const double> values, std::span<const double> weights, std::int64_t total);

/// levels[r_1 - 1] + ... + levels[r_m - 1] for `first`, `first` + 1, ... : vectors of ranks drawn uniformly, draw by draw
/// from (seed, draw), so that they depend on nothing else. levels has n + 1 entries.
void draw_level_sums(std::span<const std::int64_t> levels, std::int64_t m, std::uint64_t seed, std::uint64_t first,
                     unsigned n_threads, std::span<std::int64_t> sums);

}  // namespace auditkit
