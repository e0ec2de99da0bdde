"""Where protected rows may go: a norm ball around each row, a box, features and rows that stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import decimal_number, one_of, refuse
from auditkit.bayes_error._inputs import Labelled, as_array
from auditkit.bayes_error.kernel import read_mask
from auditkit.runtime import get_num_threads

NORMS = ("linf", "l2", "l1")
"""In the order of the core."""


@dataclass(frozen=True)
class Room:
    """The ball and the box of every row.

    Attributes
    ----------
    start : ndarray, shape (n, d), float64 or float32
    radius : ndarray, shape (n,)
        0 for a row that stays.
    free : ndarray of bool, shape (d,) or (n, d)
        Features that may move.
    low, high : float
    norm : str
    """

    start: NDArray[Any]
    radius: NDArray[np.float64]
    free: NDArray[np.bool_]
    low: float
    high: float
    norm: str

    @property
    def eps(self) -> float:
        """The largest radius."""
        return float(self.radius.max())

    @property
    def movable(self) -> NDArray[np.bool_]:
        """Rows that have room."""
        return self.radius > 0

    def step(
        self, X: NDArray[Any], slopes: NDArray[Any] | None, share: float, rows: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """`X`, which are the named rows, moved up the slopes by a share of their radius and projected."""
        at = slice(None) if rows is None else rows
        start, radius = np.ascontiguousarray(self.start[at]), np.ascontiguousarray(self.radius[at])
        free = self.free if self.free.ndim == 1 else np.ascontiguousarray(self.free[at])
        slopes = (
            np.empty((0, 0), start.dtype) if slopes is None else np.ascontiguousarray(slopes, start.dtype)
        )
        place = NORMS.index(self.norm)
        length = share * radius
        threads = get_num_threads()
        return _core.projected_step(
            np.ascontiguousarray(X), start, slopes, radius, length, free, self.low, self.high, place, threads
        )

    def largest_move(self, X: NDArray[Any]) -> float:
        """The largest norm of X - start, rounded up."""
        return float(_core.move_norms(X, self.start, NORMS.index(self.norm)).max())


def read_room(
    data: Labelled, *, eps: Any, norm: Any, box: Any, mask: Any = None, movable: Any = None
) -> Room:
    """The ball and the box of every row (AK-BE-008, AK-BE-035 to 038)."""
    name = one_of(norm, NORMS, "norm", id="AK-BE-036")
    low, high = _read_box(box)
    outside = np.clip(data.X.astype(np.float64), low, high) != data.X
    bad = np.flatnonzero(outside.any(axis=1))
    if bad.size:
        more = f" ({bad.size:,} rows like it)" if bad.size > 1 else ""
        values = f"from {data.X[bad[0]].min():.6g} to {data.X[bad[0]].max():.6g}{more}"
        hint = "scale the rows, or give the box that they live in"
        refuse(f"X[{bad[0]}]", f"inside the box ({low:g}, {high:g})", values, id="AK-BE-038", hint=hint)
    radius = _read_eps(eps, data.n)
    if movable is not None:
        radius = np.where(read_mask(movable, data.n, "movable"), radius, 0.0)
    return Room(data.X, radius, _read_features(mask, data), low, high, name)


def _read_eps(eps: Any, n: int) -> NDArray[np.float64]:
    number = decimal_number(eps)
    requirement = f"a finite number of at least 0, or one a row ({n:,})"
    if number is not None:
        value = float(number)
        if not 0 <= value < np.inf:
            refuse("eps", requirement, repr(eps), id="AK-BE-035")
        return np.full(n, value)
    array = np.asarray(as_array(eps, "eps", "iuf", id="AK-BE-035"), dtype=np.float64)
    if array.shape != (n,) or not (np.isfinite(array) & (array >= 0)).all():
        shown = f"of shape {array.shape}" if array.shape != (n,) else f"{array.min():g} to {array.max():g}"
        refuse("eps", requirement, shown, id="AK-BE-035")
    return array


def _read_box(box: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in box)
        valid = low < high
    except (TypeError, ValueError):
        valid = False
    if not valid:
        refuse("box", "a lower end and a larger upper end", repr(box), id="AK-BE-038", hint="(0, 1)")
    return low, high


def _read_features(mask: Any, data: Labelled) -> NDArray[np.bool_]:
    d = data.X.shape[1]
    if mask is None:
        return np.ones(d, dtype=bool)
    array = as_array(mask, "mask", "b", id="AK-BE-037")
    if array.shape in (data.shape, (d,)):
        return np.ascontiguousarray(array.reshape(d))
    if array.shape != (data.n, *data.shape):
        requirement = f"one bool a feature, {data.shape}, or an entry"
        refuse("mask", requirement, f"of shape {array.shape}", id="AK-BE-037")
    return np.ascontiguousarray(array.reshape(data.n, d))
