// Compiled once per instruction set (see cmake/instruction_sets.cmake). Loops over a row of a tile, written for the
// vectoriser: no branch that depends on one pair, no calls.
#include "auditkit/kernel_tiles.hpp"

#include <cstdint>
#include <cstring>

#define AUDITKIT_CONCAT_(a, b) a##b
#define AUDITKIT_CONCAT(a, b) AUDITKIT_CONCAT_(a, b)
#define AUDITKIT_LEVEL AUDITKIT_CONCAT(isa_, AUDITKIT_ISA)

namespace auditkit {
namespace AUDITKIT_LEVEL {
namespace {

constexpr int kLanes = 16;  // sums run in this many strands, whatever the width of a vector
static_assert(kTile % kLanes == 0);

template <class T>
struct Exponential;

template <>
struct Exponential<float> {
  using Bits = std::uint32_t;
  static constexpr float infinite = __builtin_inff();
  static constexpr float least = -87.0F;
  static constexpr float magic = 12582912.0F;  // 1.5 * 2^23
  static constexpr float log2_e = 1.44269504F;
  static constexpr float ln2_high = 0.693359375F, ln2_low = -2.12194440e-4F;
  static constexpr int terms = 7, mantissa = 23;
  static constexpr Bits bias = 127;
};

template <>
struct Exponential<double> {
  using Bits = std::uint64_t;
  static constexpr double infinite = __builtin_inf();
  static constexpr double least = -708.0;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double log2_e = 1.4426950408889634074;
  static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
  static constexpr int terms = 13, mantissa = 52;
  static constexpr Bits bias = 1023;
};

constexpr double kInverseFactorial[] = {
    1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
    1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

/// e^x for x <= 0 (and a little above), exactly 0 below `least`: 2^k times a Taylor series on |r| <= log(2) / 2, whose
/// first omitted term is 5e-9 (float) or 4e-18 (double).
template <class T>
inline T exponential(T x) {
  using E = Exponential<T>;
  const T shifted = x * E::log2_e + E::magic;
  const T k = shifted - E::magic;
  const T r = (x - k * E::ln2_high) - k * E::ln2_low;
  T p = static_cast<T>(kInverseFactorial[E::terms]);
#pragma GCC unroll 13
  for (int term = E::terms - 1; term >= 0; --term) p = p * r + static_cast<T>(kInverseFactorial[term]);
  typename E::Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + E::bias) << E::mantissa;
  T power;
  std::memcpy(&power, &bits, sizeof power);
  const T value = p * power;
  return x < E::least ? T{0} : value;
}

template <class T>
inline T larger(T a, T b) {
  return a > b ? a : b;
}

template <class T>
inline T smaller(T a, T b) {
  return a < b ? a : b;
}

template <class T>
inline T total(const T* strands) {
  T sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += strands[lane];
  return sum;
}

/// max_j (log_weight[j] - scale * distance[j]) over a row of the tile.
template <class T>
inline T row_top(const T* distance, const T* log_weight, T scale) {
  T strands[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) strands[lane] = -Exponential<T>::infinite;
  for (std::int64_t j = 0; j < kTile; j += kLanes)
    for (int lane = 0; lane < kLanes; ++lane)
      strands[lane] = larger(strands[lane], log_weight[j + lane] - scale * distance[j + lane]);
  T top = strands[0];
  for (int lane = 1; lane < kLanes; ++lane) top = larger(top, strands[lane]);
  return top;
}

template <class T>
inline T range_sum(const T* values, std::int64_t begin, std::int64_t end) {
  T strands[kLanes] = {};
  const std::int64_t whole = begin + (end - begin) / kLanes * kLanes;
  for (std::int64_t j = begin; j < whole; j += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) strands[lane] += values[j + lane];
  T sum = whole > begin ? total(strands) : T{0};
  for (std::int64_t j = whole; j < end; ++j) sum += values[j];
  return sum;
}

/// A row's running maximum rises: its sums so far shrink.
template <class T>
inline void raise(const TileSide<T>& side, std::int64_t i, T top, std::int64_t classes) {
  T* sums = side.sums + side.place[i] * classes;
  const T factor = exponential(side.top[i] - top);
  for (std::int64_t c = 0; c < classes; ++c) sums[c] *= factor;
  side.top[i] = top;
}

template <class T>
void sum_rows(const PairTile<T>& tile, T scale, T cutoff) {
  const TileSide<T>&rows = tile.rows, &columns = tile.columns;
  T weight[kTile];
  for (std::int64_t i = 0; i < rows.size; ++i) {
    const T* distance = tile.value + i * kTile;
    const T top = row_top(distance, columns.log_weight, scale);
    if (!(top > -Exponential<T>::infinite) || top < rows.top[i] - cutoff) continue;
    if (top > rows.top[i]) raise(rows, i, top, tile.classes);
    const T shift = rows.top[i];
    for (std::int64_t j = 0; j < kTile; ++j)
      weight[j] = exponential((columns.log_weight[j] - scale * distance[j]) - shift);
    T* sums = rows.sums + rows.place[i] * tile.classes;
    for (std::int64_t j = 0; j < columns.size;) {
      const std::int64_t end = smaller(columns.run_end[j], columns.size);
      sums[columns.code[j]] += range_sum(weight, j, end);
      j = end;
    }
  }
}

/// The columns' running maxima; false when every pair lies too far below to count.
template <class T>
bool raise_columns(const PairTile<T>& tile, T scale, T cutoff) {
  const TileSide<T>&rows = tile.rows, &columns = tile.columns;
  T top[kTile];
  for (T& value : top) value = -Exponential<T>::infinite;
  for (std::int64_t i = 0; i < rows.size; ++i) {
    const T* distance = tile.value + i * kTile;
    const T weight = rows.log_weight[i];
    for (std::int64_t j = 0; j < kTile; ++j) top[j] = larger(top[j], weight - scale * distance[j]);
  }
  bool counts = false;
  for (std::int64_t j = 0; j < columns.size; ++j) {
    if (top[j] > -Exponential<T>::infinite && !(top[j] < columns.top[j] - cutoff)) counts = true;
    if (top[j] > columns.top[j]) raise(columns, j, top[j], tile.classes);
  }
  return counts;
}

template <class T>
void sum_columns(const PairTile<T>& tile, T scale) {
  const TileSide<T>&rows = tile.rows, &columns = tile.columns;
  T shift[kTile], sum[kTile];
  for (std::int64_t j = 0; j < kTile; ++j) {
    const bool reached = j < columns.size && columns.top[j] > -Exponential<T>::infinite;
    shift[j] = reached ? columns.top[j] : T{0};
  }
  for (std::int64_t i = 0; i < rows.size;) {
    const std::int64_t end = smaller(rows.run_end[i], rows.size), code = rows.code[i];
    for (T& value : sum) value = 0;
    for (; i < end; ++i) {
      const T* distance = tile.value + i * kTile;
      const T weight = rows.log_weight[i];
      for (std::int64_t j = 0; j < kTile; ++j) sum[j] += exponential((weight - scale * distance[j]) - shift[j]);
    }
    for (std::int64_t j = 0; j < columns.size; ++j) columns.sums[columns.place[j] * tile.classes + code] += sum[j];
  }
}

template <class T>
void distances(const PairTile<T>& tile, const DistanceRule<T>& rule, std::int64_t* near) {
  const TileSide<T>&rows = tile.rows, &columns = tile.columns;
  constexpr T kInfinite = Exponential<T>::infinite;
  for (std::int64_t i = 0; i < rows.size; ++i) {
    T* value = tile.value + i * kTile;
    near[i] = 0;
    if (rule.products) {
      const T norm = rows.norm[i];
      T close[kLanes] = {};
      for (std::int64_t j = 0; j < kTile; j += kLanes)
        for (int lane = 0; lane < kLanes; ++lane) {
          const T lengths = norm + columns.norm[j + lane];
          const T squared = larger(lengths - 2 * value[j + lane], T{0});
          value[j + lane] = squared;
          close[lane] += squared < rule.near_share * lengths ? T{1} : T{0};
        }
      near[i] = static_cast<std::int64_t>(total(close));
    }
    if (rule.grouped) {
      const T group = rows.group[i];
      for (std::int64_t j = 0; j < kTile; ++j) value[j] = columns.group[j] == group ? kInfinite : value[j];
    } else if (tile.diagonal) {
      value[i] = kInfinite;
    }
    for (std::int64_t j = columns.size; j < kTile; ++j) value[j] = kInfinite;
  }
}

template <class T>
void sums(const PairTile<T>& tile, T scale, T cutoff) {
  sum_rows(tile, scale, cutoff);
  if (tile.both && raise_columns(tile, scale, cutoff)) sum_columns(tile, scale);
}

/// The coefficients of one row: its own weights times its slopes, by runs of the columns' classes.
template <class T>
inline void own_coefficients(const PairTile<T>& tile, std::int64_t i, const T* distance, T scale, T* value) {
  const TileSide<T>& columns = tile.columns;
  const T log_normaliser = tile.rows.log_normaliser[i];
  const T* slope = tile.rows.slope + i * tile.classes;
  for (std::int64_t j = 0; j < kTile; ++j)
    value[j] = exponential((columns.log_weight[j] - scale * distance[j]) - log_normaliser);
  for (std::int64_t j = 0; j < columns.size;) {
    const std::int64_t end = smaller(columns.run_end[j], columns.size);
    const T factor = slope[columns.code[j]];
    for (std::int64_t k = j; k < end; ++k) value[k] *= factor;
    j = end;
  }
}

/// Whether any weight of row i, seen from either side, exceeds exp(-cutoff).
template <class T>
inline bool row_counts(const PairTile<T>& tile, std::int64_t i, T scale, T cutoff) {
  const TileSide<T>& columns = tile.columns;
  const T* distance = tile.value + i * kTile;
  const T own = row_top(distance, columns.log_weight, scale) - tile.rows.log_normaliser[i];
  if (own > -cutoff) return true;
  if (!tile.both) return false;
  const T weight = tile.rows.log_weight[i];
  T strands[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) strands[lane] = -Exponential<T>::infinite;
  for (std::int64_t j = 0; j < kTile; j += kLanes)
    for (int lane = 0; lane < kLanes; ++lane)
      strands[lane] = larger(strands[lane], (weight - scale * distance[j + lane]) - columns.log_normaliser[j + lane]);
  T top = strands[0];
  for (int lane = 1; lane < kLanes; ++lane) top = larger(top, strands[lane]);
  return top > -cutoff;
}

template <class T>
bool coefficients(const PairTile<T>& tile, std::int64_t first, std::int64_t last, T scale, T cutoff) {
  const TileSide<T>&rows = tile.rows, &columns = tile.columns;
  bool any = false;
  for (std::int64_t i = first; i < last && !any; ++i) any = row_counts(tile, i, scale, cutoff);
  if (!any) return false;
  T slope[kTile] = {}, value[kTile];
  std::int64_t code = -1;
  for (std::int64_t i = first; i < last; ++i) {
    T* distance = tile.value + i * kTile;
    own_coefficients(tile, i, distance, scale, value);
    if (tile.both && rows.code[i] != code) {
      code = rows.code[i];
      for (std::int64_t j = 0; j < columns.size; ++j) slope[j] = columns.slope[j * tile.classes + code];
    }
    if (tile.both) {
      const T weight = rows.log_weight[i];
      for (std::int64_t j = 0; j < kTile; ++j)
        value[j] += exponential((weight - scale * distance[j]) - columns.log_normaliser[j]) * slope[j];
    }
    std::memcpy(distance, value, sizeof value);
    rows.row_sum[i] += range_sum(value, 0, kTile);
    if (tile.both && !tile.diagonal)
      for (std::int64_t j = 0; j < columns.size; ++j) columns.row_sum[j] += value[j];
  }
  return true;
}

}  // namespace

void tile_distances_f32(const PairTile<float>& tile, const DistanceRule<float>& rule, std::int64_t* near) {
  distances(tile, rule, near);
}
void tile_distances_f64(const PairTile<double>& tile, const DistanceRule<double>& rule, std::int64_t* near) {
  distances(tile, rule, near);
}
void tile_sums_f32(const PairTile<float>& tile, float scale, float cutoff) { sums(tile, scale, cutoff); }
void tile_sums_f64(const PairTile<double>& tile, double scale, double cutoff) { sums(tile, scale, cutoff); }
bool tile_coefficients_f32(const PairTile<float>& tile, std::int64_t first, std::int64_t last, float scale,
                           float cutoff) {
  return coefficients(tile, first, last, scale, cutoff);
}
bool tile_coefficients_f64(const PairTile<double>& tile, std::int64_t first, std::int64_t last, double scale,
                           double cutoff) {
  return coefficients(tile, first, last, scale, cutoff);
}

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
