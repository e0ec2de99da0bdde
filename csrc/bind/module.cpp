#include "arrays.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "Numerical core of auditkit. Not a public interface: use the functions of the auditkit packages.";
  auditkit::bind::register_build(m);
  auditkit::bind::register_special(m);
  auditkit::bind::register_epsilon_posterior(m);
  auditkit::bind::register_privacy_bounds(m);
  auditkit::bind::register_batch_ranks(m);
  auditkit::bind::register_rank_sums(m);
  auditkit::bind::register_maximisation(m);
  auditkit::bind::register_kernel_posterior(m);
  auditkit::bind::register_neighbours(m);
  auditkit::bind::register_matching(m);
  auditkit::bind::register_projection(m);
  auditkit::bind::register_calibration(m);
  auditkit::bind::register_calibration_walk(m);
  auditkit::bind::register_conformal(m);
  auditkit::bind::register_predictive_laws(m);
}
