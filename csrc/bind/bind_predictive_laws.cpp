#include <algorithm>

#include "arrays.hpp"
#include "auditkit/predictive_laws.hpp"

namespace auditkit::bind {
namespace {

std::span<const std::int64_t> whole(const IntArray& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// Laws whose atoms lie inside the array.
StepLaws step_laws(const Array& atoms, const IntArray& starts) {
  const auto ends = whole(starts);
  require(!ends.empty() && ends.front() == 0 && ends.back() == atoms.size() && std::ranges::is_sorted(ends),
          "starts must rise from 0 to the number of atoms");
  return {view(atoms), ends};
}

void require_codes(const IntArray& codes, const StepLaws& laws, const Array& z) {
  const auto count = static_cast<std::int64_t>(laws.starts.size()) - 1;
  require(codes.size() == z.size(), "one law a value");
  require(std::ranges::all_of(whole(codes), [&](std::int64_t code) { return code >= 0 && code < count; }),
          "no such law");
}

py::tuple tables_of_laws(const Array& atoms, const IntArray& starts) {
  const StepLaws laws = step_laws(atoms, starts);
  Array left = make_array(laws.atoms.size()), right = make_array(laws.atoms.size());
  const auto to_left = mutable_view(left), to_right = mutable_view(right);
  {
    const py::gil_scoped_release release;
    law_tables(laws, to_left, to_right);
  }
  return py::make_tuple(left, right);
}

py::tuple places_in_laws(const Array& atoms, const IntArray& starts, const IntArray& codes, const Array& z,
                         unsigned n_threads) {
  const StepLaws laws = step_laws(atoms, starts);
  require_codes(codes, laws, z);
  IntArray below(z.size()), at_most(z.size());
  const auto to_below = mutable_flat(below), to_at_most = mutable_flat(at_most);
  {
    const py::gil_scoped_release release;
    law_places(laws, whole(codes), view(z), to_below, to_at_most, n_threads);
  }
  return py::make_tuple(below, at_most);
}

Array scores_of_laws(const Array& atoms, const IntArray& starts, const Array& left, const Array& right,
                     const IntArray& codes, const Array& z, const Array& scales, unsigned n_threads) {
  const StepLaws laws = step_laws(atoms, starts);
  require_codes(codes, laws, z);
  common_size({view(atoms), view(left), view(right)});
  Array scores = make_array(common_size({view(z), view(scales)}));
  const auto to = mutable_view(scores);
  const py::gil_scoped_release release;
  law_scores(laws, view(left), view(right), whole(codes), view(z), view(scales), to, n_threads);
  return scores;
}

}  // namespace

void register_predictive_laws(py::module_& m) {
  using py::arg;
  m.def("law_tables", tables_of_laws, arg("atoms").noconvert(), arg("starts").noconvert());
  m.def("law_places", places_in_laws, arg("atoms").noconvert(), arg("starts").noconvert(), arg("codes").noconvert(),
        arg("z").noconvert(), arg("n_threads"));
  m.def("law_scores", scores_of_laws, arg("atoms").noconvert(), arg("starts").noconvert(), arg("left").noconvert(),
        arg("right").noconvert(), arg("codes").noconvert(), arg("z").noconvert(), arg("scales").noconvert(),
        arg("n_threads"));
}

}  // namespace auditkit::bind
