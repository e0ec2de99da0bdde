"""Proper scores of predictions: means over rows with their intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.errors import InputError
from auditkit.results import Note
from auditkit.uncertainty._inputs import (
    as_numbers,
    read_alpha,
    read_binary,
    read_finite,
    read_multiclass,
    read_weights,
)
from auditkit.uncertainty.results import Score

Floats = NDArray[np.float64]

LEAST_PROBABILITY = 1e-15
"""What a probability of 0 counts as where its outcome happened."""


def brier(p: Any, y: Any, *, weights: Any = None, alpha: float = 0.05) -> Score:
    """The Brier score: mean squared distance of probabilities from what happened.

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities of outcome 1: mean (p - y)^2, from 0 to 1. Or of each class: the sum form, mean over rows of
        sum_k (P_ik - 1[y_i = k])^2, from 0 to 2.
    y : array_like, shape (n,)
        Outcomes 0 and 1, or columns of `p` from 0.
    weights : array_like, shape (n,), optional
    alpha : float
        Of the t interval, which is approximate.

    Returns
    -------
    Score

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-007.

    Notes
    -----
    Source: Brier, Verification of forecasts expressed in terms of probability (1950).
    """
    array = as_numbers(p, "p")
    if array.ndim == 2:
        table = read_multiclass(array, y, weights)
        rest = table.P.astype(np.float64)
        rest[np.arange(table.n), table.labels] -= 1
        points, given, form = np.square(rest).sum(axis=1), table.weights, "sum over classes"
    else:
        data = read_binary(array, y, weights)
        points, given, form = np.square(data.p.astype(np.float64) - data.y), data.weights, "binary"
    return mean_score("brier", points, alpha, weights=given, details={"form": form})


def log_loss(p: Any, y: Any, *, weights: Any = None, alpha: float = 0.05) -> Score:
    """The logarithmic score: mean of -log of the probability given to what happened, in nats.

    Parameters
    ----------
    p, y, weights, alpha
        As in `brier`.

    Returns
    -------
    Score
        ``details["clipped"]``: rows whose outcome had probability 0; they count as 1e-15, with a warning.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-007.
    """
    array = as_numbers(p, "p")
    if array.ndim == 2:
        table = read_multiclass(array, y, weights)
        given = table.weights
        chance = table.P[np.arange(table.n), table.labels].astype(np.float64)
    else:
        data = read_binary(array, y, weights)
        given = data.weights
        p_one = data.p.astype(np.float64)
        chance = np.where(data.y == 1, p_one, 1 - p_one)
    impossible = chance == 0
    chance[impossible] = LEAST_PROBABILITY
    points = -np.log(chance)
    if array.ndim == 1:  # near 1 the smaller side has the digits: log(1 - p) by log1p
        near = (data.y == 0) & (p_one < 0.5)
        points[near] = -np.log1p(-p_one[near])
    clipped = int(np.count_nonzero(impossible))
    notes: tuple[Note, ...] = ()
    if clipped:
        text = f"{clipped:,} rows were given probability 0 and happened: the score is infinite, each counts as 1e-15"
        notes = (Note("AK-UN-020", text),)
    return mean_score("log_loss", points, alpha, weights=given, details={"clipped": clipped}, warnings=notes)


def pinball(y: Any, q: Any, level: float, *, weights: Any = None, alpha: float = 0.05) -> Score:
    """The pinball loss of predicted quantiles.

    Parameters
    ----------
    y, q : array_like, shape (n,)
        What happened, and the predicted quantile.
    level : float
        Which quantile, strictly between 0 and 1.
    weights : array_like, shape (n,), optional
        Of rows, at least 0.
    alpha : float
        Of the t interval.

    Returns
    -------
    Score
        Mean of max(level (y - q), (level - 1) (y - q)), in units of y.

    Raises
    ------
    InputError
        AK-UN-004, AK-UN-005, AK-UN-007.
    """
    level = read_alpha(level, "level")
    q = read_finite(q, "q")
    rest = read_finite(y, "y", q.size) - q
    points, given = np.maximum(level * rest, (level - 1) * rest), read_weights(weights, q.size)
    return mean_score("pinball", points, alpha, weights=given, details={"level": level})


def interval_score(
    y: Any, lower: Any, upper: Any, alpha: float, *, weights: Any = None, interval_alpha: float = 0.05
) -> Score:
    """The interval score of predicted central intervals: width plus a penalty for what they miss.

    Parameters
    ----------
    y, lower, upper : array_like, shape (n,)
        What happened, and the ends; lower is at most upper.
    alpha : float
        1 - nominal coverage of the intervals.
    weights : array_like, shape (n,), optional
        Of rows, at least 0.
    interval_alpha : float
        Of the t interval of the score.

    Returns
    -------
    Score
        Mean of (u - l) + (2 / alpha) [(l - y)+ + (y - u)+], in units of y.

    Raises
    ------
    InputError
        AK-UN-004, AK-UN-005, AK-UN-007, AK-UN-021.

    Notes
    -----
    Source: Gneiting, Raftery, Strictly proper scoring rules (JASA 2007), section 6.2.
    """
    alpha = read_alpha(alpha)
    low, high = read_ends(lower, upper)
    y = read_finite(y, "y", low.size)
    missed = np.maximum(low - y, 0) + np.maximum(y - high, 0)
    points = (high - low) + 2 / alpha * missed
    given = read_weights(weights, low.size)
    return mean_score("interval_score", points, interval_alpha, weights=given, details={"alpha": alpha})


def read_ends(lower: Any, upper: Any) -> tuple[Floats, Floats]:
    """Ends of intervals, finite and in order (AK-UN-005, AK-UN-021)."""
    low = read_finite(lower, "lower")
    high = read_finite(upper, "upper", low.size)
    bad = np.flatnonzero(low > high)
    if bad.size:
        found = f"{low[bad[0]]} and {high[bad[0]]}"
        raise InputError(
            f"lower[{bad[0]}]: must be at most upper[{bad[0]}], not {found}",
            id="AK-UN-021",
            hint="lower and upper may have been exchanged",
        )
    return low, high


def paired_difference(first: Score, second: Score, *, alpha: float = 0.05) -> Score:
    """The difference of two models' scores on the same rows, first minus second.

    Parameters
    ----------
    first, second : Score
        Of the same score on the same rows in the same order.
    alpha : float

    Returns
    -------
    Score
        Its t interval uses that both models met the same rows.

    Raises
    ------
    InputError
        AK-UN-022 where the scores have no common rows.
    """
    a, b = first.per_point, second.per_point
    if a is None or b is None or a.shape != b.shape or first.name != second.name:
        refuse(
            "second",
            f"a {first.name} of the same {first.n:,} rows",
            f"{second.name} of {second.n:,}",
            id="AK-UN-022",
        )
    return mean_score(f"{first.name}_difference", a - b, alpha)


def mean_score(
    name: str,
    points: Floats,
    alpha: float,
    *,
    weights: Floats | None = None,
    details: dict[str, Any] | None = None,
    warnings: tuple[Note, ...] = (),
) -> Score:
    """The mean of scores of rows with Student's interval; of weighted rows that of a ratio of means."""
    from scipy.special import stdtrit

    alpha = read_alpha(alpha)
    n = points.size
    value = float(points.mean() if weights is None else weights @ points / weights.sum())
    lower = upper = None
    if n > 1:
        if weights is None:
            error = float(points.std(ddof=1)) / math.sqrt(n)
        else:
            error = (
                math.sqrt(float(np.square(weights * (points - value)).sum()) * n / (n - 1)) / weights.sum()
            )
        reach = float(stdtrit(n - 1, 1 - alpha / 2)) * error
        lower, upper = value - reach, value + reach
    return Score(
        name=name,
        value=value,
        lower=lower,
        upper=upper,
        level=1 - alpha,
        kind="approximate",
        method="t interval",
        n=n,
        per_point=points,
        details=details or {},
        warnings=warnings,
    )
