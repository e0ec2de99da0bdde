#include "auditkit/projection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kSlack = 0x1p-46;  ///< covers the rounding of a norm: quotient, product, compensated sum, root
constexpr std::size_t kEntries = 1U << 15U;  ///< of a chunk of rows
constexpr int kFineRounds = 8;
constexpr int kMostHalvings = 2100;  ///< every double is reached from any interval

/// Neumaier's sum: an error of 2 units of the sum of magnitudes whatever the number of terms.
struct Sum {
  double total = 0.0, lost = 0.0;

  void add(double x) {
    const double next = total + x;
    lost += std::fabs(total) >= std::fabs(x) ? (total - next) + x : (x - next) + total;
    total = next;
  }
  [[nodiscard]] double value() const { return total + lost; }
};

/// a + b rounded towards a: the result is never farther from a than |b|. Finite a.
double towards(double a, double b) {
  const double sum = a + b;
  const double back = sum - a;
  const double error = (a - (sum - back)) + (b - back);
  return std::isfinite(sum) && (b > 0.0 ? error >= 0.0 : error <= 0.0) ? sum : std::nextafter(sum, a);
}

/// The same in float: b is added exactly to within a double, and cut back towards a.
float towards(float a, double b) {
  const double sum = towards(static_cast<double>(a), b);
  const auto rounded = static_cast<float>(sum);
  const bool beyond = b > 0.0 ? static_cast<double>(rounded) > sum : static_cast<double>(rounded) < sum;
  return beyond ? std::nextafter(rounded, a) : rounded;
}

/// x - a rounded away from 0 where it is not a double.
double difference_up(double x, double a) {
  const double rounded = x - a;
  const double back = rounded - x;
  const double error = (x - (rounded - back)) - (a + back);
  const bool understated = rounded > 0.0 ? error > 0.0 : rounded < 0.0 ? error < 0.0 : false;
  return understated ? std::nextafter(rounded, rounded > 0.0 ? kInf : -kInf) : rounded;
}

/// The last T that is not beyond the end of the box.
template <class T>
T inward(double end, bool upper) {
  const auto rounded = static_cast<T>(std::clamp(end, -static_cast<double>(std::numeric_limits<T>::max()),
                                                 static_cast<double>(std::numeric_limits<T>::max())));
  const auto there = static_cast<double>(rounded);
  if (upper ? there <= end : there >= end) return rounded;
  return std::nextafter(rounded, upper ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity());
}

double norm_of(std::span<const double> moves, Norm norm) {
  double largest = 0.0;
  for (const double move : moves) largest = std::max(largest, std::fabs(move));
  if (norm == Norm::kInf || largest == 0.0 || !std::isfinite(largest)) return largest;
  int exponent = 0;
  std::frexp(largest, &exponent);
  Sum sum;
  std::size_t moved = 0;
  for (const double move : moves) {
    // a power of 2 shared by all keeps squares in range: the quotient is exact, or too small to matter beside kSlack
    const double share = std::ldexp(std::fabs(move), -exponent);
    if (share > 0.0) ++moved;
    sum.add(norm == Norm::kTwo ? share * share : share);
  }
  if (moved == 1) return largest;
  const double size = norm == Norm::kTwo ? std::sqrt(sum.value()) : sum.value();
  return std::nextafter(std::ldexp(size * (1.0 + kSlack), exponent), kInf);
}

/// One row at a time: the limits of the box as moves from the start, and room to work in.
template <class T>
class Row {
 public:
  Row(const BallAndBox<T>& set, std::size_t row)
      : set_(set),
        start_(set.start.subspan(row * set.d, set.d)),
        free_(set.free.subspan(set.free.size() == set.d ? 0 : row * set.d, set.d)),
        radius_(set.radius[row]) {}

  /// The wished move of every feature, 0 where it must not move.
  void wish(std::span<const T> x, std::span<const T> slopes, double length, std::span<double> moves) const {
    for (std::size_t j = 0; j < set_.d; ++j)
      moves[j] = free_[j] != 0 ? static_cast<double>(x[j]) - static_cast<double>(start_[j]) : 0.0;
    if (slopes.empty() || length == 0.0) return;
    if (set_.norm == Norm::kOne) {
      step_in_one(slopes, length, moves);
      return;
    }
    double largest = 0.0;
    for (std::size_t j = 0; j < set_.d; ++j)
      if (free_[j] != 0) largest = std::max(largest, std::fabs(static_cast<double>(slopes[j])));
    if (largest == 0.0) return;
    Sum squares;
    for (std::size_t j = 0; j < set_.d; ++j) {
      const double share = free_[j] != 0 ? static_cast<double>(slopes[j]) / largest : 0.0;
      squares.add(share * share);
    }
    const double size = std::sqrt(squares.value());
    for (std::size_t j = 0; j < set_.d; ++j) {
      const auto slope = static_cast<double>(slopes[j]);
      if (free_[j] == 0 || slope == 0.0) continue;
      moves[j] += set_.norm == Norm::kTwo ? length * (slope / largest / size) : std::copysign(length, slope);
    }
  }

  /// The nearest move inside ball and box, to rounding.
  void project(std::span<double> moves) const {
    if (set_.norm == Norm::kInf) {
      for (std::size_t j = 0; j < set_.d; ++j) moves[j] = boxed(std::clamp(moves[j], -radius_, radius_), j);
    } else if (set_.norm == Norm::kTwo) {
      project_two(moves);
    } else {
      project_one(moves);
    }
  }

  /// Writes the row, shortened until its norm, rounded up, is at most the radius.
  void write(std::span<double> moves, std::span<T> x) const {
    std::vector<double> made(set_.d);
    const T least = inward<T>(set_.low, false), most = inward<T>(set_.high, true);
    double scale = 1.0;
    for (int round = 0;; ++round) {
      for (std::size_t j = 0; j < set_.d; ++j) {
        const double move = moves[j] * scale;
        x[j] = move == 0.0 ? start_[j] : std::clamp(towards(start_[j], move), least, most);
        made[j] = difference_up(static_cast<double>(x[j]), static_cast<double>(start_[j]));
      }
      if (norm_of(made, set_.norm) <= radius_) return;
      scale *= round < kFineRounds ? 1.0 - 4.0 * kSlack : 0.5;  // near the least double fine steps change nothing
    }
  }

 private:
  /// A move that is cut at the box; the limits are rounded towards the start.
  [[nodiscard]] double boxed(double move, std::size_t j) const {
    const auto start = static_cast<double>(start_[j]);
    if (start + move > set_.high) return std::min(move, set_.high - start);
    return start + move < set_.low ? std::max(move, set_.low - start) : move;
  }

  void step_in_one(std::span<const T> slopes, double length, std::span<double> moves) const {
    std::size_t best = set_.d;
    for (std::size_t j = 0; j < set_.d; ++j) {
      const auto slope = static_cast<double>(slopes[j]);
      if (free_[j] == 0 || slope == 0.0) continue;
      const double there = static_cast<double>(start_[j]) + moves[j];
      if (slope > 0.0 ? there >= set_.high : there <= set_.low) continue;
      if (best == set_.d || std::fabs(slope) > std::fabs(static_cast<double>(slopes[best]))) best = j;
    }
    if (best < set_.d) moves[best] += std::copysign(length, static_cast<double>(slopes[best]));
  }

  /// Features at the box stay there as t grows, so t rises to the solution over ever more of them.
  void project_two(std::span<double> moves) const {
    const auto at = [&](double t, std::size_t j) { return boxed(t * moves[j], j); };
    double largest = 0.0;
    for (const double move : moves) largest = std::max(largest, std::fabs(move));
    if (largest == 0.0) return;
    double t = 0.0;
    for (std::size_t round = 0; round <= set_.d; ++round) {
      Sum loose, held;
      for (std::size_t j = 0; j < set_.d; ++j) {
        const double here = at(t, j), share = moves[j] / largest;
        if (round > 0 && std::fabs(here) < std::fabs(t * moves[j])) held.add(here / largest * (here / largest));
        else loose.add(share * share);
      }
      const double left = radius_ / largest * (radius_ / largest) - held.value();
      const double next = loose.value() > 0.0 ? std::sqrt(std::max(left, 0.0) / loose.value()) : 1.0;
      const double last = t;
      t = std::clamp(next, t, 1.0);
      if (t == 1.0 || t == last) break;
    }
    for (std::size_t j = 0; j < set_.d; ++j) moves[j] = at(t, j);
  }

  /// The threshold by halving: the sum falls as it grows.
  void project_one(std::span<double> moves) const {
    const auto at = [&](double threshold, std::size_t j) {
      return boxed(std::copysign(std::max(std::fabs(moves[j]) - threshold, 0.0), moves[j]), j);
    };
    const auto length = [&](double threshold) {
      Sum sum;
      for (std::size_t j = 0; j < set_.d; ++j) sum.add(std::fabs(at(threshold, j)));
      return sum.value();
    };
    double low = 0.0, high = 0.0;
    if (length(0.0) > radius_) {
      for (const double move : moves) high = std::max(high, std::fabs(move));
      for (int i = 0; i < kMostHalvings; ++i) {
        const double middle = low + 0.5 * (high - low);
        if (middle <= low || middle >= high) break;
        (length(middle) > radius_ ? low : high) = middle;
      }
    }
    for (std::size_t j = 0; j < set_.d; ++j) moves[j] = at(high, j);
  }

  const BallAndBox<T>& set_;
  std::span<const T> start_;
  std::span<const std::uint8_t> free_;
  double radius_;
};

}  // namespace

template <class T>
double move_norm(std::span<const T> x, std::span<const T> start, Norm norm) {
  std::vector<double> moves(x.size());
  for (std::size_t j = 0; j < x.size(); ++j)
    moves[j] = difference_up(static_cast<double>(x[j]), static_cast<double>(start[j]));
  return norm_of(moves, norm);
}

template <class T>
void projected_step(const BallAndBox<T>& set, std::span<const T> slopes, std::span<const double> length,
                    unsigned n_threads, std::span<T> x) {
  const std::size_t grain = std::max<std::size_t>(kEntries / set.d, 1);
  parallel_for(set.radius.size(), grain, n_threads, [&](std::size_t begin, std::size_t end) {
    std::vector<double> moves(set.d);
    for (std::size_t i = begin; i < end; ++i) {
      const Row<T> row(set, i);
      const auto here = x.subspan(i * set.d, set.d);
      const auto slope = slopes.empty() ? slopes : slopes.subspan(i * set.d, set.d);
      row.wish(here, slope, length[i], moves);
      row.project(moves);
      row.write(moves, here);
    }
  });
}

template double move_norm<double>(std::span<const double>, std::span<const double>, Norm);
template double move_norm<float>(std::span<const float>, std::span<const float>, Norm);
template void projected_step<double>(const BallAndBox<double>&, std::span<const double>, std::span<const double>,
                                     unsigned, std::span<double>);
template void projected_step<float>(const BallAndBox<float>&, std::span<const float>, std::span<const double>, unsigned,
                                    std::span<float>);

}  // namespace auditkit
