// Posterior of epsilon: one-dimensional integrals along the privacy lines, all parts positive, offsets carried from an
// anchor so that nothing cancels at large counts. Notation: x, y are the error rates, E = e^eps, D = 1 - delta, the
// corner x* = D / (1 + E); on the segment from (0, D) to the corner x = (D/E) sig(v), y = D sig(-v), v <= eps.
#include "auditkit/epsilon_posterior.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "auditkit/dispatch.hpp"
#include "posterior_common.hpp"

namespace auditkit {
namespace {

using namespace posterior;

constexpr double kWindow = 38.0;       // nats below the largest integrand that still matter: e^-38 = 3e-17
constexpr double kWindowSlack = 20.0;  // a window end may lie this much further out
constexpr double kNegligible = 60.0;   // nats by which a part must lose to be dropped (leaves e^20 for widths)
constexpr double kUnderflow = 750.0;   // deviance beyond which a part is zero in double precision
constexpr double kPowerLaw = 600.0;    // from here on every part is a pure power of e^eps (E itself overflows at 709)
constexpr double kPanelLogits = 4.0;   // the integrand is analytic up to a distance of pi
constexpr double kPanelSds = 3.5;
constexpr double kPanelNats = 14.0;  // largest change of one factor over a panel: more makes its interpolant noise

/// Which tail of the far law (y) multiplies the density of the near one (x).
enum class Side {
  lower,  ///< F_Y(y): mass below the line
  upper,  ///< G_Y(y): mass above it, x up to the corner
  joint   ///< f_Y(y): the density along the line
};

/// One segment of the lower boundary with everything that does not depend on the position on it.
struct Segment {
  BetaLaw x, y;
  double epsilon, e;       ///< E
  double delta, d, d_low;  ///< D and what rounding took from it
  double k;                ///< D - E m_X - m_Y, compensated
  double v_x, v_y;         ///< where the line passes the mean of either law (infinite when it does not)
};

double compensated_gap(const Segment& s) {
  const double p = s.e * s.x.m;
  const double p_low = std::fma(s.e, s.x.m, -p) + s.e * s.x.m_low;
  const double first = s.d - p;
  const double back = first - s.d;
  const double first_low = (s.d - (first - back)) - (p + back);
  const double second = first - s.y.m;
  const double back2 = second - first;
  const double second_low = (first - (second - back2)) - (s.y.m + back2);
  return second + (first_low + second_low + s.d_low - p_low - s.y.m_low);
}

Segment make_segment(const BetaLaw& x, const BetaLaw& y, double epsilon, double delta) {
  Segment s{};
  s.x = x;
  s.y = y;
  s.epsilon = epsilon;
  s.e = std::exp(epsilon);
  s.delta = delta;
  s.d = 1.0 - delta;
  s.d_low = (1.0 - s.d) - delta;
  s.k = compensated_gap(s);
  const double room_x = s.d - s.e * x.m;
  s.v_x = room_x > 0.0 ? epsilon + std::log(x.m) - std::log(room_x) : kInfinity;
  const double room_y = y.m <= 0.5 ? s.d - y.m : y.q - delta;
  s.v_y = room_y > 0.0 ? std::log(room_y) - std::log(y.m) : -kInfinity;
  return s;
}

struct LinePoint {
  BetaPoint x, y;
  double sig, one_minus_sig;  ///< sig(v), sig(-v)
};

LinePoint point_at(const Segment& s, double v) {
  const double t = std::exp(-std::fabs(v));
  const double small = t / (1.0 + t);
  const double large = 1.0 / (1.0 + t);
  LinePoint p{};
  p.sig = v >= 0.0 ? large : small;
  p.one_minus_sig = v >= 0.0 ? small : large;
  const double x = s.d / s.e * p.sig;
  p.x = beta_point(s.x, x, 1.0 - x);
  p.y = beta_point(s.y, s.d * p.one_minus_sig, s.delta + s.d * p.sig);
  return p;
}

/// As point_at, but both offsets obey the line's equation: an offset follows from the other one and the compensated
/// gap wherever that has the smaller rounding error.
LinePoint anchor_at(const Segment& s, double v) {
  LinePoint p = point_at(s, v);
  const double y_ulp = std::min(p.y.x, p.y.one_minus_x);
  const double gap = std::fabs(s.k);
  if (p.y.x >= s.e * p.x.x && gap + s.e * std::fabs(p.x.offset) < y_ulp) {
    p.y.offset = s.k - s.e * p.x.offset;
  } else if (gap + std::fabs(p.y.offset) < s.e * p.x.x) {
    p.x.offset = (s.k - p.y.offset) / s.e;
  }
  return p;
}

/// The corner (x*, x*), its position known to more than double precision.
LinePoint corner_of(const Segment& s) {
  LinePoint p = point_at(s, s.epsilon);
  const double corner = s.d / (1.0 + s.e);
  const double sum = 1.0 + s.e;
  const double sum_low = (1.0 - (sum - s.e)) + (s.e - (sum - (sum - s.e)));
  const double rest = (std::fma(-corner, sum, s.d) + s.d_low - corner * sum_low) / sum;
  p.x = {corner, 1.0 - corner, (corner - s.x.m) + (rest - s.x.m_low)};
  p.y = {corner, 1.0 - corner, (corner - s.y.m) + (rest - s.y.m_low)};
  return p;
}

bool far_law_counts(const LinePoint& p, Side side) {
  return side == Side::joint || (side == Side::lower ? p.y.offset < 0.0 : p.y.offset > 0.0);
}

/// -log of the integrand up to slowly varying factors; convex in x along the line.
double cost(const Segment& s, const LinePoint& p, Side side) {
  return deviance(s.x, p.x) + (far_law_counts(p, side) ? deviance(s.y, p.y) : 0.0);
}

double slope_x(const Segment& s, const LinePoint& p) { return s.x.n * p.x.offset * p.one_minus_sig / p.x.one_minus_x; }
double slope_y(const Segment& s, const LinePoint& p) { return -s.y.n * p.y.offset * p.sig / p.y.one_minus_x; }

/// Information of a law about v: 1 / sd^2 in units of v.
double information_x(const Segment& s, const LinePoint& p) {
  const double rate = p.one_minus_sig / p.x.one_minus_x;
  return s.x.n * p.x.x * p.x.one_minus_x * rate * rate;
}
double information_y(const Segment& s, const LinePoint& p) {
  const double rate = p.sig / p.y.one_minus_x;
  return s.y.n * p.y.x * p.y.one_minus_x * rate * rate;
}

double lowest_v(const Segment& s) { return -690.0 + s.epsilon; }

/// Where the cost is least, to 0.05 of the narrower law's width.
double minimiser(const Segment& s, Side side) {
  const bool only_x = (side == Side::lower && s.v_x <= s.v_y) || (side == Side::upper && s.v_x >= s.v_y);
  double low = std::max(only_x ? s.v_x : std::min(s.v_x, s.v_y), lowest_v(s));
  double high = std::min(only_x ? s.v_x : std::max(s.v_x, s.v_y), s.epsilon);
  if (low >= high) return std::min(low, s.epsilon);
  for (int step = 0; step < 100; ++step) {
    const LinePoint end = step == 0 ? point_at(s, high) : point_at(s, 0.5 * (low + high));
    const double slope = slope_x(s, end) + slope_y(s, end);
    if (step == 0) {
      if (slope <= 0.0) return high;
      continue;
    }
    const double middle = 0.5 * (low + high);
    (slope > 0.0 ? high : low) = middle;
    const double information = std::max({information_x(s, end), information_y(s, end), 1.0});
    if ((high - low) * (high - low) * information < 0.01) break;
  }
  return 0.5 * (low + high);
}

struct Window {
  LinePoint anchor;
  double v0, least;  ///< position and cost of the minimiser
  double low, high;
};

/// The end, on one side of the anchor, where the cost has risen by kWindow to kWindow + kWindowSlack.
double window_end(const Segment& s, Side side, const Window& w, double limit) {
  const double direction = limit > w.v0 ? 1.0 : -1.0;
  double information = information_x(s, w.anchor);
  if (far_law_counts(w.anchor, side)) information += information_y(s, w.anchor);
  const double room = std::fabs(limit - w.v0);
  double inside = 0.0, outside = kInfinity;
  double reach = std::min(9.0 / std::sqrt(std::max(information, 1e-3)), room);
  for (int step = 0; step < 60; ++step) {
    const double rise = cost(s, point_at(s, w.v0 + direction * reach), side) - w.least;
    if (rise < kWindow) {
      if (reach >= room) return limit;
      inside = reach;
      reach = outside < kInfinity ? 0.5 * (inside + outside)
                                  : std::min(reach * (rise > 4.0 ? std::sqrt(45.0 / rise) + 0.05 : 3.0), room);
    } else {
      if (rise < kWindow + kWindowSlack) break;
      outside = reach;
      reach = inside + (outside - inside) * std::max(0.05, std::min(0.7, std::sqrt((kWindow + 8.0) / rise)));
    }
  }
  return w.v0 + direction * reach;
}

Window make_window(const Segment& s, Side side) {
  Window w{};
  w.v0 = minimiser(s, side);
  w.anchor = w.v0 == s.epsilon ? corner_of(s) : anchor_at(s, w.v0);
  w.least = cost(s, w.anchor, side);
  return w;
}

PrivacyLine line_of(const Segment& s, Side side, const Window& w) {
  PrivacyLine line{};
  line.x_law = s.x;
  line.y_law = s.y;
  line.shift_x = deviance(s.x, w.anchor.x);
  // A saturated far law contributes its tail, near 1, and not its density: no scale to take out.
  line.shift_y = far_law_counts(w.anchor, side) ? deviance(s.y, w.anchor.y) : 0.0;
  line.delta = s.delta;
  line.d = s.d;
  line.x0 = w.anchor.x.x;
  line.y0 = w.anchor.y.x;
  line.sig0 = w.anchor.sig;
  line.one_minus_sig0 = w.anchor.one_minus_sig;
  line.offset_x0 = w.anchor.x.offset;
  line.offset_y0 = w.anchor.y.offset;
  return line;
}

/// The point tau beyond the anchor, offsets carried like in the panels.
LinePoint point_near(const Segment& s, const Window& w, double v) {
  LinePoint p = point_at(s, v);
  const double tau = v - w.v0;
  if (std::fabs(tau) < 0.7) {
    const double em = std::expm1(tau);
    const double den = 1.0 / (w.anchor.one_minus_sig + w.anchor.sig * std::exp(tau));
    p.x.offset = w.anchor.x.offset + w.anchor.x.x * w.anchor.one_minus_sig * em * den;
    p.y.offset = w.anchor.y.offset - w.anchor.y.x * w.anchor.sig * em * den;
  }
  return p;
}

/// Panel width from the local scale at one end: a few sd of the narrower law, bounded change of either factor.
double panel_width(const Segment& s, const LinePoint& p, Side side) {
  double information = information_x(s, p);
  double steepest = std::fabs(slope_x(s, p));
  // A far law on its saturated side is constant to double precision: its width then does not matter.
  const bool far = far_law_counts(p, side);
  if (far || deviance(s.y, p.y) < 42.0) {
    information = std::max(information, information_y(s, p));
    steepest = std::max(steepest, std::fabs(slope_y(s, p)));
  }
  double width = kPanelSds / std::sqrt(std::max(information, 1e-2));
  if (steepest * width > kPanelNats) width = kPanelNats / steepest;
  // Far out on the line everything is a pure exponential of v, whose singularities have faded.
  const bool faded = information < 1e-3 && std::min(p.sig, p.one_minus_sig) < 1e-6;
  return std::min(width, faded ? 2.5 * kPanelLogits : kPanelLogits);
}

struct SegmentSums {
  Scaled value, density, delta_density;
};

/// Integrates over the window panel by panel, from the end where the inner integral is small.
SegmentSums integrate(const Segment& s, Side side, Window w) {
  w.low = window_end(s, side, w, lowest_v(s));
  w.high = w.v0 >= s.epsilon ? s.epsilon : window_end(s, side, w, s.epsilon);
  const PrivacyLine line = line_of(s, side, w);
  const bool leftwards = side != Side::upper;
  double v = leftwards ? w.high : w.low;
  const double end = leftwards ? w.low : w.high;
  LinePoint here = v == s.epsilon ? corner_of(s) : point_near(s, w, v);
  double inner = 0.0;
  if (side != Side::joint) {
    const BetaTails tails = beta_tails(s.y, here.y, TailPanel{});
    inner = std::exp((leftwards ? tails.log_lower : tails.log_upper) + line.shift_y);
  }
  const double sign = leftwards ? -1.0 : 1.0;
  const LinePanelFn panel = kernels().line_panel;
  double value = 0.0, density = 0.0, delta_density = 0.0;
  for (bool last = v == end; !last;) {
    const double left = sign * (end - v);
    double width = std::min(panel_width(s, here, side), left);
    LinePoint next = point_near(s, w, v + sign * width);
    const double there = panel_width(s, next, side);
    if (there < width) {
      width = std::max(there, 0.25 * width);
      next = point_near(s, w, v + sign * width);
    }
    const PanelSums sums = panel(line, v + sign * 0.5 * width - w.v0, 0.5 * width, inner, leftwards);
    value += sums.value;
    density += sums.density;
    delta_density += sums.delta_density;
    inner += sums.inner;
    last = !(width < left * (1.0 - 1e-12));
    v += sign * width;
    here = next;
  }
  const double scale = line.shift_x + line.shift_y;
  return {{value, scale}, {density, scale}, {delta_density, scale}};
}

/// One pair of triangles (lower-left, or upper-right in mirrored laws): its mass, or the mass outside it.
struct Union {
  Segment first, second;
  bool outside;  ///< the complement is the small number and was computed
  Scaled part;
  Scaled density, delta_density;
  double least;  ///< smallest cost of its parts
};

Side side_of(const Union& u) { return u.outside ? Side::upper : Side::lower; }

Union make_union(const BetaLaw& x, const BetaLaw& y, double epsilon, double delta) {
  Union u{};
  u.first = make_segment(x, y, epsilon, delta);
  u.second = make_segment(y, x, epsilon, delta);
  // The means lie inside the union as soon as they lie below either line.
  u.outside = u.first.k > 0.0 || u.second.k > 0.0;
  return u;
}

/// Tails of both laws at the corner: F_X(x*) F_Y(x*), or G_X(x*) G_Y(x*) for the outside.
Scaled corner_mass(const Union& u, double keep_below) {
  const LinePoint corner = corner_of(u.first);
  const double sign = u.outside ? -1.0 : 1.0;
  double bound = 0.0;
  if (sign * corner.x.offset < 0.0) bound += deviance(u.first.x, corner.x);
  if (sign * corner.y.offset < 0.0) bound += deviance(u.first.y, corner.y);
  if (bound > keep_below) return {};
  const BetaTails x = beta_tails(u.first.x, corner.x, TailPanel{});
  const BetaTails y = beta_tails(u.first.y, corner.y, TailPanel{});
  return from_log(u.outside ? x.log_upper + y.log_upper : x.log_lower + y.log_lower);
}

/// What the caller of integrate_union needs and what it may leave out.
struct Request {
  double best, best_joint;  ///< least costs over all parts, of masses and of densities
  bool density;
  double excess;  ///< eps - kPowerLaw where eps is beyond it, else 0
};

void add(Union& u, const Segment& s, SegmentSums sums, bool value, bool density, double excess) {
  const double fall = s.x.a * excess;  // far out a part is C e^(-a eps)
  for (Scaled* part : {&sums.value, &sums.density, &sums.delta_density}) part->scale += fall;
  if (value) u.part = u.part + sums.value;
  if (!density) return;
  u.density = u.density + sums.density;
  u.delta_density = u.delta_density + sums.delta_density;
}

/// Fills mass and densities of one union.
void integrate_union(Union& u, const Request& r) {
  const Side side = side_of(u);
  const double keep = std::min(r.best + kNegligible, kUnderflow);
  for (const Segment* s : {&u.first, &u.second}) {
    const Window w = make_window(*s, side);
    const bool joint_is_same = (side == Side::lower) == (s->v_x > s->v_y);
    if (w.least <= keep) add(u, *s, integrate(*s, side, w), true, joint_is_same, r.excess);
    if (!r.density || (joint_is_same && w.least <= keep)) continue;
    const Window joint = joint_is_same ? w : make_window(*s, Side::joint);
    if (joint.least > std::min(r.best_joint + kNegligible, kUnderflow)) continue;
    add(u, *s, integrate(*s, Side::joint, joint), false, true, r.excess);
  }
  Scaled corner = corner_mass(u, keep);
  corner.scale += (u.first.x.a + u.first.y.a) * r.excess;
  // Inside, the two integrals both count the corner square; outside, neither does.
  u.part = u.part + (u.outside ? corner : -corner);
  if (u.part.value < 0.0) u.part.value = 0.0;
}

double least_cost(const Union& u, Side side) {
  return std::min(make_window(u.first, side).least, make_window(u.second, side).least);
}

struct Evaluation {
  TailPair tails;
  Scaled density, delta_density;
  bool thin;  ///< the lower tail is the mass of a strip that is thin against the laws' widths
};

Evaluation evaluate(const AttackOutcome& o, double epsilon, bool want_density) {
  const bool both = o.region == Region::both;
  const double at = std::min(epsilon, kPowerLaw);
  Union below = make_union(o.fnr, o.fpr, at, o.delta);
  Union above{};
  Request r{least_cost(below, side_of(below)), least_cost(below, Side::joint), want_density, epsilon - at};
  if (both) {
    above = make_union(mirrored(o.fnr), mirrored(o.fpr), at, o.delta);
    r.best = std::min(r.best, least_cost(above, side_of(above)));
    r.best_joint = std::min(r.best_joint, least_cost(above, Side::joint));
  }
  if (r.excess > 0.0) r.best = r.best_joint = kInfinity;
  integrate_union(below, r);
  Evaluation result{};
  result.density = below.density;
  result.delta_density = below.delta_density;
  if (both) {
    integrate_union(above, r);
    result.density = result.density + above.density;
    result.delta_density = result.delta_density + above.delta_density;
  }
  result.tails = combine(below.part, below.outside, both ? &above.part : nullptr, above.outside);
  // Of a thin strip between the two unions only the difference of two equal numbers is left: see epsilon_log_cdf.
  result.thin = both && below.outside != above.outside &&
                std::min(below.part.log(), above.part.log()) > std::max(below.part.log(), above.part.log()) - kLogTwo;
  if (both && !below.outside && !above.outside) result.thin = result.tails.lower < 1e-3;
  return result;
}

/// Integral of f over [0, end] by 8 Gauss nodes: enough where f changes by less than e over the range.
template <class Function>
double gauss_from_zero(double end, Function&& f) {
  constexpr double kNode[] = {0.18343464249564980, 0.52553240991632899, 0.79666647741362674, 0.96028985649753623};
  constexpr double kWeight[] = {0.36268378337836198, 0.31370664587788729, 0.22238103445337447, 0.10122853629037626};
  double sum = 0.0;
  for (int j = 0; j < 4; ++j) sum += kWeight[j] * (f(0.5 * end * (1.0 - kNode[j])) + f(0.5 * end * (1.0 + kNode[j])));
  return 0.5 * end * sum;
}

/// Delta-method guess: the larger of the logs at the posterior means, and its standard deviation.
struct Guess {
  double centre, sd;
};

Guess log_ratio_guess(const BetaLaw& x, const BetaLaw& y, double delta) {
  const double top = std::max((y.m <= 0.5 ? 1.0 - delta - y.m : y.q - delta), 1e-3 * y.q);
  const double sd_x = std::sqrt(x.q / (x.m * (x.n + 1.0)));
  const double sd_y = std::sqrt(y.m * y.q / (y.n + 1.0)) / top;
  return {std::log(top) - std::log(x.m), std::hypot(sd_x, sd_y)};
}

Guess epsilon_guess(const AttackOutcome& o) {
  Guess best = log_ratio_guess(o.fnr, o.fpr, o.delta);
  const auto consider = [&best](const Guess& g) {
    if (g.centre > best.centre) best = g;
  };
  consider(log_ratio_guess(o.fpr, o.fnr, o.delta));
  if (o.region == Region::both) {
    consider(log_ratio_guess(mirrored(o.fnr), mirrored(o.fpr), o.delta));
    consider(log_ratio_guess(mirrored(o.fpr), mirrored(o.fnr), o.delta));
  }
  return best;
}

double density_at(const AttackOutcome& o, double epsilon) { return evaluate(o, epsilon, true).density.plain(); }

double log_complement_of(double log_p) { return log1m_exp(std::min(log_p, 0.0)); }

double quantile_of_level(const AttackOutcome& o, double level) {
  return epsilon_quantile(o, std::log(level), std::log1p(-level));
}

}  // namespace

TailPair epsilon_tails(const AttackOutcome& outcome, double epsilon, double* density) {
  const bool end = epsilon == kInfinity;
  if (epsilon < 0.0 || end) {
    if (density != nullptr) *density = 0.0;
    return end ? TailPair{1.0, 0.0, 0.0, -kInfinity} : TailPair{0.0, 1.0, -kInfinity, 0.0};
  }
  const Evaluation e = evaluate(outcome, epsilon, density != nullptr);
  if (density != nullptr) *density = e.density.plain();
  return e.tails;
}

double epsilon_log_cdf(const AttackOutcome& outcome, double epsilon) {
  if (epsilon < 0.0) return -kInfinity;
  if (epsilon == kInfinity) return 0.0;
  const Evaluation e = evaluate(outcome, epsilon, false);
  if (!e.thin || e.tails.lower > 1e-3) return e.tails.log_lower;
  // The strip is thin against the laws' widths, so the density is smooth over all of it: F = F(0) + integral of f, and
  // the atom F(0) in turn is the integral of the density in delta, from delta = 0 where there is no atom.
  double mass = gauss_from_zero(epsilon, [&](double at) { return density_at(outcome, at); });
  const Evaluation zero = evaluate(outcome, 0.0, false);
  if (outcome.delta > 0.0) {
    AttackOutcome o = outcome;
    mass += !zero.thin ? zero.tails.lower : gauss_from_zero(outcome.delta, [&](double delta) {
      o.delta = delta;
      return evaluate(o, 0.0, true).delta_density.plain();
    });
  }
  return mass > 0.0 ? std::log(mass) : -kInfinity;
}

double epsilon_quantile(const AttackOutcome& outcome, double log_level, double log_complement) {
  if (log_level == -kInfinity) return 0.0;
  if (log_complement == -kInfinity) return kInfinity;
  const Target target{log_level - log_complement};
  const Guess guess = epsilon_guess(outcome);
  const double score = normal_score(log_level, log_complement);
  const double start = std::max(guess.centre + clamp(score, -6.0, 12.0) * guess.sd, 0.05 * guess.sd);
  const Atom atom = outcome.region == Region::below || outcome.delta > 0.0 ? Atom::unknown : Atom::none;
  return solve(target, start, atom, std::max(0.2 * guess.centre, 3.0 * guess.sd), [&](double epsilon, double* slope) {
    const Evaluation e = evaluate(outcome, epsilon, true);
    *slope = e.density.plain();
    return e.tails;
  });
}

Interval epsilon_highest_density(const AttackOutcome& outcome, double alpha) {
  const double atom = evaluate(outcome, 0.0, false).tails.lower;
  const Interval from_zero{0.0, quantile_of_level(outcome, 1.0 - alpha)};
  if (atom >= alpha) return from_zero;
  // An interval away from 0 starts where the lower tail is t in (atom, alpha); its ends have equal densities.
  const auto ends = [&](double t) {
    return Interval{quantile_of_level(outcome, t),
                    epsilon_quantile(outcome, std::log1p(-(alpha - t)), std::log(alpha - t))};
  };
  const auto excess = [&](const Interval& i) {
    return std::log(density_at(outcome, i.upper)) - std::log(density_at(outcome, i.lower));
  };
  double low = atom, high = alpha;
  Interval best{};
  for (int step = 0; step < 60; ++step) {
    const double middle = 0.5 * (low + high);
    best = ends(middle);
    const double e = excess(best);
    if (std::fabs(e) < 1e-9 || high - low < 1e-12 * alpha) break;
    (e > 0.0 ? low : high) = middle;
  }
  return best.upper - best.lower < from_zero.upper ? best : from_zero;
}

double epsilon_mean(const AttackOutcome& outcome) {
  // Panels between quantiles of the law; beyond the last one the survival function is a pure exponential.
  constexpr double kLogLevels[] = {-25.0, -12.0, -5.0, -2.0};
  double sum = 0.0, from = 0.0;
  const auto add_panels = [&](double to) {
    constexpr GaussRule rule = gauss_rule();
    for (int part = 0; part < 2 && to > from; ++part) {
      const double end = part == 0 ? 0.5 * (from + to) : to;
      const double half = 0.5 * (end - from);
      double panel = 0.0;
      for (int j = 0; j < kGaussNodes; ++j)
        panel += rule.weight[j] * evaluate(outcome, from + half * (1.0 + rule.node[j]), false).tails.upper;
      sum += half * panel;
      from = end;
    }
  };
  for (const double level : kLogLevels) add_panels(epsilon_quantile(outcome, level, log_complement_of(level)));
  for (const double level : {-1.0, -2.0, -5.0, -12.0, -25.0, -38.0})
    add_panels(epsilon_quantile(outcome, log_complement_of(level), level));
  return sum;
}

double delta_quantile(AttackOutcome outcome, double log_level, double log_complement, double epsilon) {
  if (log_level == -kInfinity) return 0.0;
  if (log_complement == -kInfinity) return 1.0;
  const Target target{log_level - log_complement};
  const auto centre_of = [&](const BetaLaw& x, const BetaLaw& y) {
    const double e = std::exp(std::min(epsilon, 300.0));
    const double sd = std::hypot(e * std::sqrt(x.m * x.q / (x.n + 1.0)), std::sqrt(y.m * y.q / (y.n + 1.0)));
    return Guess{y.q - e * x.m, sd};
  };
  Guess best = centre_of(outcome.fnr, outcome.fpr);
  const auto consider = [&best](const Guess& g) {
    if (g.centre > best.centre) best = g;
  };
  consider(centre_of(outcome.fpr, outcome.fnr));
  if (outcome.region == Region::both) {
    consider(centre_of(mirrored(outcome.fnr), mirrored(outcome.fpr)));
    consider(centre_of(mirrored(outcome.fpr), mirrored(outcome.fnr)));
  }
  const double start = best.centre + clamp(normal_score(log_level, log_complement), -6.0, 6.0) * best.sd;
  // Solved in the odds of delta, so that no step leaves (0, 1).
  const double odds = solve(target, start > 0.0 && start < 0.99 ? start / (1.0 - start) : 1e-3, Atom::unknown,
                            kInfinity, [&](double t, double* slope) {
                              outcome.delta = t / (1.0 + t);
                              const Evaluation e = evaluate(outcome, epsilon, true);
                              *slope = e.delta_density.plain() / ((1.0 + t) * (1.0 + t));
                              return e.tails;
                            });
  return odds / (1.0 + odds);
}

}  // namespace auditkit
