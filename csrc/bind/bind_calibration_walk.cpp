#include "arrays.hpp"

namespace auditkit::bind {

void register_calibration_walk(py::module_& /*m*/) {}

}  // namespace auditkit::bind
