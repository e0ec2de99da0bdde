/// Statistics of calibration that draw every outcome again: walks over sorted predictions, dyadic partitions and the
/// grid of the smooth error. Host only, C++20.
///
/// Predictions rise; `weights` of rows is empty or has one value each. Replicate r draws outcome i as 1 with
/// probability p_i, exactly, from the random numbers (seed, r).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auditkit {

/// The outcomes of one replicate.
template <class T>
void draw_outcomes(std::span<const T> p, std::uint64_t seed, std::uint64_t replicate, std::span<std::uint8_t> outcomes);

/// Largest and least partial sum of y - p over rows, looked at after rows marked in `ends`; 0 counts too.
struct WalkRange {
  double highest = 0, lowest = 0;
};

template <class T>
WalkRange walk_range(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                     std::span<const std::uint8_t> ends);

/// The same for drawn outcomes; `ranges` holds highest and lowest of each replicate.
template <class T>
void draw_walks(std::span<const T> p, std::span<const double> weights, std::span<const std::uint8_t> ends,
                std::uint64_t seed, std::size_t replicates, std::span<double> ranges, unsigned n_threads);

/// Debiased squared errors of the partitions of [0, 1] into 2, 4, ..., 2^levels bins of equal width, of outcomes in
/// bins of the finest one. Source: Lee, Huang, Hassani, Dobriban (arXiv 2203.01850), equation 6.
template <class T>
void partition_errors(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                      std::size_t levels, std::span<double> errors);

/// The same for drawn outcomes; `errors` holds `levels` values a replicate.
template <class T>
void draw_partitions(std::span<const T> p, std::span<const double> weights, std::size_t levels, std::uint64_t seed,
                     std::size_t replicates, std::span<double> errors, unsigned n_threads);

/// Splits (p - y) / n of each row between the two points of the grid j / (grid.size() - 1) around p, in proportion to
/// nearness. Equal rows give equal bits here and where they are drawn.
template <class T>
void spread_residuals(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                      std::span<double> grid);

/// The same for drawn outcomes of replicates `first`, first + 1, ...; `grids` holds `points` values a replicate.
template <class T>
void draw_residuals(std::span<const T> p, std::span<const double> weights, std::size_t points, std::uint64_t seed,
                    std::size_t first, std::size_t replicates, std::span<double> grids, unsigned n_threads);

}  // namespace auditkit
