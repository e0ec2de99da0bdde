#include "arrays.hpp"
#include "auditkit/dispatch.hpp"

namespace auditkit::bind {

void register_build(py::module_& m) {
  m.def("active_isa", [] { return std::string(isa_name(active_isa())); });
  m.def("build_config", [] {
    py::dict config;
    config["version"] = AUDITKIT_VERSION;
    config["compiler"] = AUDITKIT_COMPILER;
    config["build_type"] = AUDITKIT_BUILD_TYPE;
    config["sanitize"] = AUDITKIT_SANITIZE;
    config["cxx_standard"] = __cplusplus;
#if defined(NDEBUG)
    config["assertions"] = false;
#else
    config["assertions"] = true;
#endif
    config["isa"] = std::string(isa_name(active_isa()));
    return config;
  });
}

}  // namespace auditkit::bind
