#include "arrays.hpp"
#include "auditkit/projection.hpp"

namespace auditkit::bind {

void register_projection(py::module_& /*m*/) {}

}  // namespace auditkit::bind
