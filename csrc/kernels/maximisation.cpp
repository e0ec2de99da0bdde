#include "auditkit/maximisation.hpp"

namespace auditkit {}  // namespace auditkit
