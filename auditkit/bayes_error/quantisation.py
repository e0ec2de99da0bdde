"""Rows that are released as whole numbers: k / levels, with ball and box kept in whole numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse, whole_number
from auditkit.bayes_error.projections import Room

MOST_LEVELS = 65535


def read_levels(quantize: Any, X: Any) -> int | None:
    """Levels of the grid, 255 for rows of uint8; None where nothing is rounded (AK-BE-039)."""
    pixels = getattr(X, "dtype", None) is not None and str(X.dtype).rpartition(".")[2] == "uint8"
    if quantize is None:
        return 255 if pixels else None
    levels = whole_number(quantize)
    if levels is None or not 1 <= levels <= MOST_LEVELS or (pixels and levels != 255):
        requirement = "255 for rows of uint8" if pixels else f"a whole number from 1 to {MOST_LEVELS:,}"
        refuse("quantize", requirement, repr(quantize), id="AK-BE-039")
    return levels


def codes_of_start(room: Room, levels: int) -> NDArray[np.int64]:
    """The whole numbers that the rows are now; refused where they are none (AK-BE-039)."""
    wished = np.rint(room.start.astype(np.float64) * levels)
    off = np.flatnonzero((_values(wished, levels, room) != room.start).any(axis=1))
    if off.size or np.abs(wished).max() > 2**40:
        place = off[0] if off.size else 0
        value = room.start[place][(_values(wished, levels, room) != room.start)[place]]
        hint = f"round the rows first: np.rint(X * {levels}) / {levels}"
        requirement = f"multiples of 1/{levels}"
        refuse(
            f"X[{place}]",
            requirement,
            str(value[0] if value.size else "far from 0"),
            id="AK-BE-039",
            hint=hint,
        )
    return wished.astype(np.int64)


def quantise(X: NDArray[Any], room: Room, levels: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The nearest multiples of 1/levels that ball and box allow: whole numbers k, and k / levels as floats.

    Distances are those of k / levels from the start in exact arithmetic. An eps that is the double nearest to a
    multiple of 1/levels stands for that multiple: 8/255 allows 8 steps and not 7.999.
    """
    start = codes_of_start(room, levels)
    wished = X.astype(np.float64) * levels
    low = math.ceil(Fraction(room.low) * levels) if math.isfinite(room.low) else -(2**62)
    high = math.floor(Fraction(room.high) * levels) if math.isfinite(room.high) else 2**62
    limits = _limits(room, levels)
    steps = np.clip(np.rint(wished).astype(np.int64), low, high) - start
    steps[~np.broadcast_to(room.free, steps.shape)] = 0
    if room.norm == "linf":
        steps = np.clip(steps, -limits[:, None], limits[:, None])
    else:
        _shorten(steps, np.abs(wished - start), limits, 2 if room.norm == "l2" else 1)
    codes = start + steps
    return codes, _values(codes, levels, room)


def largest_step(codes: NDArray[np.int64], room: Room, levels: int) -> float:
    """The largest norm of the moves of whole numbers over `levels`, rounded up but never above eps."""
    steps = np.abs(codes - codes_of_start(room, levels))
    if room.norm == "linf":
        return float(Fraction(int(steps.max()), levels))
    if room.norm == "l1":
        return min(
            room.eps, float(np.nextafter(float(Fraction(int(steps.sum(axis=1).max()), levels)), np.inf))
        )
    return min(room.eps, float(np.nextafter(math.sqrt(int((steps**2).sum(axis=1).max())) / levels, np.inf)))


def _values(codes: NDArray[Any], levels: int, room: Room) -> NDArray[Any]:
    return (codes / levels).astype(room.start.dtype)


def _limits(room: Room, levels: int) -> NDArray[np.int64]:
    """Of each row: the largest whole step (linf), sum of steps (l1) or of squares (l2), exactly."""
    different, where = np.unique(room.radius, return_inverse=True)
    found = []
    for radius in different.tolist():
        steps = Fraction(round(Fraction(radius) * levels))
        exact = steps if float(steps / levels) == radius else Fraction(radius) * levels
        found.append(min(math.floor(exact * exact if room.norm == "l2" else exact), 2**62))
    return np.array(found, dtype=np.int64)[where]


def _shorten(
    steps: NDArray[np.int64], wished: NDArray[np.float64], limits: NDArray[np.int64], power: int
) -> None:
    """Take back, in rows that are too long, what rounding had lengthened most; then what is longest."""
    long = np.flatnonzero((np.abs(steps) ** power).sum(axis=1) > limits)
    for i in long:
        sizes = np.abs(steps[i])
        excess = np.where(sizes > 0, sizes - wished[i], -np.inf)
        order = np.argsort(-excess, kind="stable")
        order = order[excess[order] > 0]
        costs = np.cumsum(sizes[order] ** power - (sizes[order] - 1) ** power)
        over = int((sizes**power).sum() - limits[i])
        taken = order[: int(np.searchsorted(costs, over)) + 1]
        sizes[taken] -= 1
        while int((sizes**power).sum()) > limits[i]:
            sizes[sizes.argmax()] -= 1
        steps[i] = np.sign(steps[i]) * sizes
