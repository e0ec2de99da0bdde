/// Run once for each value of AUDITKIT_ISA (see CMakeLists.txt): the cap holds, and the kernels of the level in use
/// agree with their contracts evaluated in extended precision by textbook formulas.
#include "auditkit/dispatch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "check.hpp"

namespace auditkit {
namespace {

using test::kEpsilon;

/// log of the density of log(x / (1 - x)) under Beta(a, b). At a + b below 5000 its error is 5000 ulps of an extended
/// number, 3e-16.
long double log_logit_density_reference(long double a, long double b, long double x, long double one_minus_x) {
  return a * logl(x) + b * logl(one_minus_x) + lgammal(a + b) - lgammal(a) - lgammal(b);
}

/// Integral over [low, high] by 2 panels of the Gauss rule in extended precision.
template <class Function>
long double integrate(long double low, long double high, Function&& f) {
  const GaussRule rule = gauss_rule();
  const long double half = (high - low) / 4.0L;
  long double sum = 0.0L;
  for (int panel = 0; panel < 2; ++panel)
    for (int j = 0; j < kGaussNodes; ++j)
      sum += half * rule.weight[j] * f(low + half * (2 * panel + 1 + static_cast<long double>(rule.node[j])));
  return sum;
}

long double logistic(long double v) { return 1.0L / (1.0L + expl(-v)); }

struct Case {
  double ax, bx, ay, by, epsilon, delta, anchor;
};

constexpr Case kCases[] = {
    {20.5, 180.5, 5.5, 195.5, 1.0, 1e-5, -1.0},    {20.5, 180.5, 5.5, 195.5, 1.0, 0.0, 0.7},
    {0.5, 100.5, 0.5, 100.5, 3.0, 1e-5, 0.0},      {900.5, 1100.5, 300.5, 1700.5, 0.5, 0.01, 0.4},
    {1.0, 1.0, 1.0, 1.0, 0.0, 0.2, 0.0},           {40.5, 2.5, 3.5, 60.5, 0.1, 1e-3, 2.0},
    {612.5, 1388.5, 31.5, 1969.5, 2.5, 1e-5, 0.3},
};

/// The line as the epsilon kernels prepare it: the anchor in the double precision that they have, the shifts equal to
/// the deviances there.
PrivacyLine make_line(const Case& c) {
  PrivacyLine line{};
  line.x_law = make_beta_law(c.ax, c.bx);
  line.y_law = make_beta_law(c.ay, c.by);
  line.delta = c.delta;
  line.d = 1.0 - c.delta;
  line.sig0 = static_cast<double>(logistic(c.anchor));
  line.one_minus_sig0 = static_cast<double>(logistic(-c.anchor));
  line.x0 = line.d * std::exp(-c.epsilon) * line.sig0;
  line.y0 = line.d * line.one_minus_sig0;
  const BetaPoint x = beta_point(line.x_law, line.x0, 1.0 - line.x0);
  const BetaPoint y = beta_point(line.y_law, line.y0, c.delta + line.d * line.sig0);
  line.offset_x0 = x.offset;
  line.offset_y0 = y.offset;
  line.shift_x = deviance(line.x_law, x);
  line.shift_y = deviance(line.y_law, y);
  return line;
}

/// The two densities in v = anchor + tau, scaled as the kernel scales them.
struct ReferenceLine {
  const PrivacyLine& line;
  const Case& c;

  long double sig(long double tau) const { return logistic(c.anchor + tau); }
  long double sig_minus(long double tau) const { return logistic(-c.anchor - tau); }

  long double x_density(long double tau) const {
    const long double x = line.d * expl(-c.epsilon) * sig(tau);
    return expl(log_logit_density_reference(c.ax, c.bx, x, 1.0L - x) + line.shift_x) * sig_minus(tau) / (1.0L - x);
  }
  long double y_density(long double tau) const {
    const long double y = line.d * sig_minus(tau), one_minus_y = c.delta + line.d * sig(tau);
    return expl(log_logit_density_reference(c.ay, c.by, y, one_minus_y) + line.shift_y) * sig(tau) / one_minus_y;
  }
  long double density(long double tau) const { return x_density(tau) * y_density(tau) / sig_minus(tau); }
  long double delta_density(long double tau) const { return density(tau) / (line.d * sig(tau)); }
};

/// What the callers of a panel promise (it is narrow against both laws), and what rounding can do to its nodes.
struct PanelScale {
  double half;       ///< half width: at most one standard deviation of either law, density ratio at most e^8
  double tolerance;  ///< see make_panel_scale
  double depth;      ///< largest |log density| relative to the scale: e^-707 and less counts as nothing
};

/// Each deviance and its offset carry a few ulps relative to the deviance itself; forming x, y and their offsets adds
/// an ulp of the coordinate, which moves the log density by its score, n |offset|.
PanelScale make_panel_scale(const PrivacyLine& line, double tau, double widest) {
  const double em = std::expm1(tau), den = 1.0 / (1.0 + line.sig0 * em);
  const double x = line.x0 * std::exp(tau) * den, y = line.y0 * den;
  const BetaPoint px = beta_point(line.x_law, x, 1.0 - x);
  const BetaPoint py = beta_point(line.y_law, y, line.delta + line.d * line.sig0 * std::exp(tau) * den);
  const double information = std::max(line.x_law.n * px.x * px.one_minus_x, line.y_law.n * py.x * py.one_minus_x);
  const double score =
      line.x_law.n * std::fabs(px.offset) / px.one_minus_x + line.y_law.n * std::fabs(py.offset) / py.one_minus_x;
  const double deviance_x = deviance(line.x_law, px), deviance_y = deviance(line.y_law, py);
  PanelScale scale{};
  scale.half = std::min({widest, 1.0 / std::sqrt(information), 4.0 / (score + 1e-9)});
  scale.tolerance = kEpsilon * (32 + 8 * (deviance_x + deviance_y) + 4 * score);
  scale.depth = std::max(std::fabs(line.shift_x - deviance_x), std::fabs(line.shift_y - deviance_y));
  return scale;
}

}  // namespace

TEST(the_cap_is_kept) {
  const char* cap = std::getenv("AUDITKIT_ISA");
  std::printf("AUDITKIT_ISA=%s runs %s\n", cap == nullptr ? "" : cap, isa_name(active_isa()));
  for (const Isa level : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (cap != nullptr && std::strcmp(cap, isa_name(level)) == 0) CHECK(active_isa() <= level);
  CHECK(kernels().line_panel != nullptr);
  CHECK(kernels().tail_panel != nullptr);
}

TEST(line_panel_meets_its_contract) {
  for (const Case& c : kCases) {
    const PrivacyLine line = make_line(c);
    const ReferenceLine reference{line, c};
    for (const double center : {-1.1, -0.3, 0.0, 0.25, 1.3})
      for (const double widest : {0.02, 0.1})
        for (const bool accumulate_left : {false, true}) {
          const auto [half, tolerance, depth] = make_panel_scale(line, center, widest);
          if (depth > 600.0) continue;
          const double start = 0.37;
          const PanelSums sums = kernels().line_panel(line, center, half, start, accumulate_left);
          const long double low = static_cast<long double>(center) - half,
                            high = static_cast<long double>(center) + half;
          const auto y_density = [&](long double tau) { return reference.y_density(tau); };
          CHECK_CLOSE(sums.inner, static_cast<double>(integrate(low, high, y_density)), tolerance);
          CHECK_CLOSE(sums.density,
                      static_cast<double>(integrate(low, high, [&](long double t) { return reference.density(t); })),
                      tolerance);
          CHECK_CLOSE(
              sums.delta_density,
              static_cast<double>(integrate(low, high, [&](long double t) { return reference.delta_density(t); })),
              tolerance);
          const auto outer = [&](long double t) {
            const long double inner = accumulate_left ? integrate(t, high, y_density) : integrate(low, t, y_density);
            return reference.x_density(t) * (start + inner);
          };
          CHECK_CLOSE(sums.value, static_cast<double>(integrate(low, high, outer)), tolerance);
        }
  }
}

TEST(tail_panel_meets_its_contract) {
  for (const Case& c : kCases) {
    const BetaLaw law = make_beta_law(c.ax, c.bx);
    for (const double s0 : {-6.0, -2.0, -0.5, 0.4})
      for (const double widest : {0.05, 0.2}) {
        const BetaPoint point = beta_point_at_logit(law, s0);
        const double width = std::min(
            {widest, 2.0 / std::sqrt(law.n * point.x * point.one_minus_x), 8.0 / (law.n * std::fabs(point.offset))});
        const double start = deviance(law, point);
        const long double logit = logl(point.x) - logl(static_cast<long double>(point.one_minus_x));
        const long double top = log_logit_density_reference(c.ax, c.bx, logistic(logit), logistic(-logit));
        const long double want = integrate(logit - width, logit, [&](long double s) {
          return expl(log_logit_density_reference(c.ax, c.bx, logistic(s), logistic(-s)) - top);
        });
        const double score = law.n * std::fabs(step_down(law, point, -width).offset) + law.n * std::fabs(point.offset);
        const double tolerance = kEpsilon * (32 + 16 * start + 4 * score);
        CHECK_CLOSE(kernels().tail_panel(law, point, start, width), static_cast<double>(want), tolerance);
        CHECK_CLOSE(ScalarTailPanel{}(law, point, start, width), static_cast<double>(want), tolerance);
      }
  }
}

TEST(tail_panel_of_this_level_gives_the_scalar_tails) {
  const auto panel = [](const BetaLaw& law, const BetaPoint& p, double deviance_at_p, double width) {
    return kernels().tail_panel(law, p, deviance_at_p, width);
  };
  for (const double a : {0.5, 12.5, 400.0, 1e6 + 0.5, 1e9})
    for (const double b : {0.5, 33.0, 5e4, 1e9}) {
      const BetaLaw law = make_beta_law(a, b);
      const double spread = std::sqrt(law.n / (a * b));
      for (const double z : {-12.0, -3.0, -0.2, 1.0, 6.0}) {
        const BetaPoint point = beta_point_at_logit(law, std::log(a / b) + z * spread);
        const BetaTails want = beta_tails(law, point, ScalarTailPanel{});
        const BetaTails got = beta_tails(law, point, panel);
        CHECK_CLOSE(got.lower, want.lower, 1e-13);
        CHECK_CLOSE(got.upper, want.upper, 1e-13);
      }
    }
}

}  // namespace auditkit
