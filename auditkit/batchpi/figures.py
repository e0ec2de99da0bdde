"""What the pictures of a report are drawn from: summaries whose size does not grow with the data."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.batchpi._inputs import Side
from auditkit.batchpi.orderings import Bound, Problem, least_groups, least_scores
from auditkit.batchpi.rank_sums import rank_sum_cdf
from auditkit.batchpi.ranks import band_curve, rank_cdf, smallest_n_for_rank
from auditkit.batchpi.results import RankBounds

Floats = NDArray[np.float64]
POINTS = 120
BAND_POINTS = 24
CHEAP_BAND = 10**6
"""Largest n m of which bands are drawn: about 0.1 s."""
SIZES = 24
CHEAP = 10**7
"""Largest n m of which rank-sum probabilities are drawn: the picture must not cost more than the answer."""


def of_order_statistic(
    row: Floats, ranks: RankBounds, *, m: int, zeta: int, level: Fraction, side: Side
) -> dict[str, Any]:
    """Figures of one order statistic: scores, exact coverage against the rank, least n against the batch size."""
    n = len(row)
    # the lower side mirrors: P(R_z >= t) = P(R_(m+1-z) <= n + 2 - t)
    seen, chosen = (m + 1 - zeta, n + 2 - ranks.lower) if side == "lower" else (zeta, ranks.upper)
    cuts = _around(chosen, 1, n + 1)
    coverage = {
        "cut_name": "rank of the calibration score, from above"
        if side == "lower"
        else "rank of the calibration score",
        "cut": cuts,
        "probability": [rank_cdf(n, m, seen, cut) for cut in cuts],
        "level": float(level),
        "chosen": chosen,
        "chosen_probability": rank_cdf(n, m, seen, chosen),
    }
    share = Fraction(zeta, m)
    sizes = _sizes(m)
    one: Side = "lower" if side == "lower" else "upper"
    needed = [smallest_n_for_rank(size, max(1, math.ceil(share * size)), level, one) for size in sizes]
    return {"scores": of_scores(row), "coverage": coverage, "finite": {"m": sizes, "required_n": needed}}


def of_function(problem: Problem, bound: Bound) -> dict[str, Any]:
    """Figures of a function of all scores, where its ordering has an exact law."""
    n, m = problem.n, problem.m
    found: dict[str, Any] = {}
    if len(problem.scores) == 1:
        found["scores"] = of_scores(problem.scores[0])
    if bound.ordering == "rank_sum" and n * m <= CHEAP:
        cuts = _around(int(bound.cut), m, m * (n + 1))
        found["coverage"] = {
            "cut_name": "largest sum of ranks",
            "cut": cuts,
            "probability": [rank_sum_cdf(n, m, cut)[0] for cut in cuts],
            "level": float(problem.level),
            "chosen": int(bound.cut),
            "chosen_probability": bound.probability,
        }
    if bound.ordering == "partition" and math.isfinite(bound.cut):
        found["coverage"] = _of_groups(problem, bound)
    if bound.ordering == "band" and n * m <= CHEAP_BAND:
        found["coverage"] = _of_band(problem, bound)
    sizes = _sizes(m)
    needed = [
        size * least_groups(problem.level)
        if bound.ordering == "partition"
        else least_scores(size, problem.level)
        for size in sizes
    ]
    found["finite"] = {"m": sizes, "required_n": needed}
    return found


def _of_groups(problem: Problem, bound: Bound) -> dict[str, Any]:
    groups = problem.n // problem.m
    cuts = _around(int(bound.cut), 1, groups)
    return {
        "cut_name": "rank among the groups",
        "cut": cuts,
        "probability": [cut / (groups + 1) for cut in cuts],
        "level": float(problem.level),
        "chosen": int(bound.cut),
        "chosen_probability": bound.probability,
    }


def _of_band(problem: Problem, bound: Bound) -> dict[str, Any]:
    """The probability that all limits are kept against that of each; the chosen one lies where the former is known."""
    miss = float(1 - problem.level)
    levels = (1.0 - np.geomspace(miss, miss / problem.m, BAND_POINTS)).tolist()
    together = band_curve(problem.n, problem.m, levels)
    return {
        "cut_name": "level of each limit by itself",
        "cut": levels,
        "probability": together,
        "level": float(problem.level),
        "chosen": round(float(np.interp(bound.probability, together, levels)), 5),
        "chosen_probability": bound.probability,
    }


def of_scores(row: Floats) -> dict[str, list[float]]:
    """The quantile curve of the finite calibration scores."""
    finite = row[np.isfinite(row)]
    if not finite.size:
        return {"level": [], "score": []}
    at = np.unique(np.linspace(0, finite.size - 1, min(finite.size, POINTS)).round().astype(np.int64))
    return {"level": ((at + 0.5) / finite.size).tolist(), "score": finite[at].tolist()}


def _around(chosen: int, least: int, most: int) -> list[int]:
    """Whole numbers about a chosen one, close by where there are many."""
    room = max(chosen - least, most - chosen)
    if most - least <= POINTS:
        return list(range(least, most + 1))
    half = POINTS // 2
    steps = np.unique(np.round(np.linspace(0.0, 1.0, half) ** 2 * room).astype(np.int64))
    values = np.unique(np.concatenate([chosen - steps, chosen + steps]))
    return [int(value) for value in values if least <= value <= most]


def _sizes(m: int) -> list[int]:
    """Batch sizes from 1 to four times m, evenly spread on a logarithmic scale, m among them."""
    grid = np.geomspace(1, 4 * m, SIZES).round().astype(np.int64)
    return sorted({m, *(int(size) for size in grid)})
