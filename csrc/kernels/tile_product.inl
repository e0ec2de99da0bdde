// Compiled once per instruction set (see cmake/instruction_sets.cmake): the register block of tile_product.hpp. Vector
// types of GCC and Clang, because no vectoriser keeps this many sums in registers.
#include "auditkit/tile_product.hpp"

#define AUDITKIT_CONCAT_(a, b) a##b
#define AUDITKIT_CONCAT(a, b) AUDITKIT_CONCAT_(a, b)
#define AUDITKIT_LEVEL AUDITKIT_CONCAT(isa_, AUDITKIT_ISA)

namespace auditkit {
namespace AUDITKIT_LEVEL {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kRows = 12;  // 24 sums in 32 registers
#elif defined(__AVX2__)
constexpr int kBytes = 32;
constexpr int kRows = 6;  // 12 sums in 16 registers
#else
constexpr int kBytes = 16;
constexpr int kRows = 6;
#endif
constexpr std::int64_t kDepth = 256;  // a panel of B this deep stays in the first cache

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));
  static constexpr int lanes = kBytes / static_cast<int>(sizeof(T));
};

/// C block of R rows and two vectors.
template <class T, int R>
inline void block(std::int64_t depth, const T* a, std::int64_t a_row, std::int64_t a_depth, const T* b,
                  std::int64_t b_lead, T* c, std::int64_t c_lead) {
  using V = typename Vector<T>::type;
  constexpr int kLanes = Vector<T>::lanes;
  V sums[R][2] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    const V low = *reinterpret_cast<const V*>(b), high = *reinterpret_cast<const V*>(b + kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const T factor = a[r * a_row];
      sums[r][0] += factor * low;
      sums[r][1] += factor * high;
    }
    a += a_depth;
    b += b_lead;
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
    V* out = reinterpret_cast<V*>(c + r * c_lead);
    out[0] += sums[r][0];
    out[1] += sums[r][1];
  }
}

/// The last columns, fewer than two vectors.
template <class T>
void edge(const TileShape& s, std::int64_t depth, const T* a, const T* b, T* c, std::int64_t first) {
  for (std::int64_t i = 0; i < s.rows; ++i)
    for (std::int64_t j = first; j < s.columns; ++j) {
      T sum = 0;
      for (std::int64_t k = 0; k < depth; ++k) sum += a[i * s.a_row + k * s.a_depth] * b[k * s.b_lead + j];
      c[i * s.c_lead + j] += sum;
    }
}

template <class T>
void panel(const TileShape& s, std::int64_t depth, const T* a, const T* b, T* c) {
  constexpr std::int64_t kWidth = 2 * Vector<T>::lanes;
  std::int64_t j = 0;
  for (; j + kWidth <= s.columns; j += kWidth) {
    std::int64_t i = 0;
    for (; i + kRows <= s.rows; i += kRows)
      block<T, kRows>(depth, a + i * s.a_row, s.a_row, s.a_depth, b + j, s.b_lead, c + i * s.c_lead + j, s.c_lead);
    for (; i < s.rows; ++i)
      block<T, 1>(depth, a + i * s.a_row, s.a_row, s.a_depth, b + j, s.b_lead, c + i * s.c_lead + j, s.c_lead);
  }
  edge(s, depth, a, b, c, j);
}

template <class T>
void product(const TileShape& s, const T* a, const T* b, T* c) {
  for (std::int64_t k = 0; k < s.depth; k += kDepth) {
    const std::int64_t depth = s.depth - k < kDepth ? s.depth - k : kDepth;
    panel(s, depth, a + k * s.a_depth, b + k * s.b_lead, c);
  }
}

}  // namespace

void tile_product_f32(const TileShape& shape, const float* a, const float* b, float* c) { product(shape, a, b, c); }

void tile_product_f64(const TileShape& shape, const double* a, const double* b, double* c) { product(shape, a, b, c); }

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
