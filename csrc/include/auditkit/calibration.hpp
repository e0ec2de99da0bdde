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
  double first_one = 0;   ///< weighted sum of p over rows with outcome 1
  double second = 0;      ///< weighted sum of p^2
  double second_one = 0;  ///< weighted sum of p^2 over rows with outcome 1
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

/// How predictions fall into bins: b = min(floor(p * count), count - 1) in double precision, or, where `lows` holds the
/// lower edges of the bins after the first, the last bin whose lower edge is at most p.
struct Binning {
  std::size_t count;
  std::span<const double> lows;
};

/// `weights` is empty or has one value a row. Rows are summed in fixed chunks, so the sums are the same for every
/// thread count.
template <class T>
std::vector<BinSums> bin_sums(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                              const Binning& binning, unsigned n_threads);

/// The law of the number of outcomes 1 in a bin if each row is 1 with its own probability p (Poisson binomial).
struct OutcomeLaw {
  std::size_t first = 0;            ///< the count that `probability[0]` belongs to
  std::vector<double> probability;  ///< of first, first + 1, ...; together at least 1 - 1e-12
};

/// The laws of the bins marked in `wanted`, by adding one row after the other. Cost: rows of these bins times the width
/// of their laws, about 18 standard deviations.
template <class T>
std::vector<OutcomeLaw> outcome_laws(std::span<const T> p, const Binning& binning, std::span<const bool> wanted);

/// Outcomes by class and bin when each row draws its label from its own probabilities, once a replicate.
///
/// `p` has `classes` columns a row; `weights` is empty or has one value a row. Replicate r uses the random numbers
/// (seed, r). Adds to `sums`, shape (replicates, classes, bins): the weights of the rows of bin b of class k that drew
/// the label k.
template <class T>
void draw_labels(std::span<const T> p, std::span<const double> weights, std::size_t classes, std::size_t bins,
                 std::uint64_t seed, std::size_t replicates, std::span<double> sums, unsigned n_threads);

}  // namespace auditkit
