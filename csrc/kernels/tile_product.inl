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

/// What is summed: products, or squares of differences.
struct Product {
  template <class T, class V>
  static void add(V& sum, T a, const V& b) {
    sum += a * b;
  }
};

struct Squares {
  template <class T, class V>
  static void add(V& sum, T a, const V& b) {
    const V gap = a - b;
    sum += gap * gap;
  }
};

/// C block of R rows and W vectors.
template <class Op, class T, int R, int W>
inline void block(const TileShape& s, std::int64_t depth, const T* a, const T* b, T* c) {
  using V = typename Vector<T>::type;
  constexpr int kLanes = Vector<T>::lanes;
  V sums[R][W] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    V right[W];
#pragma GCC unroll 2
    for (int w = 0; w < W; ++w) right[w] = *reinterpret_cast<const V*>(b + w * kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) {
      const T left = a[r * s.a_row];
#pragma GCC unroll 2
      for (int w = 0; w < W; ++w) Op::add(sums[r][w], left, right[w]);
    }
    a += s.a_depth;
    b += s.b_lead;
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int w = 0; w < W; ++w) *reinterpret_cast<V*>(c + r * s.c_lead + w * kLanes) += sums[r][w];
}

template <class Op, class T, int W>
inline void columns(const TileShape& s, std::int64_t depth, const T* a, const T* b, T* c) {
  std::int64_t i = 0;
  for (; i + kRows <= s.rows; i += kRows) block<Op, T, kRows, W>(s, depth, a + i * s.a_row, b, c + i * s.c_lead);
  for (; i < s.rows; ++i) block<Op, T, 1, W>(s, depth, a + i * s.a_row, b, c + i * s.c_lead);
}

/// The last columns, fewer than a vector.
template <class Op, class T>
void edge(const TileShape& s, std::int64_t depth, const T* a, const T* b, T* c, std::int64_t first) {
  for (std::int64_t i = 0; i < s.rows; ++i)
    for (std::int64_t j = first; j < s.columns; ++j) {
      T sum = 0;
      for (std::int64_t k = 0; k < depth; ++k) Op::add(sum, a[i * s.a_row + k * s.a_depth], b[k * s.b_lead + j]);
      c[i * s.c_lead + j] += sum;
    }
}

template <class Op, class T>
void run(const TileShape& s, const T* a, const T* b, T* c) {
  constexpr std::int64_t kLanes = Vector<T>::lanes;
  for (std::int64_t k = 0; k < s.depth; k += kDepth) {
    const std::int64_t depth = s.depth - k < kDepth ? s.depth - k : kDepth;
    const T* left = a + k * s.a_depth;
    const T* right = b + k * s.b_lead;
    std::int64_t j = 0;
    for (; j + 2 * kLanes <= s.columns; j += 2 * kLanes) columns<Op, T, 2>(s, depth, left, right + j, c + j);
    for (; j + kLanes <= s.columns; j += kLanes) columns<Op, T, 1>(s, depth, left, right + j, c + j);
    if (j < s.columns) edge<Op>(s, depth, left, right, c, j);
  }
}

}  // namespace

void tile_product_f32(const TileShape& shape, const float* a, const float* b, float* c) {
  run<Product>(shape, a, b, c);
}

void tile_product_f64(const TileShape& shape, const double* a, const double* b, double* c) {
  run<Product>(shape, a, b, c);
}

void tile_squares_f32(const TileShape& shape, const float* a, const float* b, float* c) {
  run<Squares>(shape, a, b, c);
}

void tile_squares_f64(const TileShape& shape, const double* a, const double* b, double* c) {
  run<Squares>(shape, a, b, c);
}

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
