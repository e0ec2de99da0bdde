// Compiled once per instruction set (see cmake/instruction_sets.cmake). Plain loops over 16 nodes, written for the
// vectoriser: no calls into libm, no branches that depend on a node, no std:: templates (a weak symbol compiled for a
// wide instruction set could be the one the linker keeps for every machine).
#include <cstdint>
#include <cstring>

#include "auditkit/line_panels.hpp"

#define AUDITKIT_CONCAT_(a, b) a##b
#define AUDITKIT_CONCAT(a, b) AUDITKIT_CONCAT_(a, b)
#define AUDITKIT_LEVEL AUDITKIT_CONCAT(isa_, AUDITKIT_ISA)

namespace auditkit {
namespace AUDITKIT_LEVEL {
namespace {

constexpr int kNodes = kGaussNodes;
constexpr GaussRule kRule = gauss_rule();

constexpr RunningIntegral kRunning = running_integral();

inline std::uint64_t bits_of(double x) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline double from_bits(std::uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

constexpr double kRoundMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the rounded integer in the low bits
constexpr double kLog2E = 1.4426950408889634074;
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;

/// e^x = scale + scale * p with scale a power of two and p the small rest, so that e^x - 1 = scale * p + (scale - 1)
/// keeps its digits near 0. x is cut to [-707, 709]: what is smaller counts as nothing beside the panel's largest node.
struct SplitExp {
  double scale, p;
};

inline SplitExp split_exp(double x) {
  x = x < -707.0 ? -707.0 : x;
  x = x > 709.0 ? 709.0 : x;
  const double shifted = x * kLog2E + kRoundMagic;
  const double k = shifted - kRoundMagic;
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r * r + r;
  return {from_bits((bits_of(shifted) + 1023) << 52), p};
}

inline double vector_exp(double x) {
  const SplitExp e = split_exp(x);
  return e.scale + e.scale * e.p;
}

/// log(1 + u) - u with r = 1 + u > 0 given; the contract of log1p_minus, without branches.
inline double vector_log1p_minus(double u, double r) {
  const bool near = (u > -0.4) & (u < 0.6);
  // r = 2^e f with f in [sqrt(1/2), sqrt(2)): biased so that the exponent can be shifted out as an unsigned number.
  const std::uint64_t bits = bits_of(r);
  const std::uint64_t biased = bits - 0x3fe6a09e667f3bcdULL + (1024ULL << 52);
  const std::uint64_t exponent = biased >> 52;
  const double f = from_bits(bits - ((exponent - 1024) << 52));
  const double e = from_bits(exponent | 0x4330000000000000ULL) - (4503599627370496.0 + 1024.0);
  const double numerator = near ? u : f - 1.0;
  const double denominator = near ? 2.0 + u : f + 1.0;
  const double s = numerator / denominator;
  const double z = s * s;
  double series = 1.0 / 29.0;
  series = series * z + 1.0 / 27.0;
  series = series * z + 1.0 / 25.0;
  series = series * z + 1.0 / 23.0;
  series = series * z + 1.0 / 21.0;
  series = series * z + 1.0 / 19.0;
  series = series * z + 1.0 / 17.0;
  series = series * z + 1.0 / 15.0;
  series = series * z + 1.0 / 13.0;
  series = series * z + 1.0 / 11.0;
  series = series * z + 1.0 / 9.0;
  series = series * z + 1.0 / 7.0;
  series = series * z + 1.0 / 5.0;
  series = series * z + 1.0 / 3.0;
  const double at_near = s * (2.0 * z * series - u);
  const double at_far = e * kLn2High + (2.0 * s + (2.0 * s * z * series + (e * kLn2Low - (r - 1.0))));
  return near ? at_near : at_far;
}

inline double vector_deviance(double a, double b, double inverse_m, double inverse_q, double x, double one_minus_x,
                              double offset) {
  return -(a * vector_log1p_minus(offset * inverse_m, x * inverse_m) +
           b * vector_log1p_minus(-offset * inverse_q, one_minus_x * inverse_q));
}

}  // namespace

PanelSums line_panel(const PrivacyLine& line, double center, double half, double start, bool accumulate_left) {
  alignas(64) double fx[kNodes];
  alignas(64) double fy[kNodes];
  alignas(64) double inverse_sig_minus[kNodes];
  alignas(64) double inverse_sig_plus[kNodes];
  const BetaLaw& lx = line.x_law;
  const BetaLaw& ly = line.y_law;
  const double ax = lx.a, bx = lx.b, ay = ly.a, by = ly.b;
  const double inverse_mx = 1.0 / lx.m, inverse_qx = 1.0 / lx.q, inverse_my = 1.0 / ly.m, inverse_qy = 1.0 / ly.q;
  const double mx = lx.m, mx_low = lx.m_low, my = ly.m, my_low = ly.m_low;
  const double qy = ly.q, qy_low = ly.q_low;
  const double top_x = lx.log_c + line.shift_x, top_y = ly.log_c + line.shift_y;
  const double x0 = line.x0, y0 = line.y0, sig0 = line.sig0, one_minus_sig0 = line.one_minus_sig0;
  const double offset_x0 = line.offset_x0, offset_y0 = line.offset_y0, delta = line.delta, d = line.d;
  for (int j = 0; j < kNodes; ++j) {
    const double tau = center + half * kRule.node[j];
    const SplitExp exp_tau = split_exp(tau);
    const double em = exp_tau.scale * exp_tau.p + (exp_tau.scale - 1.0);
    const double grown = exp_tau.scale + exp_tau.scale * exp_tau.p;
    const double den = 1.0 / (one_minus_sig0 + sig0 * grown);  // not 1 + sig0 * em, which cancels at sig0 near 1
    const double x = x0 * grown * den;
    const double y = y0 * den;
    const double sig = sig0 * grown * den;
    const double sig_minus = one_minus_sig0 * den;
    const double one_minus_x = 1.0 - x;
    const double one_minus_y = delta + d * sig;
    const bool close = (tau > -0.7) & (tau < 0.7);
    // x <= 1/2 on this line; y may be near 1, where its complement is the precise one.
    const double far_y = y <= 0.5 ? (y - my) - my_low : -((one_minus_y - qy) - qy_low);
    const double offset_x = close ? offset_x0 + x0 * one_minus_sig0 * em * den : (x - mx) - mx_low;
    const double offset_y = close ? offset_y0 - y0 * sig0 * em * den : far_y;
    const double deviance_x = vector_deviance(ax, bx, inverse_mx, inverse_qx, x, one_minus_x, offset_x);
    const double deviance_y = vector_deviance(ay, by, inverse_my, inverse_qy, y, one_minus_y, offset_y);
    fx[j] = vector_exp(top_x - deviance_x) * sig_minus / one_minus_x;
    fy[j] = vector_exp(top_y - deviance_y) * sig / one_minus_y;
    inverse_sig_minus[j] = 1.0 / sig_minus;
    inverse_sig_plus[j] = 1.0 / (d * sig);
  }
  alignas(64) double running[kNodes] = {};
  for (int j = 0; j < kNodes; ++j)
    for (int k = 0; k < kNodes; ++k) running[k] += fy[j] * kRunning.inner[j][k];
  double total = 0.0;
  for (int j = 0; j < kNodes; ++j) total += kRule.weight[j] * fy[j];
  PanelSums sums{};
  sums.inner = half * total;
  double value = 0.0, density = 0.0, delta_density = 0.0;
  for (int j = 0; j < kNodes; ++j) {
    const double inner = start + half * (accumulate_left ? total - running[j] : running[j]);
    const double weighted = kRule.weight[j] * fx[j];
    value += weighted * inner;
    density += weighted * fy[j] * inverse_sig_minus[j];
    delta_density += weighted * fy[j] * inverse_sig_minus[j] * inverse_sig_plus[j];
  }
  sums.value = half * value;
  sums.density = half * density;
  sums.delta_density = half * delta_density;
  return sums;
}

double tail_panel(const BetaLaw& law, const BetaPoint& p, double deviance_at_p, double width) {
  alignas(64) double weighted[kNodes];
  const double a = law.a, b = law.b, m = law.m, m_low = law.m_low, q = law.q, q_low = law.q_low,
               inverse_m = 1.0 / law.m, inverse_q = 1.0 / law.q;
  const double x0 = p.x, q0 = p.one_minus_x, offset0 = p.offset;
  for (int j = 0; j < kNodes; ++j) {
    const double tau = -0.5 * width * (1.0 + kRule.node[j]);
    const SplitExp exp_tau = split_exp(tau);
    const double em = exp_tau.scale * exp_tau.p + (exp_tau.scale - 1.0);
    const double grown = exp_tau.scale + exp_tau.scale * exp_tau.p;
    const double den = 1.0 / (q0 + x0 * grown);
    const double x = x0 * grown * den;
    const double one_minus_x = q0 * den;
    const double far = x <= 0.5 ? (x - m) - m_low : -((one_minus_x - q) - q_low);
    const double offset = tau > -0.7 ? offset0 + x0 * q0 * em * den : far;
    const double here = vector_deviance(a, b, inverse_m, inverse_q, x, one_minus_x, offset);
    weighted[j] = kRule.weight[j] * vector_exp(deviance_at_p - here);
  }
  double sum = 0.0;
  for (int j = 0; j < kNodes; ++j) sum += weighted[j];
  return 0.5 * width * sum;
}

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
