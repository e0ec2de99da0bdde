/// Contract of the vectorised inner loops of the epsilon posterior: 16 Gauss nodes at a time on the privacy line
/// E x + y = D, in the variable v = log(E x / y), and 16 nodes of one Beta law's tail.
///
/// On the line x = (D/E) sig(v), y = D sig(-v), 1 - y = delta + D sig(v). All singularities of every factor lie at a
/// distance pi from the real v axis, so one set of panels serves both laws.
#pragma once

#include "auditkit/beta_law.hpp"

namespace auditkit {

/// The line, the two laws on it, and the anchor node v0 that offsets are carried from.
struct PrivacyLine {
  BetaLaw x_law, y_law;
  double shift_x, shift_y;  ///< deviances at the anchor; densities come out as exp(log_c + shift - deviance)
  double delta;             ///< 1 - D
  double d;                 ///< D = 1 - delta
  double x0, y0;            ///< the anchor on the line
  double sig0;              ///< sig(v0)
  double one_minus_sig0;
  double offset_x0, offset_y0;  ///< x0 and y0 minus the exact means
};

/// What one panel adds. `sign` says on which side of a node the inner integral accumulates.
struct PanelSums {
  double value;          ///< integral of fX(v) * (start + inner integral of fY)
  double density;        ///< integral of fX fY / sig(-v): the part's share of the density in epsilon
  double delta_density;  ///< integral of fX fY / (D sig(v) sig(-v)): its share of the density in delta
  double inner;          ///< integral of fY over the whole panel
};

/// Panel over tau = v - v0 in [center - half, center + half].
/// `start` is the inner integral at the panel's right end (accumulate_left) or left end (otherwise).
using LinePanelFn = PanelSums (*)(const PrivacyLine& line, double center, double half, double start,
                                  bool accumulate_left);

/// Contract of ScalarTailPanel::operator().
using TailPanelFn = double (*)(const BetaLaw& law, const BetaPoint& p, double deviance_at_p, double width);

}  // namespace auditkit
