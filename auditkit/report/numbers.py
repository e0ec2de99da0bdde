"""Numbers for people: three significant digits, rounded to the side on which the statement stays true.

The exact values stay in the JSON. A double is taken for the shortest decimal that reads back as it, so 0.29
is shown as 0.29 and not as 0.289.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

DIGITS = 3
INFINITY = "∞"


def lower_text(value: float, digits: int = DIGITS) -> str:
    """`value` rounded down: right for "at least". ``float(lower_text(x)) <= x``."""
    return _rounded(value, digits, ROUND_FLOOR)


def upper_text(value: float, digits: int = DIGITS) -> str:
    """`value` rounded up: right for "at most". ``float(upper_text(x)) >= x``."""
    return _rounded(value, digits, ROUND_CEILING)


def nearest_text(value: float, digits: int = DIGITS) -> str:
    """`value` rounded to the nearest: for medians and other numbers that bound nothing."""
    return _rounded(value, digits, ROUND_HALF_EVEN)


def interval_text(lower: float, upper: float, digits: int = DIGITS) -> str:
    """``[lower, upper]`` with both ends rounded outward; an infinite end is open."""
    opening = "[" if math.isfinite(lower) else "("
    closing = "]" if math.isfinite(upper) else ")"
    return f"{opening}{lower_text(lower, digits)}, {upper_text(upper, digits)}{closing}"


def exact_text(value: float) -> str:
    """The shortest decimal that reads back as the same double, without padding: 1e-5, 2, 0.95."""
    if math.isinf(value):
        return INFINITY if value > 0 else f"-{INFINITY}"
    return _plain(Decimal(repr(float(value))))


def count_text(value: int) -> str:
    """A count with thousands separators."""
    return f"{value:,}"


def level_text(level: float) -> str:
    """A level in per cent, 0.95 as ``95%``; the last bit that 1 - alpha may have lost does not show."""
    return _plain(Decimal(repr(round(level * 100, 9)))) + "%"


def percent_text(value: float, rounding: str = "nearest") -> str:
    """A share in per cent, rounded down (``lower``), up (``upper``) or to the nearest.

    Only 1 is 100%: what is a little less is rounded down. Shares below a thousandth stay shares: 3×10⁻⁶.
    """
    mode = {"lower": ROUND_FLOOR, "upper": ROUND_CEILING, "nearest": ROUND_HALF_EVEN}[rounding]
    number = Decimal(repr(float(value)))
    if 0 < number < Decimal("0.001"):
        return superscript(_plain(_quantized(number, DIGITS, mode)))
    percent = _quantized(number * 100, DIGITS, mode)
    if mode == ROUND_HALF_EVEN and percent == 100 and number < 1:
        percent = _quantized(number * 100, DIGITS, ROUND_FLOOR)
    return _plain(percent) + "%"


def superscript(text: str) -> str:
    """Powers of ten as people write them: ``1e-5`` becomes 10⁻⁵ and ``2.5e-4`` 2.5×10⁻⁴."""
    mantissa, found, exponent = text.partition("e")
    if not found:
        return text
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if mantissa == "1" else f"{mantissa}×{power}"


def _rounded(value: float, digits: int, mode: str) -> str:
    if math.isnan(value):
        raise ValueError("a report must not show NaN")
    if math.isinf(value):
        return INFINITY if value > 0 else f"-{INFINITY}"
    return _plain(_quantized(Decimal(repr(float(value))), digits, mode))


def _quantized(number: Decimal, digits: int, mode: str) -> Decimal:
    if number.is_zero():
        return Decimal(0)
    return number.quantize(Decimal((0, (1,), number.adjusted() - digits + 1)), rounding=mode)


def _plain(number: Decimal) -> str:
    """Shortest text: no trailing zeros, powers of ten only below 1e-3 and from 1e7 on."""
    if number.is_zero():
        return "0"
    number = number.normalize()
    exponent = number.adjusted()
    if -4 < exponent < 7:
        return f"{number:f}"
    sign, digits, _ = number.as_tuple()
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{exponent}"
