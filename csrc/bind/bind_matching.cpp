#include <algorithm>
#include <cstdint>
#include <vector>

#include "arrays.hpp"
#include "auditkit/matching.hpp"

namespace auditkit::bind {
namespace {

using Int32Array = py::array_t<std::int32_t, py::array::c_style>;

Int32Array array_of(const std::vector<std::int32_t>& values) {
  Int32Array result(static_cast<py::ssize_t>(values.size()));
  std::ranges::copy(values, result.mutable_data());
  return result;
}

py::tuple matching(const IntArray& start, const Int32Array& neighbour) {
  require(start.size() >= 1 && start.size() < std::int64_t{1} << 31, "rows out of range");
  const std::int64_t n = start.size() - 1;
  Graph graph{{start.data(), start.data() + start.size()}, {neighbour.data(), neighbour.data() + neighbour.size()}};
  require(graph.start.front() == 0 && graph.start.back() == neighbour.size() && std::ranges::is_sorted(graph.start),
          "starts must rise to the number of neighbours");
  require(std::ranges::all_of(graph.neighbour, [&](std::int32_t j) { return j >= 0 && j < n; }),
          "neighbours out of range");
  std::vector<std::int32_t> partner, component;
  {
    const py::gil_scoped_release nogil;
    partner = double_cover_matching(graph);
    component = connected_components(graph);
  }
  return py::make_tuple(array_of(partner), array_of(component));
}

}  // namespace

void register_matching(py::module_& m) {
  using py::arg;
  m.def("double_cover_matching", matching, arg("start").noconvert(), arg("neighbour").noconvert());
}

}  // namespace auditkit::bind
