"""Axes: which range to show, where a value lies on it, and which ticks to print."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from auditkit.report.numbers import exact_text, superscript


@dataclass(frozen=True)
class Axis:
    """Maps values to coordinates; values outside land just beyond the edge, where they are hidden."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        share = self.share(value)
        return self.start + min(max(share, -0.05), 1.05) * (self.end - self.start)

    def share(self, value: float) -> float:
        """Where the value lies between the ends: 0 at `low`, 1 at `high`."""
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        if value <= 0:
            return -math.inf
        return math.log(value / self.low) / math.log(self.high / self.low)

    def holds(self, value: float) -> bool:
        """Whether the value lies on the axis, its ends included."""
        return self.low <= value <= self.high

    def ticks(self, most: int = 7) -> list[tuple[float, str]]:
        """Positions and labels of at most about `most` ticks."""
        return _log_ticks(self.low, self.high, most) if self.log else linear_ticks(self.low, self.high, most)


def linear_ticks(low: float, high: float, most: int = 7) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    step = nice_step((high - low) / max(most - 1, 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(index * step, 12) for index in range(first, last + 1)]
    # On a narrow axis far from 0 rounding may put the first or last multiple beyond its end.
    slack = 1e-7 * (high - low)
    inside = [value for value in values if low - slack <= value <= high + slack]
    return [(value, superscript(exact_text(value))) for value in inside]


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))


def _log_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Powers of ten, every k-th where there are many; over at most two decades also twice and five times."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / most))
    exponents = range(last, first - 1, -stride)
    if last - first > 2:
        return [
            (float(f"1e{n}"), exact_text(10.0**n) if n >= -1 else superscript(f"1e{n}")) for n in exponents
        ]
    values = [float(f"{factor}e{n}") for n in exponents for factor in (1, 2, 5)]
    return [(value, superscript(exact_text(value))) for value in values if value <= high * (1 + 1e-9)]


def decade_floor(value: float) -> float:
    """The largest power of ten that is not above `value`."""
    return float(10.0 ** math.floor(math.log10(value) + 1e-9))


def decade_ceiling(value: float) -> float:
    """The smallest power of ten that is not below `value`."""
    return float(10.0 ** math.ceil(math.log10(value) - 1e-9))


def epsilon_span(
    core: Iterable[float], claimed: float | None, *, zero_share: float, least_share: float = 0.15
) -> tuple[float, float]:
    """The range of an epsilon axis: all of `core`, with the claim and with 0 where they are near enough.

    Parameters
    ----------
    core : iterable of float
        What must be seen; infinities are passed over.
    claimed : float or None
        Shown unless the core would then take less than `least_share` of the axis.
    zero_share : float
        The axis starts at 0 when the smallest value is below this share of the largest.
    """
    finite = [value for value in core if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0)
    if claimed is not None and math.isfinite(claimed):
        wide = max(high, claimed) - min(low, claimed)
        if not finite or high - low >= least_share * wide:
            low, high = min(low, claimed), max(high, claimed)
    if low > 0 and low < zero_share * high:
        low = 0.0
    width = (high - low) or 1.0
    return (low if low == 0 else low - 0.06 * width), high + 0.06 * width
