"""Checks of the arguments of bounds, which take one case a call; `_inputs` holds those that broadcast.

Each raises `InputError` with the name, requirement and value.
"""

from __future__ import annotations

import math
import numbers
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.epsilon._inputs import LARGEST_COUNT
from auditkit.results import Counts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def count(name: str, value: object) -> int:
    """A count as an int: a whole number from 0 to `LARGEST_COUNT` (floats such as 3.0 are whole)."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if isinstance(value, float | np.floating):
        whole = math.isfinite(value) and float(value).is_integer()
    if not whole or not 0 <= int(value) <= LARGEST_COUNT:  # type: ignore[call-overload]
        raise InputError(
            f"{name}: must be a whole number from 0 to {LARGEST_COUNT:,}, not {show(repr(value))}",
            id="AK-DP-001",
        )
    return int(value)  # type: ignore[call-overload,no-any-return]


def positive_count(name: str, value: object) -> int:
    """A count of at least 1."""
    checked = count(name, value)
    if checked == 0:
        raise InputError(f"{name}: must be at least 1, not 0", id="AK-DP-001")
    return checked


def attack_counts(*, tp: object, fn: object, fp: object, tn: object) -> Counts:
    """The four counts of one attack; both classes must be present."""
    counts = Counts(tp=count("tp", tp), fn=count("fn", fn), fp=count("fp", fp), tn=count("tn", tn))
    if counts.tp + counts.fn == 0:
        raise InputError(
            "tp + fn: must be at least 1, not 0: without members nothing was audited", id="AK-DP-002"
        )
    if counts.fp + counts.tn == 0:
        raise InputError(
            "fp + tn: must be at least 1, not 0: without non-members nothing was audited", id="AK-DP-002"
        )
    return counts


def delta(value: object) -> float:
    """A delta in [0, 1)."""
    number = _number("delta", value, id="AK-DP-003", requirement="in [0, 1)")
    if not 0.0 <= number < 1.0:
        raise InputError(f"delta: must be in [0, 1), not {number!r}", id="AK-DP-003")
    return number


def delta_array(value: ArrayLike) -> FloatArray:
    """Deltas of any shape, each in [0, 1)."""
    array = _numeric("delta", value, id="AK-DP-003")
    good = (array >= 0.0) & (array < 1.0)
    if not np.all(good):
        raise InputError(f"delta: must be in [0, 1), not {_first(array, ~good)}", id="AK-DP-003")
    return array


def alpha(value: object) -> float:
    """An error probability in (0, 1)."""
    return open_unit("alpha", value, id="AK-DP-004")


def open_unit(name: str, value: object, *, id: str = "AK-DP-026") -> float:
    """A number in (0, 1)."""
    number = _number(name, value, id=id, requirement="in (0, 1)")
    if not 0.0 < number < 1.0:
        raise InputError(f"{name}: must be in (0, 1), not {number!r}", id=id)
    return number


def scores(name: str, values: ArrayLike) -> FloatArray:
    """A one-dimensional array of at least one score as float64; infinities are legal, NaN is not."""
    array = _numeric(name, values, id="AK-DP-020")
    if array.ndim != 1 or array.size == 0:
        raise InputError(
            f"{name}: must be a one-dimensional array of at least one score, not shape {array.shape}",
            id="AK-DP-020",
        )
    missing = np.isnan(array)
    if missing.any():
        raise InputError(
            f"{name}: must not hold NaN: {name}[{int(np.argmax(missing))}] is nan", id="AK-DP-020"
        )
    return np.ascontiguousarray(array)


def bits(name: str, values: ArrayLike, size: int) -> NDArray[np.bool_]:
    """Membership bits (0, 1, or bool), one for each of `size` scores."""
    array = np.asarray(values)
    if array.ndim != 1 or array.size != size:
        raise InputError(
            f"{name}: must have shape ({size},) like the scores, not {array.shape}", id="AK-DP-022"
        )
    if array.dtype != np.bool_:
        numbers_ = _numeric(name, array, id="AK-DP-021")
        good = (numbers_ == 0.0) | (numbers_ == 1.0)
        if not good.all():
            raise InputError(f"{name}: must be 0 or 1, not {_first(numbers_, ~good)}", id="AK-DP-021")
        array = numbers_ == 1.0
    return np.ascontiguousarray(array)


def choice(name: str, value: object, allowed: Sequence[str]) -> str:
    """One of a few words."""
    if not isinstance(value, str) or value not in allowed:
        raise InputError(
            f"{name}: must be one of {', '.join(allowed)}, not {show(repr(value))}", id="AK-DP-023"
        )
    return value


def seed(value: object) -> int:
    """A seed as an int of 0 to 2^63 - 1; None draws one, so that it can be recorded."""
    if value is None:
        return secrets.randbits(63)
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)
    if not whole or not 0 <= int(value) < 2**63:  # type: ignore[call-overload]
        raise InputError(
            f"seed: must be a whole number from 0 to 2^63 - 1, not {show(repr(value))}", id="AK-DP-011"
        )
    return int(value)  # type: ignore[call-overload,no-any-return]


def _number(name: str, value: object, *, id: str, requirement: str) -> float:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise InputError(f"{name}: must be a number {requirement}, not {show(repr(value))}", id=id)
    return float(value)


def _numeric(name: str, value: ArrayLike, *, id: str) -> FloatArray:
    """The value as float64; text, objects and booleans are refused rather than guessed at."""
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        value = _from_dlpack(value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: must be numbers: {show(error)}", id=id) from None
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name}: must be numbers, not dtype {array.dtype}", id=id)
    return array.astype(np.float64)


def _from_dlpack(value: Any) -> Any:
    """Arrays of other libraries on the CPU, without a copy; what refuses is left to NumPy."""
    try:
        return np.from_dlpack(value)
    except (RuntimeError, TypeError, BufferError, ValueError):
        return value


def _first(array: FloatArray, bad: NDArray[np.bool_]) -> str:
    return repr(float(array[bad].flat[0]))
