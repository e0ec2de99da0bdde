#include <algorithm>

#include "arrays.hpp"
#include "auditkit/calibration_walk.hpp"

namespace auditkit::bind {
namespace {

using Outcomes = py::array_t<std::uint8_t, py::array::c_style>;

constexpr std::int64_t kMostReplicates = 1'000'000, kMostLevels = 24;

template <class T>
void check_rows_and(const Matrix<T>& p, const Outcomes& beside) {
  require(p.ndim() == 1 && beside.size() == p.size(), "one value beside each prediction");
}

template <class T>
void check_weights(const Matrix<T>& p, const Array& weights) {
  require(weights.size() == 0 || weights.size() == p.size(), "one weight a prediction, or none");
}

template <class T>
void check_rising(const Matrix<T>& p) {
  require(p.ndim() == 1 && p.size() > 0 && std::ranges::is_sorted(flat(p)), "predictions must rise");
}

/// A table of zeros, one row a replicate.
Array zeros(std::int64_t rows, std::int64_t columns) {
  require(rows >= 0 && rows <= kMostReplicates, "replicates out of range");
  Array table({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(columns)});
  std::ranges::fill(mutable_view(table), 0.0);
  return table;
}

template <class T>
py::tuple range_of_walk(const Matrix<T>& p, const Outcomes& y, const Array& weights, const Outcomes& ends) {
  check_weights(p, weights);
  check_rows_and(p, y);
  check_rows_and(p, ends);
  WalkRange range;
  {
    const py::gil_scoped_release release;
    range = walk_range(flat(p), flat(y), view(weights), flat(ends));
  }
  return py::make_tuple(range.highest, range.lowest);
}

template <class T>
Array drawn_walks(const Matrix<T>& p, const Array& weights, const Outcomes& ends, std::uint64_t seed,
                  std::int64_t replicates, unsigned n_threads) {
  check_weights(p, weights);
  check_rows_and(p, ends);
  Array table = zeros(replicates, 2);
  const auto to = mutable_view(table);
  const py::gil_scoped_release release;
  draw_walks(flat(p), view(weights), flat(ends), seed, static_cast<std::size_t>(replicates), to, n_threads);
  return table;
}

template <class T>
Outcomes drawn_outcomes(const Matrix<T>& p, std::uint64_t seed, std::uint64_t replicate) {
  Outcomes found(p.size());
  const auto to = mutable_flat(found);
  const py::gil_scoped_release release;
  draw_outcomes(flat(p), seed, replicate, to);
  return found;
}

template <class T>
Array errors_of_partitions(const Matrix<T>& p, const Outcomes& y, const Array& weights, std::int64_t levels) {
  check_weights(p, weights);
  check_rows_and(p, y);
  check_rising(p);
  require(levels >= 1 && levels <= kMostLevels, "levels out of range");
  Array table = make_array(static_cast<std::size_t>(levels));
  const auto to = mutable_view(table);
  const py::gil_scoped_release release;
  partition_errors(flat(p), flat(y), view(weights), static_cast<std::size_t>(levels), to);
  return table;
}

template <class T>
Array drawn_partitions(const Matrix<T>& p, const Array& weights, std::int64_t levels, std::uint64_t seed,
                       std::int64_t replicates, unsigned n_threads) {
  check_weights(p, weights);
  check_rising(p);
  require(levels >= 1 && levels <= kMostLevels, "levels out of range");
  Array table = zeros(replicates, levels);
  const auto to = mutable_view(table);
  const py::gil_scoped_release release;
  draw_partitions(flat(p), view(weights), static_cast<std::size_t>(levels), seed, static_cast<std::size_t>(replicates),
                  to, n_threads);
  return table;
}

template <class T>
Array grid_of_residuals(const Matrix<T>& p, const Outcomes& y, const Array& weights, std::int64_t points) {
  check_weights(p, weights);
  check_rows_and(p, y);
  check_rising(p);
  require(points >= 2 && points <= (std::int64_t{1} << 24), "points out of range");
  Array grid = make_array(static_cast<std::size_t>(points));
  const auto to = mutable_view(grid);
  const py::gil_scoped_release release;
  spread_residuals(flat(p), flat(y), view(weights), to);
  return grid;
}

template <class T>
Array drawn_residuals(const Matrix<T>& p, const Array& weights, std::int64_t points, std::uint64_t seed,
                      std::int64_t replicates, unsigned n_threads, std::uint64_t first) {
  check_weights(p, weights);
  check_rising(p);
  require(points >= 2 && points <= (std::int64_t{1} << 24), "points out of range");
  Array table = zeros(replicates, points);
  const auto to = mutable_view(table);
  const py::gil_scoped_release release;
  draw_residuals(flat(p), view(weights), static_cast<std::size_t>(points), seed, first,
                 static_cast<std::size_t>(replicates), to, n_threads);
  return table;
}

template <class T>
void register_walks(py::module_& m) {
  using py::arg;
  m.def("draw_outcomes", drawn_outcomes<T>, arg("p").noconvert(), arg("seed"), arg("replicate"));
  m.def("walk_range", range_of_walk<T>, arg("p").noconvert(), arg("y").noconvert(), arg("weights").noconvert(),
        arg("ends").noconvert());
  m.def("draw_walks", drawn_walks<T>, arg("p").noconvert(), arg("weights").noconvert(), arg("ends").noconvert(),
        arg("seed"), arg("replicates"), arg("n_threads"));
  m.def("partition_errors", errors_of_partitions<T>, arg("p").noconvert(), arg("y").noconvert(),
        arg("weights").noconvert(), arg("levels"));
  m.def("draw_partitions", drawn_partitions<T>, arg("p").noconvert(), arg("weights").noconvert(), arg("levels"),
        arg("seed"), arg("replicates"), arg("n_threads"));
  m.def("spread_residuals", grid_of_residuals<T>, arg("p").noconvert(), arg("y").noconvert(),
        arg("weights").noconvert(), arg("points"));
  m.def("draw_residuals", drawn_residuals<T>, arg("p").noconvert(), arg("weights").noconvert(), arg("points"),
        arg("seed"), arg("replicates"), arg("n_threads"), arg("first"));
}

}  // namespace

void register_calibration_walk(py::module_& m) {
  register_walks<double>(m);
  register_walks<float>(m);
}

}  // namespace auditkit::bind
