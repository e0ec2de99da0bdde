/// Binned calibration: one pass over predictions and outcomes. Host only, C++20.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace auditkit {

/// What one pass keeps of a bin: enough for gaps, scores by bin and the law of its outcomes under calibration.
struct BinSums {
  double rows = 0;        ///< how many rows
  double weight = 0;      ///< their weights in sum; rows without weights
  double prediction = 0;  ///< weighted sum of p
  double outcome = 0;     ///< weighted sum of y
  double variance = 0;    ///< sum of w^2 p (1 - p)
  double skew = 0;        ///< sum of w^3 p (1 - p) (1 - 2 p)
  double squares = 0;     ///< sum of w^2
};

struct Probe {
  std::int64_t bad = -1;  ///< first value that is NaN or farther than `slack` outside [0, 1]; -1 for none
  bool outside = false;   ///< whether a value lies outside [0, 1] by at most `slack`
};

/// Looks at every value once.
template <class T>
Probe probe_probabilities(std::span<const T> p, double slack);

/// Writes y as bytes; the place of the first value that is neither 0 nor 1, else -1.
template <class T>
std::int64_t outcome_codes(std::span<const T> y, std::span<std::uint8_t> codes);

/// Equal-width bins, b = min(floor(p * bins), bins - 1) in double precision. `weights` is empty or has one value a row.
/// Rows are summed in fixed chunks, so the sums are the same for every thread count.
template <class T>
std::vector<BinSums> bin_sums(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                              std::size_t bins, unsigned n_threads);

}  // namespace auditkit
