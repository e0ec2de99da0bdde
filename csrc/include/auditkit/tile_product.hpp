/// Products of small matrices that stay in cache: what every pass over all pairs of points is made of.
#pragma once

#include <cstdint>

namespace auditkit {

/// C (rows x columns) += A (rows x depth) B (depth x columns). C and B are row-major with their leading dimensions; A
/// has any steps, so that it may be read transposed. C overlaps neither A nor B.
struct TileShape {
  std::int64_t rows, columns, depth;
  std::int64_t a_row, a_depth;  ///< steps of A from row to row and along the sum
  std::int64_t b_lead, c_lead;
};

/// Sums run along the depth in order, in pieces of 256: bits depend on the instruction set only. Fastest when columns
/// is a multiple of 32 (f32) or 16 (f64).
template <class T>
using TileProductFn = void (*)(const TileShape& shape, const T* a, const T* b, T* c);

/// The same with (a - b)^2 in place of a b: squared distances without cancellation, at twice the cost.
template <class T>
using TileSquaresFn = TileProductFn<T>;

}  // namespace auditkit
