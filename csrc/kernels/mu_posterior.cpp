// On the Gaussian curve x = Phi(t - mu/2), y = Phi(-t - mu/2) both deviances are convex in t (log Phi is concave), so
// the integrand has one hump: P(mu* > mu) = Int fX(t) F_Y(y(t)) dt + mirror, density = Int fX(t) fY(t) dt + mirror,
// where fX, fY are the laws' logit densities times |ds/dt|.
#include "auditkit/mu_posterior.hpp"

#include "posterior_common.hpp"

namespace auditkit {
namespace {

using namespace posterior;

constexpr double kWindow = 38.0;
constexpr double kWindowSlack = 20.0;
constexpr double kNegligible = 60.0;
constexpr double kUnderflow = 700.0;
constexpr double kFarthest = 37.0;  // Phi(-37) is the last normal quantile that a double resolves
constexpr RunningIntegral kRunning = running_integral();
constexpr GaussRule kRule = gauss_rule();

enum class Side { lower, upper, joint };  // F_Y, G_Y or f_Y beside fX

struct Curve {
  BetaLaw x, y;
  double mu;
};

struct CurvePoint {
  BetaPoint x, y;
  double rate_x, rate_y;  ///< |ds/dt| of either logit
};

CurvePoint point_at(const Curve& c, double t) {
  const double u = t - 0.5 * c.mu, w = -t - 0.5 * c.mu;
  CurvePoint p{};
  p.x = beta_point(c.x, normal_cdf(u), normal_cdf(-u));
  p.y = beta_point(c.y, normal_cdf(w), normal_cdf(-w));
  p.rate_x = std::exp(normal_log_density(u) - std::log(p.x.x) - std::log(p.x.one_minus_x));
  p.rate_y = std::exp(normal_log_density(w) - std::log(p.y.x) - std::log(p.y.one_minus_x));
  return p;
}

bool far_law_counts(const CurvePoint& p, Side side) {
  return side == Side::joint || (side == Side::lower ? p.y.offset < 0.0 : p.y.offset > 0.0);
}

double cost(const Curve& c, const CurvePoint& p, Side side) {
  return deviance(c.x, p.x) + (far_law_counts(p, side) ? deviance(c.y, p.y) : 0.0);
}

double slope(const Curve& c, const CurvePoint& p, Side side) {
  const double from_x = c.x.n * p.x.offset * p.rate_x;
  return far_law_counts(p, side) ? from_x - c.y.n * p.y.offset * p.rate_y : from_x;
}

double information(const Curve& c, const CurvePoint& p, bool with_y) {
  const double from_x = c.x.n * p.x.x * p.x.one_minus_x * p.rate_x * p.rate_x;
  const double from_y = c.y.n * p.y.x * p.y.one_minus_x * p.rate_y * p.rate_y;
  return with_y ? std::max(from_x, from_y) : from_x;
}

struct Window {
  double t0, least, low, high;
};

double farthest(const Curve& c) { return std::max(kFarthest - 0.5 * c.mu, 0.0); }

double minimiser(const Curve& c, Side side) {
  double low = -farthest(c), high = farthest(c);
  for (int step = 0; step < 60; ++step) {
    const double middle = 0.5 * (low + high);
    const CurvePoint p = point_at(c, middle);
    (slope(c, p, side) > 0.0 ? high : low) = middle;
    const double width = high - low;
    if (width * width * std::max(information(c, p, true), 1.0) < 0.01) break;
  }
  return 0.5 * (low + high);
}

double window_end(const Curve& c, Side side, const Window& w, double limit) {
  const double direction = limit > w.t0 ? 1.0 : -1.0;
  const double room = std::fabs(limit - w.t0);
  double inside = 0.0, outside = kInfinity;
  double reach = std::min(9.0 / std::sqrt(std::max(information(c, point_at(c, w.t0), true), 0.1)), room);
  for (int step = 0; step < 60; ++step) {
    const double rise = cost(c, point_at(c, w.t0 + direction * reach), side) - w.least;
    if (rise >= kWindow && rise < kWindow + kWindowSlack) break;
    if (rise < kWindow) {
      if (reach >= room) return limit;
      inside = reach;
    } else {
      outside = reach;
    }
    reach = outside < kInfinity ? 0.5 * (inside + outside) : std::min(1.6 * reach, room);
  }
  return w.t0 + direction * reach;
}

Window make_window(const Curve& c, Side side) {
  Window w{};
  w.t0 = minimiser(c, side);
  w.least = cost(c, point_at(c, w.t0), side);
  return w;
}

double panel_width(const Curve& c, const CurvePoint& p, Side side) {
  const bool with_y = far_law_counts(p, side) || deviance(c.y, p.y) < 42.0;
  double width = std::min(2.5 / std::sqrt(std::max(information(c, p, with_y), 1e-2)), 0.75);
  double steepest = c.x.n * std::fabs(p.x.offset) * p.rate_x;
  if (with_y) steepest = std::max(steepest, c.y.n * std::fabs(p.y.offset) * p.rate_y);
  return steepest * width > 14.0 ? 14.0 / steepest : width;
}

struct Sums {
  Scaled value, density;
};

Sums integrate(const Curve& c, Side side, Window w) {
  w.low = window_end(c, side, w, -farthest(c));
  w.high = window_end(c, side, w, farthest(c));
  const CurvePoint anchor = point_at(c, w.t0);
  const double shift_x = deviance(c.x, anchor.x);
  const double shift_y = far_law_counts(anchor, side) ? deviance(c.y, anchor.y) : 0.0;  // see epsilon_posterior.cpp
  const bool leftwards = side != Side::upper;
  const double sign = leftwards ? -1.0 : 1.0;
  double t = leftwards ? w.high : w.low;
  const double end = leftwards ? w.low : w.high;
  CurvePoint here = point_at(c, t);
  double inner = 0.0;
  if (side != Side::joint) {
    const BetaTails tails = beta_tails(c.y, here.y, TailPanel{});
    inner = std::exp((leftwards ? tails.log_lower : tails.log_upper) + shift_y);
  }
  double value = 0.0, density = 0.0;
  for (bool last = t == end; !last;) {
    const double left = sign * (end - t);
    double width = std::min(panel_width(c, here, side), left);
    width = std::max(std::min(width, panel_width(c, point_at(c, t + sign * width), side)), 0.25 * width);
    const double half = 0.5 * width, center = t + sign * half;
    double fx[kGaussNodes], fy[kGaussNodes], total = 0.0;
    for (int j = 0; j < kGaussNodes; ++j) {
      const CurvePoint p = point_at(c, center + half * kRule.node[j]);
      fx[j] = std::exp(std::min(c.x.log_c + shift_x - deviance(c.x, p.x), 700.0)) * p.rate_x;
      fy[j] = std::exp(std::min(c.y.log_c + shift_y - deviance(c.y, p.y), 700.0)) * p.rate_y;
      total += kRule.weight[j] * fy[j];
    }
    for (int k = 0; k < kGaussNodes; ++k) {
      double running = 0.0;
      for (int j = 0; j < kGaussNodes; ++j) running += fy[j] * kRunning.inner[j][k];
      const double weighted = half * kRule.weight[k] * fx[k];
      value += weighted * (inner + half * (leftwards ? total - running : running));
      density += weighted * fy[k];
    }
    inner += half * total;
    last = !(width < left * (1.0 - 1e-12));
    t += sign * width;
    here = point_at(c, t);
  }
  const double scale = shift_x + shift_y;
  return {{value, scale}, {density, scale}};
}

/// Mass below one curve, or above it when that is the small number.
struct Half {
  Curve curve;
  Side side;
  Window window;
  Scaled part, density;
};

Half make_half(const BetaLaw& x, const BetaLaw& y, double mu) {
  Half h{};
  h.curve = {x, y, mu};
  // The means lie below the curve when the normal scores of the two error rates sum to less than -mu.
  const double score_x = normal_quantile(std::min(x.m, 0.5)) - normal_quantile(std::min(x.q, 0.5));
  const double score_y = normal_quantile(std::min(y.m, 0.5)) - normal_quantile(std::min(y.q, 0.5));
  h.side = score_x + score_y < -mu ? Side::upper : Side::lower;
  h.window = make_window(h.curve, h.side);
  return h;
}

/// Beyond the last normal quantile a double resolves, the tails are those at the edge.
double resolved(double mu) { return std::min(mu, 2.0 * kFarthest - 1.0); }

struct Evaluation {
  TailPair tails;
  double density;
};

Evaluation evaluate(const AttackOutcome& o, double mu) {
  const bool both = o.region == Region::both;
  Half halves[2] = {make_half(o.fnr, o.fpr, mu), {}};
  if (both) halves[1] = make_half(mirrored(o.fnr), mirrored(o.fpr), mu);
  const int count = both ? 2 : 1;
  double best = halves[0].window.least;
  if (both) best = std::min(best, halves[1].window.least);
  Scaled density{};
  for (int i = 0; i < count; ++i) {
    Half& h = halves[i];
    if (h.window.least > std::min(best + kNegligible, kUnderflow)) continue;
    const Sums sums = integrate(h.curve, h.side, h.window);
    h.part = sums.value;
    density = density + sums.density;
  }
  const auto outside = [](const Half& h) { return h.side == Side::upper; };
  return {combine(halves[0].part, outside(halves[0]), both ? &halves[1].part : nullptr, both && outside(halves[1])),
          density.plain()};
}

}  // namespace

TailPair mu_tails(const AttackOutcome& outcome, double mu, double* density) {
  const bool end = mu > resolved(mu);
  if (mu < 0.0 || end) {
    if (density != nullptr) *density = 0.0;
    return end ? TailPair{1.0, 0.0, 0.0, -kInfinity} : TailPair{0.0, 1.0, -kInfinity, 0.0};
  }
  const Evaluation e = evaluate(outcome, mu);
  if (density != nullptr) *density = e.density;
  return e.tails;
}

double mu_quantile(const AttackOutcome& outcome, double log_level, double log_complement) {
  if (log_level == -kInfinity) return 0.0;
  if (log_complement == -kInfinity) return kInfinity;
  const Target target{log_level - log_complement};
  const auto score = [](const BetaLaw& law) {  // the law's mean on the normal scale, and its sd there
    const double z = law.m <= 0.5 ? normal_quantile(law.m) : -normal_quantile(law.q);
    return std::pair{z, std::sqrt(law.m * law.q / (law.n + 1.0)) / std::exp(normal_log_density(z))};
  };
  const auto [x, sd_x] = score(outcome.fnr);
  const auto [y, sd_y] = score(outcome.fpr);
  const double sd = std::hypot(sd_x, sd_y);
  const double centre = outcome.region == Region::both ? std::fabs(x + y) : -(x + y);
  const double start = clamp(centre + clamp(normal_score(log_level, log_complement), -6.0, 6.0) * sd, 0.05 * sd, 30.0);
  const Atom atom = outcome.region == Region::below ? Atom::unknown : Atom::none;
  return solve(target, start, atom, std::max(0.2 * centre, 3.0 * sd), [&](double mu, double* slope) {
    const Evaluation e = evaluate(outcome, resolved(mu));
    *slope = e.density;
    return e.tails;
  });
}

}  // namespace auditkit
