/// Sums of the probabilities above a level, the inner loops of conformal.hpp. One entry per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auditkit {

/// `p` rounded to a multiple of 2^-52, for p in [0, 1]. Sums of such numbers up to 2 are exact in double precision, in
/// any order and in any number of lanes: what a sum of probabilities is never depends on how it was added. A function
/// of each file: one shared among instruction sets could be that of the highest.
static inline double grid_mass(double p) { return (p + 1.0) - 1.0; }

/// What a row holds on both sides of a level.
struct Above {
  /// Sum of grid_mass over p > level, and how many they are.
  double mass;
  std::int64_t count;
  /// The smallest p > level (infinity without one), and the largest of the others (-1 without one).
  double least, most_below;
};

template <class T>
using AboveFn = Above (*)(const T* row, std::size_t classes, double level);

/// set[k] = 1 where row[k] > level, else 0.
template <class T>
using MarkAboveFn = void (*)(const T* row, std::size_t classes, double level, std::uint8_t* set);

/// How many of the entries are `value`.
template <class T>
using CountEqualFn = std::int64_t (*)(const T* row, std::size_t entries, double value);

}  // namespace auditkit
