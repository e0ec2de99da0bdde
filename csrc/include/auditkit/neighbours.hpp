/// Nearest neighbours, close pairs and the Euclidean spanning tree of points, without ever holding all distances.
///
/// Distances are those of direct differences in double precision, whatever the type of the points: sums run in four
/// lanes in a fixed order, so they are symmetric and the same on every instruction set. For the Euclidean metric a
/// product of float tiles with a proved error bound decides first which pairs can matter; the result is the same as
/// without it. Equal distances are ordered by index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace auditkit {

enum class Metric { squared_l2, l1, linf };

/// Points (rows of d features, finite) and their groups, one a row or none at all. Squares must not overflow.
template <class T>
struct Rows {
  std::span<const T> x;
  std::size_t d = 1;
  std::span<const std::int64_t> groups;
  [[nodiscard]] std::size_t size() const { return x.size() / d; }
};

/// The k least distances from every query to the points of other groups (to all points when either side has no groups)
/// and the indices of those points: m * k each, nearest first; -1 and infinity where there are fewer. m n d
/// multiply-adds, memory O((n + m) (d + k)).
template <class T>
void knn_topk(const Rows<T>& queries, const Rows<T>& points, Metric metric, std::size_t k, unsigned n_threads,
              std::span<std::int64_t> index, std::span<double> distance);

/// A graph without directions: the neighbours of row i are at neighbour[start[i]..start[i + 1]), in rising order.
struct Graph {
  std::vector<std::int64_t> start;
  std::vector<std::int32_t> neighbour;
};

/// Joins rows of different groups at distance <= limit (squared for the Euclidean metric). At most 2^31 - 1 rows.
/// Stops with an empty start when there are more than `most` pairs.
template <class T>
Graph close_pairs(const Rows<T>& points, Metric metric, double limit, std::int64_t most, unsigned n_threads);

/// An edge of the tree, first < second, and its squared length.
struct TreeEdge {
  double length2;
  std::int64_t first, second;
  auto operator<=>(const TreeEdge&) const = default;
};

/// The n - 1 edges of the Euclidean minimum spanning tree, shortest first: the only one when equal lengths are told
/// apart by the indices of their ends. Boruvka's rounds over neighbour lists that are extended where they run out
/// [Boruvka 1926]: a few passes over all pairs at best, log2 n at worst, memory O(n d).
template <class T>
std::vector<TreeEdge> spanning_tree(const Rows<T>& points, unsigned n_threads);

}  // namespace auditkit
