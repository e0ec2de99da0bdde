/// The law of the sum of the ranks of a batch (Mann-Whitney), with a bound on its error.
#pragma once

namespace auditkit {}  // namespace auditkit
