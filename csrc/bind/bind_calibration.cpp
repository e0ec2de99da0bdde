#include <algorithm>
#include <span>
#include <vector>

#include "arrays.hpp"
#include "auditkit/calibration.hpp"

namespace auditkit::bind {
namespace {

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;

template <class T>
py::tuple first_bad(const Matrix<T>& p, double slack) {
  Probe found;
  {
    const py::gil_scoped_release release;
    found = probe_probabilities(flat(p), slack);
  }
  return py::make_tuple(found.bad, found.outside);
}

template <class T>
py::tuple outcome_bytes(const Matrix<T>& y) {
  Bytes codes(y.size());
  std::int64_t bad = -1;
  {
    const auto to = mutable_flat(codes);
    const py::gil_scoped_release release;
    bad = outcome_codes(flat(y), to);
  }
  return py::make_tuple(codes, bad);
}

/// The bins of a call, checked: `lows` ascend and there is one fewer than bins, or none.
Binning checked_binning(std::int64_t bins, const Array& lows) {
  require(bins >= 1 && bins <= (std::int64_t{1} << 24), "bins must be 1 to 2^24");
  require(lows.size() == 0 || lows.size() == bins - 1, "one lower edge a bin after the first");
  require(std::ranges::is_sorted(view(lows)), "edges must ascend");
  return {static_cast<std::size_t>(bins), view(lows)};
}

template <class T>
Array sums_of(const Matrix<T>& p, const Bytes& y, const Array& weights, std::int64_t bins, const Array& lows,
              unsigned n_threads) {
  require(p.size() == y.size(), "one outcome a prediction");
  require(weights.size() == 0 || weights.size() == p.size(), "one weight a prediction, or none");
  const Binning binning = checked_binning(bins, lows);
  constexpr std::size_t kinds = 10;
  Array table({static_cast<py::ssize_t>(kinds), static_cast<py::ssize_t>(bins)});
  double* out = table.mutable_data();
  const py::gil_scoped_release release;
  const auto sums = bin_sums(flat(p), flat(y), view(weights), binning, n_threads);
  for (std::size_t b = 0; b < sums.size(); ++b) {
    const double row[kinds] = {sums[b].rows, sums[b].weight,  sums[b].prediction, sums[b].outcome, sums[b].variance,
                               sums[b].skew, sums[b].squares, sums[b].first_one,  sums[b].second,  sums[b].second_one};
    for (std::size_t i = 0; i < kinds; ++i) out[i * sums.size() + b] = row[i];
  }
  return table;
}

template <class T>
py::list laws_of(const Matrix<T>& p, std::int64_t bins, const Array& lows, const Matrix<bool>& wanted) {
  const Binning binning = checked_binning(bins, lows);
  require(wanted.size() == bins, "one flag a bin");
  std::vector<OutcomeLaw> laws;
  {
    const py::gil_scoped_release release;
    laws = outcome_laws(flat(p), binning, flat(wanted));
  }
  py::list found;
  for (const auto& law : laws) {
    Array values = make_array(law.probability.size());
    std::ranges::copy(law.probability, values.mutable_data());
    found.append(py::make_tuple(law.first, values));
  }
  return found;
}

template <class T>
Array labels_of(const Matrix<T>& p, const Array& weights, std::int64_t bins, std::uint64_t seed,
                std::int64_t replicates, unsigned n_threads) {
  require(p.ndim() == 2 && p.shape(1) >= 1, "a table of probabilities");
  require(weights.size() == 0 || weights.size() == p.shape(0), "one weight a row, or none");
  require(bins >= 1 && bins <= 65536 && replicates >= 0, "bins or replicates out of range");
  Array sums({static_cast<py::ssize_t>(replicates), p.shape(1), static_cast<py::ssize_t>(bins)});
  const std::span<double> all{sums.mutable_data(), static_cast<std::size_t>(sums.size())};
  const py::gil_scoped_release release;
  std::ranges::fill(all, 0.0);
  draw_labels(flat(p), view(weights), static_cast<std::size_t>(p.shape(1)), static_cast<std::size_t>(bins), seed,
              static_cast<std::size_t>(replicates), all, n_threads);
  return sums;
}

template <class T>
void register_bins(py::module_& m) {
  using py::arg;
  m.def("first_bad_probability", first_bad<T>, arg("p").noconvert(), arg("slack"));
  m.def("bin_sums", sums_of<T>, arg("p").noconvert(), arg("y").noconvert(), arg("weights").noconvert(), arg("bins"),
        arg("lows").noconvert(), arg("n_threads"));
  m.def("outcome_laws", laws_of<T>, arg("p").noconvert(), arg("bins"), arg("lows").noconvert(),
        arg("wanted").noconvert());
  m.def("draw_labels", labels_of<T>, arg("p").noconvert(), arg("weights").noconvert(), arg("bins"), arg("seed"),
        arg("replicates"), arg("n_threads"));
}

}  // namespace

void register_calibration(py::module_& m) {
  register_bins<double>(m);
  register_bins<float>(m);
  m.def("outcome_codes", outcome_bytes<std::uint8_t>, py::arg("y").noconvert());
  m.def("outcome_codes", outcome_bytes<std::int64_t>, py::arg("y").noconvert());
}

}  // namespace auditkit::bind
