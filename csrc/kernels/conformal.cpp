#include "auditkit/conformal.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "auditkit/dispatch.hpp"
#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kRows = 1024;
/// Halving the bits of a double 64 times leaves nothing of them.
constexpr int kMostSteps = 70;

/// Of the label of rank `rank` with `before` ranked before it. This file is compiled without fused multiplications
/// (CMakeLists.txt): were one copy of this fused and another not, a set could lose the label whose own score is the
/// threshold.
double score_of(double before, double mass, double u, const AdaptiveRule& rule, std::int64_t rank) {
  const std::int64_t beyond = rank - rule.free_ranks;
  const double score = before + u * mass;
  return beyond > 0 ? score + rule.penalty * static_cast<double>(beyond) : score;
}

/// The loops over a row, of the type of its numbers.
template <class T>
struct RowLoops {
  AboveFn<T> above;
  MarkAboveFn<T> mark;
  CountEqualFn<T> count_equal;
};

template <class T>
RowLoops<T> loops();

template <>
RowLoops<float> loops<float>() {
  const KernelTable& table = kernels();
  return {table.above_f32, table.mark_above_f32, table.count_equal_f32};
}

template <>
RowLoops<double> loops<double>() {
  const KernelTable& table = kernels();
  return {table.above_f64, table.mark_above_f64, table.count_equal_f64};
}

/// A level between two probabilities, nearly their geometric mean: half way in the bits. At least low, less than high.
double between(double low, double high) {
  const auto first = std::bit_cast<std::uint64_t>(low), last = std::bit_cast<std::uint64_t>(high);
  return std::bit_cast<double>(first + (last - first) / 2);
}

/// Where the set of a row ends: all labels above `level` are in it, and the first `ties` of those at it.
struct Cut {
  double level = 0;
  std::int64_t ties = 0;
};

/// The first label, by rank, whose score exceeds the threshold, by bisection: scores never fall with the rank, so all
/// labels above a level are in the set if the last of them is. Labels above `high` are known to be in the set, those
/// below `low` not to be; each step asks for a level between them, until both are one probability.
template <class T>
Cut find_cut(const RowLoops<T>& loop, const T* row, std::size_t classes, double threshold, double u,
             const AdaptiveRule& rule) {
  const auto all = static_cast<std::int64_t>(classes);
  double inside = 0, low = 0, high = 1;
  std::int64_t in_set = 0, not_out = all;
  // the mass that is left out, spread over all labels: mostly a little too low, and seldom far from the end
  double level = std::max((1 - threshold) / static_cast<double>(classes), 0.0);
  for (int step = 0; step < kMostSteps; ++step) {
    const Above found = loop.above(row, classes, level);
    const double last = grid_mass(found.least);
    if (found.count == 0 || score_of(found.mass - last, last, u, rule, found.count) <= threshold) {
      inside = found.mass;
      in_set = found.count;
      high = found.most_below;
    } else {
      low = found.least;
      not_out = found.count;
    }
    if (in_set == not_out || !(low < high)) break;
    level = between(low, high);
  }
  const double mass = grid_mass(high);
  Cut cut{high, 0};
  for (; in_set < not_out; ++in_set, ++cut.ties, inside += mass)
    if (!(score_of(inside, mass, u, rule, in_set + 1) <= threshold)) break;
  return cut;
}

}  // namespace

template <class T>
void adaptive_scores(std::span<const T> p, std::size_t classes, std::span<const std::int64_t> labels,
                     std::span<const double> u, const AdaptiveRule& rule, std::span<double> scores,
                     unsigned n_threads) {
  const RowLoops<T> loop = loops<T>();
  parallel_for(labels.size(), kRows, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const T* row = p.data() + i * classes;
      const auto label = static_cast<std::size_t>(labels[i]);
      const double own = static_cast<double>(row[label]), mass = grid_mass(own);
      const Above larger = loop.above(row, classes, own);
      const std::int64_t ties = loop.count_equal(row, label, own);
      scores[i] = score_of(larger.mass + static_cast<double>(ties) * mass, mass, u.empty() ? 1.0 : u[i], rule,
                           larger.count + ties + 1);
    }
  });
}

template <class T>
void adaptive_sets(std::span<const T> p, std::size_t classes, std::span<const double> thresholds,
                   std::span<const double> u, const AdaptiveRule& rule, std::span<std::uint8_t> sets,
                   unsigned n_threads) {
  const RowLoops<T> loop = loops<T>();
  parallel_for(thresholds.size(), kRows, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      const T* row = p.data() + i * classes;
      std::uint8_t* set = sets.data() + i * classes;
      if (!(thresholds[i] >= 0 && thresholds[i] < std::numeric_limits<double>::infinity())) {
        std::fill_n(set, classes, static_cast<std::uint8_t>(thresholds[i] == std::numeric_limits<double>::infinity()));
        continue;
      }
      const Cut cut = find_cut(loop, row, classes, thresholds[i], u.empty() ? 1.0 : u[i], rule);
      loop.mark(row, classes, cut.level, set);
      std::int64_t left = cut.ties;
      for (std::size_t k = 0; k < classes && left > 0; ++k)
        if (static_cast<double>(row[k]) == cut.level) set[k] = 1, --left;
    }
  });
}

void count_earlier(std::span<const std::int64_t> ranks, std::size_t distinct, std::span<std::int64_t> larger,
                   std::span<std::int64_t> equal) {
  std::vector<std::int64_t> tree(distinct + 1), counts(distinct);  // a Fenwick tree of counts, and the counts
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const auto rank = static_cast<std::size_t>(ranks[i]);
    std::int64_t at_most = 0;
    for (std::size_t node = rank + 1; node > 0; node &= node - 1) at_most += tree[node];
    larger[i] = static_cast<std::int64_t>(i) - at_most;
    equal[i] = counts[rank]++;
    for (std::size_t node = rank + 1; node <= distinct; node += node & (~node + 1)) ++tree[node];
  }
}

template void adaptive_scores<float>(std::span<const float>, std::size_t, std::span<const std::int64_t>,
                                     std::span<const double>, const AdaptiveRule&, std::span<double>, unsigned);
template void adaptive_scores<double>(std::span<const double>, std::size_t, std::span<const std::int64_t>,
                                      std::span<const double>, const AdaptiveRule&, std::span<double>, unsigned);
template void adaptive_sets<float>(std::span<const float>, std::size_t, std::span<const double>,
                                   std::span<const double>, const AdaptiveRule&, std::span<std::uint8_t>, unsigned);
template void adaptive_sets<double>(std::span<const double>, std::size_t, std::span<const double>,
                                    std::span<const double>, const AdaptiveRule&, std::span<std::uint8_t>, unsigned);

}  // namespace auditkit
