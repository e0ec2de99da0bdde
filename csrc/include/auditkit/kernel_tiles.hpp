/// The passes over a square of pairs (rows i against columns j) that the kernel posterior is made of. Written once for
/// every instruction set; csrc/kernels/kernel_posterior.cpp says which squares, in which order.
#pragma once

#include <cstdint>

namespace auditkit {

/// Rows and columns of a tile. Unused columns of a tile hold an infinite distance.
constexpr std::int64_t kTile = 192;

/// One side of a tile: a block of the sorted rows. Pointers start at the block's first row.
template <class T>
struct TileSide {
  std::int64_t size;            ///< rows in use, up to kTile
  const T* norm;                ///< squared lengths
  const T* group;               ///< compared for equality
  const T* log_weight;          ///< as reference; kTile readable
  const std::int64_t* code;     ///< class, ascending
  const std::int64_t* run_end;  ///< where the run of this class ends, counted from the block's first row
  const std::int64_t* place;    ///< row of `sums`
  T* top;                       ///< running maximum of the exponents
  T* sums;                      ///< class sums of exp(exponent - top), row place[i]
  const T* log_normaliser;      ///< second pass: +inf where a row has no references
  const T* slope;               ///< second pass: classes values a row, g_ic - <g_i, p_i>
  T* row_sum;                   ///< second pass: sum of the pair coefficients
};

template <class T>
struct PairTile {
  T* value;  ///< kTile * kTile, row-major
  TileSide<T> rows, columns;
  std::int64_t classes;
  bool both;      ///< whether the rows are references of the columns, too
  bool diagonal;  ///< rows and columns are one block
};

/// What the tile holds and what a distance means.
template <class T>
struct DistanceRule {
  bool products;  ///< the tile holds inner products, else squared distances
  bool grouped;   ///< compare groups; else only the diagonal is left out, of a diagonal tile
  T near_share;   ///< distances below this share of the lengths are counted in near[i]
};

/// Turns the tile into squared distances, infinite for pairs of one group; near: kTile counts.
template <class T>
using TileDistancesFn = void (*)(const PairTile<T>& tile, const DistanceRule<T>& rule, std::int64_t* near);

/// First pass: adds the weights of the pairs to the running sums. Exponents more than `cutoff` below a running maximum
/// are left out.
template <class T>
using TileSumsFn = void (*)(const PairTile<T>& tile, T scale, T cutoff);

/// Second pass, rows [first, last) of the tile: replaces distances by the coefficients of the pairs. False when all
/// weights lie below exp(-cutoff); the values are then unspecified.
template <class T>
using TileCoefficientsFn = bool (*)(const PairTile<T>& tile, std::int64_t first, std::int64_t last, T scale, T cutoff);

}  // namespace auditkit
