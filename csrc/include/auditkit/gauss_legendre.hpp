/// The 16-point Gauss-Legendre rule on [-1, 1]: nodes in ascending order and their weights.
/// Generated with 40-digit arithmetic as the roots of the Legendre polynomial P16.
#pragma once

#include "auditkit/portable.hpp"

namespace auditkit {

inline constexpr int kGaussNodes = 16;

struct GaussRule {
  double node[kGaussNodes];
  double weight[kGaussNodes];
};

/// By value in a function, so that device code may use it too.
AUDITKIT_HD constexpr GaussRule gauss_rule() {
  return GaussRule{{-0.989400934991649933, -0.944575023073232576, -0.865631202387831744, -0.755404408355003034,
                    -0.617876244402643748, -0.458016777657227386, -0.281603550779258913, -0.0950125098376374402,
                    0.0950125098376374402, 0.281603550779258913, 0.458016777657227386, 0.617876244402643748,
                    0.755404408355003034, 0.865631202387831744, 0.944575023073232576, 0.989400934991649933},
                   {0.0271524594117540949, 0.0622535239386478929, 0.0951585116824927848, 0.124628971255533872,
                    0.149595988816576732, 0.169156519395002538, 0.182603415044923589, 0.189450610455068496,
                    0.189450610455068496, 0.182603415044923589, 0.169156519395002538, 0.149595988816576732,
                    0.124628971255533872, 0.0951585116824927848, 0.0622535239386478929, 0.0271524594117540949}};
}

/// inner[j][k] = integral from -1 to node k of the Lagrange polynomial of node j: turns 16 values of a function into
/// its running integral. From l_j = w_j sum_i (2i+1)/2 P_i(t_j) P_i and the antiderivative (P_{i+1} - P_{i-1}) /
/// (2i+1).
struct RunningIntegral {
  double inner[kGaussNodes][kGaussNodes];
};

constexpr RunningIntegral running_integral() {
  constexpr GaussRule rule = gauss_rule();
  RunningIntegral out{};
  double p[kGaussNodes][kGaussNodes + 2] = {};
  for (int k = 0; k < kGaussNodes; ++k) {
    const double t = rule.node[k];
    p[k][0] = 1.0;
    p[k][1] = t;
    for (int i = 1; i <= kGaussNodes; ++i) p[k][i + 1] = ((2 * i + 1) * t * p[k][i] - i * p[k][i - 1]) / (i + 1);
  }
  for (int j = 0; j < kGaussNodes; ++j) {
    for (int k = 0; k < kGaussNodes; ++k) {
      double sum = rule.node[k] + 1.0;
      for (int i = 1; i < kGaussNodes; ++i) sum += p[j][i] * (p[k][i + 1] - p[k][i - 1]);
      out.inner[j][k] = 0.5 * rule.weight[j] * sum;
    }
  }
  return out;
}

}  // namespace auditkit
