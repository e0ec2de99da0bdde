#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "arrays.hpp"
#include "auditkit/matching.hpp"
#include "auditkit/neighbours.hpp"

namespace auditkit::bind {
namespace {

constexpr double kLargestValue = 1e140;  // squares and their sums stay finite

std::span<const std::int64_t> numbers(const IntArray& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <class T>
Rows<T> rows_of(const Matrix<T>& x, const IntArray& groups) {
  require(x.ndim() == 2 && x.shape(0) >= 1 && x.shape(1) >= 1, "rows must have features");
  require(groups.size() == 0 || groups.size() == x.shape(0), "one group a row, or none");
  const auto all = flat(x);
  require(std::ranges::all_of(all, [](T value) { return std::fabs(static_cast<double>(value)) <= kLargestValue; }),
          "rows must be finite and at most 1e140");
  return {all, static_cast<std::size_t>(x.shape(1)), numbers(groups)};
}

Metric metric_of(int code) {
  require(code >= 0 && code <= 2, "metric out of range");
  return static_cast<Metric>(code);
}

template <class T>
py::tuple nearest(const Matrix<T>& queries, const IntArray& query_groups, const Matrix<T>& points,
                  const IntArray& point_groups, int metric, std::int64_t k, unsigned n_threads) {
  const auto from = rows_of(queries, query_groups), to = rows_of(points, point_groups);
  require(from.d == to.d, "queries and points must have the same features");
  require(k >= 1 && k <= points.shape(0), "k out of range");
  const Metric chosen = metric_of(metric);
  IntArray index({queries.shape(0), static_cast<py::ssize_t>(k)});
  Array distance({queries.shape(0), static_cast<py::ssize_t>(k)});
  const std::span<std::int64_t> index_out{index.mutable_data(), static_cast<std::size_t>(index.size())};
  const auto distance_out = mutable_view(distance);
  {
    const py::gil_scoped_release nogil;
    knn_topk<T>(from, to, chosen, static_cast<std::size_t>(k), n_threads, index_out, distance_out);
  }
  return py::make_tuple(index, distance);
}

template <class T>
py::tuple tree(const Matrix<T>& points, unsigned n_threads) {
  const auto rows = rows_of(points, IntArray(0));
  std::vector<TreeEdge> edges;
  {
    const py::gil_scoped_release nogil;
    edges = spanning_tree<T>(rows, n_threads);
  }
  const auto count = static_cast<py::ssize_t>(edges.size());
  IntArray ends({count, py::ssize_t{2}});
  Array length2(count);
  for (std::size_t e = 0; e < edges.size(); ++e) {
    ends.mutable_data()[2 * e] = edges[e].first;
    ends.mutable_data()[2 * e + 1] = edges[e].second;
    length2.mutable_data()[e] = edges[e].length2;
  }
  return py::make_tuple(ends, length2);
}

template <class T>
py::tuple pairs(const Matrix<T>& points, const IntArray& groups, int metric, double limit, std::int64_t most,
                unsigned n_threads) {
  const auto rows = rows_of(points, groups);
  require(limit >= 0.0 && most >= 0 && most <= std::int64_t{1} << 40 && points.shape(0) < std::int64_t{1} << 31,
          "limit, most or rows out of range");
  const Metric chosen = metric_of(metric);
  Graph graph;
  {
    const py::gil_scoped_release nogil;
    graph = close_pairs<T>(rows, chosen, limit, most, n_threads);
  }
  IntArray start(static_cast<py::ssize_t>(graph.start.size()));
  py::array_t<std::int32_t> neighbour(static_cast<py::ssize_t>(graph.neighbour.size()));
  std::ranges::copy(graph.start, start.mutable_data());
  std::ranges::copy(graph.neighbour, neighbour.mutable_data());
  return py::make_tuple(start, neighbour);
}

template <class T>
void register_searches(py::module_& m) {
  using py::arg;
  m.def("knn_topk", nearest<T>, arg("queries").noconvert(), arg("query_groups").noconvert(), arg("points").noconvert(),
        arg("point_groups").noconvert(), arg("metric"), arg("k"), arg("n_threads"));
  m.def("mst_edges", tree<T>, arg("points").noconvert(), arg("n_threads"));
  m.def("close_pairs", pairs<T>, arg("points").noconvert(), arg("groups").noconvert(), arg("metric"), arg("limit"),
        arg("most"), arg("n_threads"));
}

}  // namespace

void register_neighbours(py::module_& m) {
  register_searches<double>(m);
  register_searches<float>(m);
}

}  // namespace auditkit::bind
