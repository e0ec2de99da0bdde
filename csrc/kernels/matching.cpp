#include "auditkit/matching.hpp"

#include <cstddef>
#include <limits>

namespace auditkit {
namespace {

constexpr std::int32_t kNobody = -1;
constexpr std::int32_t kUnreached = std::numeric_limits<std::int32_t>::max();

/// Rounds of shortest augmenting paths, none of which share a row.
class Matcher {
 public:
  explicit Matcher(const Graph& graph)
      : graph_(graph),
        n_(graph.start.size() - 1),
        right_of_(n_, kNobody),
        left_of_(n_, kNobody),
        level_(n_),
        next_(n_) {}

  std::vector<std::int32_t> solve() {
    greedy();
    while (layer())
      for (std::size_t i = 0; i < n_; ++i)
        if (right_of_[i] == kNobody) augment(static_cast<std::int32_t>(i));
    return right_of_;
  }

 private:
  [[nodiscard]] std::int32_t left_of(std::int64_t edge) const {
    return left_of_[static_cast<std::size_t>(graph_.neighbour[static_cast<std::size_t>(edge)])];
  }

  void match(std::int32_t left, std::int64_t edge) {
    const std::int32_t right = graph_.neighbour[static_cast<std::size_t>(edge)];
    right_of_[static_cast<std::size_t>(left)] = right;
    left_of_[static_cast<std::size_t>(right)] = left;
  }

  void greedy() {
    for (std::size_t i = 0; i < n_; ++i)
      for (std::int64_t e = graph_.start[i]; e < graph_.start[i + 1]; ++e)
        if (left_of(e) == kNobody) {
          match(static_cast<std::int32_t>(i), e);
          break;
        }
  }

  /// Distances of the left rows from the unmatched ones along alternating paths; false when none is left to augment.
  bool layer() {
    queue_.clear();
    for (std::size_t i = 0; i < n_; ++i) {
      level_[i] = right_of_[i] == kNobody ? 0 : kUnreached;
      next_[i] = graph_.start[i];
      if (level_[i] == 0) queue_.push_back(static_cast<std::int32_t>(i));
    }
    depth_ = kUnreached;
    for (std::size_t head = 0; head < queue_.size(); ++head) {
      const auto i = static_cast<std::size_t>(queue_[head]);
      if (level_[i] > depth_) break;
      for (std::int64_t e = graph_.start[i]; e < graph_.start[i + 1]; ++e) {
        const std::int32_t then = left_of(e);
        if (then == kNobody) {
          depth_ = level_[i];
        } else if (level_[static_cast<std::size_t>(then)] == kUnreached) {
          level_[static_cast<std::size_t>(then)] = level_[i] + 1;
          queue_.push_back(then);
        }
      }
    }
    return depth_ != kUnreached;
  }

  /// Follows levels from an unmatched left row to an unmatched right one, then turns the path over. Every edge is
  /// looked at once a round.
  void augment(std::int32_t from) {
    path_.assign(1, from);
    while (!path_.empty()) {
      const auto i = static_cast<std::size_t>(path_.back());
      if (next_[i] == graph_.start[i + 1]) {
        level_[i] = kUnreached;
        path_.pop_back();
        if (!path_.empty()) ++next_[static_cast<std::size_t>(path_.back())];
        continue;
      }
      const std::int32_t then = left_of(next_[i]);
      if (then == kNobody) {
        for (const std::int32_t left : path_) match(left, next_[static_cast<std::size_t>(left)]);
        for (const std::int32_t left : path_) level_[static_cast<std::size_t>(left)] = kUnreached;
        return;
      }
      if (level_[static_cast<std::size_t>(then)] == level_[i] + 1) path_.push_back(then);
      else ++next_[i];
    }
  }

  const Graph& graph_;
  std::size_t n_;
  std::vector<std::int32_t> right_of_, left_of_, level_, queue_, path_;
  std::vector<std::int64_t> next_;
  std::int32_t depth_ = kUnreached;  ///< of the left ends of the shortest augmenting paths
};

}  // namespace

std::vector<std::int32_t> double_cover_matching(const Graph& graph) { return Matcher(graph).solve(); }

std::vector<std::int32_t> connected_components(const Graph& graph) {
  const std::size_t n = graph.start.size() - 1;
  std::vector<std::int32_t> component(n, kNobody), queue;
  for (std::size_t first = 0; first < n; ++first) {
    if (component[first] != kNobody) continue;
    component[first] = static_cast<std::int32_t>(first);
    queue.assign(1, static_cast<std::int32_t>(first));
    while (!queue.empty()) {
      const auto i = static_cast<std::size_t>(queue.back());
      queue.pop_back();
      for (std::int64_t e = graph.start[i]; e < graph.start[i + 1]; ++e) {
        const std::int32_t j = graph.neighbour[static_cast<std::size_t>(e)];
        if (component[static_cast<std::size_t>(j)] != kNobody) continue;
        component[static_cast<std::size_t>(j)] = static_cast<std::int32_t>(first);
        queue.push_back(j);
      }
    }
  }
  return component;
}

}  // namespace auditkit
