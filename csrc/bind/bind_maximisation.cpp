#include "arrays.hpp"
#include "auditkit/maximisation.hpp"

namespace auditkit::bind {

void register_maximisation(py::module_& m) { (void)m; }

}  // namespace auditkit::bind
