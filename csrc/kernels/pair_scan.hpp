/// Walks over pairs of rows that may be close: what neighbours.cpp is made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "auditkit/dispatch.hpp"
#include "auditkit/neighbours.hpp"

namespace auditkit {

constexpr double kFar = std::numeric_limits<double>::infinity();

/// Two doubles in one register: no vectoriser finds the four lanes by itself.
using Pair = double __attribute__((vector_size(16)));

/// Adds |a - b| of two features to two lanes.
template <Metric M>
void lane_step(Pair& lane, const Pair& gap) {
  if constexpr (M == Metric::squared_l2) {
    lane += gap * gap;
  } else {
    const Pair size = gap < 0.0 ? -gap : gap;
    if constexpr (M == Metric::l1) lane += size;
    else lane = size > lane ? size : lane;
  }
}

template <Metric M>
double joined(const Pair& low, const Pair& high) {
  if constexpr (M == Metric::linf) return std::max({low[0], low[1], high[0], high[1]});
  return (low[0] + low[1]) + (high[0] + high[1]);
}

template <class T>
Pair gap_of(const T* a, const T* b) {
  return Pair{static_cast<double>(a[0]), static_cast<double>(a[1])} -
         Pair{static_cast<double>(b[0]), static_cast<double>(b[1])};
}

/// The distance of two rows, or infinity as soon as it is known to be above `limit`: lanes only grow, and rounding
/// keeps that order.
template <Metric M, class T>
double distance_within(const T* a, const T* b, std::size_t d, double limit) {
  constexpr std::size_t kStride = 16;
  Pair low{0.0, 0.0}, high{0.0, 0.0};
  std::size_t k = 0;
  for (; k + kStride <= d; k += kStride) {
    for (std::size_t s = k; s < k + kStride; s += 4) {
      lane_step<M>(low, gap_of(a + s, b + s));
      lane_step<M>(high, gap_of(a + s + 2, b + s + 2));
    }
    if (joined<M>(low, high) > limit) return kFar;
  }
  for (; k < d; ++k) {
    const double gap = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    const std::size_t lane = k % 2;
    lane_step<M>(k % 4 < 2 ? low : high, Pair{lane == 0 ? gap : 0.0, lane == 0 ? 0.0 : gap});
  }
  const double total = joined<M>(low, high);
  return total > limit ? kFar : total;
}

/// Whether a block of rows is of one group, and of which.
struct BlockGroup {
  std::int64_t group;
  bool single;
};

inline BlockGroup group_of_block(std::span<const std::int64_t> groups, std::size_t begin, std::size_t end) {
  if (groups.empty()) return {0, false};
  const auto part = groups.subspan(begin, end - begin);
  return {part.front(), std::ranges::all_of(part, [&](std::int64_t g) { return g == part.front(); })};
}

/// Float copies of points, moved to a centre and scaled to at most 1, in panels whose columns are points.
///
/// With u = 2^-24, s the scale and n = |a'|^2 the squared norm of a copy, the number n_a + n_b - 2 a'.b' that the tiles
/// hold differs from s^2 |a - b|^2 by at most (m + 24) u (n_a + n_b) plus what underflows: the product's sum of at most
/// m = min(d, 256) + d / 256 + 1 additions in a row gives m u 2 |a'| |b'| <= m u (n_a + n_b); a copy is wrong by u of
/// itself, which moves the squared distance by 2 u (|a'| + |b'|)^2 <= 4 u (n_a + n_b); the norms, their differences and
/// the limit round less than eighteen times more. So pairs whose number is above the limit by more are never close.
class FloatPanels {
 public:
  static constexpr std::size_t kBlock = 192;
  static constexpr std::size_t kQueries = 48;

  template <class T>
  FloatPanels(std::span<const T> x, std::size_t d) : d_(d), n_(x.size() / d), centre_(d) {
    set_centre(x);
    double largest = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i)
      largest = std::max(largest, std::fabs(static_cast<double>(x[i]) - centre_[i % d]));
    // a power of two: scaling rounds nothing
    scale_ = largest > 0.0 ? std::ldexp(1.0, -std::clamp(std::ilogb(largest) + 1, -500, 500)) : 1.0;
    const std::size_t sums = std::min<std::size_t>(d, 256) + d / 256 + 1;
    shrink_ = 1.0 - static_cast<double>(sums + 24) * kUnit;
    lost_ = 4.0 * static_cast<double>(d) * static_cast<double>(std::numeric_limits<float>::min());
    const std::size_t blocks = (n_ + kBlock - 1) / kBlock;
    panels_.assign(blocks * d * kBlock, 0.0F);
    half_norm_.assign(blocks * kBlock, -std::numeric_limits<float>::max());
    for (std::size_t i = 0; i < n_; ++i) {
      float* column = &panels_[i / kBlock * d * kBlock + i % kBlock];
      const double norm = copy(&x[i * d], [&](std::size_t k, float value) { column[k * kBlock] = value; });
      half_norm_[i] = static_cast<float>(-0.5 * norm);
    }
  }

  /// What the tiles need of up to kQueries rows.
  struct Queries {
    std::vector<float> rows;
    std::vector<double> norm;
  };

  template <class T>
  [[nodiscard]] Queries copies(const T* x, std::size_t count) const {
    Queries to{std::vector<float>(count * d_), std::vector<double>(count)};
    for (std::size_t i = 0; i < count; ++i)
      to.norm[i] = copy(x + i * d_, [&](std::size_t k, float value) { to.rows[i * d_ + k] = value; });
    return to;
  }

  /// tile[i * kBlock + j] = a'_i . b'_j - |b'_j|^2 / 2, the norm lowered by its share of the error.
  void fill(const Queries& queries, std::size_t block, std::span<float> tile) const {
    const auto rows = static_cast<std::int64_t>(queries.norm.size()), depth = static_cast<std::int64_t>(d_);
    constexpr auto kWidth = static_cast<std::int64_t>(kBlock);
    for (std::size_t i = 0; i < queries.norm.size(); ++i)
      std::copy_n(&half_norm_[block * kBlock], kBlock, &tile[i * kBlock]);
    kernels().tile_product_f32({rows, kWidth, depth, depth, 1, kWidth, kWidth}, queries.rows.data(),
                               &panels_[block * d_ * kBlock], tile.data());
  }

  /// Pairs of query i whose entry of the tile is below this are farther apart than `limit` (squared).
  [[nodiscard]] float least(const Queries& queries, std::size_t i, double limit) const {
    constexpr double kTooFar = 1e30;  // of a query far from all points, whose products could overflow
    if (limit == kFar || queries.norm[i] > kTooFar) return -std::numeric_limits<float>::infinity();
    const double value = 0.5 * (queries.norm[i] - scale_ * scale_ * limit * (1.0 + 16.0 * kUnit));
    return static_cast<float>(std::max(value, -1e38));
  }

 private:
  static constexpr double kUnit = 0x1p-24;

  /// Medians of a few hundred rows: outliers would pull a mean so far that no digits were left for the rest.
  template <class T>
  void set_centre(std::span<const T> x) {
    const std::size_t step = std::max<std::size_t>(1, n_ / 256);
    std::vector<T> column;
    for (std::size_t k = 0; k < d_; ++k) {
      column.clear();
      for (std::size_t i = 0; i < n_; i += step) column.push_back(x[i * d_ + k]);
      const auto middle = column.begin() + static_cast<std::ptrdiff_t>(column.size() / 2);
      std::ranges::nth_element(column, middle);
      centre_[k] = static_cast<double>(*middle);
    }
  }

  /// Hands every feature of the copy to `keep`; its squared norm, lowered by its share of the error.
  template <class T, class Keep>
  double copy(const T* row, Keep&& keep) const {
    double norm = 0.0;
    for (std::size_t k = 0; k < d_; ++k) {
      const double moved = (static_cast<double>(row[k]) - centre_[k]) * scale_;
      const auto value = static_cast<float>(std::clamp(moved, -1e18, 1e18));
      keep(k, value);
      norm += static_cast<double>(value) * static_cast<double>(value);
    }
    return norm * shrink_ - lost_;
  }

  std::size_t d_, n_;
  std::vector<double> centre_;
  double scale_ = 1.0, shrink_ = 1.0, lost_ = 0.0;
  std::vector<float> panels_, half_norm_;
};

/// Calls visit(i, j, distance) for the queries i of a block and every point j of another group at distance <= limit(i),
/// which may fall while the walk goes on. Points come in rising order.
template <class T>
class PairScan {
 public:
  static constexpr std::size_t kQueries = FloatPanels::kQueries;

  PairScan(const Rows<T>& points, Metric metric) : points_(points), metric_(metric) {
    if (metric == Metric::squared_l2 && points.d > 2) panels_.emplace_back(points.x, points.d);
  }

  template <class Limit, class Visit>
  void walk(const Rows<T>& queries, std::size_t begin, std::size_t end, Limit&& limit, Visit&& visit) const {
    switch (metric_) {
      case Metric::squared_l2:
        if (panels_.empty()) plain<Metric::squared_l2>(queries, begin, end, limit, visit);
        else tiled(queries, begin, end, limit, visit);
        break;
      case Metric::l1: plain<Metric::l1>(queries, begin, end, limit, visit); break;
      case Metric::linf: plain<Metric::linf>(queries, begin, end, limit, visit); break;
    }
  }

 private:
  [[nodiscard]] bool apart(const Rows<T>& queries, std::size_t i, std::size_t j) const {
    return queries.groups.empty() || points_.groups.empty() || queries.groups[i] != points_.groups[j];
  }

  template <class Body>
  void blocks(const Rows<T>& queries, std::size_t begin, std::size_t end, Body&& body) const {
    const bool grouped = !queries.groups.empty() && !points_.groups.empty();
    const BlockGroup own = group_of_block(queries.groups, begin, end);
    for (std::size_t first = 0; first < points_.size(); first += FloatPanels::kBlock) {
      const std::size_t last = std::min(first + FloatPanels::kBlock, points_.size());
      const BlockGroup theirs = group_of_block(points_.groups, first, last);
      if (grouped && own.single && theirs.single && own.group == theirs.group) continue;
      body(first, last);
    }
  }

  template <Metric M, class Limit, class Visit>
  void pair(const Rows<T>& queries, std::size_t i, std::size_t j, Limit& limit, Visit& visit) const {
    if (!apart(queries, i, j)) return;
    const double distance =
        distance_within<M>(&queries.x[i * points_.d], &points_.x[j * points_.d], points_.d, limit(i));
    if (distance != kFar) visit(i, j, distance);
  }

  template <Metric M, class Limit, class Visit>
  void plain(const Rows<T>& queries, std::size_t begin, std::size_t end, Limit& limit, Visit& visit) const {
    blocks(queries, begin, end, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t j = first; j < last; ++j) pair<M>(queries, i, j, limit, visit);
    });
  }

  template <class Limit, class Visit>
  void tiled(const Rows<T>& queries, std::size_t begin, std::size_t end, Limit& limit, Visit& visit) const {
    constexpr std::size_t kBlock = FloatPanels::kBlock, kLook = 16;
    const FloatPanels& panels = panels_.front();
    const FloatPanels::Queries copies = panels.copies(&queries.x[begin * points_.d], end - begin);
    std::vector<float> tile(kQueries * kBlock);
    blocks(queries, begin, end, [&](std::size_t first, std::size_t last) {
      panels.fill(copies, first / kBlock, tile);
      for (std::size_t i = begin; i < end; ++i) {
        const float* row = &tile[(i - begin) * kBlock];
        for (std::size_t look = 0; first + look < last; look += kLook) {
          float least = panels.least(copies, i - begin, limit(i));
          unsigned any = 0;
          for (std::size_t j = 0; j < kLook; ++j) any |= static_cast<unsigned>(!(row[look + j] < least));
          if (any == 0) continue;
          for (std::size_t j = look; j < std::min(look + kLook, last - first); ++j) {
            if (row[j] < least) continue;
            pair<Metric::squared_l2>(queries, i, first + j, limit, visit);
            least = panels.least(copies, i - begin, limit(i));
          }
        }
      }
    });
  }

  Rows<T> points_;
  Metric metric_;
  std::vector<FloatPanels> panels_;  ///< one, or none where products do not help
};

}  // namespace auditkit
