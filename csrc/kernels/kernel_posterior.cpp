#include "auditkit/kernel_posterior.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "auditkit/dispatch.hpp"
#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kBlock = kTile;
constexpr std::int64_t kStrip = 48;       // rows of a tile whose coefficients are multiplied at once
constexpr std::size_t kFewFeatures = 16;  // up to here squared differences cost little more than products
constexpr std::size_t kFewForFloat = 8;   // up to here the arithmetic of float points is double
constexpr double kNothing = -std::numeric_limits<double>::infinity();

template <class T>
struct Passes;

template <>
struct Passes<float> {
  static constexpr float kCutoff = 20.0F;  // below the log of the number of rows: 2e-9 of a row's weight is left out
  static constexpr float kNearShare = 1e-4F;
  static TileProductFn<float> product() { return kernels().tile_product_f32; }
  static TileSquaresFn<float> squares() { return kernels().tile_squares_f32; }
  static TileDistancesFn<float> distances() { return kernels().tile_distances_f32; }
  static TileSumsFn<float> sums() { return kernels().tile_sums_f32; }
  static TileCoefficientsFn<float> coefficients() { return kernels().tile_coefficients_f32; }
};

template <>
struct Passes<double> {
  static constexpr double kCutoff = 40.0;  // 4e-18 of a row's weight
  static constexpr double kNearShare = 1e-2;
  static TileProductFn<double> product() { return kernels().tile_product_f64; }
  static TileSquaresFn<double> squares() { return kernels().tile_squares_f64; }
  static TileDistancesFn<double> distances() { return kernels().tile_distances_f64; }
  static TileSumsFn<double> sums() { return kernels().tile_sums_f64; }
  static TileCoefficientsFn<double> coefficients() { return kernels().tile_coefficients_f64; }
};

std::size_t up_to(std::size_t size, std::size_t unit) { return (size + unit - 1) / unit * unit; }

/// Points in the order of their classes, centred, in blocks: rows for one side of a product, panels for the other.
template <class T>
struct SortedPoints {
  std::size_t n = 0, d = 0, lead = 0, blocks = 0, classes = 0;
  std::vector<std::int64_t> order;  ///< sorted row -> row as given
  std::vector<T> rows;              ///< blocks * kBlock * lead
  std::vector<T> panels;            ///< blocks * lead * kBlock: a block's rows as columns
  std::vector<T> norm, group, log_weight;
  std::vector<std::int64_t> code, run_end;
  bool grouped = false;

  [[nodiscard]] std::size_t size_of(std::size_t block) const { return std::min(kBlock, n - block * kBlock); }
};

template <class T>
std::vector<double> mean_of(std::span<const T> x, std::size_t d) {
  std::vector<double> mean(d, 0.0);
  const std::size_t n = x.size() / d;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < d; ++k) mean[k] += static_cast<double>(x[i * d + k]);
  for (double& value : mean) value /= static_cast<double>(n);
  return mean;
}

/// Fills rows, panels and norms from x in the order that is set.
template <class T>
void place_rows(SortedPoints<T>& to, std::span<const T> x, const std::vector<double>& mean) {
  to.lead = up_to(to.d, 8);
  to.blocks = up_to(to.n, kBlock) / kBlock;
  const std::size_t padded = to.blocks * kBlock;
  to.rows.assign(padded * to.lead, T{0});
  to.panels.assign(padded * to.lead, T{0});
  to.norm.assign(padded, T{0});
  for (std::size_t i = 0; i < to.n; ++i) {
    const T* from = &x[static_cast<std::size_t>(to.order[i]) * to.d];
    T* row = &to.rows[i * to.lead];
    T* panel = &to.panels[i / kBlock * kBlock * to.lead + i % kBlock];
    double norm = 0.0;
    for (std::size_t k = 0; k < to.d; ++k) {
      row[k] = panel[k * kBlock] = static_cast<T>(static_cast<double>(from[k]) - mean[k]);
      norm += static_cast<double>(row[k]) * static_cast<double>(row[k]);
    }
    to.norm[i] = static_cast<T>(norm);
  }
}

template <class T>
void place_labels(SortedPoints<T>& to, const LabelledPoints<T>& points, std::span<const std::int64_t> groups) {
  const std::size_t padded = to.blocks * kBlock;
  to.code.assign(padded, 0);
  to.run_end.assign(padded, 0);
  to.log_weight.assign(padded, T{0});
  to.group.assign(padded, T{-1});
  for (std::size_t i = 0; i < to.n; ++i) {
    const auto row = static_cast<std::size_t>(to.order[i]);
    to.code[i] = points.codes[row];
    to.log_weight[i] = static_cast<T>(points.log_weights[row]);
    if (to.grouped) to.group[i] = static_cast<T>(groups[row]);
  }
  for (std::size_t i = to.n; i-- > 0;) {
    const std::size_t block_end = std::min((i / kBlock + 1) * kBlock, to.n);
    const bool continues = i + 1 < block_end && to.code[i + 1] == to.code[i];
    to.run_end[i] = continues ? to.run_end[i + 1] : static_cast<std::int64_t>(i % kBlock) + 1;
  }
}

bool all_different(std::span<const std::int64_t> groups) {
  std::vector<std::int64_t> sorted(groups.begin(), groups.end());
  std::ranges::sort(sorted);
  return std::ranges::adjacent_find(sorted) == sorted.end();
}

/// Groups numbered from 0, so that a float tells them apart.
std::vector<std::int64_t> renumbered(std::span<const std::int64_t> groups) {
  std::vector<std::int64_t> sorted(groups.begin(), groups.end());
  std::ranges::sort(sorted);
  const auto kept = std::ranges::unique(sorted);
  sorted.erase(kept.begin(), kept.end());
  std::vector<std::int64_t> result(groups.size());
  std::ranges::transform(groups, result.begin(),
                         [&](std::int64_t group) { return std::ranges::lower_bound(sorted, group) - sorted.begin(); });
  return result;
}

template <class T>
SortedPoints<T> sorted_points(const LabelledPoints<T>& points, std::span<const std::int64_t> groups,
                              const std::vector<double>& mean) {
  SortedPoints<T> to{};
  to.n = points.size();
  to.d = points.d;
  to.classes = points.classes;
  to.order.resize(to.n);
  std::iota(to.order.begin(), to.order.end(), std::int64_t{0});
  std::ranges::stable_sort(to.order, {}, [&](std::int64_t i) { return points.codes[static_cast<std::size_t>(i)]; });
  to.grouped = !groups.empty() && !all_different(groups);
  place_rows(to, points.x, mean);
  place_labels(to, points, to.grouped ? renumbered(groups) : std::vector<std::int64_t>{});
  return to;
}

/// Queries in blocks, as they come: they are no references, so they need no classes.
template <class T>
SortedPoints<T> plain_rows(std::span<const T> x, std::size_t d, std::size_t classes, const std::vector<double>& mean) {
  SortedPoints<T> to{};
  to.n = x.size() / d;
  to.d = d;
  to.classes = classes;
  to.order.resize(to.n);
  std::iota(to.order.begin(), to.order.end(), std::int64_t{0});
  place_rows(to, x, mean);
  return to;
}

/// What the passes gather for each row.
template <class T>
struct RowSums {
  std::vector<T> top;  ///< running maximum of the exponents
  T* sums;             ///< class sums
  const std::int64_t* place;
  std::vector<T> log_normaliser, slope, row_sum, product;

  RowSums(std::size_t padded, T* class_sums, const std::int64_t* places)
      : top(padded, static_cast<T>(kNothing)), sums(class_sums), place(places) {}
};

template <class T>
TileSide<T> side_of(const SortedPoints<T>& points, RowSums<T>* gathered, std::size_t block) {
  const std::size_t first = block * kBlock;
  const auto at = [&](const auto& values) { return values.empty() ? nullptr : values.data() + first; };
  TileSide<T> side{};
  side.size = static_cast<std::int64_t>(points.size_of(block));
  side.norm = at(points.norm);
  side.group = at(points.group);
  side.log_weight = at(points.log_weight);
  side.code = at(points.code);
  side.run_end = at(points.run_end);
  if (gathered == nullptr) return side;
  side.place = gathered->place + first;
  side.top = gathered->top.data() + first;
  side.sums = gathered->sums;
  side.log_normaliser = at(gathered->log_normaliser);
  side.slope = gathered->slope.empty() ? nullptr : gathered->slope.data() + first * points.classes;
  side.row_sum = gathered->row_sum.empty() ? nullptr : gathered->row_sum.data() + first;
  return side;
}

/// The values of one tile, kept by its thread: a fresh allocation of this size costs more than a tenth of the work.
template <class T>
T* tile_values() {
  thread_local const auto values = std::make_unique_for_overwrite<T[]>(kBlock * kBlock);
  return values.get();
}

/// Squared distances of two blocks. Where a product cancels, the difference is taken itself.
template <class T>
void fill_distances(const SortedPoints<T>& rows, std::size_t i_block, const SortedPoints<T>& columns,
                    std::size_t j_block, const PairTile<T>& tile) {
  const bool products = rows.d > kFewFeatures;
  const T* left = &rows.rows[i_block * kBlock * rows.lead];
  const T* panel = &columns.panels[j_block * kBlock * columns.lead];
  const TileShape shape{
      tile.rows.size, kTile, static_cast<std::int64_t>(rows.d), static_cast<std::int64_t>(rows.lead), 1, kTile, kTile};
  std::fill_n(tile.value, tile.rows.size * kTile, T{0});
  (products ? Passes<T>::product() : Passes<T>::squares())(shape, left, panel, tile.value);
  std::int64_t near[kTile];
  const bool grouped = columns.grouped && &rows == &columns;
  Passes<T>::distances()(tile, {products, grouped, Passes<T>::kNearShare}, near);
  const T* right = &columns.rows[j_block * kBlock * columns.lead];
  for (std::int64_t i = 0; i < tile.rows.size; ++i) {
    if (near[i] == 0) continue;
    for (std::int64_t j = 0; j < tile.columns.size; ++j) {
      T& value = tile.value[i * kTile + j];
      if (!(value < Passes<T>::kNearShare * (tile.rows.norm[i] + tile.columns.norm[j]))) continue;
      T sum = 0;
      for (std::size_t k = 0; k < rows.d; ++k) {
        const T gap =
            left[static_cast<std::size_t>(i) * rows.lead + k] - right[static_cast<std::size_t>(j) * rows.lead + k];
        sum += gap * gap;
      }
      value = sum;
    }
  }
}

/// Every pair of blocks once, in rounds of disjoint pairs (each block plays each other, as teams do), so that threads
/// never share a row and every row meets its blocks in an order that does not depend on them.
template <class Visit>
void for_block_pairs(std::size_t blocks, unsigned n_threads, Visit&& visit) {
  parallel_for(blocks, 1, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t block = begin; block < end; ++block) visit(block, block);
  });
  const std::size_t teams = blocks + blocks % 2;
  for (std::size_t round = 0; round + 1 < teams; ++round)
    parallel_for(teams / 2, 1, n_threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t match = begin; match < end; ++match) {
        const std::size_t home = match == 0 ? teams - 1 : (round + match) % (teams - 1);
        const std::size_t guest = (round + teams - 1 - match) % (teams - 1);
        if (home < blocks && guest < blocks) visit(std::min(home, guest), std::max(home, guest));
      }
    });
}

/// Calls visit(tile) for every pair of blocks of one set of points; `gathered` holds a set of sums a bandwidth.
template <class T, class Visit>
void visit_own_pairs(const SortedPoints<T>& points, unsigned n_threads, Visit&& visit) {
  for_block_pairs(points.blocks, n_threads, [&](std::size_t i, std::size_t j) {
    PairTile<T> tile{tile_values<T>(),
                     side_of<T>(points, nullptr, i),
                     side_of<T>(points, nullptr, j),
                     static_cast<std::int64_t>(points.classes),
                     i != j,
                     i == j};
    fill_distances(points, i, points, j, tile);
    visit(tile, i, j);
  });
}

/// The same for queries against points, each query against all of them in turn.
template <class T, class Visit>
void visit_cross_pairs(const SortedPoints<T>& queries, const SortedPoints<T>& points, unsigned n_threads,
                       Visit&& visit) {
  parallel_for(queries.blocks, 1, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      for (std::size_t j = 0; j < points.blocks; ++j) {
        PairTile<T> tile{tile_values<T>(),
                         side_of<T>(queries, nullptr, i),
                         side_of<T>(points, nullptr, j),
                         static_cast<std::int64_t>(points.classes),
                         false,
                         false};
        fill_distances(queries, i, points, j, tile);
        visit(tile, i, j);
      }
  });
}

template <class T>
T scale_of(double bandwidth) {
  return static_cast<T>(0.5 / bandwidth / bandwidth);
}

template <class T>
T cutoff_of(std::size_t rows) {
  return Passes<T>::kCutoff + static_cast<T>(std::log(static_cast<double>(rows)));
}

/// Class sums to probabilities; the running maxima to log normalisers.
template <class T>
void normalise(std::span<T> sums, std::size_t classes, unsigned n_threads, std::span<T> tops) {
  parallel_for(tops.size(), 256, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const auto row = sums.subspan(i * classes, classes);
      const double total = std::accumulate(row.begin(), row.end(), 0.0);
      if (!(total > 0.0)) continue;
      for (T& value : row) value = static_cast<T>(static_cast<double>(value) / total);
      tops[i] = static_cast<T>(static_cast<double>(tops[i]) + std::log(total));
    }
  });
}

template <class T>
std::vector<RowSums<T>> sums_by_bandwidth(const SortedPoints<T>& rows, std::size_t bandwidths, std::span<T> sums) {
  std::vector<RowSums<T>> gathered;
  gathered.reserve(bandwidths);
  for (std::size_t b = 0; b < bandwidths; ++b)
    gathered.emplace_back(rows.blocks * kBlock, sums.data() + b * rows.n * rows.classes, rows.order.data());
  return gathered;
}

template <class T>
void finish(const SortedPoints<T>& rows, std::vector<RowSums<T>>& gathered, unsigned n_threads,
            std::span<T> log_normaliser, std::span<T> probability) {
  for (std::size_t b = 0; b < gathered.size(); ++b)
    for (std::size_t i = 0; i < rows.n; ++i)
      log_normaliser[b * rows.n + static_cast<std::size_t>(rows.order[i])] = gathered[b].top[i];
  normalise(probability, rows.classes, n_threads, log_normaliser);
}

/// A tile of a pass gets the sums of its rows, and of its columns where these are rows, too.
template <class T>
PairTile<T> with_sums(const PairTile<T>& tile, const SortedPoints<T>& rows, RowSums<T>& gathered, std::size_t i,
                      const SortedPoints<T>& columns, std::size_t j) {
  PairTile<T> filled = tile;
  filled.rows = side_of(rows, &gathered, i);
  filled.columns = side_of(columns, &rows == &columns ? &gathered : nullptr, j);
  return filled;
}

/// phi(p); p becomes its slopes g_c - <g, p>.
template <class T>
double smooth_top(std::span<T> p, double tau) {
  const auto best = std::ranges::max_element(p);
  const double top = static_cast<double>(*best);
  const auto chosen = static_cast<std::size_t>(best - p.begin());
  std::vector<double> g(p.size(), 0.0);
  double sum = 1.0;
  if (tau == 0.0) {
    g[chosen] = 1.0;
  } else {
    sum = 0.0;
    for (std::size_t c = 0; c < p.size(); ++c) sum += g[c] = std::exp((static_cast<double>(p[c]) - top) / tau);
    for (double& value : g) value /= sum;
  }
  double mean = 0.0;
  for (std::size_t c = 0; c < p.size(); ++c) mean += g[c] * static_cast<double>(p[c]);
  for (std::size_t c = 0; c < p.size(); ++c) p[c] = static_cast<T>(g[c] - mean);
  return top + tau * std::log(sum);
}

/// Between the passes: normalisers, slopes, and J. Returns how many rows have references.
template <class T>
std::size_t prepare_slopes(const SortedPoints<T>& rows, RowSums<T>& gathered, std::vector<T>& sums, double tau,
                           unsigned n_threads, double& value) {
  gathered.log_normaliser = std::move(gathered.top);
  normalise<T>(std::span{sums}.first(rows.n * rows.classes), rows.classes, n_threads,
               std::span{gathered.log_normaliser}.first(rows.n));
  std::vector<double> tops(rows.n, 0.0);
  parallel_for(rows.n, 256, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      if (gathered.log_normaliser[i] > static_cast<T>(kNothing))
        tops[i] = smooth_top(std::span{sums}.subspan(i * rows.classes, rows.classes), tau);
  });
  std::size_t counted = 0;
  for (std::size_t i = 0; i < rows.n; ++i) counted += gathered.log_normaliser[i] > static_cast<T>(kNothing) ? 1 : 0;
  for (T& log_z : gathered.log_normaliser)
    if (!(log_z > static_cast<T>(kNothing))) log_z = std::numeric_limits<T>::infinity();
  gathered.slope = std::move(sums);
  gathered.row_sum.assign(rows.blocks * kBlock, T{0});
  gathered.product.assign(rows.blocks * kBlock * rows.lead, T{0});
  const double sum = std::accumulate(tops.begin(), tops.end(), 0.0);
  value = counted == 0 ? 0.0 : 1.0 - sum / static_cast<double>(counted);
  return counted;
}

/// Adds the products of one tile's coefficients with the points: to the rows, and to the columns where these move.
template <class T>
void add_products(const PairTile<T>& tile, RowSums<T>& gathered, std::size_t i, const SortedPoints<T>& rows,
                  const SortedPoints<T>& columns, std::size_t j, T scale, T cutoff) {
  const auto lead = static_cast<std::int64_t>(rows.lead);
  T* to_rows = &gathered.product[i * kBlock * rows.lead];
  T* to_columns = tile.both && !tile.diagonal ? &gathered.product[j * kBlock * rows.lead] : nullptr;
  const T* left = &rows.rows[i * kBlock * rows.lead];
  const T* right = &columns.rows[j * kBlock * columns.lead];
  for (std::int64_t first = 0; first < tile.rows.size; first += kStrip) {
    const std::int64_t last = std::min(first + kStrip, tile.rows.size);
    if (!Passes<T>::coefficients()(tile, first, last, scale, cutoff)) continue;
    const T* strip = tile.value + first * kTile;
    Passes<T>::product()({last - first, lead, tile.columns.size, kTile, 1, lead, lead}, strip, right,
                         to_rows + first * lead);
    if (to_columns != nullptr)
      Passes<T>::product()({tile.columns.size, lead, last - first, 1, kTile, lead, lead}, strip, left + first * lead,
                           to_columns);
  }
}

template <class T>
void write_gradient(const SortedPoints<T>& rows, const RowSums<T>& gathered, std::size_t counted, double bandwidth,
                    std::span<T> gradient) {
  const double scale = counted == 0 ? 0.0 : 1.0 / (static_cast<double>(counted) * bandwidth * bandwidth);
  for (std::size_t i = 0; i < rows.n; ++i)
    for (std::size_t k = 0; k < rows.d; ++k) {
      const T moved = gathered.row_sum[i] * rows.rows[i * rows.lead + k] - gathered.product[i * rows.lead + k];
      gradient[static_cast<std::size_t>(rows.order[i]) * rows.d + k] =
          static_cast<T>(static_cast<double>(moved) * scale);
    }
}

std::vector<std::int64_t> places(std::size_t n) {
  std::vector<std::int64_t> same(n);
  std::iota(same.begin(), same.end(), std::int64_t{0});
  return same;
}

/// Float points of few features lie close together in units of their length, where a gradient of differences loses
/// digits, and cost little: their arithmetic is double.
template <class T>
bool wants_double(std::size_t d) {
  return std::is_same_v<T, float> && d <= kFewForFloat;
}

template <class T>
std::vector<double> widened(std::span<const T> values) {
  return {values.begin(), values.end()};
}

template <class T>
void narrow(const std::vector<double>& values, std::span<T> to) {
  std::ranges::transform(values, to.begin(), [](double value) { return static_cast<T>(value); });
}

/// Both functions below: the rows are the points themselves, or queries beside them.
template <class T>
struct Sets {
  SortedPoints<T> points, queries;
  bool own;

  Sets(const LabelledPoints<T>& labelled, std::span<const std::int64_t> groups, std::span<const T> x) : own(x.empty()) {
    const auto mean = mean_of(labelled.x, labelled.d);
    points = sorted_points(labelled, groups, mean);
    if (!own) queries = plain_rows(x, labelled.d, labelled.classes, mean);
  }

  [[nodiscard]] const SortedPoints<T>& rows() const { return own ? points : queries; }

  template <class Visit>
  void visit(unsigned n_threads, Visit&& visit_tile) const {
    if (own) visit_own_pairs(points, n_threads, visit_tile);
    else visit_cross_pairs(queries, points, n_threads, visit_tile);
  }
};

template <class T>
void posterior_of(const LabelledPoints<T>& points, std::span<const std::int64_t> groups, std::span<const T> queries,
                  std::span<const double> bandwidths, unsigned n_threads, std::span<T> log_normaliser,
                  std::span<T> probability) {
  const Sets<T> sets(points, groups, queries);
  std::ranges::fill(probability, T{0});
  auto gathered = sums_by_bandwidth(sets.rows(), bandwidths.size(), probability);
  const T cutoff = cutoff_of<T>(sets.points.n);
  sets.visit(n_threads, [&](const PairTile<T>& tile, std::size_t i, std::size_t j) {
    for (std::size_t b = 0; b < bandwidths.size(); ++b)
      Passes<T>::sums()(with_sums(tile, sets.rows(), gathered[b], i, sets.points, j), scale_of<T>(bandwidths[b]),
                        cutoff);
  });
  finish(sets.rows(), gathered, n_threads, log_normaliser, probability);
}

template <class T>
double gradient_of(const LabelledPoints<T>& points, std::span<const std::int64_t> groups, std::span<const T> queries,
                   double bandwidth, double tau, unsigned n_threads, std::span<T> gradient) {
  const Sets<T> sets(points, groups, queries);
  const SortedPoints<T>& rows = sets.rows();
  const auto same = places(rows.n);
  std::vector<T> sums(rows.blocks * kBlock * rows.classes, T{0});
  RowSums<T> gathered(rows.blocks * kBlock, sums.data(), same.data());
  const T cutoff = cutoff_of<T>(sets.points.n), scale = scale_of<T>(bandwidth);
  sets.visit(n_threads, [&](const PairTile<T>& tile, std::size_t i, std::size_t j) {
    Passes<T>::sums()(with_sums(tile, rows, gathered, i, sets.points, j), scale, cutoff);
  });
  double value = 0.0;
  const std::size_t counted = prepare_slopes(rows, gathered, sums, tau, n_threads, value);
  sets.visit(n_threads, [&](PairTile<T>& tile, std::size_t i, std::size_t j) {
    tile.both = sets.own;  // a block is its own references, too
    add_products(with_sums(tile, rows, gathered, i, sets.points, j), gathered, i, rows, sets.points, j, scale, cutoff);
  });
  write_gradient(rows, gathered, counted, bandwidth, gradient);
  return value;
}

}  // namespace

template <class T>
void kernel_posterior(const LabelledPoints<T>& points, std::span<const std::int64_t> groups, std::span<const T> queries,
                      std::span<const double> bandwidths, unsigned n_threads, std::span<T> log_normaliser,
                      std::span<T> probability) {
  if (!wants_double<T>(points.d)) {
    posterior_of(points, groups, queries, bandwidths, n_threads, log_normaliser, probability);
    return;
  }
  const auto x = widened(points.x), at = widened(queries);
  std::vector<double> log_z(log_normaliser.size()), p(probability.size());
  posterior_of<double>({x, points.d, points.codes, points.log_weights, points.classes}, groups, at, bandwidths,
                       n_threads, log_z, p);
  narrow(log_z, log_normaliser);
  narrow(p, probability);
}

template <class T>
double kernel_gradient(const LabelledPoints<T>& points, std::span<const std::int64_t> groups,
                       std::span<const T> queries, double bandwidth, double tau, unsigned n_threads,
                       std::span<T> gradient) {
  if (!wants_double<T>(points.d)) return gradient_of(points, groups, queries, bandwidth, tau, n_threads, gradient);
  const auto x = widened(points.x), at = widened(queries);
  std::vector<double> slope(gradient.size());
  const double value = gradient_of<double>({x, points.d, points.codes, points.log_weights, points.classes}, groups, at,
                                           bandwidth, tau, n_threads, slope);
  narrow(slope, gradient);
  return value;
}

#define AUDITKIT_KERNEL_POSTERIOR(T)                                                                              \
  template void kernel_posterior<T>(const LabelledPoints<T>&, std::span<const std::int64_t>, std::span<const T>,  \
                                    std::span<const double>, unsigned, std::span<T>, std::span<T>);               \
  template double kernel_gradient<T>(const LabelledPoints<T>&, std::span<const std::int64_t>, std::span<const T>, \
                                     double, double, unsigned, std::span<T>);
AUDITKIT_KERNEL_POSTERIOR(float)
AUDITKIT_KERNEL_POSTERIOR(double)
#undef AUDITKIT_KERNEL_POSTERIOR

}  // namespace auditkit
