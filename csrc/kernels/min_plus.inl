// The loop of min_plus.hpp, compiled once per instruction set. See cmake/instruction_sets.cmake.
#include "auditkit/min_plus.hpp"

#define AUDITKIT_LEVEL_NAME(level) isa_##level
#define AUDITKIT_LEVEL_OF(level) AUDITKIT_LEVEL_NAME(level)
#define AUDITKIT_LEVEL AUDITKIT_LEVEL_OF(AUDITKIT_ISA)

namespace auditkit {
namespace AUDITKIT_LEVEL {

void add_min(double* __restrict target, const double* __restrict source, double shift, std::int64_t count) {
  for (std::int64_t j = 0; j < count; ++j) {
    const double sum = shift + source[j];
    target[j] = sum < target[j] ? sum : target[j];
  }
}

}  // namespace AUDITKIT_LEVEL
}  // namespace auditkit
