/// Simultaneous upper limits for a distribution function at every threshold, from n scores (equal local levels).
///
/// Let V_(1) <= ... <= V_(n) be ordered uniforms (the scores through their own distribution function). When
/// V_(i) <= u_i for all i, then F(t) <= u_{k+1} at every threshold t with k scores below it. The limits are
/// u_i = B^-1(1 - eta; i, n - i + 1), with eta such that all n inequalities hold together with the wanted probability.
/// Source: Berk, Jones 1979; Moscovich, Nadler 2017 (the Poisson recursion).
#pragma once

#include <cstddef>
#include <span>

namespace auditkit {

/// A lower bound of P(V_(i) <= limits[i-1] for all i = 1..n), n = limits.size(), limits non-decreasing in (0, 1].
/// Exact but for dropped mass (below 1e-15) and rounding, both of which are taken off. Time of order n^1.5.
double band_coverage(std::span<const double> limits);

/// out[i-1] = B^-1(1 - eta; i, n - i + 1) for i = 1..n, n = out.size().
void band_limits(double eta, std::span<double> out);

/// The same for some of the ranks only (rising, each in 1..n).
void band_limits(std::size_t n, std::span<const double> ranks, double eta, std::span<double> out);

/// An eta whose limits have certified coverage of at least 1 - miss, and little more: the missed probability is within
/// 1e-9 of miss (and what rounding of numbers near 1 takes: 4e-15).
double band_level(std::size_t n, double miss);

}  // namespace auditkit
