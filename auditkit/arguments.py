"""Arguments of any function: numbers as they were typed, and the one way to refuse them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from auditkit.errors import InputError, show


def refuse(what: str, requirement: str, value: object, *, id: str, hint: str | None = None) -> NoReturn:
    """Raise the one-line error of an argument."""
    raise InputError(f"{what}: must be {requirement}, not {show(value)}", id=id, hint=hint)


def whole_number(value: Any) -> int | None:
    """A whole number given as int, NumPy integer or integral float; None for anything else."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    return None


def decimal_number(value: Any) -> Fraction | None:
    """The number that was typed: 0.1 is 1/10, not the double beside it. None where there is none."""
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, np.floating | np.integer):
        value = value.item() if value.dtype.itemsize >= 8 else str(value)
    try:
        if isinstance(value, int | Fraction):
            return Fraction(value)
        if isinstance(value, float | Decimal | str):
            text = str(value)
            # a decimal beyond the doubles would be spelled out digit by digit
            return Fraction(text) if "/" in text or _in_range(Decimal(text)) else None
    except (ArithmeticError, ValueError):
        return None
    return None


def _in_range(value: Decimal) -> bool:
    return value.is_finite() and abs(value.adjusted()) < 400


def finite_number(value: Any) -> float | None:
    """A finite number as float; None for anything else."""
    if isinstance(value, bool | np.bool_ | str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def one_of(value: Any, choices: Sequence[str], what: str, *, id: str) -> str:
    """One of the named choices."""
    if not isinstance(value, str) or value not in choices:
        refuse(what, f"one of {', '.join(choices)}", repr(value), id=id)
    return str(value)
