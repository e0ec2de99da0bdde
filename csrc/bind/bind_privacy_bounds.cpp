#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "arrays.hpp"
#include "auditkit/normal.hpp"
#include "auditkit/one_run.hpp"
#include "auditkit/privacy_bounds.hpp"
#include "auditkit/score_bands.hpp"

namespace auditkit::bind {
namespace {

AttackCounts checked_counts(std::int64_t tp, std::int64_t fn, std::int64_t fp, std::int64_t tn) {
  require(std::min({tp, fn, fp, tn}) >= 0 && tp + fn > 0 && fp + tn > 0,
          "counts must be non-negative, both classes present");
  return {tp, fn, fp, tn};
}

OneRunOutcome checked_outcome(std::int64_t canaries, std::int64_t guesses, std::int64_t correct) {
  require(correct >= 0 && correct <= guesses && guesses <= canaries && canaries > 0,
          "canaries >= guesses >= correct >= 0 is required");
  return {canaries, guesses, correct};
}

bool inside_unit(double p) { return p > 0.0 && p < 1.0; }

/// The limit and its complement.
py::tuple rate_upper(std::int64_t errors, std::int64_t successes, double miss, bool jeffreys) {
  require(errors >= 0 && successes >= 0 && errors + successes > 0 && inside_unit(miss), "counts and miss out of range");
  const Probability limit =
      jeffreys ? jeffreys_upper(errors, successes, miss) : clopper_pearson_upper(errors, successes, miss);
  return py::make_tuple(limit.value, limit.complement);
}

py::tuple buehler(std::int64_t tp, std::int64_t fn, std::int64_t fp, std::int64_t tn, double delta, double alpha,
                  std::int64_t cell_budget) {
  const AttackCounts counts = checked_counts(tp, fn, fp, tn);
  require(delta >= 0.0 && delta < 1.0 && inside_unit(alpha), "delta or alpha out of range");
  BuehlerBound bound{};
  {
    const py::gil_scoped_release nogil;
    bound = buehler_bound(counts, delta, alpha, cell_budget);
  }
  return py::make_tuple(bound.epsilon, bound.status == BuehlerStatus::certified, bound.cells);
}

IntArray staircase(std::int64_t tp, std::int64_t fn, std::int64_t fp, std::int64_t tn, double delta) {
  const AttackCounts counts = checked_counts(tp, fn, fp, tn);
  require(delta >= 0.0 && delta < 1.0, "delta out of range");
  IntArray result(static_cast<py::ssize_t>(counts.members() + 1));
  const std::span<std::int64_t> out{result.mutable_data(), static_cast<std::size_t>(result.size())};
  const py::gil_scoped_release nogil;
  buehler_staircase(counts, delta, out);
  return result;
}

double staircase_mass(const IntArray& stairs, std::int64_t nonmembers, double x, double y) {
  require(stairs.size() > 0 && nonmembers > 0 && x >= 0.0 && x <= 1.0 && y >= 0.0 && y <= 1.0, "rates out of range");
  const std::span<const std::int64_t> heights{stairs.data(), static_cast<std::size_t>(stairs.size())};
  for (const std::int64_t height : heights) require(height >= -1 && height <= nonmembers, "heights out of range");
  const py::gil_scoped_release nogil;
  return staircase_probability(heights, nonmembers, {x, 1.0 - x}, {y, 1.0 - y});
}

Array limits_of_level(std::size_t n, double eta) {
  require(n > 0 && inside_unit(eta), "n or eta out of range");
  Array result = make_array(n);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  band_limits(eta, out);
  return result;
}

Array limits_of_ranks(std::size_t n, const Array& ranks, double eta) {
  require(inside_unit(eta), "eta out of range");
  const auto at = view(ranks);
  double before = 0.0;
  for (const double rank : at) {
    require(rank > before && rank <= static_cast<double>(n), "ranks must rise within 1..n");
    before = rank;
  }
  Array result = make_array(at.size());
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  band_limits(n, at, eta, out);
  return result;
}

double coverage_of_limits(const Array& limits) {
  const auto values = view(limits);
  require(!values.empty(), "limits must not be empty");
  double before = 0.0;
  for (const double value : values) {
    require(value >= before && value <= 1.0 && value > 0.0, "limits must rise within (0, 1]");
    before = value;
  }
  const py::gil_scoped_release nogil;
  return band_coverage(values);
}

double level_of_bands(std::size_t n, double miss) {
  require(n > 0 && inside_unit(miss), "n or miss out of range");
  const py::gil_scoped_release nogil;
  return band_level(n, miss);
}

Array one_run_epsilons(std::int64_t canaries, const IntArray& guesses, const IntArray& correct, double delta,
                       double alpha, double resolution) {
  require(
      guesses.size() == correct.size() && delta >= 0.0 && delta < 1.0 && inside_unit(alpha) && inside_unit(resolution),
      "arguments out of range");
  const std::size_t size = static_cast<std::size_t>(guesses.size());
  std::vector<OneRunOutcome> outcomes;
  outcomes.reserve(size);
  for (std::size_t i = 0; i < size; ++i)
    outcomes.push_back(checked_outcome(canaries, guesses.data()[i], correct.data()[i]));
  Array result = make_array(size);
  const auto out = mutable_view(result);
  const py::gil_scoped_release nogil;
  for (std::size_t i = 0; i < size; ++i) out[i] = one_run_epsilon(outcomes[i], delta, alpha, resolution);
  return result;
}

double one_run_p(std::int64_t canaries, std::int64_t guesses, std::int64_t correct, double epsilon, double delta) {
  const OneRunOutcome outcome = checked_outcome(canaries, guesses, correct);
  require(epsilon >= 0.0 && delta >= 0.0 && delta < 1.0, "epsilon or delta out of range");
  const py::gil_scoped_release nogil;
  return one_run_p_value(outcome, epsilon, delta);
}

double one_run_mu(std::int64_t canaries, std::int64_t guesses, std::int64_t correct, double alpha) {
  const OneRunOutcome outcome = checked_outcome(canaries, guesses, correct);
  require(inside_unit(alpha), "alpha out of range");
  const py::gil_scoped_release nogil;
  return one_run_gaussian_mu(outcome, alpha);
}

bool one_run_lines(std::int64_t canaries, std::int64_t guesses, std::int64_t correct, const Array& deltas,
                   const Array& weights, double alpha) {
  const OneRunOutcome outcome = checked_outcome(canaries, guesses, correct);
  require(inside_unit(alpha), "alpha out of range");
  const auto heights = view(deltas), slopes = view(weights);
  require(heights.size() == slopes.size() && !heights.empty(), "a delta for each weight is required");
  for (const double delta : heights) require(delta >= 0.0 && delta <= 1.0, "deltas out of range");
  for (const double weight : slopes) require(weight > 0.0 && std::isfinite(weight), "weights out of range");
  const py::gil_scoped_release nogil;
  return one_run_rejects_lines(outcome, heights, slopes, alpha);
}

}  // namespace

void register_privacy_bounds(py::module_& m) {
  using py::arg;
  m.def("rate_upper", rate_upper, arg("errors"), arg("successes"), arg("miss"), arg("jeffreys"));
  m.def("buehler", buehler, arg("tp"), arg("fn"), arg("fp"), arg("tn"), arg("delta"), arg("alpha"), arg("cell_budget"));
  m.def("buehler_staircase", staircase, arg("tp"), arg("fn"), arg("fp"), arg("tn"), arg("delta"));
  m.def("staircase_probability", staircase_mass, arg("staircase").noconvert(), arg("nonmembers"), arg("x"), arg("y"));
  m.def("band_limits", limits_of_level, arg("n"), arg("eta"));
  m.def("band_limits_of_ranks", limits_of_ranks, arg("n"), arg("ranks").noconvert(), arg("eta"));
  m.def("band_coverage", coverage_of_limits, arg("limits").noconvert());
  m.def("band_level", level_of_bands, arg("n"), arg("miss"));
  m.def("one_run_epsilons", one_run_epsilons, arg("canaries"), arg("guesses").noconvert(), arg("correct").noconvert(),
        arg("delta"), arg("alpha"), arg("resolution"));
  m.def("one_run_p_value", one_run_p, arg("canaries"), arg("guesses"), arg("correct"), arg("epsilon"), arg("delta"));
  m.def("one_run_gaussian_mu", one_run_mu, arg("canaries"), arg("guesses"), arg("correct"), arg("alpha"));
  m.def("one_run_rejects_lines", one_run_lines, arg("canaries"), arg("guesses"), arg("correct"),
        arg("deltas").noconvert(), arg("weights").noconvert(), arg("alpha"));
}

}  // namespace auditkit::bind
