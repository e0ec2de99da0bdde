#include "auditkit/neighbours.hpp"

#include <atomic>
#include <numeric>
#include <tuple>
#include <utility>

#include "auditkit/parallel.hpp"
#include "pair_scan.hpp"

namespace auditkit {
namespace {

using Found = std::pair<double, std::int64_t>;  ///< distance and index, in this order

/// The least pairs (distance, index) of a stream, at most k and none above the limit.
struct Least {
  std::size_t k = 0;
  double limit = kFar;
  std::vector<Found> heap;  ///< the worst first

  [[nodiscard]] double bound() const { return heap.size() < k ? limit : heap.front().first; }

  void add(const Found& found) {
    if (heap.size() == k) {
      if (!(found < heap.front())) return;
      std::ranges::pop_heap(heap);
      heap.back() = found;
    } else {
      heap.push_back(found);
    }
    std::ranges::push_heap(heap);
  }
};

/// done(i, sorted pairs) for every query.
template <class T, class Limit, class Done>
void for_each_nearest(const PairScan<T>& scan, const Rows<T>& queries, std::size_t k, unsigned n_threads, Limit&& limit,
                      Done&& done) {
  parallel_for(queries.size(), PairScan<T>::kQueries, n_threads, [&](std::size_t begin, std::size_t end) {
    std::vector<Least> least(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      least[i - begin] = {k, limit(i), {}};
      least[i - begin].heap.reserve(k);
    }
    scan.walk(
        queries, begin, end, [&](std::size_t i) { return least[i - begin].bound(); },
        [&](std::size_t i, std::size_t j, double distance) {
          least[i - begin].add({distance, static_cast<std::int64_t>(j)});
        });
    for (std::size_t i = begin; i < end; ++i) {
      std::ranges::sort(least[i - begin].heap);
      done(i, std::as_const(least[i - begin].heap));
    }
  });
}

/// Components of a growing forest, each named by its least row.
class Forest {
 public:
  explicit Forest(std::size_t n) : parent_(n), size_(n, 1) { std::iota(parent_.begin(), parent_.end(), 0); }

  std::int64_t root(std::int64_t i) {
    auto at = static_cast<std::size_t>(i);
    while (parent_[at] != static_cast<std::int64_t>(at)) {
      parent_[at] = parent_[static_cast<std::size_t>(parent_[at])];
      at = static_cast<std::size_t>(parent_[at]);
    }
    return static_cast<std::int64_t>(at);
  }

  bool join(std::int64_t a, std::int64_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return false;
    parent_[static_cast<std::size_t>(std::max(a, b))] = std::min(a, b);
    size_[static_cast<std::size_t>(std::min(a, b))] += size_[static_cast<std::size_t>(std::max(a, b))];
    return true;
  }

  [[nodiscard]] std::int64_t size_of_root(std::size_t root) const { return size_[root]; }

 private:
  std::vector<std::int64_t> parent_, size_;
};

/// What is known of the edges that leave a row's component: the shortest ones, in order, and where the list ends.
struct Leaving {
  std::vector<Found> list;
  std::size_t at = 0;
  Found end = {-1.0, -1};  ///< every edge that is not listed comes after this one
};

/// Boruvka's rounds.
template <class T>
class TreeBuilder {
 public:
  TreeBuilder(const Rows<T>& points, unsigned n_threads)
      : points_(points),
        n_(points.size()),
        n_threads_(n_threads),
        forest_(n_),
        component_(n_),
        leaving_(n_),
        shortest_(n_),
        grouped_{points.x, points.d, component_},
        scan_(grouped_, Metric::squared_l2) {}

  std::vector<TreeEdge> build() {
    constexpr std::size_t kFirst = 10, kMore = 6;
    std::vector<TreeEdge> edges;
    for (std::size_t round = 0; edges.size() + 1 < n_; ++round) {
      for (std::size_t i = 0; i < n_; ++i) component_[i] = forest_.root(static_cast<std::int64_t>(i));
      const std::int64_t largest = largest_component();
      std::ranges::fill(shortest_, kNone);
      for (std::size_t i = 0; i < n_; ++i) look(i);
      extend(largest, round == 0 ? kFirst : kMore);
      join(largest, edges);
    }
    std::ranges::sort(edges);
    return edges;
  }

 private:
  static constexpr TreeEdge kNone{kFar, -1, -1};

  /// The largest one needs no edge of its own: the others find theirs to it, and it costs most to search. Rows alone
  /// all search.
  std::int64_t largest_component() {
    std::size_t best = 0;
    for (std::size_t i = 0; i < n_; ++i)
      if (component_[i] == static_cast<std::int64_t>(i) && forest_.size_of_root(i) > forest_.size_of_root(best))
        best = i;
    return forest_.size_of_root(best) > 1 ? static_cast<std::int64_t>(best) : -1;
  }

  static TreeEdge edge(std::size_t i, const Found& to) {
    const auto own = static_cast<std::int64_t>(i);
    return {to.first, std::min(own, to.second), std::max(own, to.second)};
  }

  TreeEdge& shortest_of(std::size_t i) { return shortest_[static_cast<std::size_t>(component_[i])]; }

  /// Offers the first edge of row i's list that still leaves its component.
  void look(std::size_t i) {
    Leaving& from = leaving_[i];
    while (from.at < from.list.size() &&
           component_[static_cast<std::size_t>(from.list[from.at].second)] == component_[i])
      ++from.at;
    if (from.at == from.list.size()) return;
    shortest_of(i) = std::min(shortest_of(i), edge(i, from.list[from.at]));
  }

  /// Lists anew the rows whose list has run out below what their component has found.
  void extend(std::int64_t largest, std::size_t k) {
    std::vector<std::size_t> wanted;
    for (std::size_t i = 0; i < n_; ++i) {
      const Leaving& from = leaving_[i];
      if (component_[i] != largest && from.at == from.list.size() && from.end.first <= shortest_of(i).length2)
        wanted.push_back(i);
    }
    std::vector<T> x(wanted.size() * points_.d);
    std::vector<std::int64_t> groups(wanted.size());
    for (std::size_t w = 0; w < wanted.size(); ++w) {
      std::copy_n(&points_.x[wanted[w] * points_.d], points_.d, &x[w * points_.d]);
      groups[w] = component_[wanted[w]];
    }
    const Rows<T> queries{x, points_.d, groups};
    const auto limit = [&](std::size_t w) { return shortest_of(wanted[w]).length2; };
    for_each_nearest(scan_, queries, k, n_threads_, limit, [&](std::size_t w, const std::vector<Found>& list) {
      Leaving& to = leaving_[wanted[w]];
      to.end = list.size() == k ? list.back() : Found{limit(w), std::numeric_limits<std::int64_t>::max()};
      to.list = list;
      to.at = 0;
    });
    for (const std::size_t i : wanted) look(i);
  }

  void join(std::int64_t largest, std::vector<TreeEdge>& edges) {
    for (std::size_t c = 0; c < n_; ++c) {
      const TreeEdge& found = shortest_[c];
      if (found.first < 0 || static_cast<std::int64_t>(c) == largest) continue;
      if (forest_.join(found.first, found.second)) edges.push_back(found);
    }
  }

  Rows<T> points_;
  std::size_t n_;
  unsigned n_threads_;
  Forest forest_;
  std::vector<std::int64_t> component_;
  std::vector<Leaving> leaving_;
  std::vector<TreeEdge> shortest_;  ///< of every component, at its name
  Rows<T> grouped_;
  PairScan<T> scan_;
};

}  // namespace

template <class T>
void knn_topk(const Rows<T>& queries, const Rows<T>& points, Metric metric, std::size_t k, unsigned n_threads,
              std::span<std::int64_t> index, std::span<double> distance) {
  std::ranges::fill(index, -1);
  std::ranges::fill(distance, kFar);
  const PairScan<T> scan(points, metric);
  for_each_nearest(
      scan, queries, k, n_threads, [](std::size_t) { return kFar; },
      [&](std::size_t i, const std::vector<Found>& list) {
        for (std::size_t r = 0; r < list.size(); ++r) std::tie(distance[i * k + r], index[i * k + r]) = list[r];
      });
}

template <class T>
Graph close_pairs(const Rows<T>& points, Metric metric, double limit, std::int64_t most, unsigned n_threads) {
  constexpr std::size_t kQueries = PairScan<T>::kQueries;
  const std::size_t n = points.size();
  const PairScan<T> scan(points, metric);
  std::vector<std::vector<std::int32_t>> found(n);
  std::atomic<std::int64_t> total{0};
  parallel_for(n, kQueries, n_threads, [&](std::size_t begin, std::size_t end) {
    if (total.load() > 2 * most) return;
    scan.walk(
        points, begin, end, [&](std::size_t) { return limit; },
        [&](std::size_t i, std::size_t j, double) { found[i].push_back(static_cast<std::int32_t>(j)); });
    std::int64_t here = 0;
    for (std::size_t i = begin; i < end; ++i) here += static_cast<std::int64_t>(found[i].size());
    total.fetch_add(here);
  });
  if (total.load() > 2 * most) return {};
  Graph graph;
  graph.start.reserve(n + 1);
  graph.neighbour.reserve(static_cast<std::size_t>(total.load()));
  graph.start.push_back(0);
  for (std::vector<std::int32_t>& row : found) {
    graph.neighbour.insert(graph.neighbour.end(), row.begin(), row.end());
    graph.start.push_back(static_cast<std::int64_t>(graph.neighbour.size()));
    row = {};
  }
  return graph;
}

template <class T>
std::vector<TreeEdge> spanning_tree(const Rows<T>& points, unsigned n_threads) {
  return TreeBuilder<T>(points, n_threads).build();
}

#define AUDITKIT_NEIGHBOURS(T)                                                                                      \
  template void knn_topk<T>(const Rows<T>&, const Rows<T>&, Metric, std::size_t, unsigned, std::span<std::int64_t>, \
                            std::span<double>);                                                                     \
  template Graph close_pairs<T>(const Rows<T>&, Metric, double, std::int64_t, unsigned);                            \
  template std::vector<TreeEdge> spanning_tree<T>(const Rows<T>&, unsigned);
AUDITKIT_NEIGHBOURS(float)
AUDITKIT_NEIGHBOURS(double)
#undef AUDITKIT_NEIGHBOURS

}  // namespace auditkit
