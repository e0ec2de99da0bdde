/// The inner loop of min-plus products: one contiguous add and minimum.
#pragma once

#include <cstdint>

namespace auditkit {

/// target[j] = min(target[j], shift + source[j]) for 0 <= j < count; the ranges do not overlap. Equal on every
/// instruction set to the last bit.
using AddMinFn = void (*)(double* target, const double* source, double shift, std::int64_t count);

}  // namespace auditkit
