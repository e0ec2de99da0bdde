/// Step laws of equal steps, several of them side by side: where values fall, and their continuous ranked probability
/// scores. Host only, C++20.
///
/// Law g has the rising atoms [starts[g], starts[g + 1]) of `atoms`, n of them with mass 1/n each. The score of a value
/// z is the integral of (F(x) - 1{x >= z})^2, made of two tables of positive terms alone,
///   left(k)  = sum over j < k of (j / n)^2 (a_{j+1} - a_j)       (below the atom k),
///   right(k) = sum over j >= k of (1 - j / n)^2 (a_{j+1} - a_j)  (above it),
/// so that atoms far from 0 cancel nothing: O(n) for a law, O(log n) for a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auditkit {

struct StepLaws {
  std::span<const double> atoms;
  std::span<const std::int64_t> starts;  // one more than laws
};

/// The two tables, one entry an atom; sums are compensated.
void law_tables(const StepLaws& laws, std::span<double> left, std::span<double> right);

/// Atoms of law codes[i] below z[i], and at most z[i].
void law_places(const StepLaws& laws, std::span<const std::int64_t> codes, std::span<const double> z,
                std::span<std::int64_t> below, std::span<std::int64_t> at_most, unsigned n_threads);

/// scales[i] times the score of z[i] under law codes[i]; NaN where that law has no atoms.
void law_scores(const StepLaws& laws, std::span<const double> left, std::span<const double> right,
                std::span<const std::int64_t> codes, std::span<const double> z, std::span<const double> scales,
                std::span<double> scores, unsigned n_threads);

}  // namespace auditkit
