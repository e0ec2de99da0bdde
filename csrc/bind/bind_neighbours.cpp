#include "arrays.hpp"
#include "auditkit/neighbours.hpp"

namespace auditkit::bind {

void register_neighbours(py::module_& /*m*/) {}

}  // namespace auditkit::bind
