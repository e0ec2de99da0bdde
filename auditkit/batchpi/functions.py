"""Prediction sets for the mean of a batch and other monotone functions of all its scores."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.batchpi import figures
from auditkit.batchpi._inputs import (
    Side,
    read_alpha,
    read_choice,
    read_count,
    read_limits,
    read_reference,
    read_scores,
    read_seed,
    read_side,
    read_zeta,
)
from auditkit.batchpi.functionals import Step, Sum
from auditkit.batchpi.maximisation import max_composed
from auditkit.batchpi.orderings import ORDERINGS, Bound, Problem, least_groups, least_scores, upper_bound
from auditkit.batchpi.quantiles import NO_LIMITS, order_statistic
from auditkit.batchpi.ranks import smallest_n_for_rank
from auditkit.batchpi.results import EXCHANGEABLE, BatchSet, MethodBounds
from auditkit.batchpi.transforms import EXTREMES, Transform, mean_of, transform_of
from auditkit.results import Assumption

Floats = NDArray[np.float64]
DRAWS = 99_999
"""Of the Monte-Carlo quantile of the shape ordering."""


def mean(
    scores: Any,
    m: int,
    alpha: float = 0.05,
    *,
    limits: Sequence[float] = NO_LIMITS,
    ordering: str = "auto",
    reference: Any = None,
    exact: bool = True,
    side: Side = "two",
    seed: int | None = None,
    compare: bool = False,
) -> BatchSet:
    """A prediction set for the mean of the next m scores.

    Parameters
    ----------
    scores : array_like, shape (n,) or (sets, n)
        Calibration scores in any order, exchangeable with those of the batch.
    m : int
        Points of the batch.
    alpha : float or str
        1 - alpha is the probability that the set holds the mean; half of it is spent on each of two sides. Read
        as the decimal that was typed.
    limits : pair of float
        Known limits of every score. Without them no finite set exists when n < m (1 - alpha) / alpha.
    ordering : {"auto", "rank_sum", "shape", "sum_max", "band", "partition"}
        Which event of ranks; ``auto`` decides by n, m, alpha, limits and whether there is a reference, never by
        widths.
    reference : array_like, shape (r,), optional
        Scores that are neither calibration nor batch, for example out-of-fold residuals of the training set:
        they tell the shape ordering how scores are distributed. The guarantee does not depend on them.
    exact : bool
        False bounds the maximum by its concave hull: in O(n), wider by at most one score in m.
    side : {"two", "upper", "lower"}
    seed : int, optional
        Of random groups (``partition``) and of the Monte-Carlo quantile (``shape``); drawn and recorded if left
        out.
    compare : bool
        Compute every ordering for the report (`BatchSet.by_method`). The set returned stays that of `ordering`.

    Returns
    -------
    BatchSet

    Raises
    ------
    InputError
        For arguments out of range, NaN, scores outside the limits, a reference that is the calibration sample.

    Notes
    -----
    Partition is the tightest on average wherever it is finite (n // m >= (1 - alpha) / alpha):
    docs/explain/batches.md has widths by method. Source: arXiv 2409.13990, section 2; docs/theory/batch-sets.md.

    Examples
    --------
    >>> from auditkit import batchpi
    >>> found = batchpi.mean([1, 2, 5], 2, alpha=0.1, limits=(0, 6), side="upper", ordering="rank_sum")
    >>> found.upper, found.event_probability
    (5.5, 0.9)
    """
    rows, known = _read(scores, limits)
    asked = _Asked.of(m, alpha, ordering=ordering, side=side, seed=seed, exact=exact)
    question = _Question.of(asked, mean_of(asked.m), rows, known)
    if reference is not None:
        question = question.with_reference(read_reference(reference, scores))
    return _answer(question, "mean", compare=compare)


def compose(
    scores: Any,
    m: int,
    alpha: float = 0.05,
    combine: str | Step = "sum",
    *,
    limits: Sequence[float] = NO_LIMITS,
    ordering: str = "auto",
    reference: Any = None,
    side: Side = "two",
    seed: int | None = None,
    p: float = 2.0,
    share: float = 0.1,
    weights: Sequence[float] | None = None,
    start: float = 0.0,
    compare: bool = False,
) -> BatchSet:
    """A prediction set for another monotone function of the next m scores.

    Parameters
    ----------
    combine : str or callable
        ``"sum"``; ``"lp"`` (the L_p norm) and ``"product"``, both for scores of at least 0; ``"logsumexp"``;
        ``"max"`` and ``"min"``; ``"trimmed_mean"`` (without the `share` largest and smallest), ``"top_mean"``
        (of the `share` largest), ``"weighted"`` (`weights` of the sorted batch, smallest score first). Or
        G(k, values, score): an array of values of the first k - 1 scores and one more score to an array of
        values, non-decreasing in both.
    p : float
        Of the L_p norm, at least 1.
    share : float
        Of the batch, in (0, 1), for the trimmed mean below 1/2; stands for ceil(share * m) points.
    weights : sequence of float, shape (m,)
        At least 0, not all 0.
    start : float
        What G starts from.
    scores, m, alpha, limits, ordering, reference, side, seed, compare
        As in `mean`.

    Returns
    -------
    BatchSet

    Raises
    ------
    InputError
        As `mean`, and for negative scores where they may not be.

    Notes
    -----
    Sums of transformed scores are as fast as the mean. Functions of the sorted batch and callables take O(n m q)
    steps, q the total of ranks; what would take hours is refused. A callable's own rounding is not bounded.
    Source: arXiv 2409.13990, section 2 (compositional functions).
    """
    if isinstance(combine, str) and combine in EXTREMES:
        zeta = read_count(m, "m") if combine == "max" else 1
        return order_statistic(scores, m, zeta=zeta, alpha=alpha, side=side, limits=limits)
    rows, known = _read(scores, limits)
    if combine in ("lp", "product"):
        known = (max(known[0], 0.0), known[1])
        if float(rows.min()) < 0:
            refuse("scores", f"at least 0 for {combine}", f"{rows.min():g}", id="AK-BP-036")
    sample = None if reference is None else read_reference(reference, scores)
    # the largest, not the largest in size: exponentials of scores far below 0 must not all vanish
    finite = [values[np.isfinite(values)] for values in (rows, np.array(known))]
    largest = max((float(values.max()) for values in finite if values.size), default=0.0)
    asked = _Asked.of(m, alpha, ordering=ordering, side=side, seed=seed, exact=True)
    transform = transform_of(
        combine, asked.m, largest=largest, p=p, share=share, weights=weights, start=start
    )
    if callable(combine):
        _look_at_step(combine, rows, asked.m, start)
    ends = transform.inner(np.array(known))
    question = _Question.of(asked, transform, transform.inner(rows), (float(ends[0]), float(ends[1])))
    if sample is not None:
        question = question.with_reference(transform.inner(sample))
    name = combine if isinstance(combine, str) else getattr(combine, "__name__", "composition")
    return _answer(question, name.replace("_", " "), compare=compare)


def _look_at_step(step: Step, rows: Floats, m: int, start: float) -> None:
    """Refuse a step that falls on a few of the scores (AK-BP-028): an ordering may never compare its values."""
    finite = np.unique(rows[np.isfinite(rows)])
    some = (
        finite[np.unique(np.linspace(0, finite.size - 1, 12).round().astype(np.int64))]
        if finite.size
        else finite
    )
    if some.size > 1:
        points = min(m, 3)
        max_composed(some, points, points * (len(some) - 1), step, start)


def required_n(
    m: int, alpha: float = 0.05, zeta: int | None = None, *, function: str = "mean", side: Side = "upper"
) -> int:
    """The least number of calibration scores with which a batch set can be finite although scores have no limits.

    Parameters
    ----------
    m : int
    alpha : float or str
    zeta : int, optional
        For one order statistic. Otherwise for `function`.
    function : {"mean", "sum", "max", "min", "partition"}
        Every function that is unbounded in its largest score needs the same: n >= m (1 - alpha) / alpha.
        ``"partition"``: the mean by random groups.
    side : {"two", "upper", "lower"}
        Two sides at alpha / 2 each.

    Returns
    -------
    int
    """
    m, alpha_, side = read_count(m, "m"), read_alpha(alpha), read_side(side)
    level = 1 - (alpha_ / 2 if side == "two" else alpha_)
    read_choice(function, ("mean", "sum", "max", "min", "partition"), "function")
    if zeta is not None or function in EXTREMES:
        zeta = read_zeta(zeta, m) if zeta is not None else (m if function == "max" else 1)
        sides: tuple[Side, ...] = ("upper", "lower") if side == "two" else (side,)
        return max(smallest_n_for_rank(m, zeta, level, one) for one in sides)
    if function == "partition":
        return m * least_groups(level)
    return least_scores(m, level)


# -- one question, from arguments to an answer


def _read(scores: Any, limits: Any) -> tuple[Floats, tuple[float, float]]:
    known = read_limits(limits)
    return read_scores(scores, limits=known), known


@dataclass(frozen=True)
class _Asked:
    """What is asked of a batch, checked."""

    m: int
    alpha: Fraction
    side: Side
    ordering: str
    seed: int
    exact: bool

    @classmethod
    def of(cls, m: Any, alpha: Any, *, ordering: Any, side: Any, seed: Any, exact: bool) -> _Asked:
        name = read_choice(ordering, ("auto", *ORDERINGS), "ordering")
        drawn = secrets.randbelow(2**31) if seed is None else read_seed(seed)
        return cls(read_count(m, "m"), read_alpha(alpha), read_side(side), name, drawn, exact)

    @property
    def level(self) -> Fraction:
        """Of one side."""
        return 1 - (self.alpha / 2 if self.side == "two" else self.alpha)


@dataclass(frozen=True, eq=False)
class _Question:
    asked: _Asked
    problem: Problem
    transform: Transform
    low: float
    one_row: bool
    started: float

    @classmethod
    def of(cls, asked: _Asked, transform: Transform, rows: Floats, limits: tuple[float, float]) -> _Question:
        """A question without a reference; `rows` and `limits` are those of the transformed scores."""
        problem = Problem(
            scores=np.atleast_2d(rows),
            m=asked.m,
            level=asked.level,
            high=limits[1],
            reference=None,
            seed=asked.seed,
            functional=transform.functional,
            exact=asked.exact,
            draws=DRAWS,
        )
        return cls(asked, problem, transform, limits[0], rows.ndim == 1, time.perf_counter())

    def with_reference(self, sample: Floats) -> _Question:
        """The same question, told of a reference sample."""
        return replace(self, problem=replace(self.problem, reference=sample))

    def bounds(self, ordering: str) -> _Bounds:
        """Both sides by one ordering, each as an upper end; the lower one is that of the reflected problem."""
        problem, side = self.problem, self.asked.side
        upper = None if side == "lower" else upper_bound(problem, ordering)
        lower = None if side == "upper" else upper_bound(problem.reflected(self.low), ordering)
        return _Bounds(lower, upper, self.transform)


@dataclass(frozen=True, eq=False)
class _Bounds:
    """The two sides of an answer; None where a side was not asked for."""

    negated: Bound | None
    direct: Bound | None
    transform: Transform

    @property
    def known(self) -> list[Bound]:
        return [bound for bound in (self.negated, self.direct) if bound is not None]

    def ends(self) -> tuple[Floats, Floats]:
        """Lower and upper ends of the function, rounded outward."""
        infinite = np.full(len(self.known[0].value), math.inf)
        lower = -infinite if self.negated is None else self.transform.lower(0.0 - self.negated.value) + 0.0
        return lower, infinite if self.direct is None else self.transform.upper(self.direct.value)

    def finite(self) -> bool:
        """Whether all ends that were asked for are."""
        asked = zip((self.negated, self.direct), self.ends(), strict=True)
        return all(bool(np.isfinite(end).all()) for bound, end in asked if bound is not None)

    def probability(self, level: Fraction) -> float:
        """Of both events at once, at least: misses add up at most, to what the level of each side leaves."""
        exact = 1 - sum(1 - max(Fraction(bound.probability), level) for bound in self.known)
        nearest = float(exact)
        rounded = math.nextafter(nearest, 0.0) if Fraction(nearest) > exact else nearest
        return max(rounded, float(1 - len(self.known) * (1 - level)))

    def reason(self) -> str:
        """Why an end is infinite, or no better than the limits of the scores."""
        reasons = dict.fromkeys(bound.reason for bound in self.known if bound.reason)
        if not reasons and not self.finite():
            return "its value is beyond the range of a double"
        return "; ".join(reasons)

    def required_n(self) -> int | None:
        """The n that would mend that, where one is known to."""
        needed = [bound.required_n for bound in self.known if bound.reason]
        return None if None in needed else max((n for n in needed if n), default=None)


def _answer(question: _Question, name: str, *, compare: bool) -> BatchSet:
    problem = question.problem
    if question.asked.ordering == "shape" and problem.reference is None:
        refuse("reference", "given for the shape ordering", "None", id="AK-BP-037")
    bounds = question.bounds(question.asked.ordering)
    lower, upper = bounds.ends()
    used = list(dict.fromkeys(bound.ordering for bound in bounds.known))
    random = compare or bool({"partition", "shape"} & set(used))
    return BatchSet(
        lower=float(lower[0]) if question.one_row else lower,
        upper=float(upper[0]) if question.one_row else upper,
        alpha=float(question.asked.alpha),
        n=problem.n,
        m=problem.m,
        function=name,
        ordering=", ".join(used),
        side=question.asked.side,
        event_probability=bounds.probability(problem.level),
        finite=bounds.finite(),
        reason=bounds.reason(),
        required_n=bounds.required_n(),
        seed=problem.seed if random else None,
        by_method=_compared(question) if compare else (),
        details={
            "statistic": name,
            "chosen_by": "auto" if question.asked.ordering == "auto" else "the caller",
        },
        figures=figures.of_function(problem, bounds.known[-1]),
        assumptions=_assumptions(used),
        elapsed=time.perf_counter() - question.started,
    )


def _compared(question: _Question) -> tuple[MethodBounds, ...]:
    names = [name for name in ORDERINGS if name != "shape" or question.problem.reference is not None]
    if not isinstance(question.problem.functional, Sum):
        names = [name for name in names if name != "shape"]
    found = []
    for name in names:
        bounds = question.bounds(name)
        lower, upper = bounds.ends()
        found.append(
            MethodBounds(
                ordering=name,
                lower=float(lower[0]),
                upper=float(upper[0]),
                event_probability=bounds.probability(question.problem.level),
                reason=bounds.reason(),
                required_n=bounds.required_n(),
            )
        )
    return tuple(found)


def _assumptions(orderings: Sequence[str]) -> tuple[Assumption, ...]:
    if "shape" not in orderings:
        return (EXCHANGEABLE,)
    text = "The reference sample is independent of calibration and batch scores."
    return (EXCHANGEABLE, Assumption(id="independent-reference", text=text))
