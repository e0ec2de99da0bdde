#include "auditkit/calibration.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "auditkit/dispatch.hpp"
#include "auditkit/parallel.hpp"
#include "auditkit/philox.hpp"

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
  to.first_one += part.first_one;
  to.second += part.second;
  to.second_one += part.second_one;
}

/// Any number has a bin, as bin_rows.hpp says.
struct EqualWidth {
  double count, last;
  explicit EqualWidth(std::size_t bins) : count(static_cast<double>(bins)), last(count - 1) {}
  std::size_t operator()(double p) const {
    return static_cast<std::size_t>(static_cast<std::int32_t>(std::min(std::max(0.0, p * count), last)));
  }
  template <class T>
  void cells(const T* p, const std::uint8_t* y, std::size_t rows, std::uint32_t* found) const {
    if constexpr (std::is_same_v<T, float>) kernels().width_cells_f32(p, y, rows, count, found);
    else kernels().width_cells_f64(p, y, rows, count, found);
  }
};

struct GivenEdges {
  std::span<const double> lows;
  std::size_t operator()(double p) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(lows, p) - lows.begin());
  }
  template <class T>
  void cells(const T* p, const std::uint8_t* y, std::size_t rows, std::uint32_t* found) const {
    for (std::size_t i = 0; i < rows; ++i)
      found[i] = static_cast<std::uint32_t>(2 * (*this)(static_cast<double>(p[i])) + (y[i] != 0 ? 1 : 0));
  }
};

/// Powers of p are enough without weights.
template <class T, class BinOf>
void sum_plain(std::span<const T> p, const std::uint8_t* y, const BinOf& bin_of, std::size_t bins, BinSums* sums) {
  constexpr std::size_t block = 512;
  const std::size_t lanes = bins <= 1024 ? 4 : 1;  // many bins are seldom hit twice in a row, and fill the cache
  std::vector<Moments> table(bins * 2 * lanes);
  std::uint32_t cells[block];
  for (std::size_t begin = 0; begin < p.size(); begin += block) {
    const std::size_t size = std::min(block, p.size() - begin);
    const T* values = p.data() + begin;
    bin_of.cells(values, y + begin, size, cells);
    if constexpr (std::is_same_v<T, float>) kernels().add_moments_f32(values, cells, size, lanes, table.data());
    else kernels().add_moments_f64(values, cells, size, lanes, table.data());
  }
  for (std::size_t cell = 0; cell < 2 * bins; ++cell) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const auto& [rows, first, second, third] = table[cell * lanes + lane].power;
      const double one = cell % 2 == 0 ? 0.0 : 1.0;
      add(sums[cell / 2], {.rows = rows,
                           .weight = rows,
                           .prediction = first,
                           .outcome = one * rows,
                           .variance = std::max(first - second, 0.0),
                           .skew = first - 3 * second + 2 * third,
                           .squares = rows,
                           .first_one = one * first,
                           .second = second,
                           .second_one = one * second});
    }
  }
}

template <class T, class BinOf>
void sum_weighted(std::span<const T> p, const std::uint8_t* y, const double* w, const BinOf& bin_of, BinSums* sums) {
  for (std::size_t row = 0; row < p.size(); ++row) {
    const double value = static_cast<double>(p[row]), weight = w[row], one = y[row] != 0 ? weight : 0.0;
    const double spread = weight * weight * value * (1 - value);
    add(sums[bin_of(value)], {.rows = 1,
                              .weight = weight,
                              .prediction = weight * value,
                              .outcome = one,
                              .variance = spread,
                              .skew = spread * weight * (1 - 2 * value),
                              .squares = weight * weight,
                              .first_one = one * value,
                              .second = weight * value * value,
                              .second_one = one * value * value});
  }
}

template <class T, class BinOf>
std::vector<BinSums> sum_rows(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                              const BinOf& bin_of, std::size_t bins, unsigned n_threads) {
  // A chunk's table of many bins must not cost more than its rows.
  const std::size_t chunk = std::min(std::max(kChunk, 4 * bins), std::size_t{1} << 25);
  const std::size_t chunks = (p.size() + chunk - 1) / chunk;
  std::vector<BinSums> parts(chunks * bins);
  parallel_for(chunks, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t c = from; c < to; ++c) {
      const std::size_t begin = c * chunk, size = std::min(chunk, p.size() - begin);
      BinSums* sums = parts.data() + c * bins;
      if (weights.empty()) sum_plain(p.subspan(begin, size), y.data() + begin, bin_of, bins, sums);
      else sum_weighted(p.subspan(begin, size), y.data() + begin, weights.data() + begin, bin_of, sums);
    }
  });
  std::vector<BinSums> sums(bins);
  for (std::size_t c = 0; c < chunks; ++c)
    for (std::size_t b = 0; b < bins; ++b) add(sums[b], parts[c * bins + b]);
  return sums;
}

/// The law with one more row. Ends that hold less than 1e-22 are dropped: 1e9 rows together lose less than 1e-12.
void add_row_to(OutcomeLaw& law, double p) {
  constexpr double negligible = 1e-22;
  auto& values = law.probability;
  values.push_back(0);
  for (std::size_t i = values.size() - 1; i > 0; --i) values[i] = values[i] * (1 - p) + values[i - 1] * p;
  values[0] *= 1 - p;
  while (values.size() > 1 && values.back() < negligible) values.pop_back();
  std::size_t drop = 0;
  while (drop + 1 < values.size() && values[drop] < negligible) ++drop;
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(drop));
  law.first += drop;
}

template <class T, class BinOf>
std::vector<OutcomeLaw> add_rows(std::span<const T> p, const BinOf& bin_of, std::span<const bool> wanted) {
  std::vector<OutcomeLaw> laws(wanted.size());
  for (std::size_t b = 0; b < wanted.size(); ++b)
    if (wanted[b]) laws[b].probability.assign(1, 1.0);
  for (const T value : p) {
    const std::size_t b = bin_of(static_cast<double>(value));
    if (wanted[b]) add_row_to(laws[b], static_cast<double>(value));
  }
  return laws;
}

}  // namespace

template <class T>
Probe probe_probabilities(std::span<const T> p, double slack) {
  // Numbers of [0, 1] are those whose bits are at most the bits of 1, as whole numbers. So a difference and the sign
  // tell, without a branch a row, which every compiler turns into vector code; only blocks with anything else are
  // looked at.
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  constexpr Bits one = std::bit_cast<Bits>(T{1}), sign = Bits{1} << (8 * sizeof(T) - 1);
  const T low = static_cast<T>(-slack), high = static_cast<T>(1 + slack);
  Probe found;
  constexpr std::size_t block = 4096;
  for (std::size_t begin = 0; begin < p.size(); begin += block) {
    const auto rows = p.subspan(begin, std::min(block, p.size() - begin));
    Bits beyond = 0;
    for (const T value : rows) {
      const Bits bits = std::bit_cast<Bits>(value);
      beyond |= (one - bits) | bits;
    }
    if ((beyond & sign) == 0) continue;
    const auto bad = std::ranges::find_if(rows, [&](T value) { return !(value >= low && value <= high); });
    if (bad != rows.end()) return {static_cast<std::int64_t>(begin) + (bad - rows.begin()), true};
    found.outside = found.outside || std::ranges::any_of(rows, [](T value) { return value < T{0} || value > T{1}; });
  }
  return found;
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
                              const Binning& binning, unsigned n_threads) {
  if (binning.lows.empty()) {
    return sum_rows(p, y, weights, EqualWidth{binning.count}, binning.count, n_threads);
  }
  return sum_rows(p, y, weights, GivenEdges{binning.lows}, binning.count, n_threads);
}

template <class T>
std::vector<OutcomeLaw> outcome_laws(std::span<const T> p, const Binning& binning, std::span<const bool> wanted) {
  if (binning.lows.empty()) return add_rows(p, EqualWidth{binning.count}, wanted);
  return add_rows(p, GivenEdges{binning.lows}, wanted);
}

template <class T>
void draw_labels(std::span<const T> p, std::span<const double> weights, std::size_t classes, std::size_t bins,
                 std::uint64_t seed, std::size_t replicates, std::span<double> sums, unsigned n_threads) {
  const EqualWidth bin_of{bins};
  const std::size_t rows = p.size() / classes;
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      double* own = sums.data() + r * classes * bins;
      const PhiloxStream stream{seed, r};
      for (std::size_t i = 0; i < rows; i += 2) {
        const PhiloxCounter block = philox_block(stream, i / 2);
        for (std::size_t row = i; row < std::min(i + 2, rows); ++row) {
          const std::size_t word = 2 * (row - i);
          const double u = open_unit_double(block.word[word], block.word[word + 1]);
          const T* q = p.data() + row * classes;
          double above = 0;
          std::size_t label = 0, last = 0;  // rounding may leave the sum below u: then the last class that can be
          for (; label < classes; ++label) {
            above += static_cast<double>(q[label]);
            if (q[label] > T{0}) last = label;
            if (u < above) break;
          }
          label = std::min(label, last);
          own[label * bins + bin_of(static_cast<double>(q[label]))] += weights.empty() ? 1.0 : weights[row];
        }
      }
    }
  });
}

template Probe probe_probabilities<float>(std::span<const float>, double);
template Probe probe_probabilities<double>(std::span<const double>, double);
template std::int64_t outcome_codes<std::uint8_t>(std::span<const std::uint8_t>, std::span<std::uint8_t>);
template std::int64_t outcome_codes<std::int64_t>(std::span<const std::int64_t>, std::span<std::uint8_t>);
template std::vector<BinSums> bin_sums<float>(std::span<const float>, std::span<const std::uint8_t>,
                                              std::span<const double>, const Binning&, unsigned);
template std::vector<OutcomeLaw> outcome_laws<float>(std::span<const float>, const Binning&, std::span<const bool>);
template void draw_labels<float>(std::span<const float>, std::span<const double>, std::size_t, std::size_t,
                                 std::uint64_t, std::size_t, std::span<double>, unsigned);
template std::vector<BinSums> bin_sums<double>(std::span<const double>, std::span<const std::uint8_t>,
                                               std::span<const double>, const Binning&, unsigned);
template std::vector<OutcomeLaw> outcome_laws<double>(std::span<const double>, const Binning&, std::span<const bool>);
template void draw_labels<double>(std::span<const double>, std::span<const double>, std::size_t, std::size_t,
                                  std::uint64_t, std::size_t, std::span<double>, unsigned);

}  // namespace auditkit
