"""Ways to bound a function of a batch: which sets of ranks, and the largest value on each.

Every ordering answers the upper side; the lower side is the upper side of the reflected problem. Sets of ranks may use
n, m, the level, the limits of the scores and a reference sample, never the calibration or batch scores.
Source: Lee, Tchetgen Tchetgen, Dobriban (arXiv 2409.13990); docs/theory/batch-sets.md.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from auditkit.batchpi.functionals import Functional
from auditkit.batchpi.maximisation import ordering_quantile
from auditkit.batchpi.rank_sums import rank_sum_quantile, sum_max_quantile
from auditkit.batchpi.ranks import band_ranks, upper_rank

Floats = NDArray[np.float64]

ORDERINGS = ("rank_sum", "shape", "sum_max", "band", "partition")
DISTINCT = 32
"""Least number of distinct reference values with which `auto` takes the shape ordering (docs/explain/batches.md)."""
BAND_CELLS = 10**8
"""Largest n m for which `auto` takes the band: a second or two."""
LEVELS = 4096
"""Steps into which the shape ordering rounds its reference quantiles: that moves none by more than 1/8192 of their
range."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The upper side of one question.

    Attributes
    ----------
    scores : ndarray, shape (sets, n)
        Sorted ascending, a row a set.
    m : int
    level : Fraction
        What the event of ranks must reach.
    high : float
        Known upper limit of every score, maybe infinite.
    reference : ndarray, shape (r,), or None
        Sorted, finite, independent of calibration and batch.
    seed : int
    functional : Functional
    exact : bool
        Whether sums are maximised exactly, or bounded by their concave hull.
    draws : int
        Of the Monte-Carlo quantile of the shape ordering.
    """

    scores: Floats
    m: int
    level: Fraction
    high: float
    reference: Floats | None
    seed: int
    functional: Functional
    exact: bool
    draws: int

    @property
    def n(self) -> int:
        """Calibration scores."""
        return int(self.scores.shape[1])

    def with_limit(self) -> Floats:
        """S_(1) .. S_(n+1): the scores and their upper limit."""
        limit = np.full((len(self.scores), 1), self.high)
        return np.hstack([self.scores, limit])

    def reflected(self, low: float) -> Problem:
        """The problem whose upper end is minus the lower end of this one; `low` is the lower limit of the scores."""
        return replace(
            self,
            scores=np.ascontiguousarray(-self.scores[:, ::-1]),
            high=-low,
            reference=None if self.reference is None else -self.reference[::-1],
            functional=self.functional.reflected(),
        )


@dataclass(frozen=True, eq=False)
class Bound:
    """Upper ends, one a set, with the probability of the event behind them."""

    value: Floats
    probability: float
    ordering: str
    cut: float
    reason: str = ""
    required_n: int | None = None


def upper_bound(problem: Problem, ordering: str) -> Bound:
    """The upper end by one ordering, or by the one that `choose` takes for ``auto``.

    Parameters
    ----------
    problem : Problem
    ordering : str
        One of `ORDERINGS`, or ``"auto"``.
    """
    name = choose(problem) if ordering == "auto" else ordering
    return _BY_NAME[name](problem)


def choose(problem: Problem) -> str:
    """The ordering of ``auto``: by n, m, level, limits and whether a reference is given, never by scores.

    Groups of the calibration scores are themselves batches, so partitioning gives the tightest bounds wherever
    there are enough groups for a finite one. Below that a reference sample tells the shape of the scores, unless it
    holds so few values that whole runs of ranks weigh the same. Without one the band loses little on evenly spread
    scores and gains much on all others, and the rank sum stands in where a band would take minutes. Without a limit
    on the scores only excluding the largest ranks can be finite.
    """
    if problem.n // problem.m >= least_groups(problem.level):
        return "partition"
    if problem.reference is not None and np.unique(problem.reference).size >= DISTINCT:
        return "shape"
    if math.isinf(problem.high):
        return "sum_max"
    return "band" if problem.n * problem.m <= BAND_CELLS else "rank_sum"


def least_groups(level: Fraction) -> int:
    """Groups that a finite conformal quantile of groups needs: least B with ceil(level (B + 1)) <= B."""
    return math.ceil(level / (1 - level))


def least_scores(m: int, level: Fraction) -> int:
    """Least n with P(R_m <= n) = n / (n + m) >= level: below it no unbounded function has a finite upper bound."""
    return math.ceil(m * level / (1 - level))


def _rank_sum(problem: Problem) -> Bound:
    """All ranks whose sum is at most its quantile (section 2 of the paper)."""
    cut, probability = rank_sum_quantile(problem.n, problem.m, problem.level)
    value = problem.functional.largest(problem.with_limit(), problem.m, cut - problem.m, exact=problem.exact)
    reason = ""
    if np.isinf(value).any():
        reason = "its worst case puts a point of the batch above all calibration scores, which nothing limits"
    return Bound(value, probability, "rank_sum", cut, reason)


def _sum_max(problem: Problem) -> Bound:
    """Rank sum and largest rank bounded together; half the error is spent on the largest rank where that is enough."""
    n, m, level = problem.n, problem.m, problem.level
    largest, _ = upper_rank(n, m, m, (1 + level) / 2)
    if largest == n + 1 and math.isinf(problem.high):
        largest = n
    found = sum_max_quantile(n, m, largest, level)
    if found is None:
        return _without_bound(problem, "sum_max", least_scores(m, level))
    cut, probability = found
    kept = problem.with_limit()[:, :largest]
    value = problem.functional.largest(np.ascontiguousarray(kept), m, cut - m, exact=problem.exact)
    return Bound(value, probability, "sum_max", cut, _infinite_scores(value))


def _band(problem: Problem) -> Bound:
    """Every order statistic of the batch below its own limit, all at once."""
    _, upper, probability = band_ranks(problem.n, problem.m, problem.level, "upper", None)
    value = problem.functional.of_batches(problem.with_limit()[:, upper - 1])
    reason = _infinite_scores(value)
    if math.isinf(problem.high) and upper[-1] == problem.n + 1:
        reason = "the band leaves the largest of the batch above all calibration scores, which nothing limits"
    return Bound(value, probability, "band", float(upper[-1]), reason)


def _partition(problem: Problem) -> Bound:
    """Random groups of m calibration scores are batches too: the conformal quantile of their values."""
    groups = problem.n // problem.m
    index = math.ceil(problem.level * (groups + 1))
    if index > groups:
        return _without_bound(problem, "partition", problem.m * least_groups(problem.level))
    orders = np.array([_random_order(row, problem.seed)[: groups * problem.m] for row in problem.scores])
    batches = np.take_along_axis(problem.scores, orders, axis=1).reshape(len(orders), groups, problem.m)
    values = np.sort(problem.functional.of_batches(batches), axis=-1)[:, index - 1]
    return Bound(values, float(Fraction(index, groups + 1)), "partition", index, _infinite_scores(values))


def _random_order(row: Floats, seed: int) -> NDArray[np.int64]:
    """A permutation drawn from the seed and a hash of the sorted scores.

    Scores are sorted so that their order does not matter. With the seed alone the same ranks would form a group in
    every sample, and the coverage of one seed over many samples would be that of these groups.
    """
    digest = hashlib.blake2b((row + 0.0).tobytes(), digest_size=16).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.default_rng([seed, 1, *words]).permutation(len(row))


def _shape(problem: Problem) -> Bound:
    """The sum of reference quantiles at the ranks, rounded to a grid of levels: tight where scores are skewed."""
    if problem.reference is None:
        raise AssertionError("the caller checks that a reference is given")
    n, m = problem.n, problem.m
    levels = shape_levels(problem.reference, n, problem.high)
    unlimited = math.isinf(problem.high)
    if unlimited:
        levels[n] = m * LEVELS + 1  # above every sum without it
    cut, probability = ordering_quantile(n, m, levels, problem.level, draws=problem.draws, seed=problem.seed)
    if unlimited and cut > m * LEVELS:
        return _without_bound(problem, "shape", least_scores(m, problem.level))
    values = problem.with_limit()[:, : n if unlimited else n + 1]
    top = int(levels[values.shape[1] - 1])
    # the best score of a level is that of the largest rank on it or below
    best = np.searchsorted(levels[: values.shape[1]], np.arange(top + 1), side="right") - 1
    value = problem.functional.largest(
        np.ascontiguousarray(values[:, best]), m, min(cut, m * top), exact=problem.exact
    )
    return Bound(value, probability, "shape", cut, _infinite_scores(value))


def shape_levels(reference: Floats, n: int, high: float) -> NDArray[np.int64]:
    """Levels 0 to `LEVELS` of the ranks 1 to n + 1, non-decreasing, 0 for the first: rounded reference quantiles."""
    # transformed references may be infinite; a quarter of the range leaves room for differences, and shares unchanged
    finite = reference[np.isfinite(reference)]
    if not finite.size:
        return np.zeros(n + 1, dtype=np.int64)
    quarter = np.clip(reference, finite.min(), finite.max()) / 4
    quantiles = np.quantile(quarter, np.arange(1, n + 1) / (n + 1))
    last = max(high / 4, float(quantiles[-1])) if math.isfinite(high) else float(quantiles[-1])
    weights = np.append(quantiles, last)
    spread = weights[-1] - weights[0]
    if not spread > 0:
        return np.zeros(n + 1, dtype=np.int64)
    shares = np.clip((weights - weights[0]) / spread, 0.0, 1.0)
    return np.maximum.accumulate(np.rint(shares * LEVELS).astype(np.int64))


def _without_bound(problem: Problem, ordering: str, required: int) -> Bound:
    """What remains where the ordering gives nothing: every score at its limit, which always holds."""
    batch = np.full((len(problem.scores), problem.m), problem.high)
    value = problem.functional.of_batches(batch)
    reason = f"{problem.n:,} calibration scores are too few for batches of {problem.m:,}"
    return Bound(value, 1.0, ordering, math.inf, reason, required)


def _infinite_scores(value: Floats) -> str:
    return "calibration scores that count are infinite" if np.isinf(value).any() else ""


_BY_NAME: dict[str, Callable[[Problem], Bound]] = {
    "rank_sum": _rank_sum,
    "shape": _shape,
    "sum_max": _sum_max,
    "band": _band,
    "partition": _partition,
}
