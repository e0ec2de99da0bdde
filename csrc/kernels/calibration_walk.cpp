#include "auditkit/calibration_walk.hpp"

#include <algorithm>
#include <vector>

#include "auditkit/parallel.hpp"
#include "auditkit/philox.hpp"

namespace auditkit {
namespace {

/// Calls body(row, outcome) with outcomes drawn from the predictions.
template <class T, class Body>
void for_drawn(std::span<const T> p, const PhiloxStream& stream, Body&& body) {
  for (std::size_t row = 0; row < p.size(); row += 2) {
    const PhiloxCounter block = philox_block(stream, row / 2);
    body(row, open_unit_double(block.word[0], block.word[1]) < static_cast<double>(p[row]));
    if (row + 1 < p.size())
      body(row + 1, open_unit_double(block.word[2], block.word[3]) < static_cast<double>(p[row + 1]));
  }
}

struct Walk {
  double sum = 0;
  WalkRange range;
  void step(double p, bool outcome, bool end) {
    sum += (outcome ? 1.0 : 0.0) - p;
    if (!end) return;
    range.highest = std::max(range.highest, sum);
    range.lowest = std::min(range.lowest, sum);
  }
};

/// Rows and predictions of the bins of the finest partition; outcomes are counted beside.
template <class T>
struct Partition {
  std::vector<std::uint32_t> bin;
  std::vector<double> rows, predictions;

  Partition(std::span<const T> p, std::size_t levels) : bin(p.size()), rows(std::size_t{1} << levels) {
    predictions.resize(rows.size());
    const double count = static_cast<double>(rows.size()), last = count - 1;
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double value = static_cast<double>(p[i]);
      bin[i] = static_cast<std::uint32_t>(std::min(std::max(0.0, value * count), last));
      rows[bin[i]] += 1;
      predictions[bin[i]] += value;
    }
  }
};

/// From the finest partition on, two neighbouring bins become one. Overwrites its arguments.
void fold(std::vector<double>& rows, std::vector<double>& predictions, std::vector<double>& outcomes, double n,
          std::size_t levels, double* errors) {
  for (std::size_t level = levels; level > 0; --level) {
    double error = 0;
    const std::size_t count = std::size_t{1} << level;
    for (std::size_t b = 0; b < count; ++b) {
      if (rows[b] < 2) continue;
      const double mean = outcomes[b] / rows[b], gap = (predictions[b] - outcomes[b]) / rows[b];
      error += rows[b] / n * (gap * gap - mean * (1 - mean) / (rows[b] - 1));
    }
    errors[level - 1] = error;
    for (std::size_t b = 0; b < count / 2; ++b) {
      rows[b] = rows[2 * b] + rows[2 * b + 1];
      predictions[b] = predictions[2 * b] + predictions[2 * b + 1];
      outcomes[b] = outcomes[2 * b] + outcomes[2 * b + 1];
    }
  }
}

void spread(double p, double residual, std::span<double> grid) {
  const double last = static_cast<double>(grid.size() - 1);
  const double place = std::min(std::max(0.0, p * last), last);
  const auto left = std::min(static_cast<std::size_t>(place), grid.size() - 2);
  const double part = place - static_cast<double>(left);
  grid[left] += residual * (1 - part);
  grid[left + 1] += residual * part;
}

}  // namespace

template <class T>
WalkRange walk_range(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const std::uint8_t> ends) {
  Walk walk;
  for (std::size_t i = 0; i < p.size(); ++i) walk.step(static_cast<double>(p[i]), y[i] != 0, ends[i] != 0);
  return walk.range;
}

template <class T>
void draw_walks(std::span<const T> p, std::span<const std::uint8_t> ends, std::uint64_t seed, std::size_t replicates,
                std::span<double> ranges, unsigned n_threads) {
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      Walk walk;
      for_drawn(p, {seed, r}, [&](std::size_t row, bool outcome) {
        walk.step(static_cast<double>(p[row]), outcome, ends[row] != 0);
      });
      ranges[2 * r] = walk.range.highest;
      ranges[2 * r + 1] = walk.range.lowest;
    }
  });
}

template <class T>
void partition_errors(std::span<const T> p, std::span<const std::uint8_t> y, std::size_t levels,
                      std::span<double> errors) {
  Partition<T> finest(p, levels);
  std::vector<double> outcomes(finest.rows.size());
  for (std::size_t i = 0; i < p.size(); ++i) outcomes[finest.bin[i]] += y[i];
  fold(finest.rows, finest.predictions, outcomes, static_cast<double>(p.size()), levels, errors.data());
}

template <class T>
void draw_partitions(std::span<const T> p, std::size_t levels, std::uint64_t seed, std::size_t replicates,
                     std::span<double> errors, unsigned n_threads) {
  const Partition<T> finest(p, levels);
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      std::vector<double> rows = finest.rows, predictions = finest.predictions, outcomes(rows.size());
      for_drawn(p, {seed, r}, [&](std::size_t row, bool outcome) { outcomes[finest.bin[row]] += outcome ? 1.0 : 0.0; });
      fold(rows, predictions, outcomes, static_cast<double>(p.size()), levels, errors.data() + r * levels);
    }
  });
}

template <class T>
void spread_residuals(std::span<const T> p, std::span<const std::uint8_t> y, std::span<double> grid) {
  const double share = 1 / static_cast<double>(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double value = static_cast<double>(p[i]);
    spread(value, (value - (y[i] != 0 ? 1.0 : 0.0)) * share, grid);
  }
}

template <class T>
void draw_residuals(std::span<const T> p, std::size_t points, std::uint64_t seed, std::size_t first,
                    std::size_t replicates, std::span<double> grids, unsigned n_threads) {
  const double share = 1 / static_cast<double>(p.size());
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      const auto grid = grids.subspan(r * points, points);
      for_drawn(p, {seed, first + r}, [&](std::size_t row, bool outcome) {
        const double value = static_cast<double>(p[row]);
        spread(value, (value - (outcome ? 1.0 : 0.0)) * share, grid);
      });
    }
  });
}

template WalkRange walk_range<float>(std::span<const float>, std::span<const std::uint8_t>,
                                     std::span<const std::uint8_t>);
template void draw_walks<float>(std::span<const float>, std::span<const std::uint8_t>, std::uint64_t, std::size_t,
                                std::span<double>, unsigned);
template void partition_errors<float>(std::span<const float>, std::span<const std::uint8_t>, std::size_t,
                                      std::span<double>);
template void draw_partitions<float>(std::span<const float>, std::size_t, std::uint64_t, std::size_t, std::span<double>,
                                     unsigned);
template void spread_residuals<float>(std::span<const float>, std::span<const std::uint8_t>, std::span<double>);
template void draw_residuals<float>(std::span<const float>, std::size_t, std::uint64_t, std::size_t, std::size_t,
                                    std::span<double>, unsigned);
template WalkRange walk_range<double>(std::span<const double>, std::span<const std::uint8_t>,
                                      std::span<const std::uint8_t>);
template void draw_walks<double>(std::span<const double>, std::span<const std::uint8_t>, std::uint64_t, std::size_t,
                                 std::span<double>, unsigned);
template void partition_errors<double>(std::span<const double>, std::span<const std::uint8_t>, std::size_t,
                                       std::span<double>);
template void draw_partitions<double>(std::span<const double>, std::size_t, std::uint64_t, std::size_t,
                                      std::span<double>, unsigned);
template void spread_residuals<double>(std::span<const double>, std::span<const std::uint8_t>, std::span<double>);
template void draw_residuals<double>(std::span<const double>, std::size_t, std::uint64_t, std::size_t, std::size_t,
                                     std::span<double>, unsigned);

}  // namespace auditkit
