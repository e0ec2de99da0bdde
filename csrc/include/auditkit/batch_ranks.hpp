/// Ranks of the sorted scores of a batch among calibration scores: one, two, or all of them in a band.
#pragma once

namespace auditkit {}  // namespace auditkit
