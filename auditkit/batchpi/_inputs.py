"""Arguments of batch predictive inference: read once, refused by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import decimal_number, one_of, refuse, whole_number
from auditkit.errors import show

Side = Literal["two", "upper", "lower"]
SIDES = ("two", "upper", "lower")
LARGEST_COUNT = 10**9
"""Calibration scores and batch points up to which ranks stay exact in a double."""


def read_count(value: Any, what: str) -> int:
    """A number of scores or points, 1 to `LARGEST_COUNT` (AK-BP-001)."""
    whole = whole_number(value)
    if whole is None or not 1 <= whole <= LARGEST_COUNT:
        refuse(what, f"a whole number from 1 to {LARGEST_COUNT:,}", repr(value), id="AK-BP-001")
    return whole


def read_zeta(value: Any, m: int, what: str = "zeta") -> int:
    """Which of the m sorted batch scores, 1 (least) to m (AK-BP-002)."""
    whole = whole_number(value)
    if whole is None or not 1 <= whole <= m:
        refuse(what, f"a whole number from 1 to m = {m:,}", repr(value), id="AK-BP-002")
    return whole


def read_alpha(value: Any, what: str = "alpha") -> Fraction:
    """The error allowed, strictly between 0 and 1, as the decimal that was typed (AK-BP-003)."""
    alpha = decimal_number(value)
    if alpha is None or not 0 < alpha < 1:
        refuse(what, "strictly between 0 and 1", repr(value), id="AK-BP-003")
    return alpha


def read_share(value: Any, what: str) -> Fraction:
    """A share of the batch, 0 <= share < 1, as the decimal that was typed (AK-BP-004)."""
    share = decimal_number(value)
    if share is None or not 0 <= share < 1:
        refuse(what, "at least 0 and below 1", repr(value), id="AK-BP-004")
    return share


def read_quantile(value: Any, m: int, what: str = "quantile") -> int:
    """The order statistic ceil(quantile * m) of a quantile in (0, 1] (AK-BP-005)."""
    share = decimal_number(value)
    if share is None or not 0 < share <= 1:
        refuse(what, "above 0 and at most 1", repr(value), id="AK-BP-005")
    return math.ceil(share * m)


def read_side(value: Any) -> Side:
    """``two``, ``upper`` or ``lower`` (AK-BP-006)."""
    return cast(Side, read_choice(value, SIDES, "side"))


def read_choice(value: Any, choices: Sequence[str], what: str) -> str:
    """One of the named choices (AK-BP-006)."""
    return one_of(value, choices, what, id="AK-BP-006")


def read_limits(limits: Any) -> tuple[float, float]:
    """Known limits of every score, (lo, hi) with lo <= hi; infinite where none is known (AK-BP-007)."""
    try:
        ends = [] if isinstance(limits, str) else [float(end) for end in limits]
    except (TypeError, ValueError):
        ends = []
    if len(ends) != 2 or any(math.isnan(end) for end in ends) or ends[0] > ends[1]:
        refuse("limits", "two numbers, the lower one first", limits, id="AK-BP-007")
    return ends[0], ends[1]


def read_scores(
    scores: Any, what: str = "scores", *, limits: tuple[float, float] = (-math.inf, math.inf)
) -> NDArray[np.float64]:
    """Scores as float64, shape (n,) or (sets, n), each row sorted ascending.

    Infinite scores are kept. Refused: none at all, other shapes, no numbers (AK-BP-008), NaN, and scores outside
    `limits` (AK-BP-009).
    """
    array = plain_scores(scores, what)
    if array.size == 0 or array.ndim not in (1, 2):
        refuse(
            what, "one score or more, in one row or a row a set", f"of shape {array.shape}", id="AK-BP-008"
        )
    bad = np.flatnonzero(np.isnan(array.ravel()))
    if bad.size:
        refuse(f"{what}[{_place(bad[0], array)}]", "a number", "nan", id="AK-BP-009")
    outside = np.flatnonzero((array.ravel() < limits[0]) | (array.ravel() > limits[1]))
    if outside.size:
        value = array.ravel()[outside[0]]
        requirement = f"within the limits [{limits[0]:g}, {limits[1]:g}]"
        refuse(f"{what}[{_place(outside[0], array)}]", requirement, f"{value:g}", id="AK-BP-009")
    return np.sort(array, axis=-1)


def read_reference(reference: Any, scores: Any) -> NDArray[np.float64]:
    """A sample independent of the calibration scores: finite, sorted, and not those scores again (AK-BP-010)."""
    hint = "take scores of other data, such as out-of-fold residuals of the training set, or leave it out"
    sample = read_scores(reference, "reference")
    if sample.ndim != 1 or not np.isfinite(sample).all():
        refuse(
            "reference", "finite numbers in one row", f"of shape {sample.shape}", id="AK-BP-010", hint=hint
        )
    same_memory = isinstance(reference, np.ndarray) and isinstance(scores, np.ndarray)
    if reference is scores or (same_memory and np.shares_memory(reference, scores)):
        refuse("reference", "other data than scores", "the same array", id="AK-BP-010", hint=hint)
    if sample.size > 1 and any(np.array_equal(sample, row) for row in np.atleast_2d(read_scores(scores))):
        refuse("reference", "other data than scores", "the same numbers", id="AK-BP-010", hint=hint)
    return sample


def read_seed(value: Any) -> int:
    """A seed from 0 to 2^63 - 1 (AK-BP-011)."""
    whole = whole_number(value)
    if whole is None or not 0 <= whole < 2**63:
        refuse("seed", "a whole number from 0 to 2^63 - 1", repr(value), id="AK-BP-011")
    return whole


def plain_scores(scores: Any, what: str) -> NDArray[np.float64]:
    """Numbers of any shape as a float64 array of our own; anything else is refused (AK-BP-008)."""
    try:
        array = np.asarray(scores.detach().cpu() if hasattr(scores, "detach") else scores)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"of type {array.dtype}")
        return np.array(array, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        return refuse(what, "numbers", show(error, 60), id="AK-BP-008")


def _place(index: Any, array: NDArray[Any]) -> str:
    return ", ".join(str(i) for i in np.unravel_index(int(index), array.shape))
