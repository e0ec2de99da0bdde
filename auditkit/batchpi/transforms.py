"""Functions of a batch by name: a functional, and transformations of the scores before it and of its value after it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.batchpi._inputs import read_choice, read_quantile
from auditkit.batchpi.functionals import Composed, Functional, Sum, Weighted

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]

SUMS = ("sum", "lp", "logsumexp", "product")
WEIGHTED = ("trimmed_mean", "top_mean", "weighted")
EXTREMES = ("max", "min")

_EPS = float(np.finfo(np.float64).eps)
_TINY = float(np.finfo(np.float64).tiny)
_LOG_RANGE = 745.2
"""Above |log x| of every positive double."""


@dataclass(frozen=True)
class Transform:
    """A function of a batch as outer(functional(inner(scores))), inner and outer increasing.

    Attributes
    ----------
    functional : Functional
    inner, outer : callable
        On arrays.
    relative, offset : float
        The outer value is wrong by at most relative * (|value| + offset).
    absolute : float
        What underflow of the inner values can have taken from the total.
    """

    functional: Functional
    inner: Curve
    outer: Curve
    relative: float = 0.0
    offset: float = 0.0
    absolute: float = 0.0

    def upper(self, totals: Floats) -> Floats:
        """Upper ends of the function from those of the functional, rounded up."""
        value = self.outer(totals + self.absolute)
        return value + self._room(value)

    def lower(self, totals: Floats) -> Floats:
        """Lower ends likewise, rounded down."""
        value = self.outer(totals - self.absolute)
        return value - self._room(value)

    def _room(self, value: Floats) -> Floats:
        room = self.relative * (np.abs(value) + self.offset)
        return np.asarray(np.where(np.isfinite(room), room, 0.0))


def identity(values: Floats) -> Floats:
    """The values themselves."""
    return values


def mean_of(m: int) -> Transform:
    """The mean of a batch of m."""
    return _Mean(Sum(), identity, identity, m=m)


@dataclass(frozen=True)
class _Mean(Transform):
    """A sum over m, rounded outward to the neighbouring double and no further: exact sums stay exact."""

    m: int = 1

    def upper(self, totals: Floats) -> Floats:
        return np.array([_quotient_up(total, self.m) for total in totals.tolist()])

    def lower(self, totals: Floats) -> Floats:
        return -self.upper(-totals)


def _quotient_up(total: float, m: int) -> float:
    value = total / m
    if math.isfinite(value) and Fraction(value) * m < Fraction(total):
        return math.nextafter(value, math.inf)
    return value


def transform_of(
    combine: Any, m: int, *, largest: float, p: Any, share: Any, weights: Any, start: float
) -> Transform:
    """The function that `combine` names.

    Parameters
    ----------
    combine : str or callable
    m : int
    largest : float
        The largest finite score or limit: sums of powers and exponentials are scaled by it.
    p, share, weights, start
        As in `auditkit.batchpi.compose`.
    """
    if callable(combine):
        return Transform(Composed(combine, _start(start)), identity, identity)
    name = read_choice(combine, (*SUMS, *WEIGHTED, *EXTREMES), "combine")
    if name in WEIGHTED:
        return Transform(Weighted(_weights(name, m, share, weights)), identity, identity)
    return {"sum": _sum, "lp": _lp_norm, "logsumexp": _log_sum_exp, "product": _product}[name](m, largest, p)


def _sum(m: int, largest: float, p: Any) -> Transform:
    return Transform(Sum(), identity, identity)


def _lp_norm(m: int, largest: float, p: Any) -> Transform:
    if (
        isinstance(p, bool)
        or not isinstance(p, int | float | np.integer | np.floating)
        or not 1 <= p < math.inf
    ):
        refuse("p", "a finite number of at least 1", repr(p), id="AK-BP-038")
    scale = largest or 1.0

    def powers(scores: Floats) -> Floats:
        with np.errstate(under="ignore", over="ignore"):
            return np.asarray(np.power(np.maximum(scores, 0.0) / scale, p))

    def roots(totals: Floats) -> Floats:
        return np.asarray(scale * np.power(np.maximum(totals, 0.0), 1 / p))

    # x^p with x wrong by an eps is wrong by p of them, of which the root leaves one
    return Transform(Sum(), powers, roots, relative=16 * _EPS, absolute=m * _TINY)


def _log_sum_exp(m: int, largest: float, p: Any) -> Transform:
    def exponentials(scores: Floats) -> Floats:
        with np.errstate(under="ignore", over="ignore"):
            return np.asarray(np.exp(scores - largest))

    def logarithms(totals: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.maximum(totals, 0.0)) + largest)

    # a relative error of the total is an absolute one of its logarithm
    offset = 1.0 + abs(largest)
    return Transform(Sum(), exponentials, logarithms, 16 * _EPS, offset=offset, absolute=m * _TINY)


def _product(m: int, largest: float, p: Any) -> Transform:
    def logarithms(scores: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(np.maximum(scores, 0.0)))

    def exponentials(totals: Floats) -> Floats:
        with np.errstate(under="ignore", over="ignore"):
            return np.asarray(np.exp(totals))

    return Transform(Sum(), logarithms, exponentials, relative=4 * _EPS * (4 + m * _LOG_RANGE))


def _weights(name: str, m: int, share: Any, weights: Any) -> tuple[float, ...]:
    if name == "weighted":
        return _given_weights(m, weights)
    part = read_quantile(share, m, "share")
    if name == "top_mean":
        return (0.0,) * (m - part) + (1.0 / part,) * part
    kept = m - 2 * part
    if kept < 1:
        refuse("share", f"small enough to leave one of {m} points", repr(share), id="AK-BP-040")
    return (0.0,) * part + (1.0 / kept,) * kept + (0.0,) * part


def _start(value: Any) -> float:
    try:
        start = float(value)
    except (TypeError, ValueError):
        start = math.nan
    if math.isnan(start):
        refuse("start", "a number", repr(value), id="AK-BP-048")
    return start


def _given_weights(m: int, weights: Any) -> tuple[float, ...]:
    try:
        found = np.asarray([] if weights is None else weights, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.array([])
    if found.shape != (m,) or not (np.isfinite(found).all() and (found >= 0).all() and found.any()):
        given = "None" if weights is None else f"of shape {np.shape(weights)}"
        refuse("weights", f"{m} finite numbers of at least 0, not all 0", given, id="AK-BP-039")
    return tuple(found.tolist())
