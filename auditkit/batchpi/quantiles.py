"""Prediction sets for order statistics of a batch: one, several at once, or all of them in a band."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import decimal_number, refuse
from auditkit.batchpi import figures
from auditkit.batchpi._inputs import (
    Side,
    read_alpha,
    read_choice,
    read_count,
    read_limits,
    read_quantile,
    read_scores,
    read_side,
    read_zeta,
)
from auditkit.batchpi.ranks import band_ranks, ranks_for, smallest_n_for_rank
from auditkit.batchpi.results import BatchSet, RankBounds

Floats = NDArray[np.float64]
NO_LIMITS = (-math.inf, math.inf)


class Band(NamedTuple):
    """Limits of every order statistic of the batch at once.

    Attributes
    ----------
    lower, upper : ndarray, shape (m,) or (sets, m)
        With probability at least 1 - alpha all T_(j) lie in [lower_j, upper_j].
    coverage : float
        The probability of the event of ranks, at least 1 - alpha.
    """

    lower: Floats
    upper: Floats
    coverage: float


def order_statistic(
    scores: Any,
    m: int,
    zeta: int | None = None,
    quantile: float | None = None,
    alpha: float = 0.05,
    *,
    side: Side = "two",
    limits: Sequence[float] = NO_LIMITS,
    tails: str = "equal",
) -> BatchSet:
    """A prediction set for one order statistic of the next m scores: their median, a quantile, the largest.

    Parameters
    ----------
    scores : array_like, shape (n,) or (sets, n)
        Calibration scores in any order, exchangeable with those of the batch; infinite ones are allowed.
    m : int
        Points of the batch, at least 1.
    zeta : int, optional
        Which of the sorted batch scores, 1 to m. Give this or `quantile`.
    quantile : float, optional
        In (0, 1]; stands for zeta = ceil(quantile * m). For even m the median 0.5 is the lower one, m / 2.
    alpha : float or str
        1 - alpha is the probability that the set holds the truth; read as the decimal that was typed.
    side : {"two", "upper", "lower"}
    limits : pair of float
        Known limits of every score, used where the ranks reach beyond the calibration scores.
    tails : {"equal", "shortest"}
        For two sides: alpha / 2 each, or the fewest ranks.

    Returns
    -------
    BatchSet
        `coverage_exact` is the coverage when scores have no ties; with ties it is at least that.

    Raises
    ------
    InputError
        For arguments out of range, NaN, scores outside the limits.

    Notes
    -----
    Exact at every size: ranks follow the negative hypergeometric law. Cost: a few tails of it, and one sort.
    Source: arXiv 2409.13990, section 3.

    Examples
    --------
    >>> from auditkit import batchpi
    >>> batchpi.order_statistic(range(1, 19), 2, zeta=2, alpha=0.1, side="upper").upper
    18.0
    """
    started = time.perf_counter()
    m = read_count(m, "m")
    asked = _Asked.of(scores, m, alpha, side, limits)
    zeta = _one_of(zeta, quantile, m)
    ranks = asked.ranks(zeta, tails)
    tied = bool((asked.rows[:, 1:] == asked.rows[:, :-1]).any())
    found = asked.answer(zeta, ranks)
    given = {} if quantile is None else {"quantile": float(decimal_number(quantile) or 0)}
    return replace(
        found,
        details={**found.details, **given},
        coverage_exact=None if tied else ranks.coverage,
        figures=figures.of_order_statistic(
            asked.rows[0], ranks, m=m, zeta=zeta, level=asked.level, side=asked.side
        ),
        elapsed=time.perf_counter() - started,
    )


def order_statistics(
    scores: Any,
    m: int,
    zetas: Sequence[int],
    alpha: float = 0.05,
    *,
    side: Side = "two",
    limits: Sequence[float] = NO_LIMITS,
) -> list[BatchSet]:
    """Prediction sets for several order statistics that hold all at once.

    Parameters
    ----------
    zetas : sequence of int
        Distinct, each from 1 to m; the sets come in their order. Others as in `order_statistic`.

    Returns
    -------
    list of BatchSet
        `event_probability` is that of all together; the limits are those of a band. Source: arXiv 2409.13990,
        section 3.
    """
    started = time.perf_counter()
    m = read_count(m, "m")
    asked = _Asked.of(scores, m, alpha, side, limits)
    given = list(zetas) if np.ndim(zetas) == 1 else []
    wanted = [read_zeta(zeta, m, f"zetas[{i}]") for i, zeta in enumerate(given)]
    if not wanted or len(set(wanted)) != len(wanted):
        refuse("zetas", "one order statistic or more, each once", zetas, id="AK-BP-035")
    ascending = tuple(sorted(wanted))
    lows, ups, probability = band_ranks(asked.n, m, 1 - asked.alpha, asked.side, ascending)
    found = {}
    for zeta, low, up in zip(ascending, lows.tolist(), ups.tolist(), strict=True):
        answer = asked.answer(zeta, RankBounds(low, up, probability))
        details = {**answer.details, "simultaneous": len(wanted)}
        found[zeta] = replace(answer, ordering="band", details=details, elapsed=time.perf_counter() - started)
    return [found[zeta] for zeta in wanted]


def band(
    scores: Any,
    m: int,
    alpha: float = 0.05,
    *,
    side: Side = "two",
    limits: Sequence[float] = NO_LIMITS,
) -> Band:
    """Limits for all order statistics of the batch at once, hence for every monotone function of it.

    Parameters are those of `order_statistic`.

    Returns
    -------
    Band
        ``lower, upper, coverage``. Cost: about thirty passes of O(n m) steps.

    Notes
    -----
    Source: arXiv 2409.13990, section 3 for the event; its probability by dynamic programming over lattice paths
    (docs/theory/batch-sets.md).
    """
    m = read_count(m, "m")
    asked = _Asked.of(scores, m, alpha, side, limits)
    lows, ups, probability = band_ranks(asked.n, m, 1 - asked.alpha, asked.side, None)
    extended, sets = asked.extended(), len(asked.rows)
    lower = np.full((sets, m), -math.inf) if asked.side == "upper" else extended[:, lows - 1]
    upper = np.full((sets, m), math.inf) if asked.side == "lower" else extended[:, ups]
    shape = (m,) if asked.one_row else (sets, m)
    return Band(lower.reshape(shape), upper.reshape(shape), probability)


def _one_of(zeta: Any, quantile: Any, m: int) -> int:
    if (zeta is None) == (quantile is None):
        refuse("zeta", "given, or quantile, and not both", f"{zeta} and {quantile}", id="AK-BP-041")
    return read_quantile(quantile, m) if zeta is None else read_zeta(zeta, m)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Calibration scores, sorted, a row a set, and what is asked of the batch."""

    rows: Floats
    one_row: bool
    m: int
    alpha: Fraction
    side: Side
    low: float
    high: float

    @classmethod
    def of(cls, scores: Any, m: int, alpha: Any, side: Any, limits: Any) -> _Asked:
        known = read_limits(limits)
        rows = read_scores(scores, limits=known)
        return cls(np.atleast_2d(rows), rows.ndim == 1, m, read_alpha(alpha), read_side(side), *known)

    @property
    def n(self) -> int:
        return int(self.rows.shape[1])

    @property
    def level(self) -> Fraction:
        """Of one side."""
        return 1 - (self.alpha / 2 if self.side == "two" else self.alpha)

    def ranks(self, zeta: int, tails: str) -> RankBounds:
        """Ranks between which one order statistic lies."""
        name = read_choice(tails, ("equal", "shortest"), "tails")
        return ranks_for(self.n, self.m, zeta, self.alpha, side=self.side, tails=name)

    def extended(self) -> Floats:
        """S_(0) .. S_(n+1), a row a set."""
        ends = np.ones((len(self.rows), 1))
        return np.hstack([self.low * ends, self.rows, self.high * ends])

    def answer(self, zeta: int, ranks: RankBounds) -> BatchSet:
        """The set between two ranks."""
        extended = self.extended()
        infinite = np.full(len(self.rows), math.inf)
        lower = -infinite if self.side == "upper" else extended[:, ranks.lower - 1] + 0.0
        upper = infinite if self.side == "lower" else extended[:, ranks.upper]
        reasons, required = self._why_infinite(zeta, ranks, lower, upper)
        return BatchSet(
            lower=float(lower[0]) if self.one_row else lower,
            upper=float(upper[0]) if self.one_row else upper,
            alpha=float(self.alpha),
            n=self.n,
            m=self.m,
            function=_order_words(zeta, self.m),
            ordering="rank",
            side=self.side,
            event_probability=ranks.coverage,
            ranks=ranks,
            finite=not reasons,
            reason="; ".join(reasons),
            required_n=required,
            details={"statistic": "order statistic", "zeta": zeta},
        )

    def _why_infinite(
        self, zeta: int, ranks: RankBounds, lower: Floats, upper: Floats
    ) -> tuple[list[str], int | None]:
        """Why ends that were asked for are infinite, and the n that would make them finite."""
        reasons, needed = [], []
        ends: tuple[tuple[Side, Floats, bool], ...] = (
            ("upper", upper, ranks.upper == self.n + 1),
            ("lower", lower, ranks.lower == 1),
        )
        for one, end, beyond in ends:
            if self.side not in ("two", one) or bool(np.isfinite(end).all()):
                continue
            if not beyond:
                reasons.append("calibration scores there are infinite")
                continue
            where = "above the largest" if one == "upper" else "below the smallest"
            reasons.append(
                f"it may lie {where} of the {self.n:,} calibration scores, which nothing limits there"
            )
            needed.append(smallest_n_for_rank(self.m, zeta, self.level, one))
        return reasons, max(needed, default=None) if needed else None


def _order_words(zeta: int, m: int) -> str:
    if m == 1:
        return "next score"
    named = {1: "smallest", m: "largest"}
    return f"{named.get(zeta, f'order statistic {zeta:,}')} of {m:,}"
