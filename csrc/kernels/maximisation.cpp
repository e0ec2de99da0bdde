#include "auditkit/maximisation.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

#include "auditkit/dispatch.hpp"
#include "auditkit/exact_sum.hpp"
#include "auditkit/parallel.hpp"
#include "auditkit/philox.hpp"

namespace auditkit {
namespace {

constexpr double kRounding = 0x1p-53;
constexpr std::size_t kDrawGrain = 256;
constexpr std::int64_t kLongEdge = 64;          ///< gap from which on the last score is split off
constexpr std::int64_t kLongestResidues = 256;  ///< on longer edges the number of items decides, not residues
constexpr std::size_t kTile = 2048;             ///< sums that one thread works on at a time
constexpr double kSplitWork = 2e8;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The edge of the upper concave hull of (i, V_i) that holds total / m, and the problem that is left on it: choose m
/// items of offset x = i - a that add up to `rest`, least sum of the costs
///   c_i = g (V_a - V_i) + (V_b - V_a) x >= 0,  g = b - a,
/// which are whole numbers where the scores are. Sum of values = m V_a + (V_b - V_a) rest / g - cost / g.
struct Edge {
  std::span<const double> values;
  std::int64_t m, total, a, b, rest;
  double rise;
  double excess = 0.0;  ///< how far below 0 a cost came out: rounding can leave a score above the line

  std::int64_t gap() const { return b - a; }

  double signed_cost(std::int64_t i) const {
    return static_cast<double>(gap()) * (values[at(a)] - values[at(i)]) + rise * static_cast<double>(i - a);
  }

  double cost(std::int64_t i) const { return std::max(signed_cost(i), 0.0); }

  /// How far a cost can be from its true value: three roundings of each product, and what was cut off at 0.
  double cost_error() const {
    const double range = values.back() - values.front();
    return 4.0 * kRounding * range * (static_cast<double>(gap()) + static_cast<double>(values.size())) + excess;
  }
};

Edge find_edge(std::span<const double> values, std::int64_t m, std::int64_t total) {
  const auto size = static_cast<std::int64_t>(values.size());
  std::vector<std::int64_t> hull;
  for (std::int64_t i = 0; i < size; ++i) {
    while (hull.size() >= 2) {
      const std::int64_t p = hull[hull.size() - 2], q = hull.back();
      const double left = (values[at(q)] - values[at(p)]) * static_cast<double>(i - q);
      const double right = (values[at(i)] - values[at(q)]) * static_cast<double>(q - p);
      if (left >= right) break;  // points on the line stay: shorter edges
      hull.pop_back();
    }
    hull.push_back(i);
  }
  // The edge from the last vertex at or before total / m.
  const auto beyond = std::ranges::partition_point(hull, [&](std::int64_t i) { return i <= total / m; });
  const auto first = beyond == hull.end() ? beyond - 2 : beyond - 1;
  const std::int64_t a = *first, b = *(first + 1);
  Edge edge{values, m, total, a, b, total - m * a, values[at(b)] - values[at(a)]};
  for (std::int64_t i = 0; i < size; ++i) edge.excess = std::max(edge.excess, -edge.signed_cost(i));
  return edge;
}

/// Whether all costs, their sums and the answer are formed without rounding: scores that are whole multiples of a power
/// of two, so few bits above it that nothing leaves 53 bits.
bool exact_in_doubles(std::span<const double> values, std::int64_t m) {
  int least = std::numeric_limits<int>::max(), most = std::numeric_limits<int>::min();
  for (const double value : values) {
    if (value == 0.0) continue;
    int exponent = 0;
    const auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(std::fabs(value), &exponent), 53));
    least = std::min(least, exponent - 53 + std::countr_zero(static_cast<std::uint64_t>(mantissa)));
    most = std::max(most, exponent);
  }
  if (least > most) return true;  // zeros
  const double factors = 8.0 * static_cast<double>(values.size()) * static_cast<double>(m);
  return static_cast<double>(most - least) + std::log2(factors) < 53.0 && least > -900;
}

struct Item {
  std::int64_t index, offset, residue;  ///< offset from a, and modulo the gap
  double cost;
};

/// A choice of items beside copies of a and b.
struct Choice {
  double cost = kInfinity;
  std::vector<std::int64_t> items;
  std::int64_t copies_of_b = 0;
};

/// Copies of b, one item that takes up the remainder, copies of a: always possible.
Choice first_choice(const Edge& edge) {
  const std::int64_t remainder = edge.rest % edge.gap();
  Choice choice{0.0, {}, edge.rest / edge.gap()};
  if (remainder == 0) return choice;
  choice.items = {edge.a + remainder};
  choice.cost = edge.cost(edge.a + remainder);
  return choice;
}

std::int64_t residue_of(std::int64_t offset, std::int64_t gap) {
  const std::int64_t residue = offset % gap;
  return residue < 0 ? residue + gap : residue;
}

/// All items that a better choice can hold, cheapest first. a and b, which cost nothing, are not among them.
std::vector<Item> cheaper_items(const Edge& edge, double limit) {
  std::vector<Item> items;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(edge.values.size()); ++i) {
    if (i == edge.a || i == edge.b) continue;
    const double cost = edge.cost(i);
    if (cost < limit) items.push_back({i, i - edge.a, residue_of(i - edge.a, edge.gap()), cost});
  }
  std::ranges::stable_sort(items, {}, &Item::cost);
  return items;
}

/// The cheapest way to the wanted residue modulo the gap, copies of a and b being free: a lower bound of the cost.
/// At most one item of a better choice costs half the limit or more; it may come first.
class ResiduePaths {
 public:
  ResiduePaths(const Edge& edge, const std::vector<Item>& items, double limit)
      : edge_(edge), items_(items), nodes_(at(edge.gap())) {
    const std::int64_t target = edge.rest % edge.gap();
    nodes_[0].cost = 0.0;
    relax(0, limit, limit);
    limit = std::min(limit, nodes_[at(target)].cost);
    while (!queue_.empty()) {
      const auto [cost, node] = queue_.top();
      queue_.pop();
      if (cost > nodes_[at(node)].cost) continue;
      if (node == target) break;
      relax(node, 0.5 * limit_of_first_, std::min(limit, nodes_[at(target)].cost));
    }
    found_ = nodes_[at(target)].cost;
    if (found_ < limit_of_first_) trace(target);
  }

  /// The path, or nothing where none is cheaper than the limit.
  bool found() const { return found_ < limit_of_first_; }
  double cost() const { return found_; }
  const std::vector<std::int64_t>& items() const { return path_; }

 private:
  struct Node {
    double cost = kInfinity;
    std::int64_t from = -1, item = -1;
  };

  void relax(std::int64_t node, double largest, double limit) {
    if (node == 0 && items_used_ == 0) limit_of_first_ = limit;
    ++items_used_;
    const double here = nodes_[at(node)].cost;
    const std::int64_t gap = edge_.gap();
    for (const Item& item : items_) {
      const double cost = here + item.cost;
      if (item.cost >= largest || cost >= limit) break;
      std::int64_t next = node + item.residue;
      if (next >= gap) next -= gap;
      Node& to = nodes_[at(next)];
      if (cost >= to.cost || next == 0) continue;
      to = {cost, node, item.index};
      queue_.emplace(cost, next);
    }
  }

  void trace(std::int64_t node) {
    while (node != 0) {
      path_.push_back(nodes_[at(node)].item);
      node = nodes_[at(node)].from;
    }
  }

  const Edge& edge_;
  const std::vector<Item>& items_;
  std::vector<Node> nodes_;
  std::vector<std::int64_t> path_;
  std::priority_queue<std::pair<double, std::int64_t>, std::vector<std::pair<double, std::int64_t>>, std::greater<>>
      queue_;
  double found_ = kInfinity, limit_of_first_ = 0.0;
  std::int64_t items_used_ = 0;
};

/// Least costs of k items by their sum of offsets, on a window about k rest / m.
struct Window {
  std::int64_t first = 0;
  std::vector<double> cost;
};

double cost_at(const Window& window, std::int64_t place) {
  const std::int64_t i = place - window.first;
  return i >= 0 && i < static_cast<std::int64_t>(window.cost.size()) ? window.cost[at(i)] : kInfinity;
}

/// The window without the ends that no better choice can use.
void trim(Window& window, double limit) {
  const auto useful = [&](double cost) { return cost <= limit; };
  const auto first = std::ranges::find_if(window.cost, useful);
  const auto last = std::ranges::find_if(window.cost.rbegin(), window.cost.rend(), useful).base();
  if (first >= last) {
    window.cost.clear();
    return;
  }
  window.first += first - window.cost.begin();
  window.cost = std::vector<double>(first, last);
}

/// out_s = min over s1 of one_{s1} + other_{s - s1}, in tiles of s that do not depend on the threads; of the product of
/// a window with itself half the pairs.
void min_plus(const Window& one, const Window& other, double limit, unsigned n_threads, Window& out) {
  const bool square = &one == &other;
  const AddMinFn add_min = kernels().add_min;
  parallel_for(out.cost.size(), kTile, n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = 0; i < one.cost.size(); ++i) {
      if (one.cost[i] > limit) continue;
      const std::int64_t shift = one.first + static_cast<std::int64_t>(i) + other.first - out.first;
      const std::int64_t least = square ? shift + static_cast<std::int64_t>(i) : shift;
      const std::int64_t from = std::max(static_cast<std::int64_t>(begin), least);
      const std::int64_t to =
          std::min(static_cast<std::int64_t>(end), shift + static_cast<std::int64_t>(other.cost.size()));
      if (from < to) add_min(out.cost.data() + from, other.cost.data() + (from - shift), one.cost[i], to - from);
    }
  });
  trim(out, limit);
}

/// The product at one place only.
double min_plus_at(const Window& one, const Window& other, std::int64_t place) {
  double best = kInfinity;
  for (std::size_t i = 0; i < one.cost.size(); ++i) {
    const std::int64_t j = place - one.first - static_cast<std::int64_t>(i) - other.first;
    if (j >= 0 && j < static_cast<std::int64_t>(other.cost.size()))
      best = std::min(best, one.cost[i] + other.cost[at(j)]);
  }
  return best;
}

/// How far, in spreads, the sums of parts of m items can lie from their shares when m is parted into powers of two.
///
/// Any k items can be parted in two so that each part is within half a spread of its share of their sum: among the
/// windows of a cyclic order neighbours differ by at most the spread, and their mean is the share. A part k1 of k items
/// that are d from their own share is then within 1/2 + d k1 / k of its.
class PartDistances {
 public:
  explicit PartDistances(std::int64_t m) {
    std::vector<std::int64_t> sums;  // of the powers in m, from the least
    for (std::int64_t k = 1; k <= m; k *= 2)
      if ((m & k) != 0) sums.push_back((sums.empty() ? 0 : sums.back()) + k);
    const auto top = static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(m)));
    powers_.assign(top, 0.0);
    below_.assign(top, 0.0);
    double distance = 0.0;
    for (std::size_t j = sums.size(); j-- > 1;) {
      const double share = static_cast<double>(sums[j - 1]) / static_cast<double>(sums[j]);
      powers_[place(sums[j] - sums[j - 1])] = 0.5 + (1.0 - share) * distance;
      distance = 0.5 + share * distance;
      below_[place(sums[j - 1])] = distance;
    }
    powers_[place(sums.front())] = distance;
    for (std::size_t bit = top; bit-- > 1;) powers_[bit - 1] = std::max(powers_[bit - 1], 0.5 + 0.5 * powers_[bit]);
  }

  double of_power(std::int64_t k) const { return powers_[place(k)]; }
  double of_lower_powers(std::int64_t sum) const { return below_[place(sum)]; }

 private:
  static std::size_t place(std::int64_t k) {
    return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(k))) - 1;
  }

  std::vector<double> powers_, below_;
};

/// Least cost of m items by windows of 1, 2, 4, ... items and their products.
double least_cost_by_doubling(const Edge& edge, double limit, unsigned n_threads) {
  std::vector<Item> items = cheaper_items(edge, std::nextafter(limit, kInfinity));
  items.push_back({edge.a, 0, 0, 0.0});
  items.push_back({edge.b, edge.gap(), 0, 0.0});
  const auto [low, high] = std::ranges::minmax(items, {}, &Item::offset);
  const std::int64_t spread = high.offset - low.offset;
  const PartDistances distances(edge.m);
  const auto empty = [&](std::int64_t k, double distance) {
    const auto share = static_cast<std::int64_t>(static_cast<__int128>(edge.rest) * k / edge.m);
    const auto radius = static_cast<std::int64_t>(distance * static_cast<double>(spread)) + 2;
    return Window{share - radius, std::vector<double>(at(2 * radius + 1), kInfinity)};
  };
  Window power{low.offset, std::vector<double>(at(spread + 1), kInfinity)};
  for (const Item& item : items) power.cost[at(item.offset - low.offset)] = item.cost;
  Window sum;  // of the powers of two that m has so far
  std::int64_t taken = 0;
  for (std::int64_t k = 1;; k *= 2) {
    if ((edge.m & k) != 0) {
      if (taken + k == edge.m) return taken == 0 ? cost_at(power, edge.rest) : min_plus_at(sum, power, edge.rest);
      if (taken == 0) {
        sum = power;
      } else {
        Window next = empty(taken + k, distances.of_lower_powers(taken + k));
        min_plus(sum, power, limit, n_threads, next);
        sum = std::move(next);
      }
      taken += k;
    }
    if (2 * k == edge.m) return min_plus_at(power, power, edge.rest);
    Window doubled = empty(2 * k, distances.of_power(2 * k));
    min_plus(power, power, limit, n_threads, doubled);
    power = std::move(doubled);
  }
}

/// The sum of values of a choice.
double sum_of(const Edge& edge, const Choice& choice, double margin) {
  ExactSum sum;
  for (const std::int64_t item : choice.items) sum.add(edge.values[at(item)]);
  const auto others = edge.m - choice.copies_of_b - static_cast<std::int64_t>(choice.items.size());
  sum.add_product(static_cast<double>(choice.copies_of_b), edge.values[at(edge.b)]);
  sum.add_product(static_cast<double>(others), edge.values[at(edge.a)]);
  return sum.upper(margin);
}

/// Copies of one score and the sum of others, rounded up.
double with_copies(std::int64_t copies, double value, double others) {
  ExactSum sum;
  sum.add(others);
  sum.add_product(static_cast<double>(copies), value);
  return sum.upper(0.0);
}

/// The value that a cost leaves, rounded up.
double value_of_cost(const Edge& edge, double cost, double margin, bool exact) {
  const double base = static_cast<double>(edge.m) * edge.values[at(edge.a)];
  const double lifted = edge.rise * static_cast<double>(edge.rest), gap = static_cast<double>(edge.gap());
  const double value = base + (lifted - cost) / gap;
  if (exact) return value;
  const double size = std::fabs(base) + std::fabs(lifted) / gap + cost / gap;
  return std::nextafter(value + 8.0 * kRounding * size + margin, kInfinity);
}

double by_doubling(const Edge& edge, const Choice& start, bool exact, unsigned n_threads) {
  // Comparisons of float costs can be wrong by their errors: the limit is widened, and the value by what that may hide.
  const double error = exact ? 0.0 : edge.cost_error() + 2.0 * kRounding * start.cost;
  const double total_error = static_cast<double>(edge.m) * error;
  const double cost = std::min(start.cost, least_cost_by_doubling(edge, start.cost + total_error, n_threads));
  return value_of_cost(edge, cost, 2.0 * total_error / static_cast<double>(edge.gap()), exact);
}

double by_residues(const Edge& edge, unsigned n_threads) {
  Choice best = first_choice(edge);
  const bool exact = exact_in_doubles(edge.values, edge.m);
  if (best.cost > 0.0 && edge.gap() > kLongestResidues) return by_doubling(edge, best, exact, n_threads);
  const std::vector<Item> items = cheaper_items(edge, best.cost);
  if (!items.empty()) {
    const ResiduePaths paths(edge, items, best.cost);
    if (paths.found()) {
      std::int64_t offset = 0;
      for (const std::int64_t item : paths.items()) offset += item - edge.a;
      const std::int64_t copies = (edge.rest - offset) / edge.gap();
      const auto free = edge.m - static_cast<std::int64_t>(paths.items().size());
      if (copies < 0 || copies > free) return by_doubling(edge, best, exact, n_threads);
      best = {paths.cost(), paths.items(), copies};
    }
  }
  // A choice that is truly better may have looked worse by the errors of m costs on either side.
  const double error = exact ? 0.0 : edge.cost_error() + 2.0 * kRounding * best.cost;
  return sum_of(edge, best, 2.0 * static_cast<double>(edge.m) * error / static_cast<double>(edge.gap()));
}

/// The maximum on one edge; `relaxed` for its bound only.
double on_one_edge(std::span<const double> values, std::int64_t m, std::int64_t total, bool relaxed,
                   unsigned n_threads) {
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  if (m == 0) return 0.0;
  if (total == m * last || last == 0) return with_copies(m, values.back(), 0.0);
  const Edge edge = find_edge(values, m, total);
  if (!relaxed) return by_residues(edge, n_threads);
  const double error = static_cast<double>(m) * edge.cost_error() / static_cast<double>(edge.gap());
  return value_of_cost(edge, 0.0, error, false);
}

/// Whether the edge is at most a quarter as long once the last score is left out, its copies at most those it has.
bool shorter_without_last(const Edge& edge) {
  const auto last = static_cast<std::int64_t>(edge.values.size()) - 1;
  const std::int64_t copies = edge.rest / edge.gap(), items = edge.m - copies, rest = edge.total - copies * last;
  if (items <= 0 || rest < 0 || rest > items * (last - 1) || last < 2) return false;
  return 4 * find_edge(edge.values.first(at(last)), items, rest).gap() <= edge.gap();
}

/// The maximum by cases: how often the last score is taken. A last score far above the others, such as a limit that no
/// score comes near, makes one long edge, on which counts matter more than residues; without it edges are short. Cases
/// are tried in the order of their relaxed bounds, and end when no bound is above what was found.
double by_copies_of_last(std::span<const double> values, std::int64_t m, std::int64_t total, unsigned n_threads) {
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  const auto others = values.first(at(last));
  std::vector<std::pair<double, std::int64_t>> cases;
  for (std::int64_t copies = 0; copies <= m; ++copies) {
    const std::int64_t rest = total - copies * last, items = m - copies;
    if (rest < 0 || rest > items * (last - 1)) continue;
    const double below = on_one_edge(others, items, rest, true, 1);
    cases.emplace_back(with_copies(copies, values.back(), below), copies);
  }
  std::ranges::sort(cases, std::greater<>{});
  double best = -kInfinity;
  for (const auto& [bound, copies] : cases) {
    if (bound <= best) break;
    const std::int64_t items = m - copies;
    const double below = on_one_edge(others, items, total - copies * last, false, n_threads);
    best = std::max(best, with_copies(copies, values.back(), below));
  }
  return best;
}

double exactly(std::span<const double> values, std::int64_t m, std::int64_t total, unsigned n_threads) {
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  const Edge edge = find_edge(values, m, total);
  // Copies of the last score that fit, a relaxed bound in O(N) each: worth it unless that is many.
  const double work = static_cast<double>(last) * static_cast<double>(std::min(m, total / last));
  if (work <= kSplitWork && edge.b == last && edge.gap() > kLongEdge && shorter_without_last(edge))
    return by_copies_of_last(values, m, total, n_threads);
  return by_residues(edge, n_threads);
}

double by_recurrence(std::span<const double> values, std::int64_t m, std::int64_t total) {
  const auto size = static_cast<std::int64_t>(values.size());
  std::vector<double> now(at(total + 1), -kInfinity), next(now);
  now[0] = 0.0;
  for (std::int64_t k = 0; k < m; ++k) {
    std::ranges::fill(next, -kInfinity);
    for (std::int64_t j = 0; j <= total; ++j) {
      double best = -kInfinity;
      for (std::int64_t i = std::min(size - 1, j); i >= 0; --i) best = std::max(best, now[at(j - i)] + values[at(i)]);
      next[at(j)] = best;
    }
    std::swap(now, next);
  }
  const double size_of_terms = std::max(std::fabs(values.front()), std::fabs(values.back()));
  const double md = static_cast<double>(m);
  if (exact_in_doubles(values, m)) return now[at(total)];
  return now[at(total)] + md * md * 2.0 * kRounding * size_of_terms;
}

/// Whole numbers below a bound, each equally likely: the high half of a product, short runs at its low end refused.
class WholeDraws {
 public:
  WholeDraws(std::uint64_t seed, std::uint64_t task) : stream_{seed, task} {}

  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t refused = (0 - bound) % bound;
    for (;;) {
      const unsigned __int128 product = static_cast<unsigned __int128>(word()) * bound;
      if (static_cast<std::uint64_t>(product) >= refused) return static_cast<std::uint64_t>(product >> 64);
    }
  }

 private:
  std::uint64_t word() {
    if (index_ % 2 == 0) block_ = philox_block(stream_, index_ / 2);
    const std::size_t half = index_++ % 2 * 2;
    return (static_cast<std::uint64_t>(block_.word[half]) << 32) | block_.word[half + 1];
  }

  PhiloxStream stream_;
  PhiloxCounter block_{};
  std::uint64_t index_ = 0;
};

/// A uniform subset of `size` of 0..population-1 by Floyd's algorithm, ascending.
class SubsetDraws {
 public:
  SubsetDraws(std::uint64_t population, std::uint64_t size) : population_(population), size_(size) {
    marks_.resize((population + 63) / 64);
    chosen_.resize(size);
  }

  const std::vector<std::uint64_t>& draw(WholeDraws& random) {
    std::size_t count = 0;
    for (std::uint64_t last = population_ - size_; last < population_; ++last) {
      std::uint64_t pick = random.below(last + 1);
      if ((marks_[pick / 64] >> (pick % 64)) & 1) pick = last;
      marks_[pick / 64] |= std::uint64_t{1} << (pick % 64);
      chosen_[count++] = pick;
    }
    if (size_ * 8 < marks_.size()) {
      for (const std::uint64_t pick : chosen_) marks_[pick / 64] = 0;
      std::ranges::sort(chosen_);
      return chosen_;
    }
    count = 0;
    for (std::size_t i = 0; i < marks_.size(); ++i) {
      for (std::uint64_t rest = marks_[i]; rest != 0; rest &= rest - 1)
        chosen_[count++] = 64 * i + static_cast<std::uint64_t>(std::countr_zero(rest));
      marks_[i] = 0;
    }
    return chosen_;
  }

 private:
  std::uint64_t population_, size_;
  std::vector<std::uint64_t> marks_, chosen_;
};

}  // namespace

double largest_sum(std::span<const double> values, std::int64_t m, std::int64_t total, SumMethod method,
                   unsigned n_threads) {
  const auto last = static_cast<std::int64_t>(values.size()) - 1;
  if (total == m * last || last == 0) return with_copies(m, values.back(), 0.0);
  if (method == SumMethod::reference) return by_recurrence(values, m, total);
  if (method == SumMethod::relaxed) return on_one_edge(values, m, total, true, n_threads);
  if (method == SumMethod::exact) return exactly(values, m, total, n_threads);
  const Edge edge = find_edge(values, m, total);
  return by_doubling(edge, first_choice(edge), exact_in_doubles(values, m), n_threads);
}

double largest_weighted(std::span<const double> values, std::span<const double> weights, std::int64_t total) {
  const std::size_t m = weights.size(), columns = at(total + 1);
  std::vector<double> best((m + 1) * columns, -kInfinity);
  best[0] = 0.0;
  for (std::size_t r = 0; r < values.size() && r < columns; ++r) {
    for (std::size_t k = 0; k < m; ++k) {  // in place: a rank may be used again for the next place
      const double gain = weights[k] * values[r];
      const double* const from = best.data() + k * columns;
      double* const to = best.data() + (k + 1) * columns + r;
      for (std::size_t j = 0; j + r < columns; ++j) to[j] = std::max(to[j], from[j] + gain);
    }
  }
  double size = 0.0;
  for (const double weight : weights) size += weight;
  size *= std::max(std::fabs(values.front()), std::fabs(values.back()));
  // m products and m sums, each rounded, on either side of every comparison
  return best.back() + 4.0 * static_cast<double>(m + 1) * kRounding * size;
}

void draw_level_sums(std::span<const std::int64_t> levels, std::int64_t m, std::uint64_t seed, std::uint64_t first,
                     unsigned n_threads, std::span<std::int64_t> sums) {
  const std::uint64_t population = levels.size() - 1 + static_cast<std::uint64_t>(m);
  parallel_for(sums.size(), kDrawGrain, n_threads, [&](std::size_t begin, std::size_t end) {
    SubsetDraws subsets(population, static_cast<std::uint64_t>(m));
    for (std::size_t i = begin; i < end; ++i) {
      WholeDraws random(seed, first + i);
      std::int64_t sum = 0;
      std::uint64_t before = 0;  // batch scores already counted: the rank is the place less those
      for (const std::uint64_t place : subsets.draw(random)) sum += levels[place - before++];
      sums[i] = sum;
    }
  });
}

}  // namespace auditkit
