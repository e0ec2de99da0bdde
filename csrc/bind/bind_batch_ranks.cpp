#include "arrays.hpp"
#include "auditkit/batch_ranks.hpp"

namespace auditkit::bind {

void register_batch_ranks(py::module_& m) { (void)m; }

}  // namespace auditkit::bind
