/// The largest sum of m scores whose ranks add up to a given total.
#pragma once

namespace auditkit {}  // namespace auditkit
