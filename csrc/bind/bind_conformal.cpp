#include "arrays.hpp"

namespace auditkit::bind {

void register_conformal(py::module_& /*m*/) {}

}  // namespace auditkit::bind
