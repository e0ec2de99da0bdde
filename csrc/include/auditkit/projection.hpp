/// One step of projected ascent inside a norm ball and a box, and norms of moves that are never understated.
///
/// Step, by the steepest direction of the norm itself: L_inf moves every free feature by the sign of its slope, L2
/// along the normalised slope, L1 in the one free feature of largest |slope| that the box still lets move (lowest on
/// ties). Projection: the nearest point (Euclidean) of the intersection of ball and box, to rounding. With d the move
/// and [l, u] the box around the start, it is clamp(t d) for L2 and clamp(sign(d) max(|d| - theta, 0)) for L1, one
/// monotone unknown each: alternating projections would only approach it. Then the move is shortened until `move_norm`,
/// which rounds up, is at most the radius: what is returned lies in the ball in exact arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace auditkit {

enum class Norm : std::uint8_t { kInf = 0, kTwo = 1, kOne = 2 };

/// Where n rows of d features may go. Sizes agree.
template <class T>
struct BallAndBox {
  std::span<const T> start;            ///< n * d, inside the box
  std::size_t d = 1;                   ///< at least 1
  std::span<const double> radius;      ///< n, finite, at least 0: a row of radius 0 stays
  std::span<const std::uint8_t> free;  ///< d or n * d: 0 for a feature that keeps its start
  double low = 0.0, high = 1.0;        ///< the box, infinite ends allowed
  Norm norm = Norm::kInf;
};

/// An upper bound of the norm of x - start in exact arithmetic, within 1e-13 relative of it; at least 0.
template <class T>
double move_norm(std::span<const T> x, std::span<const T> start, Norm norm);

/// Moves the rows x (n * d, finite) by `length` (n, at least 0) up the slopes, or not at all when `slopes` is empty,
/// and projects. Rows are independent; the result does not depend on the number of threads.
template <class T>
void projected_step(const BallAndBox<T>& set, std::span<const T> slopes, std::span<const double> length,
                    unsigned n_threads, std::span<T> x);

}  // namespace auditkit
