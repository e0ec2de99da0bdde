// Certified exact joint bound. The acceptance set A = {outcomes at least as extreme as the observed one} is closed
// downwards in (FN, FP), so p(x, y) = P(A) falls in x and in y and its supremum over the region R(eps, delta) lies on
// the lower boundary, two segments on which one rate is w in [0, x*] and the other D - E w (D = 1 - delta, E = e^eps,
// x* = D / (1 + E)). Each segment is cut into cells with upper bounds of p, refined where the bound is largest:
//
//   B1  With angles a = asin sqrt(x), b = asin sqrt(y), s = asin sqrt(p): the angle between the laws of two points (arc
//       cosine of their Bhattacharyya coefficient) is at most sqrt(P)|da| + sqrt(N)|db|, and passing from a law to the
//       probability of one event cannot increase it, so |ds| is bounded alike. Averaging the bounds from both ends:
//       s <= (s1 + s2 + sqrt(P)|a1-a2| + sqrt(N)|b1-b2|) / 2 inside the cell.
//   B2  Along a segment p'' = Cov(1_A, W) with W the second derivative of the likelihood over the likelihood;
//       Var W <= 2 (I_x + E^2 I_y)^2, I_x = P/(x(1-x)), I_y = N/(y(1-y)), because its three terms are uncorrelated.
//       So p <= max(p1, p2) + h^2/8 sqrt(2 p(1-p)) max(I_x + E^2 I_y), h the cell's length in w. 1/(x(1-x)) is convex:
//       its maximum is at an end of the cell.

#include <algorithm>
#include <cmath>
#include <queue>
#include <vector>

#include "auditkit/privacy_bounds.hpp"

namespace auditkit {
namespace {

/// Ordering statistic T = max of two log ratios, each less this many delta-method standard deviations. Any fixed value
/// gives a valid bound; this one makes T monotone but for very small counts.
constexpr double kOrderingDeviations = 1.645;
/// Rounding of the tables below is under 1e-13; a larger acceptance set is always valid, so ties are taken in.
constexpr double kTieMargin = 1e-12;
constexpr double kDropped = 2e-15;  ///< on each side of a window
/// Rounding and dropped mass of one probability (8e-15 dropped from two windows; ratios: 3 ulp a step, 1e-12 after 4000
/// steps of a window, weighted by what they carry) stays below this for counts up to 1e7.
constexpr double kProbabilityError = 1e-12;
/// Resolution of epsilon at which the search stops.
constexpr double kEpsilonResolution = 1e-8;

/// One half of T: log((1 - delta - other) / own) less its deviations, from tables over the two counts.
class OrderingHalf {
 public:
  OrderingHalf(std::int64_t own_size, std::int64_t other_size, double delta) {
    const auto rate = [](std::int64_t k, std::int64_t n) {
      return (static_cast<double>(k) + 0.5) / (static_cast<double>(n) + 1.0);
    };
    for (std::int64_t k = 0; k <= own_size; ++k) {
      const double x = rate(k, own_size);
      own_log_.push_back(std::log(x));
      own_variance_.push_back((1.0 - x) / (x * static_cast<double>(own_size)));
    }
    for (std::int64_t k = 0; k <= other_size; ++k) {
      const double y = rate(k, other_size);
      const double gap = 1.0 - delta - y;
      if (!(gap > 0.0)) break;  // the numerator is negative from here on
      other_log_.push_back(std::log(gap));
      other_variance_.push_back(y * (1.0 - y) / (static_cast<double>(other_size) * gap * gap));
    }
  }

  /// Falls in `other` for every `own`: the log falls, and y(1-y)/(1-delta-y)^2 rises.
  double operator()(std::int64_t own, std::int64_t other) const {
    if (other >= static_cast<std::int64_t>(other_log_.size())) return -kInfinity;
    return other_log_[other] - own_log_[own] -
           kOrderingDeviations * std::sqrt(own_variance_[own] + other_variance_[other]);
  }

  /// The largest T over {own' >= own, other' >= other}.
  double best_beyond(std::int64_t own, std::int64_t other) const {
    double best = -kInfinity;
    for (std::int64_t k = own; k < static_cast<std::int64_t>(own_log_.size()); ++k)
      best = std::max(best, (*this)(k, other));
    return best;
  }

  /// The largest `other` with T >= level, or -1.
  std::int64_t reach(std::int64_t own, double level) const {
    std::int64_t inside = -1, outside = static_cast<std::int64_t>(other_log_.size());
    while (outside - inside > 1) {
      const std::int64_t middle = inside + (outside - inside) / 2;
      ((*this)(own, middle) >= level ? inside : outside) = middle;
    }
    return inside;
  }

 private:
  std::vector<double> own_log_, own_variance_, other_log_, other_variance_;
};

/// The acceptance set: (i, j) belongs to it when j <= height[i].
struct Staircase {
  std::vector<std::int64_t> height;
  std::int64_t last_row;  ///< the largest i with height[i] >= 0
  std::int64_t nonmembers;
};

class AcceptanceProbability {
 public:
  explicit AcceptanceProbability(Staircase staircase) : staircase_(std::move(staircase)) {}

  std::int64_t members() const { return static_cast<std::int64_t>(staircase_.height.size()) - 1; }
  std::int64_t nonmembers() const { return staircase_.nonmembers; }

  double operator()(Probability x, Probability y) {
    fill_binomial_window(members(), x, kDropped, rows_);
    fill_binomial_window(nonmembers(), y, kDropped, columns_);
    cumulated_.resize(columns_.probability.size());
    double below = 0.0;
    for (std::size_t j = 0; j < cumulated_.size(); ++j) cumulated_[j] = below += columns_.probability[j];
    double sum = 0.0;
    const std::int64_t end = std::min(rows_.last(), staircase_.last_row);
    for (std::int64_t i = rows_.first; i <= end; ++i) {
      const std::int64_t j = staircase_.height[i];
      if (j < columns_.first) break;  // the staircase only goes down
      sum += rows_.probability[i - rows_.first] * cumulated_[std::min(j, columns_.last()) - columns_.first];
    }
    return std::min(sum, 1.0);
  }

 private:
  Staircase staircase_;
  BinomialWindow rows_, columns_;
  std::vector<double> cumulated_;
};

Staircase make_staircase(const AttackCounts& counts, double delta) {
  const std::int64_t rows = counts.members(), columns = counts.nonmembers();
  const OrderingHalf by_fn(rows, columns, delta);  // log((1-delta-y)/x)
  const OrderingHalf by_fp(columns, rows, delta);  // log((1-delta-x)/y)
  double level = std::max(by_fn.best_beyond(counts.false_negatives, counts.false_positives),
                          by_fp.best_beyond(counts.false_positives, counts.false_negatives));
  if (level == -kInfinity)  // nothing is less extreme: every outcome is in the set
    return {std::vector<std::int64_t>(static_cast<std::size_t>(rows) + 1, columns), rows, columns};
  level -= kTieMargin * std::max(1.0, std::fabs(level));
  Staircase out{std::vector<std::int64_t>(static_cast<std::size_t>(rows) + 1, -1), -1, columns};
  for (std::int64_t i = 0; i <= rows; ++i) out.height[i] = by_fn.reach(i, level);
  for (std::int64_t j = 0; j <= columns; ++j) {
    const std::int64_t i = by_fp.reach(j, level);
    if (i >= 0) out.height[i] = std::max(out.height[i], j);
  }
  // The observed outcome is one of its own set even where rounding puts its T below the level.
  out.height[counts.false_negatives] = std::max(out.height[counts.false_negatives], counts.false_positives);
  for (std::int64_t i = rows - 1; i >= 0; --i) out.height[i] = std::max(out.height[i], out.height[i + 1]);
  for (std::int64_t i = 0; i <= rows; ++i)
    if (out.height[i] >= 0) out.last_row = i;
  return out;
}

/// A point of the lower boundary: w on the segment's own axis.
struct BoundaryPoint {
  double w;
  double own_angle, other_angle;          ///< asin sqrt of w and of D - E w
  double own_curvature, other_curvature;  ///< 1 / (rate (1 - rate))
  double probability, angle;              ///< p and asin sqrt p
};

struct Cell {
  BoundaryPoint first, second;
  int segment;
  double bound;

  bool operator<(const Cell& other) const { return bound < other.bound; }
};

enum class Decision { certified, refuted, out_of_budget };

/// Decides whether sup p over the boundary at one epsilon is at most alpha.
class BoundarySearch {
 public:
  BoundarySearch(AcceptanceProbability probability, double delta, double alpha, std::int64_t budget)
      : probability_(std::move(probability)), delta_(delta), alpha_(alpha), budget_(budget) {}

  Decision decide(double epsilon);
  std::int64_t cells() const { return cells_; }

 private:
  BoundaryPoint evaluate(int segment, double angle);
  double cell_bound(const Cell& cell) const;
  bool split(const Cell& cell, std::priority_queue<Cell>& heap);

  AcceptanceProbability probability_;
  double delta_, alpha_;
  std::int64_t budget_, cells_ = 0;
  double growth_ = 1.0;        ///< E
  double corner_angle_ = 0.0;  ///< asin sqrt x*
  int witness_segment_ = 0;    ///< where p exceeded alpha last time, as a fraction of the corner's angle
  double witness_fraction_ = 1.0;
};

BoundaryPoint BoundarySearch::evaluate(int segment, double angle) {
  BoundaryPoint point{};
  const double sine = std::sin(angle);
  point.w = sine * sine;
  const Probability own{point.w, 1.0 - point.w};
  // 1 - delta rounded down only enlarges the region; one rounding in the fma keeps the relative precision of a small
  // rate.
  const double other = std::max(0.0, std::fma(-growth_, point.w, std::nextafter(1.0 - delta_, 0.0)));
  const Probability far{other, other < 0.5 ? 1.0 - other : delta_ + growth_ * point.w};
  point.own_angle = angle;
  point.other_angle = std::atan2(std::sqrt(far.value), std::sqrt(far.complement));
  point.own_curvature = 1.0 / (own.value * own.complement);
  point.other_curvature = 1.0 / (far.value * far.complement);
  point.probability = segment == 0 ? probability_(own, far) : probability_(far, own);
  point.angle = std::asin(std::sqrt(point.probability));
  return point;
}

double BoundarySearch::cell_bound(const Cell& cell) const {
  const BoundaryPoint &p = cell.first, &q = cell.second;
  const double own_size = static_cast<double>(cell.segment == 0 ? probability_.members() : probability_.nonmembers());
  const double other_size = static_cast<double>(cell.segment == 0 ? probability_.nonmembers() : probability_.members());
  const double reach = std::sqrt(own_size) * std::fabs(p.own_angle - q.own_angle) +
                       std::sqrt(other_size) * std::fabs(p.other_angle - q.other_angle);
  const double angle = 0.5 * (p.angle + q.angle + reach);
  const double sine = std::sin(std::min(angle, 1.5707963267948966));
  const double by_angle = sine * sine;
  const double half = std::min(by_angle, 0.5);
  const double length = std::fabs(p.w - q.w);
  const double information = own_size * std::max(p.own_curvature, q.own_curvature) +
                             growth_ * growth_ * other_size * std::max(p.other_curvature, q.other_curvature);
  const double by_curvature = std::max(p.probability, q.probability) +
                              0.125 * length * length * std::sqrt(2.0 * half * (1.0 - half)) * information;
  return by_curvature < by_angle ? by_curvature : by_angle;  // by_curvature is infinite or NaN at w = 0
}

/// Puts the two halves of a cell on the heap; false when the new point refutes.
bool BoundarySearch::split(const Cell& cell, std::priority_queue<Cell>& heap) {
  ++cells_;
  const BoundaryPoint middle = evaluate(cell.segment, 0.5 * (cell.first.own_angle + cell.second.own_angle));
  if (middle.probability > alpha_ - kProbabilityError) {
    witness_segment_ = cell.segment;
    witness_fraction_ = middle.own_angle / corner_angle_;
    return false;
  }
  for (Cell part : {Cell{cell.first, middle, cell.segment, 0.0}, Cell{middle, cell.second, cell.segment, 0.0}}) {
    part.bound = cell_bound(part);
    if (part.bound > alpha_ - kProbabilityError) heap.push(part);
  }
  return true;
}

Decision BoundarySearch::decide(double epsilon) {
  growth_ = std::exp(epsilon);
  corner_angle_ = std::asin(std::sqrt((1.0 - delta_) / (1.0 + growth_)));
  const double limit = alpha_ - kProbabilityError;
  if (evaluate(witness_segment_, witness_fraction_ * corner_angle_).probability > limit) return Decision::refuted;
  std::priority_queue<Cell> heap;
  for (const int segment : {0, 1}) {
    Cell whole{evaluate(segment, 0.0), evaluate(segment, corner_angle_), segment, 0.0};
    if (std::max(whole.first.probability, whole.second.probability) > limit) return Decision::refuted;
    whole.bound = cell_bound(whole);
    heap.push(whole);
  }
  while (!heap.empty() && heap.top().bound > limit) {
    const Cell worst = heap.top();
    if (worst.bound - std::max(worst.first.probability, worst.second.probability) < 1e-8 * alpha_)
      return Decision::refuted;
    if (cells_ >= budget_) return Decision::out_of_budget;
    heap.pop();
    if (!split(worst, heap)) return Decision::refuted;
  }
  return Decision::certified;
}

}  // namespace

void buehler_staircase(const AttackCounts& counts, double delta, std::span<std::int64_t> out) {
  const Staircase staircase = make_staircase(counts, delta);
  std::copy(staircase.height.begin(), staircase.height.end(), out.begin());
}

double staircase_probability(std::span<const std::int64_t> staircase, std::int64_t nonmembers, Probability x,
                             Probability y) {
  Staircase copy{{staircase.begin(), staircase.end()}, -1, nonmembers};
  for (std::size_t i = 0; i < staircase.size(); ++i)
    if (staircase[i] >= 0) copy.last_row = static_cast<std::int64_t>(i);
  return AcceptanceProbability(std::move(copy))(x, y);
}

BuehlerBound buehler_bound(const AttackCounts& counts, double delta, double alpha, std::int64_t cell_budget) {
  BoundarySearch search(AcceptanceProbability(make_staircase(counts, delta)), delta, alpha, cell_budget);
  const auto result = [&](double epsilon, BuehlerStatus status) {
    return BuehlerBound{epsilon, status, search.cells()};
  };
  double low = 0.0, high = 1.0;
  Decision decision = search.decide(low);
  if (decision == Decision::refuted) return result(0.0, BuehlerStatus::certified);
  // The corner (x*, x*) tends to (0, 0), where p = 1, so some epsilon is refuted.
  while (decision == Decision::certified) {
    decision = search.decide(high);
    if (decision == Decision::certified) {
      low = high;
      high *= 2.0;
    }
  }
  while (decision != Decision::out_of_budget && high - low > kEpsilonResolution) {
    const double middle = 0.5 * (low + high);
    decision = search.decide(middle);
    (decision == Decision::certified ? low : high) = middle;
  }
  if (decision == Decision::out_of_budget) return result(low, BuehlerStatus::budget_exhausted);
  return result(low, BuehlerStatus::certified);
}

}  // namespace auditkit
