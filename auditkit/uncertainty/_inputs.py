"""Arguments of the uncertainty audits: read once, refused by row."""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import decimal_number, refuse, whole_number
from auditkit.errors import InputError, show
from auditkit.uncertainty.ordered import Ordered, rising

SLACK = 1e-6
"""Probabilities this far outside [0, 1] are rounding and are clipped; farther ones are refused."""
SUM_SLACK = 1e-3
"""Rows of probabilities sum to one within this."""


@dataclass(frozen=True)
class Binary:
    """Predictions of yes-or-no outcomes.

    Attributes
    ----------
    p : ndarray, shape (n,), float64 or float32, C-contiguous
        In [0, 1].
    y : ndarray, shape (n,), uint8
        0 or 1.
    weights : ndarray or None, shape (n,), float64
        At least 0, with a positive sum.
    """

    p: NDArray[Any]
    y: NDArray[np.uint8]
    weights: NDArray[np.float64] | None = None

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.p.size)

    @cached_property
    def rising(self) -> Ordered:
        """The rows by rising prediction; sorted at first use."""
        return rising(self.p, self.y, self.weights)

    @cached_property
    def kept(self) -> dict[Hashable, Any]:
        """What was computed of these rows, by its settings, for the next metric that needs it."""
        return {}

    @cached_property
    def recalibrated(self) -> NDArray[np.float64]:
        """The isotonic fit of the outcomes at each row."""
        return self.rising.isotonic.at(self.p)


@dataclass(frozen=True)
class Multiclass:
    """Class probabilities with labels.

    Attributes
    ----------
    P : ndarray, shape (n, K), float64 or float32, C-contiguous
        Rows sum to one within `SUM_SLACK`; K >= 2.
    labels : ndarray, shape (n,), int64
        Columns, 0 to K - 1.
    weights : ndarray or None, shape (n,), float64
    """

    P: NDArray[Any]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.P.shape[0])

    @property
    def k(self) -> int:
        """Classes."""
        return int(self.P.shape[1])

    def top(self) -> tuple[Binary, NDArray[np.int64]]:
        """Confidence of the predicted class with whether it was right, and the predicted class (the first of ties)."""
        predicted = self.P.argmax(axis=1).astype(np.int64)
        confidence = np.ascontiguousarray(np.take_along_axis(self.P, predicted[:, None], axis=1)[:, 0])
        correct = (predicted == self.labels).view(np.uint8)
        return Binary(confidence, correct, self.weights), predicted

    def one_class(self, k: int) -> Binary:
        """Probability of class `k` with whether it was the label."""
        return Binary(np.ascontiguousarray(self.P[:, k]), (self.labels == k).view(np.uint8), self.weights)


def read_binary(p: Any, y: Any, weights: Any = None, *, names: tuple[str, str] = ("p", "y")) -> Binary:
    """Probabilities and outcomes of one length (AK-UN-001, AK-UN-002, AK-UN-004)."""
    array = as_numbers(p, names[0])
    if array.ndim != 1 or array.size == 0:
        hint = f"{names[0]}[:, 1] for class 1 of two columns" if array.ndim == 2 else None
        refuse(names[0], "one probability a row", f"of shape {array.shape}", id="AK-UN-001", hint=hint)
    probabilities = _in_unit_interval(np.ascontiguousarray(array), names[0])
    outcomes = read_outcomes(y, probabilities.size, names[1])
    return Binary(probabilities, outcomes, read_weights(weights, probabilities.size))


def read_multiclass(
    P: Any, labels: Any, weights: Any = None, *, names: tuple[str, str] = ("P", "y")
) -> Multiclass:
    """Class probabilities and labels (AK-UN-001, AK-UN-002, AK-UN-003, AK-UN-004)."""
    table = read_table(P, names[0])
    n, k = table.shape
    return Multiclass(table, read_labels(labels, n, k, names[1]), read_weights(weights, n))


def read_table(P: Any, what: str) -> NDArray[Any]:
    """Class probabilities, float64 or float32, of rows that sum to one (AK-UN-001, AK-UN-003)."""
    array = as_numbers(P, what)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] < 2:
        refuse(what, "rows of two columns or more", f"of shape {array.shape}", id="AK-UN-001")
    flat = _in_unit_interval(np.ascontiguousarray(array).reshape(-1), what, columns=array.shape[1])
    table: NDArray[Any] = flat.reshape(array.shape)
    sums = table.sum(axis=1, dtype=np.float64)
    bad = np.flatnonzero(np.abs(sums - 1) > SUM_SLACK)
    if bad.size:
        hint = "give probabilities, not scores: apply softmax first"
        refuse(
            f"{what}[{bad[0]}]",
            "probabilities that sum to one",
            f"{sums[bad[0]]:.6g} in sum",
            id="AK-UN-003",
            hint=hint,
        )
    return table


def read_predictions(
    p: Any, y: Any, weights: Any = None, *, names: tuple[str, str] = ("p", "y")
) -> tuple[Binary, Multiclass | None]:
    """Binary predictions as they are; of a table the confidence of the predicted class, and the table.

    An audit reads its rows once and gives what was read, with its sort, to each metric: a `Binary` passes through.
    """
    if isinstance(p, Binary):
        return p, None
    array = as_numbers(p, names[0])
    if array.ndim != 2:
        return read_binary(array, y, weights, names=names), None
    table = read_multiclass(array, y, weights, names=names)
    return table.top()[0], table


def as_numbers(value: Any, what: str) -> NDArray[Any]:
    """An array or tensor of numbers as float32 (if it was) or float64 (AK-UN-001)."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"of type {array.dtype}")
    except (TypeError, ValueError, OverflowError) as error:
        refuse(what, "an array of numbers", show(error, 60), id="AK-UN-001")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def read_finite(value: Any, what: str, n: int | None = None) -> NDArray[np.float64]:
    """One finite number a row, float64 (AK-UN-005)."""
    array = as_numbers(value, what)
    if array.ndim != 1 or array.size == 0 or (n is not None and array.size != n):
        rows = "one number a row" + ("" if n is None else f" ({n:,})")
        refuse(what, rows, f"of shape {array.shape}", id="AK-UN-005")
    numbers = np.ascontiguousarray(array, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        refuse(f"{what}[{bad[0]}]", "finite", f"{numbers[bad[0]]}", id="AK-UN-005", hint="drop the row")
    return numbers


def read_outcomes(y: Any, n: int, what: str = "y") -> NDArray[np.uint8]:
    """Outcomes 0 and 1, one a row (AK-UN-002)."""
    try:
        array = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    except (TypeError, ValueError):
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        refuse(what, "outcomes 0 and 1", f"of type {array.dtype}", id="AK-UN-002")
    if array.shape != (n,):
        refuse(what, f"one outcome a row ({n:,})", f"of shape {array.shape}", id="AK-UN-002")
    codes: NDArray[np.uint8]
    if array.dtype.kind == "b":
        return np.ascontiguousarray(array).view(np.uint8)
    if array.dtype not in (np.uint8, np.int64):
        codes = (array == 1).astype(np.uint8)
        bad = np.flatnonzero((array != 0) & (array != 1))
        place = int(bad[0]) if bad.size else -1
    else:
        codes, place = _core.outcome_codes(np.ascontiguousarray(array))
    if place >= 0:
        hint = "give a table of class probabilities for more than two classes" if array[place] > 1 else None
        refuse(f"{what}[{place}]", "0 or 1", f"{array[place]}", id="AK-UN-002", hint=hint)
    return codes


def read_labels(y: Any, n: int, k: int, what: str = "y") -> NDArray[np.int64]:
    """Labels 0 to k - 1, the columns of the table (AK-UN-002)."""
    try:
        array = np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)
    except (TypeError, ValueError):
        array = np.empty(0, dtype=object)
    hint = "the number of the column, counted from 0"
    if array.dtype.kind not in "biuf":
        refuse(what, "labels that are columns", f"of type {array.dtype}", id="AK-UN-002", hint=hint)
    if array.shape != (n,):
        refuse(what, f"one label a row ({n:,})", f"of shape {array.shape}", id="AK-UN-002")
    bad = np.flatnonzero(~((array >= 0) & (array < k) & (array == np.floor(array))))
    if bad.size:
        refuse(f"{what}[{bad[0]}]", f"a column, 0 to {k - 1}", f"{array[bad[0]]}", id="AK-UN-002", hint=hint)
    return np.ascontiguousarray(array, dtype=np.int64)


def read_weights(weights: Any, n: int) -> NDArray[np.float64] | None:
    """Weights of rows: finite, at least 0, not all 0 (AK-UN-004)."""
    if weights is None:
        return None
    array = as_numbers(weights, "weights").astype(np.float64)
    if array.shape != (n,):
        refuse("weights", f"one weight a row ({n:,})", f"of shape {array.shape}", id="AK-UN-004")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        refuse(f"weights[{bad[0]}]", "finite and at least 0", f"{array[bad[0]]}", id="AK-UN-004")
    total = array.sum()
    if not 0 < total < np.inf:
        refuse("weights", "positive in sum", f"{total}", id="AK-UN-004")
    return np.ascontiguousarray(array)


def read_groups(groups: Any, n: int) -> tuple[NDArray[np.int64], list[str]]:
    """Groups as codes, and their labels in sorted order (AK-UN-006)."""
    try:
        labels = np.asarray(groups.detach().cpu() if hasattr(groups, "detach") else groups)
    except (TypeError, ValueError):
        labels = np.empty(0, dtype=object)
    if labels.dtype.kind == "O" and all(isinstance(item, str) for item in labels.ravel()):
        labels = labels.astype(str)
    if labels.dtype.kind not in "biuUS" or labels.shape != (n,):
        found = f"of type {labels.dtype} and shape {labels.shape}"
        refuse("groups", f"one label a row ({n:,}), text or whole numbers", found, id="AK-UN-006")
    distinct, codes = np.unique(labels, return_inverse=True)
    return codes.astype(np.int64), [str(label) for label in distinct.tolist()]


def read_alpha(value: Any, what: str = "alpha") -> float:
    """The error allowed, strictly between 0 and 1 (AK-UN-007)."""
    alpha = decimal_number(value)
    if alpha is None or not 0 < float(alpha) < 1:
        refuse(what, "strictly between 0 and 1", repr(value), id="AK-UN-007")
    return float(alpha)


def read_count(value: Any, what: str, *, least: int = 1, most: int = 10**9) -> int:
    """A whole number from `least` to `most` (AK-UN-008)."""
    whole = whole_number(value)
    if whole is None or not least <= whole <= most:
        refuse(what, f"a whole number from {least:,} to {most:,}", repr(value), id="AK-UN-008")
    return whole


def read_seed(value: Any) -> int:
    """The seed given, or one drawn now: it stands in the result (AK-UN-008)."""
    if value is None:
        return secrets.randbits(63)
    return read_count(value, "seed", least=0, most=2**63 - 1)


def _in_unit_interval(flat: NDArray[Any], what: str, columns: int = 1) -> NDArray[Any]:
    """The values, clipped where rounding left [0, 1]; refused by row otherwise (AK-UN-001)."""
    bad, outside = _core.first_bad_probability(flat, SLACK)
    if bad >= 0:
        row, column = divmod(bad, columns)
        place = f"{what}[{row}]" if columns == 1 else f"{what}[{row}, {column}]"
        raise InputError(
            f"{place}: must be a probability, 0 to 1, not {flat[bad]}",
            id="AK-UN-001",
            hint="drop the row"
            if np.isnan(flat[bad])
            else "give probabilities, not scores: apply the sigmoid or softmax first",
        )
    return np.clip(flat, 0, 1) if outside else flat
