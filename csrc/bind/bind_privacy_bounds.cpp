#include "arrays.hpp"

namespace auditkit::bind {

void register_privacy_bounds(py::module_&) {}

}  // namespace auditkit::bind
