#include <algorithm>

#include "arrays.hpp"
#include "auditkit/conformal.hpp"

namespace auditkit::bind {
namespace {

using Flags8 = py::array_t<std::uint8_t, py::array::c_style>;

constexpr std::int64_t kMostClasses = std::int64_t{1} << 31;

template <class T>
std::size_t classes_of(const Matrix<T>& p, std::size_t rows, const Array& u) {
  require(p.ndim() == 2 && p.shape(1) >= 1 && p.shape(1) < kMostClasses, "a table of probabilities");
  require(static_cast<std::size_t>(p.shape(0)) == rows, "one value beside each row");
  require(u.size() == 0 || static_cast<std::size_t>(u.size()) == rows, "one random number a row, or none");
  return static_cast<std::size_t>(p.shape(1));
}

template <class T>
Array scores_of_labels(const Matrix<T>& p, const IntArray& labels, const Array& u, double penalty,
                       std::int64_t free_ranks, unsigned n_threads) {
  const auto rows = static_cast<std::size_t>(labels.size());
  const std::size_t classes = classes_of(p, rows, u);
  require(std::all_of(labels.data(), labels.data() + rows,
                      [&](std::int64_t label) { return label >= 0 && static_cast<std::size_t>(label) < classes; }),
          "labels must be columns");
  Array scores = make_array(rows);
  const auto to = mutable_view(scores);
  const py::gil_scoped_release release;
  adaptive_scores(flat(p), classes, {labels.data(), rows}, view(u), {penalty, free_ranks}, to, n_threads);
  return scores;
}

template <class T>
Flags8 sets_of_rows(const Matrix<T>& p, const Array& thresholds, const Array& u, double penalty,
                    std::int64_t free_ranks, unsigned n_threads) {
  const std::size_t classes = classes_of(p, static_cast<std::size_t>(thresholds.size()), u);
  Flags8 sets({p.shape(0), p.shape(1)});
  const auto to = mutable_flat(sets);
  const py::gil_scoped_release release;
  adaptive_sets(flat(p), classes, view(thresholds), view(u), {penalty, free_ranks}, to, n_threads);
  return sets;
}

py::tuple earlier(const IntArray& ranks, std::int64_t distinct) {
  const auto n = static_cast<std::size_t>(ranks.size());
  require(distinct >= 0 && static_cast<std::size_t>(distinct) <= n, "no more ranks than values");
  require(std::all_of(ranks.data(), ranks.data() + n, [&](std::int64_t r) { return r >= 0 && r < distinct; }),
          "ranks out of range");
  IntArray larger(ranks.size()), equal(ranks.size());
  const std::span<std::int64_t> above{larger.mutable_data(), n}, same{equal.mutable_data(), n};
  {
    const py::gil_scoped_release release;
    count_earlier({ranks.data(), n}, static_cast<std::size_t>(distinct), above, same);
  }
  return py::make_tuple(larger, equal);
}

template <class T>
void register_sets(py::module_& m) {
  using py::arg;
  m.def("adaptive_scores", scores_of_labels<T>, arg("p").noconvert(), arg("labels").noconvert(), arg("u").noconvert(),
        arg("penalty"), arg("free_ranks"), arg("n_threads"));
  m.def("adaptive_sets", sets_of_rows<T>, arg("p").noconvert(), arg("thresholds").noconvert(), arg("u").noconvert(),
        arg("penalty"), arg("free_ranks"), arg("n_threads"));
}

}  // namespace

void register_conformal(py::module_& m) {
  register_sets<double>(m);
  register_sets<float>(m);
  m.def("count_earlier", earlier, py::arg("ranks").noconvert(), py::arg("distinct"));
}

}  // namespace auditkit::bind
