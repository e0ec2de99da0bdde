#include "arrays.hpp"
#include "auditkit/epsilon_posterior.hpp"
#include "auditkit/mu_posterior.hpp"
#include "auditkit/normal.hpp"

namespace auditkit::bind {
namespace {

/// Columns of the broadcast cases: the Beta parameters of FNR and FPR, and delta.
struct Cases {
  std::span<const double> fnr_a, fnr_b, fpr_a, fpr_b, delta;
  Region region;
  std::size_t size;

  AttackOutcome operator[](std::size_t i) const {
    return {make_beta_law(fnr_a[i], fnr_b[i]), make_beta_law(fpr_a[i], fpr_b[i]), delta[i], region};
  }
};

Cases cases_of(const Array& laws, const Array& delta, bool both) {
  if (laws.ndim() != 2 || laws.shape(0) != 4) throw py::value_error("laws must have shape (4, n)");
  const auto size = static_cast<std::size_t>(laws.shape(1));
  const auto all = view(laws);
  if (view(delta).size() != size) throw py::value_error("delta must have shape (n,)");
  const auto row = [&](std::size_t i) { return all.subspan(i * size, size); };
  return {row(0), row(1), row(2), row(3), view(delta), both ? Region::both : Region::below, size};
}

using TailsOf = TailPair (*)(const AttackOutcome&, double, double*);
using QuantileOf = double (*)(const AttackOutcome&, double, double);

/// Rows: P(<=), P(>), log P(<=), log P(>), density.
template <TailsOf tails_of>
Array tails(const Array& laws, const Array& delta, const Array& value, bool both, unsigned n_threads) {
  const Cases cases = cases_of(laws, delta, both);
  const auto at = view(value);
  if (at.size() != cases.size) throw py::value_error("value must have shape (n,)");
  Array result({static_cast<py::ssize_t>(5), static_cast<py::ssize_t>(cases.size)});
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  parallel_for(cases.size, 16, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      double density = 0.0;
      const TailPair t = tails_of(cases[i], at[i], &density);
      const double row[] = {t.lower, t.upper, t.log_lower, t.log_upper, density};
      for (std::size_t k = 0; k < 5; ++k) out[k * cases.size + i] = row[k];
    }
  });
  return result;
}

/// One output per case: `f(i)`; single cases are slow enough that the grain stays small.
template <class Function>
Array map_cases(const Cases& cases, unsigned n_threads, Function&& f) {
  Array result = make_array(cases.size);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  parallel_for(cases.size, 8, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) out[i] = f(i);
  });
  return result;
}

Array log_cdf(const Array& laws, const Array& delta, const Array& epsilon, bool both, unsigned n_threads) {
  const Cases cases = cases_of(laws, delta, both);
  const auto eps = view(epsilon);
  if (eps.size() != cases.size) throw py::value_error("epsilon must have shape (n,)");
  return map_cases(cases, n_threads, [&](std::size_t i) { return epsilon_log_cdf(cases[i], eps[i]); });
}

/// levels: shape (2, n), log(level) and log(1 - level).
std::pair<std::span<const double>, std::span<const double>> levels_of(const Array& levels, std::size_t size) {
  if (levels.ndim() != 2 || levels.shape(0) != 2 || static_cast<std::size_t>(levels.shape(1)) != size)
    throw py::value_error("levels must have shape (2, n)");
  return {view(levels).first(size), view(levels).subspan(size)};
}

template <QuantileOf quantile_of>
Array quantile(const Array& laws, const Array& delta, const Array& levels, bool both, unsigned n_threads) {
  const Cases cases = cases_of(laws, delta, both);
  const auto [level, complement] = levels_of(levels, cases.size);
  return map_cases(cases, n_threads,
                   [&, lv = level, cv = complement](std::size_t i) { return quantile_of(cases[i], lv[i], cv[i]); });
}

Array delta_of_level(const Array& laws, const Array& epsilon, const Array& levels, bool both, unsigned n_threads) {
  const Cases cases = cases_of(laws, epsilon, both);  // the cases' delta is unknown: epsilon stands in its column
  const auto [level, complement] = levels_of(levels, cases.size);
  const auto eps = view(epsilon);
  return map_cases(cases, n_threads, [&, lv = level, cv = complement](std::size_t i) {
    return delta_quantile(cases[i], lv[i], cv[i], eps[i]);
  });
}

Array mean(const Array& laws, const Array& delta, bool both, unsigned n_threads) {
  const Cases cases = cases_of(laws, delta, both);
  return map_cases(cases, n_threads, [&](std::size_t i) { return epsilon_mean(cases[i]); });
}

/// Rows: lower, upper.
Array highest_density(const Array& laws, const Array& delta, const Array& alpha, bool both, unsigned n_threads) {
  const Cases cases = cases_of(laws, delta, both);
  const auto level = view(alpha);
  if (level.size() != cases.size) throw py::value_error("alpha must have shape (n,)");
  Array result({static_cast<py::ssize_t>(2), static_cast<py::ssize_t>(cases.size)});
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  parallel_for(cases.size, 1, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const Interval interval = epsilon_highest_density(cases[i], level[i]);
      out[i] = interval.lower;
      out[cases.size + i] = interval.upper;
    }
  });
  return result;
}

Array gaussian_epsilons(const Array& mu, const Array& delta) {
  const auto m = view(mu), d = view(delta);
  Array result = make_array(common_size({m, d}));
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < m.size(); ++i) out[i] = gaussian_epsilon(m[i], d[i]);
  return result;
}

}  // namespace

void register_epsilon_posterior(py::module_& m) {
  using py::arg;
  const auto laws = arg("laws").noconvert();
  const auto delta = arg("delta").noconvert();
  const auto value = arg("value").noconvert();
  const auto levels = arg("levels").noconvert();
  const auto both = arg("both");
  const auto n_threads = arg("n_threads");
  m.def("epsilon_tails", tails<epsilon_tails>, laws, delta, value, both, n_threads);
  m.def("mu_tails", tails<mu_tails>, laws, delta, value, both, n_threads);
  m.def("epsilon_quantile", quantile<epsilon_quantile>, laws, delta, levels, both, n_threads);
  m.def("mu_quantile", quantile<mu_quantile>, laws, delta, levels, both, n_threads);
  m.def("epsilon_log_cdf", log_cdf, laws, delta, arg("epsilon").noconvert(), both, n_threads);
  m.def("delta_quantile", delta_of_level, laws, arg("epsilon").noconvert(), levels, both, n_threads);
  m.def("epsilon_mean", mean, laws, delta, both, n_threads);
  m.def("epsilon_highest_density", highest_density, laws, delta, arg("alpha").noconvert(), both, n_threads);
  m.def("gaussian_epsilon", gaussian_epsilons, arg("mu").noconvert(), delta);
}

}  // namespace auditkit::bind
