#include "auditkit/conformal.hpp"

#include <algorithm>
#include <vector>

#include "auditkit/parallel.hpp"

namespace auditkit {
namespace {

constexpr std::size_t kRows = 1024;

double penalty_of(const AdaptiveRule& rule, std::size_t rank) {
  const auto beyond = static_cast<std::int64_t>(rank) - rule.free_ranks;
  return beyond > 0 ? rule.penalty * static_cast<double>(beyond) : 0.0;
}

template <class T>
struct Label {
  T p;
  std::uint32_t column;
  /// Whether it comes after the other: a heap then gives the first one.
  bool operator<(const Label& other) const { return p < other.p || (p == other.p && column > other.column); }
};

/// Calls body(label, score) from rank 1 on until it returns false. Scores of calibration and of sets are sums in this
/// one order: summed otherwise, equal scores could differ in the last bit and a set lose the label that it must hold.
template <class T, class Body>
void by_rank(const T* row, double u, const AdaptiveRule& rule, std::vector<Label<T>>& heap, Body&& body) {
  for (std::size_t k = 0; k < heap.size(); ++k) heap[k] = {row[k], static_cast<std::uint32_t>(k)};
  std::make_heap(heap.begin(), heap.end());
  double before = 0;
  auto end = heap.end();
  for (std::size_t rank = 1; rank <= heap.size(); ++rank) {
    std::pop_heap(heap.begin(), end);
    --end;
    const double p = static_cast<double>(end->p);
    if (!body(end->column, before + u * p + penalty_of(rule, rank))) return;
    before += p;
  }
}

}  // namespace

template <class T>
void adaptive_scores(std::span<const T> p, std::size_t classes, std::span<const std::int64_t> labels,
                     std::span<const double> u, const AdaptiveRule& rule, std::span<double> scores,
                     unsigned n_threads) {
  parallel_for(labels.size(), kRows, n_threads, [&](std::size_t begin, std::size_t end) {
    std::vector<Label<T>> heap(classes);
    for (std::size_t i = begin; i < end; ++i)
      by_rank(p.data() + i * classes, u.empty() ? 1.0 : u[i], rule, heap, [&](std::uint32_t label, double score) {
        scores[i] = score;
        return static_cast<std::int64_t>(label) != labels[i];
      });
  });
}

template <class T>
void adaptive_sets(std::span<const T> p, std::size_t classes, std::span<const double> thresholds,
                   std::span<const double> u, const AdaptiveRule& rule, std::span<std::uint8_t> sets,
                   unsigned n_threads) {
  parallel_for(thresholds.size(), kRows, n_threads, [&](std::size_t begin, std::size_t end) {
    std::vector<Label<T>> heap(classes);
    for (std::size_t i = begin; i < end; ++i)
      by_rank(p.data() + i * classes, u.empty() ? 1.0 : u[i], rule, heap, [&](std::uint32_t label, double score) {
        if (!(score <= thresholds[i])) return false;
        sets[i * classes + label] = 1;
        return true;
      });
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
