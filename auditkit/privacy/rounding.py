"""Numbers for sentences: three significant digits, always rounded to the side that claims less."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def round_down(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits, never above it: for lower bounds."""
    return _rounded(value, digits, ROUND_FLOOR)


def round_up(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits, never below it: for upper ends."""
    return _rounded(value, digits, ROUND_CEILING)


def _rounded(value: float, digits: int, direction: str) -> str:
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    exact = Decimal(value)
    place = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    rounded = exact.quantize(place, rounding=direction)
    return (
        f"{float(rounded):.{max(0, -int(place.adjusted()))}f}"
        if 1e-4 <= abs(value) < 1e15
        else f"{rounded:e}"
    )
