// What the posteriors of epsilon and of mu share: scaled sums, vectorised tails, the quantile search. Internal.
#pragma once

#include <algorithm>
#include <cmath>

#include "auditkit/beta_law.hpp"
#include "auditkit/dispatch.hpp"
#include "auditkit/epsilon_posterior.hpp"
#include "auditkit/normal.hpp"
#include "tail_panel.hpp"

namespace auditkit::posterior {

/// value * exp(-scale): parts keep their own scale until they are added.
struct Scaled {
  double value = 0.0;
  double scale = 0.0;

  double log() const { return value > 0.0 ? std::log(value) - scale : -kInfinity; }
  double plain() const { return value * std::exp(-scale); }
};

inline Scaled operator+(Scaled a, Scaled b) {
  if (a.value == 0.0) return b;
  if (b.value == 0.0) return a;
  const double scale = std::min(a.scale, b.scale);
  return {a.value * std::exp(scale - a.scale) + b.value * std::exp(scale - b.scale), scale};
}

inline Scaled operator-(Scaled a) { return {-a.value, a.scale}; }

inline Scaled from_log(double log_value) { return log_value == -kInfinity ? Scaled{} : Scaled{1.0, -log_value}; }

/// P(parameter* <= value) from the masses inside (or outside) two disjoint sets, without subtracting nearly equal
/// numbers where the geometry allows it. `above` is null where only one set counts.
inline TailPair combine(const Scaled& below, bool below_is_outside, const Scaled* above, bool above_is_outside) {
  if (above == nullptr) above_is_outside = false;
  if (!below_is_outside && !above_is_outside) {
    const Scaled survival = above == nullptr ? below : below + *above;
    const double upper = std::min(survival.plain(), 1.0);
    return {1.0 - upper, upper, std::log1p(-upper), std::min(survival.log(), 0.0)};
  }
  Scaled cdf = below_is_outside ? below : -below;
  if (above != nullptr) cdf = cdf + (above_is_outside ? *above : -*above);
  if (below_is_outside && above_is_outside) cdf = cdf + Scaled{-1.0, 0.0};
  if (cdf.value < 0.0) cdf.value = 0.0;
  const double lower = std::min(cdf.plain(), 1.0);
  return {lower, 1.0 - lower, std::min(cdf.log(), 0.0), std::log1p(-lower)};
}

/// The target of a quantile search as log odds, and how an evaluation compares with it.
struct Target {
  double log_odds;

  double gap(const TailPair& t) const { return t.log_lower - t.log_upper - log_odds; }
};

/// Standard normal quantile of a probability given by its two logarithms.
inline double normal_score(double log_level, double log_complement) {
  return log_level <= log_complement ? normal_quantile_of_log(log_level) : -normal_quantile_of_log(log_complement);
}

/// What the law has at 0: no atom, or perhaps one, whose size is looked at once the search comes near.
enum class Atom { none, unknown };

/// Safeguarded Newton on the log odds of the lower tail. `at(x, &slope)` evaluates the tails and d P(<= x) / dx.
/// Where there is no atom the lower tail is nearly proportional to x near 0, so steps there are taken in log x.
/// `near` is where an atom begins to matter; 0 is returned when the atom reaches the target.
template <class At>
double solve(const Target& target, double start, Atom atom, double near, At&& at) {
  double low = 0.0, high = kInfinity;
  double x = start;
  bool ask_zero = atom == Atom::unknown;
  bool proportional = true;  // no atom was seen
  for (int step = 0; step < 120; ++step) {
    if (ask_zero && x <= near) {
      double unused = 0.0;
      const TailPair zero = at(0.0, &unused);
      if (target.gap(zero) >= 0.0) return 0.0;
      proportional = !(zero.lower > 0.0);
      ask_zero = false;
    }
    double slope = 0.0;
    const TailPair t = at(x, &slope);
    const double gap = target.gap(t);
    (gap > 0.0 ? high : low) = x;
    const double odds_slope = slope > 0.0 ? slope * std::exp(std::min(-t.log_lower - t.log_upper, 700.0)) : 0.0;
    double next = x - gap / odds_slope;
    if (proportional && x * odds_slope < 3.0) next = x * std::exp(clamp(-gap / (x * odds_slope), -8.0, 8.0));
    const bool newton = next > low && next < high && std::isfinite(next);
    if (!newton) {
      if (std::fabs(gap) < 1e-14) break;
      next = high == kInfinity ? 2.0 * x + 1.0 : (!proportional || low > 0.0 ? 0.5 * (low + high) : 0.1 * high);
    }
    const double change = std::fabs(next - x);
    x = next;
    // Newton squares the error: a step this small, against the width of the law, leaves less than 1e-12 of it.
    const bool close = newton && std::fabs(gap) < 1.0 && (change <= 1e-11 || change * odds_slope <= 3e-7);
    if (close || change <= 4e-16 * x) break;
  }
  return x;
}

}  // namespace auditkit::posterior
