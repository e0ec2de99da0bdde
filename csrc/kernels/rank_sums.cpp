#include "auditkit/rank_sums.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "auditkit/log_gamma.hpp"
#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr double kPi = 3.141592653589793238;
constexpr double kUnit = 0x1p-53;         ///< relative rounding error of one operation
constexpr double kWanted = 1e-14;         ///< sum of the terms left out
constexpr int kPowers = 24;               ///< terms of log(sin x / x)
constexpr double kMostSeries = 1e6;       ///< values of phi that may be taken by its series
constexpr std::int64_t kSummed = 50'000;  ///< power sums beyond go by Euler and Maclaurin

/// sin(pi j / (2 L)) for any j modulo 4 L: the angle is brought into the first quadrant in integers.
double grid_sine(std::uint64_t j, int log2_grid) {
  const std::uint64_t grid = std::uint64_t{1} << log2_grid;
  const std::uint64_t quadrant = (j >> log2_grid) & 3U;
  std::uint64_t rest = j & (grid - 1);
  if ((quadrant & 1U) != 0) rest = grid - rest;
  const double sine = std::sin(static_cast<double>(rest) * std::ldexp(kPi, -1 - log2_grid));
  return (quadrant & 2U) != 0 ? -sine : sine;
}

double grid_cosine(std::uint64_t j, int log2_grid) { return grid_sine(j + (std::uint64_t{1} << log2_grid), log2_grid); }

/// Neumaier's sum: an error of 2 units of the sum of magnitudes whatever the number of terms.
struct Sum {
  double total = 0.0, lost = 0.0;

  void add(double x) {
    const double next = total + x;
    lost += std::fabs(total) >= std::fabs(x) ? (total - next) + x : (x - next) + total;
    total = next;
  }
  double value() const { return total + lost; }
};

using Coefficients = std::array<double, kPowers>;

/// 1 - (n/N)^p - (m/N)^p without cancellation; n and m are exchangeable.
double missing_power(double n, double m, double p) {
  return -std::expm1(p * std::log1p(-m / (n + m))) - std::pow(m / (n + m), p);
}

/// sum_{i=1..m} ((n+i)/N)^(2r) - (i/N)^(2r), N = n+m, by Euler and Maclaurin.
double power_sum_of_many(double n, double m, double p) {
  const double size = n + m;
  return size / (p + 1.0) * missing_power(n, m, p + 1.0) + 0.5 * missing_power(n, m, p) +
         p / (12.0 * size) * (p > 2.0 ? missing_power(n, m, p - 1.0) : 0.0) -
         (p > 3.0 ? p * (p - 1.0) * (p - 2.0) / (720.0 * size * size * size) * missing_power(n, m, p - 3.0) : 0.0);
}

/// zeta(s) for s = 2, 4, ...: 100 terms, the rest by Euler and Maclaurin.
double zeta(int s) {
  if (s == 2) return kPi * kPi / 6.0;
  double sum = 0.0;
  for (int j = 99; j >= 1; --j) sum += std::pow(j, -s);
  const double last = std::pow(100.0, -s);
  return sum + last * (100.0 / (s - 1) + 0.5 + s / 1200.0 - s * (s + 1) * (s + 2) / 7.2e8);
}

/// c_r >= 0 of -log phi(2 pi y / N) = sum_{r>=1} c_r y^(2r), y < 1: log(sin x / x) = -sum zeta(2r)/r (x/pi)^(2r).
Coefficients log_coefficients(std::int64_t n, std::int64_t m) {
  Coefficients sums{};
  const double size = static_cast<double>(n + m);
  if (m > kSummed) {
    for (int r = 1; r <= kPowers; ++r)
      sums[r - 1] = power_sum_of_many(static_cast<double>(n), static_cast<double>(m), 2.0 * r);
  } else {
    std::array<Sum, kPowers> exact{};
    for (std::int64_t i = 1; i <= m; ++i) {
      const double a = static_cast<double>(n + i) / size, b = static_cast<double>(i) / size;
      const double aa = a * a, bb = b * b;
      double power_a = 1.0, power_b = 1.0;
      for (Sum& sum : exact) sum.add((power_a *= aa) - (power_b *= bb));
    }
    std::ranges::transform(exact, sums.begin(), &Sum::value);
  }
  for (int r = 1; r <= kPowers; ++r) sums[r - 1] *= zeta(2 * r) / r;
  return sums;
}

/// A bound on |phi| over the interval [low, high] of theta: what is left out is proved small by these.
class PhiBound {
 public:
  PhiBound(std::int64_t n, std::int64_t m, const Coefficients& c) : n_(n), m_(m), c_(c) {
    const double points = static_cast<double>(n + m);
    const double tests = static_cast<double>(m), others = static_cast<double>(n);
    log_subsets_ = log_gamma(points + 1.0) - log_gamma(tests + 1.0) - log_gamma(others + 1.0);
    margin_ = 1e-9 + 1e-13 * points * std::log(points + 1.0);
  }

  double operator()(double low, double high) const {
    return std::exp(std::min({0.0, by_series(low, high), by_blocks(low, high)}));
  }

 private:
  /// Below 2 pi / N all terms of -log phi are positive and grow with theta.
  double by_series(double low, double high) const {
    const double scale = static_cast<double>(n_ + m_) / (2.0 * kPi);
    if (high * scale > 1.0 - 1e-9) return 0.0;
    const double yy = low * scale * low * scale;
    double sum = 0.0;
    for (int r = kPowers; r-- > 0;) sum = (sum + c_[r]) * yy;
    return -sum * (1.0 - 1e-9);
  }

  /// Positions a, a+d, ..., a+(b-1)d make a block: one that holds exactly one test spreads it evenly over b places.
  double by_blocks(double low, double high) const {
    const double points = static_cast<double>(n_ + m_);
    const double spacing = std::clamp(std::round(kPi / std::sqrt(low * high)), 1.0, points - 1.0);
    const double first = spacing * low, last = spacing * high;
    if (last >= 2.0 * kPi * (1.0 - 1e-9)) return 0.0;
    const auto d = static_cast<std::int64_t>(spacing);
    const double room = std::floor(points / spacing) + 1.0;
    const double middle = std::clamp(std::round(1.6 * std::cbrt(points / static_cast<double>(m_))), 4.0, 1e6);
    double best = 0.0;
    for (const double length : {2.0, 3.0, middle, 3.0 * middle}) {
      if (length > room) break;
      best = std::min(best, chernoff(d, length, kernel(first, last, length)));
      if (best < -60.0) break;
    }
    return best;
  }

  /// At least |sin(b phi/2) / (b sin(phi/2))| over [first, last] inside (0, 2 pi).
  static double kernel(double first, double last, double length) {
    const auto larger = [&](auto&& f) { return std::max(std::fabs(f(first)), std::fabs(f(last))); };
    double value = 0.0;
    if (length == 2.0) {
      value = larger([](double phi) { return std::cos(0.5 * phi); });
    } else if (length == 3.0) {
      value = larger([](double phi) { return (1.0 + 2.0 * std::cos(phi)) / 3.0; });
      if (first <= kPi && last >= kPi) value = std::max(value, 1.0 / 3.0);
    } else {
      value = larger([&](double phi) { return 1.0 / (length * std::sin(0.5 * phi)); });
    }
    return std::min(1.0, value + 1e-12);
  }

  /// log of min over x of x^-m g(x)^P (1+x)^(N-bP) / C(N, m), g(x) = (1+x)^b - b (1-D) (x + x^(b-1)).
  double chernoff(std::int64_t d, double length, double kernel) const {
    const std::int64_t points = n_ + m_, b = static_cast<std::int64_t>(length);
    const std::int64_t whole = points / d, longer = points % d;
    const std::int64_t in_longer = (whole + 1) / b, in_others = whole / b;
    const double blocks = static_cast<double>(longer * in_longer + (d - longer) * in_others);
    const double tests = static_cast<double>(m_);
    const auto at = [&](double log_x) {
      const double x = std::exp(log_x), log_one = std::log1p(x);
      const double single =
          std::exp(log_x - length * log_one) + (b > 2 ? std::exp((length - 1.0) * log_x - length * log_one) : 0.0);
      const double share =
          b == 2 ? 2.0 * (1.0 - kernel) * std::exp(log_x - 2.0 * log_one) : length * (1.0 - kernel) * single;
      return static_cast<double>(points) * log_one + blocks * std::log1p(-std::min(share, 1.0 - 1e-12)) -
             tests * log_x - log_subsets_ + margin_;
    };
    double left = std::log(tests / static_cast<double>(n_)), value = at(left);
    if (value < -60.0) return value;
    left -= 0.5;
    double right = left + 8.0;
    constexpr double golden = 0.6180339887498949;
    double inner = right - golden * (right - left), outer = left + golden * (right - left);
    double at_inner = at(inner), at_outer = at(outer);
    for (int step = 0; step < 13; ++step) {
      if (at_inner < at_outer) {
        right = std::exchange(outer, inner);
        at_outer = std::exchange(at_inner, at(inner = right - golden * (right - left)));
      } else {
        left = std::exchange(inner, outer);
        at_inner = std::exchange(at_outer, at(outer = left + golden * (right - left)));
      }
      value = std::min({value, at_inner, at_outer});
    }
    return value;
  }

  std::int64_t n_, m_;
  const Coefficients& c_;
  double log_subsets_ = 0.0, margin_ = 0.0;
};

struct Cut {
  std::uint64_t terms;
  double left_out;
};

/// How many terms are needed: intervals of k from the far end down, each bounded as a whole, until the wanted sum is
/// spent and the rest affordable.
Cut find_cut(const PhiBound& bound, int log2_grid, std::uint64_t affordable) {
  Cut cut{std::uint64_t{1} << (log2_grid - 1), 0.0};
  const double step = std::ldexp(kPi, -log2_grid);
  double ratio = 1.5;
  constexpr double finest = 1.03;
  while (cut.terms > 1) {
    const std::uint64_t top = cut.terms;
    const std::uint64_t low = std::min(top - 1, static_cast<std::uint64_t>(static_cast<double>(top) / ratio));
    const double first = step * static_cast<double>(2 * low + 1), last = step * static_cast<double>(2 * top - 1);
    const double mass = std::ldexp(static_cast<double>(top - low), 1 - log2_grid) / std::sin(0.5 * first) *
                        bound(first * (1.0 - 1e-12), last * (1.0 + 1e-12)) * (1.0 + 1e-9);
    if (mass > 0.02 * kWanted && ratio > finest) {
      ratio = std::max(finest, std::sqrt(ratio));
      continue;
    }
    if (cut.left_out + mass > kWanted && top <= affordable) break;
    cut.terms = low;
    cut.left_out += mass;
    ratio = std::min(1.5, ratio * ratio);
  }
  return cut;
}

struct Factor {
  double value, error;  ///< the error is relative
};

/// phi from its m factors. Partial products are characteristic functions themselves, hence at most 1; what falls far
/// is scaled up, as later factors may be large.
Factor phi_by_sines(std::int64_t n, std::int64_t m, std::uint64_t odd, int log2_grid) {
  double product = 1.0;
  int scaled = 0;
  for (std::int64_t i = 1; i <= m; ++i) {
    const auto far = static_cast<std::uint64_t>(n + i), near = static_cast<std::uint64_t>(i);
    product *= grid_sine(far * odd, log2_grid) / grid_sine(near * odd, log2_grid) *
               (static_cast<double>(i) / static_cast<double>(n + i));
    if (std::fabs(product) < 0x1p-400) {
      product *= 0x1p400;
      ++scaled;
    }
  }
  return {scaled > 0 ? std::ldexp(product, -400 * scaled) : product, 14.0 * kUnit * static_cast<double>(m)};
}

Factor phi_by_series(const Coefficients& c, double y) {
  const double yy = y * y;
  double power = 1.0, sum = 0.0, error = 0.0;
  for (int r = 1; r <= kPowers; ++r) {
    const double term = c[r - 1] * (power *= yy);
    sum += term;
    error += (13.0 * r + 40.0) * term;
  }
  return {std::exp(-sum), kUnit * (error + 4.0) + 1e-17};
}

/// The largest y at which the terms left out of the series, at most m y^(2R+2) / (R (1-y^2)), stay below 1e-17.
double series_reach(std::int64_t m) {
  const double reach = std::pow(5e-18 * kPowers / static_cast<double>(m), 0.5 / (kPowers + 1));
  return std::min(reach, 0.7);
}

/// Cuts the last terms once more, by what they are rather than by what bounds them.
void drop_small(RankSumWeights& law) {
  double dropped = 0.0;
  while (law.weights.size() > 1) {
    // a weight is good to 14 m 2^-53 at worst, far less than the doubling here
    const double more = dropped + 2.0 * std::fabs(law.weights.back());
    if (more > kWanted) break;
    dropped = more;
    law.weights.pop_back();
  }
  law.left_out += dropped;
}

}  // namespace

double rank_sum_phi_bound(const RankSumSize& size, double low, double high) {
  const std::int64_t m = std::min(size.n, size.m), n = std::max(size.n, size.m);
  const Coefficients c = log_coefficients(n, m);
  return PhiBound(n, m, c)(low, high);
}

RankSumWeights rank_sum_weights(const RankSumSize& size, double factors, bool full, unsigned n_threads) {
  const std::int64_t m = std::min(size.n, size.m), n = std::max(size.n, size.m);
  const int log2_grid = std::max(1, static_cast<int>(std::bit_width(size.product())));
  const Coefficients c = log_coefficients(n, m);
  const double reach = series_reach(m), per_odd = std::ldexp(static_cast<double>(n + m), -1 - log2_grid);
  const double by_series = std::min(0.5 * reach / per_odd, kMostSeries);
  const auto affordable = static_cast<std::uint64_t>(std::max({1.0, factors / static_cast<double>(m), by_series}));
  const Cut all{std::uint64_t{1} << (log2_grid - 1), 0.0};
  const Cut cut = full ? all : find_cut(PhiBound(n, m, c), log2_grid, affordable);

  RankSumWeights result{std::vector<double>(cut.terms), log2_grid, cut.left_out, 0.0};
  std::vector<double> errors(cut.terms);
  parallel_for(cut.terms, 64, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t k = begin; k < end; ++k) {
      const std::uint64_t odd = 2 * k + 1;
      const double y = per_odd * static_cast<double>(odd);
      const Factor phi = y < reach ? phi_by_series(c, y) : phi_by_sines(n, m, odd, log2_grid);
      result.weights[k] = std::ldexp(phi.value, 1 - log2_grid) / grid_sine(odd, log2_grid);
      // A sine is good to 5 units, so a weight to 6 more, a term to 12 more, and their sum to 2.
      errors[k] = std::fabs(result.weights[k]) * (phi.error + 20.0 * kUnit);
    }
  });
  if (!full) drop_small(result);
  errors.resize(result.weights.size());
  Sum rounding;
  for (const double error : errors) rounding.add(error);
  result.rounding = 1.01 * rounding.value() + kUnit;
  return result;
}

double rank_sum_probability(std::span<const double> weights, int log2_grid, std::uint64_t product, std::uint64_t u) {
  Sum sum;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    // 4 L divides 2^64, so products that wrap around are still right modulo 4 L.
    const std::uint64_t odd = 2 * k + 1;
    sum.add(weights[k] * grid_sine((u + 1) * odd, log2_grid) * grid_cosine((product - u) * odd, log2_grid));
  }
  return sum.value();
}

}  // namespace auditkit
