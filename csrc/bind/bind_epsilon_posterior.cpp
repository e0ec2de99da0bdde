#include "arrays.hpp"

namespace auditkit::bind {

void register_epsilon_posterior(py::module_&) {}

}  // namespace auditkit::bind
