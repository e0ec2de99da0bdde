#include "auditkit/rank_sums.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <queue>

#include "auditkit/log_math.hpp"

namespace auditkit {
namespace {

using std::numbers::pi;

constexpr double kRounding = 0x1p-53;
constexpr double kSeriesReach = 2.5;     ///< largest (n + m) t / 2 at which the series of log phi is used
constexpr double kNegligible = 1e-14;    ///< error that is small enough to stop adding terms
constexpr int kIntervals = 4000;         ///< pieces into which the range of the bound is divided at most

/// sin(pi j / (2 L)), its argument reduced in integers. 64-bit products wrap around harmlessly: 4 L divides 2^64.
double grid_sine(std::uint64_t j, std::uint64_t grid) {
  j &= 4 * grid - 1;
  const bool negative = j >= 2 * grid;
  if (negative) j -= 2 * grid;
  if (j > grid) j = 2 * grid - j;
  const double value = std::sin(pi * (static_cast<double>(j) / static_cast<double>(2 * grid)));
  return negative ? -value : value;
}

/// phi(t_k) as the product of its factors; relative error below 10 m roundings.
double phi_product(std::int64_t n, std::int64_t m, std::uint64_t grid, std::uint64_t k) {
  const std::uint64_t odd = 2 * k + 1;
  double product = 1.0;
  for (std::int64_t i = 1; i <= m; ++i) {
    const double above = grid_sine(static_cast<std::uint64_t>(n + i) * odd, grid);
    const double below = grid_sine(static_cast<std::uint64_t>(i) * odd, grid);
    product *= above / below * (static_cast<double>(i) / static_cast<double>(n + i));
    if (product == 0.0) return 0.0;
  }
  return product;
}

double zeta(int s) {
  if (s == 2) return pi * pi / 6.0;
  if (s == 4) return pi * pi * pi * pi / 90.0;
  if (s == 6) return std::pow(pi, 6) / 945.0;
  if (s == 8) return std::pow(pi, 8) / 9450.0;
  double sum = 0.0;
  for (int k = 60; k >= 1; --k) sum += std::pow(static_cast<double>(k), -s);
  return sum;
}

/// sum_{i=1..m} [(n+i)^(2r) - i^(2r)] / (n+m)^(2r) for r = 1, 2, ...: term by term, or for many terms by Euler and
/// Maclaurin's formula, whose first neglected correction is below (2r/m)^4 / 30240 of the sum.
class PowerSums {
 public:
  PowerSums(std::int64_t n, std::int64_t m)
      : n_(static_cast<double>(n)), m_(static_cast<double>(m)), total_(n_ + m_) {
    if (m > kFewTerms) return;
    const auto size = static_cast<std::size_t>(m);
    squares_.resize(2 * size);
    for (std::size_t i = 0; i < size; ++i) {
      const double below = static_cast<double>(i + 1) / total_, above = (n_ + static_cast<double>(i + 1)) / total_;
      squares_[2 * i] = above * above;
      squares_[2 * i + 1] = below * below;
    }
    powers_ = squares_;
  }

  double next(int r) {
    if (squares_.empty()) return power_sum(total_, 2.0 * r) - power_sum(n_, 2.0 * r) - power_sum(m_, 2.0 * r);
    double sum = 0.0;
    for (std::size_t i = 0; i < powers_.size(); i += 2) {
      sum += powers_[i] - powers_[i + 1];
      powers_[i] *= squares_[i];
      powers_[i + 1] *= squares_[i + 1];
    }
    return sum;
  }

 private:
  static constexpr std::int64_t kFewTerms = 200'000;

  /// sum_{i=1..count} (i / total)^p for even p.
  double power_sum(double count, double p) const {
    const double x = count / total_, top = std::pow(x, p);
    const double first = p / (12.0 * count), third = p * (p - 1.0) * (p - 2.0) / (720.0 * count * count * count);
    return top * (count / (p + 1.0) + 0.5 + first - third);
  }

  double n_, m_, total_;
  std::vector<double> squares_, powers_;
};

/// log phi(t) = - sum_r zeta(2r)/r (t/2pi)^(2r) sum_i [(n+i)^(2r) - i^(2r)] for (n + m) t < 2 pi: every term has the same
/// sign, so nothing cancels, and what is left out is below a geometric series.
class LogPhiSeries {
 public:
  LogPhiSeries(std::int64_t n, std::int64_t m) : half_(0.5 * static_cast<double>(n + m)) {
    const double least = (kSeriesReach / pi) * (kSeriesReach / pi);
    PowerSums sums(n, m);
    double power = least;
    for (int r = 1; r <= 100; ++r) {
      coefficient_.push_back(zeta(2 * r) / r * sums.next(r));
      if (coefficient_.back() * power < 1e-17 * coefficient_.front() * least) break;
      power *= least;
    }
  }

  bool reaches(double t) const { return half_ * t <= kSeriesReach; }

  double operator()(double t) const {
    const double ratio = (half_ * t / pi) * (half_ * t / pi);
    double sum = 0.0;
    for (std::size_t r = coefficient_.size(); r-- > 0;) sum = (sum + coefficient_[r]) * ratio;
    return -sum;
  }

 private:
  double half_;
  std::vector<double> coefficient_;
};

/// Upper bounds of log |phi| over an interval of angles.
class PhiBound {
 public:
  PhiBound(std::int64_t n, std::int64_t m)
      : n_(static_cast<double>(n)), m_(static_cast<double>(m)), total_(n_ + m_), x_(m_ / n_) {
    log_ways_ = log_binomial();
  }

  double operator()(double from, double to) const {
    double bound = 0.0;  // |phi| <= 1
    if (total_ * to <= 2.0 * pi) bound = -n_ * m_ * (total_ + 1.0) / 24.0 * from * from;  // the first term of the series
    const double middle = 0.5 * (from + to);
    for (int odd = 1; odd <= 3; odd += 2) {
      const double d = odd * pi / middle;
      bound = std::min({bound, pairs(std::floor(d), from, to), pairs(std::ceil(d), from, to)});
    }
    for (int third = 1; third <= 2; ++third) {
      const double d = third * 2.0 * pi / (3.0 * middle);
      bound = std::min({bound, triples(std::floor(d), from, to), triples(std::ceil(d), from, to)});
    }
    return std::min(bound, factors(from, to));
  }

 private:
  double log_binomial() const {  // log C(n + m, m) up to 1e-12 relative: the margin below covers it
    const auto rest = [](double k) { return kLogSqrt2Pi + 0.5 * std::log(k) + stirling_error(k); };
    return m_ * std::log1p(n_ / m_) + n_ * std::log1p(m_ / n_) + rest(total_) - rest(n_) - rest(m_);
  }

  /// Chains of `length` positions at distance d: how many are disjoint.
  double chains(double d, double length) const {
    const double whole = std::floor(total_ / d), longer = total_ - whole * d;
    return longer * std::floor((whole + 1.0) / length) + (d - longer) * std::floor(whole / length);
  }

  /// x^-m prod of chains (1 + x)^rest / C(n + m, m) with log of a chain's polynomial.
  double saddle(double count, double length, double log_chain) const {
    const double log_bound = -m_ * std::log(x_) + count * log_chain + (total_ - count * length) * std::log1p(x_) - log_ways_;
    return log_bound + 1e-12 * (log_ways_ + total_ * std::log1p(x_) + 1.0);
  }

  double pairs(double d, double from, double to) const {
    if (!(d >= 1.0) || 2.0 * d > total_) return 0.0;
    const double count = chains(d, 2.0);
    const double kernel = contains_multiple(0.5 * d * from, 0.5 * d * to, pi)
                              ? 1.0
                              : std::max(std::fabs(std::cos(0.5 * d * from)), std::fabs(std::cos(0.5 * d * to)));
    return saddle(count, 2.0, std::log1p(x_ * (2.0 * widened(kernel) + x_)));
  }

  double triples(double d, double from, double to) const {
    if (!(d >= 1.0) || 3.0 * d > total_) return 0.0;
    const double count = chains(d, 3.0);
    double kernel = std::max(std::fabs(1.0 + 2.0 * std::cos(d * from)), std::fabs(1.0 + 2.0 * std::cos(d * to))) / 3.0;
    if (contains_multiple(d * from + pi, d * to + pi, 2.0 * pi)) kernel = std::max(kernel, 1.0 / 3.0);
    if (contains_multiple(d * from, d * to, 2.0 * pi)) kernel = 1.0;
    return saddle(count, 3.0, std::log1p(x_ * (3.0 * widened(kernel) * (1.0 + x_) + x_ * x_)));
  }

  /// prod i / ((n + i) |sin(i t/2)|), numerators bounded by 1.
  double factors(double from, double to) const {
    if (m_ > 64.0) return 0.0;  // the chains are far better there
    double product = 0.0;
    for (double i = 1.0; i <= m_; i += 1.0) {
      const double a = 0.5 * i * from, b = 0.5 * i * to;
      if (contains_multiple(a, b, pi)) return 0.0;
      const double least = std::min(std::fabs(std::sin(a)), std::fabs(std::sin(b))) - 1e-13 * i;
      if (!(least > 0.0)) return 0.0;
      product += std::log(i / ((n_ + i) * least));
    }
    return product;
  }

  /// Angles up to total * pi are formed with a relative error of a few roundings.
  double widened(double kernel) const { return std::min(1.0, kernel + 1e-15 * total_ + 1e-15); }

  static bool contains_multiple(double from, double to, double period) {
    const double slack = 1e-15 * (to + period);
    return std::floor((to + slack) / period) > std::floor((from - slack) / period);
  }

  double n_, m_, total_, x_, log_ways_ = 0.0;
};

struct Piece {
  double from, to, bound;
  bool operator<(const Piece& other) const { return bound < other.bound; }
};

std::int64_t grid_size(std::int64_t n, std::int64_t m) {
  std::int64_t grid = 2;
  while (grid <= n * m) grid *= 2;
  return grid;
}

}  // namespace

double rank_sum_tail_bound(std::int64_t n, std::int64_t m, std::int64_t grid, double from) {
  if (m > n) std::swap(n, m);
  const PhiBound log_bound(n, m);
  const double spacing = 2.0 * pi / static_cast<double>(grid);
  const auto piece = [&](double a, double b) {
    const double terms = (b - a) / spacing + 1.0;
    return Piece{a, b, std::exp(log_bound(a, b)) * terms / (static_cast<double>(grid) * std::sin(0.5 * a))};
  };
  std::priority_queue<Piece> pieces;
  for (double a = from; a < pi;) {
    const double b = std::min(pi, 1.1 * a);
    pieces.push(piece(a, b));
    a = b;
  }
  int count = static_cast<int>(pieces.size());
  double done = 0.0;
  // Halve the piece that may add most, until none may add much.
  while (!pieces.empty()) {
    const Piece worst = pieces.top();
    pieces.pop();
    const bool small = worst.bound * static_cast<double>(pieces.size() + 1) < 1e-3 * kNegligible;
    if (small || count >= kIntervals || worst.to - worst.from < spacing) {
      done += worst.bound;
      continue;
    }
    const double middle = 0.5 * (worst.from + worst.to);
    pieces.push(piece(worst.from, middle));
    pieces.push(piece(middle, worst.to));
    ++count;
  }
  return done;
}

RankSumLaw make_rank_sum_law(std::int64_t n, std::int64_t m, bool full, std::int64_t most_terms) {
  RankSumLaw law{n, m, grid_size(n, m), {}, 0.0};
  if (m > n) std::swap(n, m);  // U has the same law
  const LogPhiSeries series(n, m);
  const auto grid = static_cast<std::uint64_t>(law.grid);
  const std::int64_t all = law.grid / 2;
  const double dn = static_cast<double>(n), dm = static_cast<double>(m);
  const double sd = std::sqrt(dn * dm * (dn + dm + 1.0) / 12.0);
  const double step = 2.0 * pi / static_cast<double>(law.grid);
  // A normal phi is below 1e-18 at 9.2 standard deviations; more terms follow if the bound asks for them.
  std::int64_t wanted = full ? all : std::min(all, static_cast<std::int64_t>(9.2 / sd / step) + 8);
  double rounding = 0.0, left_out = 0.0;
  for (std::int64_t k = 0;;) {
    for (; k < wanted; ++k) {
      const double t = pi * (static_cast<double>(2 * k + 1) / static_cast<double>(law.grid));
      const bool use_series = series.reaches(t);
      const double log_phi = use_series ? series(t) : 0.0;
      const double phi = use_series ? std::exp(log_phi) : phi_product(n, m, grid, static_cast<std::uint64_t>(k));
      const double weight = phi / (static_cast<double>(law.grid) * std::sin(0.5 * t));
      law.weights.push_back(weight);
      const double relative = use_series ? 20.0 + (dm + 100.0) * std::fabs(log_phi) : 10.0 * dm;
      rounding += std::fabs(weight) * kRounding * (relative + 8.0);
    }
    if (k >= all) break;
    left_out = rank_sum_tail_bound(n, m, law.grid, pi * (static_cast<double>(2 * k + 1) / static_cast<double>(law.grid)));
    if (left_out <= kNegligible || 4 * k > most_terms) break;
    wanted = std::min(all, 4 * k);
  }
  law.error = rounding + (law.weights.size() < static_cast<std::size_t>(all) ? left_out : 0.0) + 4.0 * kRounding;
  return law;
}

double rank_sum_cdf(const RankSumLaw& law, std::int64_t u) {
  const auto grid = static_cast<std::uint64_t>(law.grid);
  // Negative numbers wrap around: 4 L divides 2^64.
  const std::uint64_t c = 2 * static_cast<std::uint64_t>(u) + 1 - static_cast<std::uint64_t>(law.n * law.m);
  double sum = 0.0, lost = 0.0;
  for (std::size_t k = 0; k < law.weights.size(); ++k) {
    const double term = law.weights[k] * grid_sine(c * (2 * k + 1), grid) - lost;
    const double next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  return std::clamp(0.5 + sum, 0.0, 1.0);
}

}  // namespace auditkit
