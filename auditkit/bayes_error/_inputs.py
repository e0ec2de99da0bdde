"""Arguments of Bayes-error audits: read once, refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import decimal_number, finite_number, refuse, whole_number
from auditkit.errors import InputError, show

LARGEST_CLASSES = 65535


@dataclass(frozen=True)
class Labelled:
    """Rows with their classes.

    Attributes
    ----------
    X : ndarray, shape (n, d), float64 or float32, C-contiguous
        Finite; rows of more dimensions (images) are flattened.
    codes : ndarray, shape (n,), int64
        Class of each row, 0 to K - 1: its place in `classes`.
    classes : ndarray, shape (K,)
        The labels as they were given, sorted.
    shape : tuple of int
        Of one row as it was given; (d,) for plain rows.
    """

    X: NDArray[Any]
    codes: NDArray[np.int64]
    classes: NDArray[Any]
    shape: tuple[int, ...]

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.X.shape[0])

    @property
    def k(self) -> int:
        """Classes."""
        return int(self.classes.size)


def read_labelled(X: Any, y: Any, *, dtype: str = "float64", names: tuple[str, str] = ("X", "y")) -> Labelled:
    """Rows and labels of one length; refused by row number (AK-BE-001, AK-BE-002)."""
    rows, shape = read_rows(X, names[0], dtype=dtype)
    labels = read_labels(y, names[1])
    if labels.size != rows.shape[0]:
        requirement = f"one label a row of {names[0]} ({rows.shape[0]:,})"
        refuse(names[1], requirement, f"{labels.size:,} labels", id="AK-BE-002")
    classes, codes = np.unique(labels, return_inverse=True)
    if classes.size > LARGEST_CLASSES:
        requirement = f"at most {LARGEST_CLASSES:,} classes"
        refuse(names[1], requirement, f"{classes.size:,}", id="AK-BE-002", hint="labels, not real numbers")
    return Labelled(rows, codes.astype(np.int64), classes, shape)


def read_rows(X: Any, what: str = "X", *, dtype: str = "float64") -> tuple[NDArray[Any], tuple[int, ...]]:
    """Rows as a finite C-contiguous matrix of `dtype`, and the shape of one row (AK-BE-001)."""
    array = as_array(X, what, "biuf", id="AK-BE-001")
    if array.ndim < 2 or array.size == 0:
        hint = f"{what}.reshape(-1, 1) for one feature" if array.ndim == 1 else None
        refuse(what, "rows of one feature or more", f"of shape {array.shape}", id="AK-BE-001", hint=hint)
    rows = np.ascontiguousarray(array.reshape(array.shape[0], -1), dtype=dtype)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if bad.size:
        value = rows[bad[0]][~np.isfinite(rows[bad[0]])][0]
        more = f" ({bad.size:,} rows like it)" if bad.size > 1 else ""
        refuse(f"{what}[{bad[0]}]", "finite", f"{value}{more}", id="AK-BE-001", hint="drop or impute the row")
    return rows, tuple(array.shape[1:])


def read_labels(y: Any, what: str = "y") -> NDArray[Any]:
    """Labels in one row: whole numbers, text or booleans (AK-BE-002)."""
    labels = as_array(y, what, "biufUS", id="AK-BE-002")
    if labels.ndim != 1 or labels.size == 0:
        refuse(what, "one label a row", f"of shape {labels.shape}", id="AK-BE-002")
    if labels.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(labels) | (labels != np.floor(labels)))
        if bad.size:
            refuse(f"{what}[{bad[0]}]", "a class, a whole number", f"{labels[bad[0]]}", id="AK-BE-002")
    return labels


def as_array(value: Any, what: str, kinds: str, *, id: str) -> NDArray[Any]:
    """An array, tensor or nested list of one of the dtype `kinds`."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        if array.dtype.kind == "O" and array.ndim == 1 and all(isinstance(item, str) for item in array):
            array = array.astype(str)
        if array.dtype.kind not in kinds:
            raise TypeError(f"of type {array.dtype}")
    except (TypeError, ValueError) as error:
        refuse(what, "an array of numbers" + (" or text" if "U" in kinds else ""), show(error, 60), id=id)
    return array


def read_groups(groups: Any, n: int) -> NDArray[np.int64]:
    """Groups as codes, one a row: rows of one group are never each other's evidence (AK-BE-003)."""
    labels = as_array(groups, "groups", "biufUS", id="AK-BE-003")
    if labels.shape != (n,):
        refuse("groups", f"one group a row ({n:,})", f"of shape {labels.shape}", id="AK-BE-003")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def read_class_weights(weights: Any, data: Labelled) -> NDArray[np.float64]:
    """Target over sample share of each class, shape (K,), from a mapping or K shares (AK-BE-004)."""
    hint = "a mapping from every label to its share, or the shares in the order of the sorted labels"
    try:
        if hasattr(weights, "keys"):
            weights = [weights[label] for label in data.classes.tolist()]
        priors = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError, KeyError):
        priors = np.empty(0)
    valid = priors.shape == (data.k,) and np.isfinite(priors).all() and (priors >= 0).all()
    if not valid or priors.sum() <= 0:
        refuse("weights", f"{data.k} shares of the classes", show(weights, 60), id="AK-BE-004", hint=hint)
    ratios: NDArray[np.float64] = priors / priors.sum() / (np.bincount(data.codes, minlength=data.k) / data.n)
    return ratios


def read_alpha(value: Any, what: str = "alpha") -> float:
    """The error allowed, strictly between 0 and 1 (AK-BE-005)."""
    alpha = decimal_number(value)
    if alpha is None or not 0 < float(alpha) < 1:
        refuse(what, "strictly between 0 and 1", repr(value), id="AK-BE-005")
    return float(alpha)


def read_positive(value: Any, what: str) -> float:
    """A finite number above 0 (AK-BE-006)."""
    number = finite_number(value)
    if number is None or number <= 0:
        refuse(what, "a number above 0", repr(value), id="AK-BE-006")
    return number


def read_at_least_zero(value: Any, what: str) -> float:
    """A finite number of at least 0 (AK-BE-006)."""
    number = finite_number(value)
    if number is None or number < 0:
        refuse(what, "a number of at least 0", repr(value), id="AK-BE-006")
    return number


def read_count(value: Any, what: str, *, least: int = 1, most: int = 10**9) -> int:
    """A whole number from `least` to `most` (AK-BE-007)."""
    whole = whole_number(value)
    if whole is None or not least <= whole <= most:
        refuse(what, f"a whole number from {least:,} to {most:,}", repr(value), id="AK-BE-007")
    return whole


def read_seed(value: Any) -> int:
    """A seed from 0 to 2^63 - 1 (AK-BE-007)."""
    return read_count(value, "seed", least=0, most=2**63 - 1)


def needs_two_classes(data: Labelled, what: str = "y") -> None:
    """Refuse labels that are all the same (AK-BE-002)."""
    if data.k < 2:
        raise InputError(
            f"{what}: must hold two classes or more, not {show(data.classes[0])} only", id="AK-BE-002"
        )
