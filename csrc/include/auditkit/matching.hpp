/// The largest matching between two copies of the rows of a graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "auditkit/neighbours.hpp"

namespace auditkit {

/// partner[i] = j joins the left copy of row i to the right copy of row j, -1 where there is none. The pairs are a
/// maximum matching of the bipartite graph that has an edge (left i, right j) for every edge of the graph: their number
/// is twice the least fractional vertex cover of the graph, and twice its largest matching where it is bipartite.
/// Hopcroft and Karp 1973: O(edges sqrt(rows)) time, O(rows) memory.
std::vector<std::int32_t> double_cover_matching(const Graph& graph);

/// For every row the least row that it is connected with.
std::vector<std::int32_t> connected_components(const Graph& graph);

}  // namespace auditkit
