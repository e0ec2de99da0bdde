#include "auditkit/calibration.hpp"

#include <algorithm>
#include <cmath>

#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 17;

void add(BinSums& to, const BinSums& part) {
  to.rows += part.rows;
  to.weight += part.weight;
  to.prediction += part.prediction;
  to.outcome += part.outcome;
  to.variance += part.variance;
  to.skew += part.skew;
  to.squares += part.squares;
}

std::size_t bin_of(double p, double bins, std::size_t last) {
  return std::min(static_cast<std::size_t>(p * bins), last);
}

/// Powers of p are enough without weights: rows and outcomes are whole numbers, so one double holds both exactly.
struct Moments {
  double counts = 0, first = 0, second = 0, third = 0;
};

constexpr double kOutcome = 0x1p26;  // rows of a chunk stay below it

template <class T>
void sum_plain(std::span<const T> p, const std::uint8_t* y, std::size_t bins, BinSums* sums) {
  // Neighbouring rows often share a bin: four histograms keep an addition from waiting for the one before it.
  constexpr std::size_t lanes = 4;
  std::vector<Moments> table(bins * lanes);
  const double width = static_cast<double>(bins);
  const auto add_row = [&](std::size_t row, std::size_t lane) {
    const double value = static_cast<double>(p[row]), square = value * value;
    Moments& cell = table[bin_of(value, width, bins - 1) * lanes + lane];
    cell.counts += 1.0 + kOutcome * y[row];
    cell.first += value;
    cell.second += square;
    cell.third += square * value;
  };
  std::size_t row = 0;
  for (; row + lanes <= p.size(); row += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) add_row(row + lane, lane);
  for (; row < p.size(); ++row) add_row(row, 0);
  for (std::size_t b = 0; b < bins; ++b) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const Moments& cell = table[b * lanes + lane];
      const double outcomes = std::floor(cell.counts / kOutcome), rows = cell.counts - outcomes * kOutcome;
      add(sums[b], {rows, rows, cell.first, outcomes, std::max(cell.first - cell.second, 0.0),
                    cell.first - 3 * cell.second + 2 * cell.third, rows});
    }
  }
}

template <class T>
void sum_weighted(std::span<const T> p, const std::uint8_t* y, const double* w, std::size_t bins, BinSums* sums) {
  for (std::size_t row = 0; row < p.size(); ++row) {
    const double value = static_cast<double>(p[row]), weight = w[row];
    const double spread = weight * weight * value * (1 - value);
    add(sums[bin_of(value, static_cast<double>(bins), bins - 1)],
        {1, weight, weight * value, y[row] != 0 ? weight : 0.0, spread, spread * weight * (1 - 2 * value),
         weight * weight});
  }
}

}  // namespace

template <class T>
Probe probe_probabilities(std::span<const T> p, double slack) {
  const T low = static_cast<T>(-slack), high = static_cast<T>(1 + slack);
  // Without a branch a row, so that the compiler turns it into vector code; the rare second look finds the place.
  bool inside = true, within = true;
  constexpr std::size_t block = 4096;
  for (std::size_t begin = 0; begin < p.size(); begin += block) {
    const std::size_t end = std::min(p.size(), begin + block);
    int out = 0, far = 0;
    for (std::size_t row = begin; row < end; ++row) {
      out |= static_cast<int>(!(p[row] >= T{0})) | static_cast<int>(!(p[row] <= T{1}));
      far |= static_cast<int>(!(p[row] >= low)) | static_cast<int>(!(p[row] <= high));
    }
    inside = inside && out == 0;
    within = within && far == 0;
    if (!within) {
      const auto bad = std::find_if(p.begin() + static_cast<std::ptrdiff_t>(begin), p.end(),
                                    [&](T value) { return !(value >= low && value <= high); });
      return {bad - p.begin(), true};
    }
  }
  return {-1, !inside};
}

template <class T>
std::int64_t outcome_codes(std::span<const T> y, std::span<std::uint8_t> codes) {
  constexpr std::size_t block = 4096;
  for (std::size_t begin = 0; begin < y.size(); begin += block) {
    const std::size_t end = std::min(y.size(), begin + block);
    int bad = 0;
    for (std::size_t row = begin; row < end; ++row) {
      codes[row] = static_cast<std::uint8_t>(y[row]);
      bad |= static_cast<int>((y[row] & ~T{1}) != 0);
    }
    if (bad != 0) {
      const auto first = std::find_if(y.begin() + static_cast<std::ptrdiff_t>(begin), y.end(),
                                      [](T value) { return (value & ~T{1}) != 0; });
      return first - y.begin();
    }
  }
  return -1;
}

template <class T>
std::vector<BinSums> bin_sums(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                              std::size_t bins, unsigned n_threads) {
  // A chunk's table of many bins must not cost more than its rows.
  const std::size_t grain = std::max(kChunk, 4 * bins);
  const std::size_t chunk = std::min(grain, std::size_t{1} << 25);
  const std::size_t chunks = (p.size() + chunk - 1) / chunk;
  std::vector<BinSums> parts(chunks * bins);
  parallel_for(chunks, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t c = from; c < to; ++c) {
      const std::size_t begin = c * chunk, size = std::min(chunk, p.size() - begin);
      if (weights.empty()) sum_plain(p.subspan(begin, size), y.data() + begin, bins, parts.data() + c * bins);
      else
        sum_weighted(p.subspan(begin, size), y.data() + begin, weights.data() + begin, bins, parts.data() + c * bins);
    }
  });
  std::vector<BinSums> sums(bins);
  for (std::size_t c = 0; c < chunks; ++c)
    for (std::size_t b = 0; b < bins; ++b) add(sums[b], parts[c * bins + b]);
  return sums;
}

template Probe probe_probabilities<float>(std::span<const float>, double);
template Probe probe_probabilities<double>(std::span<const double>, double);
template std::int64_t outcome_codes<std::uint8_t>(std::span<const std::uint8_t>, std::span<std::uint8_t>);
template std::int64_t outcome_codes<std::int64_t>(std::span<const std::int64_t>, std::span<std::uint8_t>);
template std::vector<BinSums> bin_sums<float>(std::span<const float>, std::span<const std::uint8_t>,
                                              std::span<const double>, std::size_t, unsigned);
template std::vector<BinSums> bin_sums<double>(std::span<const double>, std::span<const std::uint8_t>,
                                               std::span<const double>, std::size_t, unsigned);

}  // namespace auditkit
