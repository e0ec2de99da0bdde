#include "auditkit/batch_ranks.hpp"

namespace auditkit {}  // namespace auditkit
