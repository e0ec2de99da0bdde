// The loops of bin_rows.hpp, compiled once per instruction set. See cmake/instruction_sets.cmake.
#include "auditkit/bin_rows.hpp"

#define AUDITKIT_LEVEL_NAME(level) isa_##level
#define AUDITKIT_LEVEL_OF(level) AUDITKIT_LEVEL_NAME(level)
#define AUDITKIT_LEVEL AUDITKIT_LEVEL_OF(AUDITKIT_ISA)

namespace auditkit {
namespace AUDITKIT_LEVEL {
namespace {

typedef double Four __attribute__((vector_size(32), may_alias));
typedef long long Mask __attribute__((vector_size(32)));

template <class T>
inline void cells_of(const T* p, const std::uint8_t* y, std::size_t rows, double bins, std::uint32_t* cells) {
  const double last = bins - 1;
  for (std::size_t i = 0; i < rows; ++i) {
    double place = static_cast<double>(p[i]) * bins;
    place = place > 0 ? place : 0;
    place = place < last ? place : last;
    cells[i] = 2 * static_cast<std::uint32_t>(static_cast<std::int32_t>(place)) + static_cast<std::uint32_t>(y[i] != 0);
  }
}

/// Vector types of GCC and Clang: the four powers of a row are one product and one addition.
template <class T>
inline void add(const T* p, const std::uint32_t* cells, std::size_t rows, std::size_t lanes, Moments* table) {
  const Four one = {1, 1, 1, 1};
  const Mask first = {0, -1, -1, -1}, second = {0, 0, -1, -1}, third = {0, 0, 0, -1};
  for (std::size_t i = 0; i < rows; ++i) {
    const double value = static_cast<double>(p[i]);
    const Four all = {value, value, value, value};
    const Four powers = (first ? all : one) * (second ? all : one) * (third ? all : one);
    Four* sum = reinterpret_cast<Four*>(table[cells[i] * lanes + (i & (lanes - 1))].power);
    *sum += powers;
  }
}

}  // namespace

void width_cells_f32(const float* p, const std::uint8_t* y, std::size_t rows, double bins, std::uint32_t* cells) {
  cells_of(p, y, rows, bins, cells);
}

void width_cells_f64(const double* p, const std::uint8_t* y, std::size_t rows, double bins, std::uint32_t* cells) {
  cells_of(p, y, rows, bins, cells);
}

void add_moments_f32(const float* p, const std::uint32_t* cells, std::size_t rows, std::size_t lanes, Moments* table) {
  add(p, cells, rows, lanes, table);
}

void add_moments_f64(const double* p, const std::uint32_t* cells, std::size_t rows, std::size_t lanes, Moments* table) {
  add(p, cells, rows, lanes, table);
}

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
