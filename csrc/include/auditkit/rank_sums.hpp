/// The law of the sum of the ranks of a batch (Mann-Whitney), with a proved bound on its error.
///
/// U, the rank sum less its least value, lies in 0..nm and is symmetric about nm/2. Its characteristic function about
/// the centre, phi(theta) = prod_{i=1..m} sin((n+i) theta/2) / sin(i theta/2) * i / (n+i), is real, and on the odd grid
/// theta_k = pi (2k+1) / L, L a power of two above nm,
///   P(U <= u) = sum_{k < L/2} w_k sin((u+1) theta_k/2) cos((nm-u) theta_k/2),  w_k = (2/L) phi(theta_k) /
///   sin(theta_k/2).
/// Proofs: docs/theory/rank-sums.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace auditkit {

struct RankSumSize {
  std::int64_t n, m;  ///< n >= 1, m >= 1, n m < 2^61

  std::uint64_t product() const { return static_cast<std::uint64_t>(n) * static_cast<std::uint64_t>(m); }
};

struct RankSumWeights {
  std::vector<double> weights;  ///< w_0, ..., w_{K-1}
  int log2_grid = 1;            ///< L = 2^log2_grid
  double left_out = 0.0;        ///< at least the sum of |w_k| over K <= k < L/2
  double rounding = 0.0;        ///< at least what rounding can do to a probability
};

/// As many terms as bring `left_out` to 1e-14 where that costs at most `factors` factors of phi, else as many as they
/// buy; all L/2 if `full`. Costs that, O(m) powers and some 100 bounds of phi. The same bits for every n_threads.
RankSumWeights rank_sum_weights(const RankSumSize& size, double factors, bool full, unsigned n_threads);

/// The bound of |phi| over angles low..high within (0, pi] by which terms are left out.
double rank_sum_phi_bound(const RankSumSize& size, double low, double high);

/// P(U <= u), 0 <= u <= nm, from the weights; off by at most left_out + rounding.
double rank_sum_probability(std::span<const double> weights, int log2_grid, std::uint64_t product, std::uint64_t u);

}  // namespace auditkit
