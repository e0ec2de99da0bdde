"""Single numbers: checked on the way in, rounded to the side that claims less on the way into sentences."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from auditkit.errors import InputError, show
from auditkit.privacy.epsilon._inputs import check_values
from auditkit.runtime import core


def one_epsilon(value: float, name: str) -> float:
    """A single finite epsilon of at least 0."""
    array = check_values(value, name)
    if array.ndim != 0 or not 0.0 <= float(array) < math.inf:
        raise InputError(
            f"{name}: must be one finite number of at least 0, not {show(value)}", id="AK-AU-002"
        )
    return float(array)


def short(value: float) -> str:
    """A number in the shortest general form, with exponents as people write them: 1e-5, not 1e-05."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


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


def binomial_tail(k: int, n: int, probability: float) -> float:
    """P(X >= k) for X ~ Binomial(n, probability), as a regularised incomplete beta function."""
    if k <= 0:
        return 1.0
    table = core.beta_tails(
        np.array([float(k)]), np.array([n - k + 1.0]), np.array([probability]), np.array([1.0 - probability])
    )
    return float(table[0, 0])
