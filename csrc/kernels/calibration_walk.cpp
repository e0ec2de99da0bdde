#include "auditkit/calibration_walk.hpp"

#include <algorithm>
#include <vector>

#include "auditkit/parallel.hpp"
#include "auditkit/philox.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kBlock = 1024;

/// Outcomes of the rows from `begin` on. 32 random bits decide a row unless they are the first 32 bits of its p, which
/// happens once in 2^32 rows; then 53 more do.
template <class T>
void draw_block(std::span<const T> p, std::size_t begin, const PhiloxStream& stream, std::uint8_t* outcomes) {
  std::uint32_t words[kBlock];
  for (std::size_t i = 0; i < p.size(); i += 4) {
    const PhiloxCounter block = philox_block(stream, (begin + i) / 4);
    std::copy_n(block.word, 4, words + i);
  }
  int open = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double scaled = static_cast<double>(p[i]) * 0x1p32, word = static_cast<double>(words[i]);
    const bool below = word + 1 <= scaled;
    outcomes[i] = static_cast<std::uint8_t>(below);
    open |= static_cast<int>(word < scaled) & static_cast<int>(!below);
  }
  if (open == 0) return;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double scaled = static_cast<double>(p[i]) * 0x1p32, word = static_cast<double>(words[i]);
    if (!(word < scaled) || word + 1 <= scaled) continue;
    const PhiloxCounter more = philox_block(stream, (std::uint64_t{1} << 62U) + begin + i);
    outcomes[i] = static_cast<std::uint8_t>(open_unit_double(more.word[0], more.word[1]) < scaled - word);
  }
}

/// Calls body(begin, outcomes) for one block of rows after the other.
template <class T, class Body>
void for_drawn(std::span<const T> p, const PhiloxStream& stream, Body&& body) {
  std::uint8_t outcomes[kBlock];
  for (std::size_t begin = 0; begin < p.size(); begin += kBlock) {
    const auto rows = p.subspan(begin, std::min(kBlock, p.size() - begin));
    draw_block(rows, begin, stream, outcomes);
    body(begin, std::span<const std::uint8_t>(outcomes, rows.size()));
  }
}

/// The weights of rows: 1 for each where none were given.
struct RowWeights {
  std::span<const double> given;
  double operator[](std::size_t row) const { return given.empty() ? 1.0 : given[row]; }
  [[nodiscard]] RowWeights from(std::size_t row) const { return {given.empty() ? given : given.subspan(row)}; }
  [[nodiscard]] double sum(std::size_t rows) const {
    double total = given.empty() ? static_cast<double>(rows) : 0;
    for (const double weight : given) total += weight;
    return total;
  }
};

struct Walk {
  double sum = 0;
  WalkRange range;
  template <class T>
  void steps(const T* p, std::span<const std::uint8_t> y, const RowWeights& weights, const std::uint8_t* ends) {
    for (std::size_t i = 0; i < y.size(); ++i) {
      sum += weights[i] * ((y[i] != 0 ? 1.0 : 0.0) - static_cast<double>(p[i]));
      if (ends[i] == 0) continue;
      range.highest = std::max(range.highest, sum);
      range.lowest = std::min(range.lowest, sum);
    }
  }
};

/// Into which of many cells each row falls: min(floor(p * scale), most). Rows rise, so rows of a cell are neighbours.
struct RowCells {
  std::vector<std::uint32_t> of_row, used;

  template <class T>
  RowCells(std::span<const T> p, double scale, double most) : of_row(p.size()) {
    for (std::size_t i = 0; i < p.size(); ++i) {
      of_row[i] = static_cast<std::uint32_t>(std::min(std::max(0.0, static_cast<double>(p[i]) * scale), most));
      if (i == 0 || of_row[i] != of_row[i - 1]) used.push_back(of_row[i]);
    }
  }
};

/// Bins of the partition into 2^levels, 2^(levels - 1), ..., 2, one after the other: weights, their squares and
/// weighted predictions in sum. Two neighbouring bins of one partition are one of the next.
class Partitions {
 public:
  template <class T>
  Partitions(std::span<const T> p, RowWeights weights, std::size_t levels)
      : levels_(levels),
        row_weights_(weights),
        total_(weights.sum(p.size())),
        cells_(p, static_cast<double>(finest()), static_cast<double>(finest() - 1)),
        weights_(2 * finest()),
        squares_(2 * finest()),
        predictions_(2 * finest()) {
    for (std::size_t i = 0; i < p.size(); ++i) {
      const std::uint32_t cell = cells_.of_row[i];
      weights_[cell] += weights[i];
      squares_[cell] += weights[i] * weights[i];
      predictions_[cell] += weights[i] * static_cast<double>(p[i]);
    }
    for (auto* sums : {&weights_, &squares_, &predictions_}) {
      double* from = sums->data();
      for (std::size_t count = finest(); count > 1; from += count, count /= 2)
        for (std::size_t b = 0; b < count / 2; ++b) from[count + b] = from[2 * b] + from[2 * b + 1];
    }
  }

  /// What one set of outcomes needs: their weights in sum, and by bin of the finest partition.
  struct Tally {
    std::vector<double> upto;
    double sum = 0;
    std::vector<double> outcomes;
  };

  [[nodiscard]] Tally tally() const { return {std::vector<double>(finest()), 0, {}}; }

  void add(std::size_t begin, std::span<const std::uint8_t> y, Tally& to) const {
    const std::uint32_t* cell = cells_.of_row.data() + begin;
    const RowWeights weights = row_weights_.from(begin);
    double* upto = to.upto.data();
    double sum = to.sum;  // in a register: the stores below might change what lies behind a reference
    for (std::size_t i = 0; i < y.size(); ++i) {
      sum += weights[i] * (y[i] != 0 ? 1.0 : 0.0);
      upto[cell[i]] = sum;  // what the last row of a cell leaves is the sum up to its end
    }
    to.sum = sum;
  }

  void errors(Tally& of, double* found) const {
    of.outcomes.assign(finest(), 0);
    double before = 0;
    for (const std::uint32_t cell : cells_.used) {
      of.outcomes[cell] = of.upto[cell] - before;
      before = of.upto[cell];
    }
    std::size_t from = 0, level = levels_;
    for (std::size_t count = finest(); count > 1; from += count, count /= 2) {
      found[--level] = error(from, count, of.outcomes.data());
      for (std::size_t b = 0; b < count / 2; ++b) of.outcomes[b] = of.outcomes[2 * b] + of.outcomes[2 * b + 1];
    }
  }

 private:
  [[nodiscard]] std::size_t finest() const { return std::size_t{1} << levels_; }

  /// Bins with W in sum and S in squares count as m = W^2 / S rows; those of one row or less are skipped. With O and P
  /// the sums of outcomes and predictions, W [((P - O) / W)^2 - O / W (1 - O / W) / (m - 1)], as one quotient.
  [[nodiscard]] double error(std::size_t from, std::size_t count, const double* outcomes) const {
    const double *weights = weights_.data() + from, *squares = squares_.data() + from;
    const double* predictions = predictions_.data() + from;
    double sum = 0;
    for (std::size_t b = 0; b < count; ++b) {
      const double w = weights[b], one = outcomes[b], gap = predictions[b] - one;
      const double spare = w * w - squares[b];
      const double term = (gap * gap * spare - one * (w - one) * squares[b]) / (w * spare);
      sum += spare > 1e-9 * squares[b] ? term : 0;
    }
    return sum / total_;
  }

  std::size_t levels_;
  RowWeights row_weights_;
  double total_;
  RowCells cells_;
  std::vector<double> weights_, squares_, predictions_;
};

/// Residuals p - y on a grid: the part of the predictions is the same for all outcomes.
class ResidualGrid {
 public:
  template <class T>
  ResidualGrid(std::span<const T> p, RowWeights weights, std::size_t points)
      : last_(static_cast<double>(points - 1)),
        row_weights_(weights),
        share_(1 / weights.sum(p.size())),
        cells_(p, last_, static_cast<double>(points - 2)),
        predictions_(points) {
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double value = weights[i] * static_cast<double>(p[i]) * share_, right = part(p[i], cells_.of_row[i], last_);
      predictions_[cells_.of_row[i]] += value * (1 - right);
      predictions_[cells_.of_row[i] + 1] += value * right;
    }
  }

  /// Weights of outcomes so far, and what of them belongs to the point on their right; `upto` holds both at the end of
  /// each cell.
  struct Tally {
    struct Sums {
      double all = 0, right = 0;
    };
    Sums now;
    std::vector<Sums> upto;
  };

  [[nodiscard]] Tally tally() const { return {{}, std::vector<Tally::Sums>(predictions_.size())}; }

  template <class T>
  void add(std::size_t begin, const T* p, std::span<const std::uint8_t> y, Tally& to) const {
    const std::uint32_t* cell = cells_.of_row.data() + begin;
    auto* upto = to.upto.data();
    auto now = to.now;
    const double last = last_;
    const RowWeights weights = row_weights_.from(begin);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double outcome = weights[i] * (y[i] != 0 ? 1.0 : 0.0);
      now.all += outcome;
      now.right += outcome * part(p[i], cell[i], last);
      upto[cell[i]] = now;
    }
    to.now = now;
  }

  void finish(const Tally& of, std::span<double> grid) const {
    std::ranges::copy(predictions_, grid.begin());
    Tally::Sums before;
    for (const std::uint32_t cell : cells_.used) {
      const double all = of.upto[cell].all - before.all, right = of.upto[cell].right - before.right;
      grid[cell] -= share_ * (all - right);
      grid[cell + 1] -= share_ * right;
      before = of.upto[cell];
    }
  }

 private:
  template <class T>
  static double part(T p, std::uint32_t cell, double last) {
    return std::min(std::max(0.0, static_cast<double>(p) * last), last) - static_cast<double>(cell);
  }

  double last_;
  RowWeights row_weights_;
  double share_;
  RowCells cells_;
  std::vector<double> predictions_;
};

}  // namespace

template <class T>
void draw_outcomes(std::span<const T> p, std::uint64_t seed, std::uint64_t replicate,
                   std::span<std::uint8_t> outcomes) {
  for_drawn(p, {seed, replicate}, [&](std::size_t begin, std::span<const std::uint8_t> drawn) {
    std::ranges::copy(drawn, outcomes.begin() + static_cast<std::ptrdiff_t>(begin));
  });
}

template <class T>
WalkRange walk_range(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                     std::span<const std::uint8_t> ends) {
  Walk walk;
  walk.steps(p.data(), y, RowWeights{weights}, ends.data());
  return walk.range;
}

template <class T>
void draw_walks(std::span<const T> p, std::span<const double> weights, std::span<const std::uint8_t> ends,
                std::uint64_t seed, std::size_t replicates, std::span<double> ranges, unsigned n_threads) {
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      Walk walk;
      for_drawn(p, {seed, r}, [&](std::size_t begin, std::span<const std::uint8_t> y) {
        walk.steps(p.data() + begin, y, RowWeights{weights}.from(begin), ends.data() + begin);
      });
      ranges[2 * r] = walk.range.highest;
      ranges[2 * r + 1] = walk.range.lowest;
    }
  });
}

template <class T>
void partition_errors(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                      std::size_t levels, std::span<double> errors) {
  const Partitions partitions(p, {weights}, levels);
  auto tally = partitions.tally();
  partitions.add(0, y, tally);
  partitions.errors(tally, errors.data());
}

template <class T>
void draw_partitions(std::span<const T> p, std::span<const double> weights, std::size_t levels, std::uint64_t seed,
                     std::size_t replicates, std::span<double> errors, unsigned n_threads) {
  const Partitions partitions(p, {weights}, levels);
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      auto tally = partitions.tally();
      for_drawn(p, {seed, r},
                [&](std::size_t begin, std::span<const std::uint8_t> y) { partitions.add(begin, y, tally); });
      partitions.errors(tally, errors.data() + r * levels);
    }
  });
}

template <class T>
void spread_residuals(std::span<const T> p, std::span<const std::uint8_t> y, std::span<const double> weights,
                      std::span<double> grid) {
  const ResidualGrid residuals(p, {weights}, grid.size());
  auto tally = residuals.tally();
  residuals.add(0, p.data(), y, tally);
  residuals.finish(tally, grid);
}

template <class T>
void draw_residuals(std::span<const T> p, std::span<const double> weights, std::size_t points, std::uint64_t seed,
                    std::size_t first, std::size_t replicates, std::span<double> grids, unsigned n_threads) {
  const ResidualGrid residuals(p, {weights}, points);
  parallel_for(replicates, 1, n_threads, [&](std::size_t from, std::size_t to) {
    for (std::size_t r = from; r < to; ++r) {
      auto tally = residuals.tally();
      for_drawn(p, {seed, first + r}, [&](std::size_t begin, std::span<const std::uint8_t> y) {
        residuals.add(begin, p.data() + begin, y, tally);
      });
      residuals.finish(tally, grids.subspan(r * points, points));
    }
  });
}

template void draw_outcomes<float>(std::span<const float>, std::uint64_t, std::uint64_t, std::span<std::uint8_t>);
template WalkRange walk_range<float>(std::span<const float>, std::span<const std::uint8_t>, std::span<const double>,
                                     std::span<const std::uint8_t>);
template void draw_walks<float>(std::span<const float>, std::span<const double>, std::span<const std::uint8_t>,
                                std::uint64_t, std::size_t, std::span<double>, unsigned);
template void partition_errors<float>(std::span<const float>, std::span<const std::uint8_t>, std::span<const double>,
                                      std::size_t, std::span<double>);
template void draw_partitions<float>(std::span<const float>, std::span<const double>, std::size_t, std::uint64_t,
                                     std::size_t, std::span<double>, unsigned);
template void spread_residuals<float>(std::span<const float>, std::span<const std::uint8_t>, std::span<const double>,
                                      std::span<double>);
template void draw_residuals<float>(std::span<const float>, std::span<const double>, std::size_t, std::uint64_t,
                                    std::size_t, std::size_t, std::span<double>, unsigned);
template void draw_outcomes<double>(std::span<const double>, std::uint64_t, std::uint64_t, std::span<std::uint8_t>);
template WalkRange walk_range<double>(std::span<const double>, std::span<const std::uint8_t>, std::span<const double>,
                                      std::span<const std::uint8_t>);
template void draw_walks<double>(std::span<const double>, std::span<const double>, std::span<const std::uint8_t>,
                                 std::uint64_t, std::size_t, std::span<double>, unsigned);
template void partition_errors<double>(std::span<const double>, std::span<const std::uint8_t>, std::span<const double>,
                                       std::size_t, std::span<double>);
template void draw_partitions<double>(std::span<const double>, std::span<const double>, std::size_t, std::uint64_t,
                                      std::size_t, std::span<double>, unsigned);
template void spread_residuals<double>(std::span<const double>, std::span<const std::uint8_t>, std::span<const double>,
                                       std::span<double>);
template void draw_residuals<double>(std::span<const double>, std::span<const double>, std::size_t, std::uint64_t,
                                     std::size_t, std::size_t, std::span<double>, unsigned);

}  // namespace auditkit
