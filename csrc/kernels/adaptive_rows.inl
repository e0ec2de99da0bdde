// The loops of adaptive_rows.hpp, compiled once per instruction set. See cmake/instruction_sets.cmake.
#include "auditkit/adaptive_rows.hpp"

#include <cstring>

#define AUDITKIT_LEVEL_NAME(level) isa_##level
#define AUDITKIT_LEVEL_OF(level) AUDITKIT_LEVEL_NAME(level)
#define AUDITKIT_LEVEL AUDITKIT_LEVEL_OF(AUDITKIT_ISA)

namespace auditkit {
namespace AUDITKIT_LEVEL {
namespace {

constexpr double kInfinity = __builtin_inf();

/// Vector types of GCC and Clang; their comparisons give 0 or -1 in each lane.
typedef double Four __attribute__((vector_size(32)));
typedef float FourSmall __attribute__((vector_size(16)));
typedef long long Mask __attribute__((vector_size(32)));

inline void load(const double* p, Four& x) { std::memcpy(&x, p, sizeof x); }

inline void load(const float* p, Four& x) {
  FourSmall small;
  std::memcpy(&small, p, sizeof small);
  x = __builtin_convertvector(small, Four);
}

constexpr Four kZero = {0, 0, 0, 0}, kNone = {kInfinity, kInfinity, kInfinity, kInfinity};

struct Lanes {
  Four mass = {}, least = kNone, most_below = kZero - 1.0;
  Mask count = {0, 0, 0, 0};

  template <class T>
  void see(const T* from, double level) {
    Four p;
    load(from, p);
    const Mask above = p > level;
    mass += above ? (p + 1.0) - 1.0 : kZero;
    count -= above;
    const Four high = above ? p : kNone, low = above ? kZero - 1.0 : p;
    least = high < least ? high : least;
    most_below = low > most_below ? low : most_below;
  }
};

void gather(Above& sums, const Lanes& lanes) {
  for (int i = 0; i < 4; ++i) {
    sums.mass += lanes.mass[i];
    sums.count += lanes.count[i];
    sums.least = lanes.least[i] < sums.least ? lanes.least[i] : sums.least;
    sums.most_below = lanes.most_below[i] > sums.most_below ? lanes.most_below[i] : sums.most_below;
  }
}

template <class T>
inline Above sums_above(const T* row, std::size_t classes, double level) {
  Above sums{0, 0, kInfinity, -1};
  Lanes even, odd;
  std::size_t k = 0;
  for (; k + 8 <= classes; k += 8) {
    even.see(row + k, level);
    odd.see(row + k + 4, level);
  }
  if (k + 4 <= classes) {
    even.see(row + k, level);
    k += 4;
  }
  for (; k < classes; ++k) {
    const double p = static_cast<double>(row[k]);
    if (p > level) {
      sums.mass += grid_mass(p);
      ++sums.count;
      sums.least = p < sums.least ? p : sums.least;
    } else {
      sums.most_below = p > sums.most_below ? p : sums.most_below;
    }
  }
  gather(sums, even);
  gather(sums, odd);
  return sums;
}

template <class T>
inline void mark(const T* row, std::size_t classes, double level, std::uint8_t* set) {
  for (std::size_t k = 0; k < classes; ++k) set[k] = static_cast<double>(row[k]) > level;
}

template <class T>
inline std::int64_t equal_to(const T* row, std::size_t entries, double value) {
  std::int64_t count = 0;
  for (std::size_t k = 0; k < entries; ++k) count += static_cast<double>(row[k]) == value;
  return count;
}

}  // namespace

Above above_f32(const float* row, std::size_t classes, double level) { return sums_above(row, classes, level); }

Above above_f64(const double* row, std::size_t classes, double level) { return sums_above(row, classes, level); }

void mark_above_f32(const float* row, std::size_t classes, double level, std::uint8_t* set) {
  mark(row, classes, level, set);
}

void mark_above_f64(const double* row, std::size_t classes, double level, std::uint8_t* set) {
  mark(row, classes, level, set);
}

std::int64_t count_equal_f32(const float* row, std::size_t entries, double value) {
  return equal_to(row, entries, value);
}

std::int64_t count_equal_f64(const double* row, std::size_t entries, double value) {
  return equal_to(row, entries, value);
}

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
