/// The law of the sum of the ranks of a batch (Mann-Whitney), with a bound on its error.
///
/// U = R_1 + ... + R_m - m, symmetric about n m / 2, has the characteristic function (centred)
///   phi(t) = prod_{i=1..m} [sin((n+i) t/2) / sin(i t/2)] i / (n+i).
/// On the odd grid t_k = pi (2k+1) / L with L > n m a power of two the inversion is exact:
///   P(U <= u) = 1/2 + (1/L) sum_{k < L/2} phi(t_k) sin((2u + 1 - n m) t_k/2) / sin(t_k/2).
/// Only the first terms matter; what the others can add is bounded (docs/theory/rank-sums.md).
#pragma once

#include <cstdint>
#include <vector>

namespace auditkit {

struct RankSumLaw {
  std::int64_t n, m;
  std::int64_t grid;            ///< L
  std::vector<double> weights;  ///< phi(t_k) / (L sin(t_k/2)) for k = 0, 1, ...
  double error;                 ///< bound on the absolute error of a probability: rounding, and the terms left out
};

/// n, m >= 1 and n m <= 2^58. With `full` every term of the grid is kept; otherwise as many as make the error small, or
/// `most_terms`.
RankSumLaw make_rank_sum_law(std::int64_t n, std::int64_t m, bool full, std::int64_t most_terms);

/// P(U <= u), 0 <= u <= n m.
double rank_sum_cdf(const RankSumLaw& law, std::int64_t u);

/// What the terms at angles from `from` to pi can add to a probability: an upper bound of (1/L) sum |phi| / sin(t/2).
double rank_sum_tail_bound(std::int64_t n, std::int64_t m, std::int64_t grid, double from);

}  // namespace auditkit
