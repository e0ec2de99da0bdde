#include "arrays.hpp"
#include "auditkit/rank_sums.hpp"

namespace auditkit::bind {

void register_rank_sums(py::module_& m) { (void)m; }

}  // namespace auditkit::bind
