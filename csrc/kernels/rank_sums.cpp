#include "auditkit/rank_sums.hpp"

namespace auditkit {}  // namespace auditkit
