// The tail panel of the active instruction set, in the form that beta_tails and beta_quantile take. Internal.
#pragma once

#include "auditkit/beta_law.hpp"
#include "auditkit/dispatch.hpp"

namespace auditkit {

struct TailPanel {
  double operator()(const BetaLaw& law, const BetaPoint& p, double deviance_at_p, double width) const {
    return kernels().tail_panel(law, p, deviance_at_p, width);
  }
};

}  // namespace auditkit
