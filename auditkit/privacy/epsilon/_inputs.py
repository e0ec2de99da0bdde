"""Argument checks that the posterior and the bounds share: each names the argument, the requirement and the value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_COUNT = 10**9


def check_values(value: ArrayLike, name: str) -> Floats:
    """A float64 array without NaN (infinities pass)."""
    if type(value) is float and not math.isnan(value):  # most calls; the general path costs ten times as much
        return np.asarray(value)
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{name}: must be a number or an array of numbers, not {value!r}", id="AK-DP-009"
        ) from None
    if np.any(np.isnan(array)):
        raise InputError(f"{name}: must not be NaN", id="AK-DP-009")
    return array


def check_counts(value: ArrayLike, name: str) -> Ints:
    """Counts as int64: whole, at least 0, at most 1e9; never rounded, never float32."""
    if type(value) is int and 0 <= value <= LARGEST_COUNT:
        return np.asarray(value, dtype=np.int64)
    raw = np.asarray(value)
    if raw.dtype == np.bool_ or raw.dtype.kind not in "iuf":
        raise InputError(f"{name}: must be whole numbers, not {value!r}", id="AK-DP-001")
    if raw.dtype.kind == "f" and not (np.all(np.isfinite(raw)) and np.all(raw == np.floor(raw))):
        raise InputError(f"{name}: must be whole numbers, not {value!r}", id="AK-DP-001")
    if np.any(raw < 0) or np.any(raw > LARGEST_COUNT):
        raise InputError(f"{name}: must lie between 0 and {LARGEST_COUNT:,}, not {value!r}", id="AK-DP-001")
    return raw.astype(np.int64)


def check_delta(delta: ArrayLike) -> Floats:
    """delta in [0, 1) as float64."""
    array = check_values(delta, "delta")
    if np.any(array < 0) or np.any(array >= 1):
        raise InputError(f"delta: must lie in [0, 1), not {delta!r}", id="AK-DP-003")
    return array


def check_alpha(alpha: float) -> float:
    """A single alpha in (0, 1)."""
    array = check_values(alpha, "alpha")
    if array.ndim != 0 or not 0 < float(array) < 1:
        raise InputError(f"alpha: must be one number in (0, 1), not {alpha!r}", id="AK-DP-004")
    return float(array)


def check_region(region: str) -> str:
    """``"both"`` or ``"below"``."""
    if region not in ("both", "below"):
        raise InputError(f"region: must be 'both' or 'below', not {region!r}", id="AK-DP-005")
    return region


def check_whole_seed(seed: int) -> int:
    """A seed: a whole number of at least 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed: must be a whole number of at least 0, not {seed!r}", id="AK-DP-011")
    return int(seed)


def check_classes(tp: Ints, fn: Ints, fp: Ints, tn: Ints) -> None:
    """Both classes must have been challenged: with one missing nothing was audited."""
    for inside, outside, names in ((tp, fn, "tp + fn"), (fp, tn, "fp + tn")):
        if np.any(inside + outside == 0):
            raise InputError(
                f"{names}: must be at least 1, not 0: without challenge points of both classes nothing was audited",
                id="AK-DP-002",
            )


def beta_parameters(
    *, tp: ArrayLike, fn: ArrayLike, fp: ArrayLike, tn: ArrayLike, prior: Any
) -> list[Floats]:
    """Beta parameters of FNR and FPR, ``[a_fnr, b_fnr, a_fpr, b_fpr]``: counts plus prior.

    Returns
    -------
    list of four float64 arrays of one shape (the broadcast shape of the counts)
    """
    try:
        counts = np.broadcast_arrays(
            *(check_counts(v, n) for v, n in ((fn, "fn"), (tp, "tp"), (fp, "fp"), (tn, "tn")))
        )
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"tp, fn, fp, tn: must have shapes that broadcast, not {[np.shape(v) for v in (tp, fn, fp, tn)]}",
            id="AK-DP-006",
        ) from None
    check_classes(counts[1], counts[0], counts[2], counts[3])
    shape = np.ravel(check_values(prior, "prior"))
    if shape.size not in (1, 2, 4) or np.any(shape <= 0) or np.any(np.isinf(shape)):
        raise InputError(
            f"prior: must be one, two (p_in, p_out) or four finite Beta parameters above 0, not {prior!r}",
            id="AK-DP-012",
        )
    return [count + extra for count, extra in zip(counts, np.repeat(shape, 4 // shape.size), strict=True)]
