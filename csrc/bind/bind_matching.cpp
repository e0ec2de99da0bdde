#include "arrays.hpp"
#include "auditkit/matching.hpp"

namespace auditkit::bind {

void register_matching(py::module_& /*m*/) {}

}  // namespace auditkit::bind
