/// Rows into cells and their powers into sums, the inner loops of calibration.hpp. One entry per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auditkit {

/// Rows, and sums of p, p^2 and p^3, of one cell.
struct alignas(32) Moments {
  double power[4] = {0, 0, 0, 0};
};

/// cells[i] = 2 b + (y[i] != 0) with b = min(floor(p[i] * bins), bins - 1) in double precision. Any number has a bin,
/// NaN the first: what must not be there is refused before, and here it only must do no harm.
template <class T>
using WidthCellsFn = void (*)(const T* p, const std::uint8_t* y, std::size_t rows, double bins, std::uint32_t* cells);

/// Adds row i to table[cells[i] * lanes + i % lanes], lanes a power of two: several lanes keep an addition from waiting
/// for the one before it, where neighbouring rows share a cell. The same bits on every instruction set: products
/// are rounded before they are added.
template <class T>
using AddMomentsFn = void (*)(const T* p, const std::uint32_t* cells, std::size_t rows, std::size_t lanes,
                              Moments* table);

}  // namespace auditkit
