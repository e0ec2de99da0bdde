#include <algorithm>
#include <cmath>

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

template <class T>
Array sums_of(const Matrix<T>& p, const Bytes& y, const Array& weights, std::int64_t bins, unsigned n_threads) {
  require(p.ndim() == 1 && y.ndim() == 1 && p.size() == y.size(), "one outcome a prediction");
  require(weights.size() == 0 || weights.size() == p.size(), "one weight a prediction, or none");
  require(bins >= 1 && bins <= (std::int64_t{1} << 24), "bins must be 1 to 2^24");
  require(probe_probabilities(flat(p), 0.0).bad < 0, "predictions must lie in [0, 1]");
  Array table({py::ssize_t{7}, static_cast<py::ssize_t>(bins)});
  double* out = table.mutable_data();
  const py::gil_scoped_release release;
  const auto sums = bin_sums(flat(p), flat(y), view(weights), static_cast<std::size_t>(bins), n_threads);
  for (std::size_t b = 0; b < sums.size(); ++b) {
    const double row[] = {sums[b].rows,     sums[b].weight, sums[b].prediction, sums[b].outcome,
                          sums[b].variance, sums[b].skew,   sums[b].squares};
    for (std::size_t i = 0; i < 7; ++i) out[i * sums.size() + b] = row[i];
  }
  return table;
}

template <class T>
void register_bins(py::module_& m) {
  using py::arg;
  m.def("first_bad_probability", first_bad<T>, arg("p").noconvert(), arg("slack"));
  m.def("bin_sums", sums_of<T>, arg("p").noconvert(), arg("y").noconvert(), arg("weights").noconvert(), arg("bins"),
        arg("n_threads"));
}

}  // namespace

void register_calibration(py::module_& m) {
  register_bins<double>(m);
  register_bins<float>(m);
  m.def("outcome_codes", outcome_bytes<std::uint8_t>, py::arg("y").noconvert());
  m.def("outcome_codes", outcome_bytes<std::int64_t>, py::arg("y").noconvert());
}

}  // namespace auditkit::bind
