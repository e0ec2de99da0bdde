"""Conditions such as ``epsilon_lower > 2``: their strict reading, and what an interval says of them.

The names that a condition may use are those of a topic; `auditkit.privacy.conditions` and
`auditkit.batchpi.conditions` know theirs.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.errors import InputError, show

Operator = Literal[">", ">=", "<", "<="]
OPERATORS = (">", ">=", "<", "<=")

_SHAPE = re.compile(r"\s*(?P<name>[^\s<>=!~]+)\s*(?P<operator>[<>=!~]+)\s*(?P<number>\S+)\s*")


@dataclass(frozen=True)
class ParsedCondition:
    """``NAME OPERATOR NUMBER``, checked.

    Attributes
    ----------
    name : str
        One of the names of the topic.
    operator : {">", ">=", "<", "<="}
    threshold : float
        Finite.
    text : str
        As it was written.
    """

    name: str
    operator: Operator
    threshold: float
    text: str


def parse_condition(expression: str, names: Sequence[str], example: str) -> ParsedCondition:
    """Read ``NAME OPERATOR NUMBER``.

    Parameters
    ----------
    expression : str
    names : sequence of str
        Those that may stand at the beginning.
    example : str
        For the hint.

    Raises
    ------
    InputError
        If the expression has another shape, or a name, operator or number that is not known; the nearest
        known name is in the hint.
    """
    shape = _SHAPE.fullmatch(expression) if isinstance(expression, str) else None
    if shape is None:
        raise InputError(
            f"condition: must read NAME OPERATOR NUMBER, not {show(expression)!r}",
            id="AK-CO-001",
            hint=f"for example {example!r}",
        )
    name, operator, number = shape["name"], shape["operator"], shape["number"]
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        raise InputError(
            f"condition: must name one of {', '.join(names)}, not {show(name)!r}",
            id="AK-CO-002",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )
    if operator not in OPERATORS:
        raise InputError(
            f"condition: must compare with one of {' '.join(OPERATORS)}, not {show(operator)!r}",
            id="AK-CO-003",
            hint="bounds and intervals are never equal to a number",
        )
    try:
        threshold = float(number)
    except ValueError:
        threshold = math.nan
    if not math.isfinite(threshold):
        raise InputError(f"condition: must end in a finite number, not {show(number)!r}", id="AK-CO-004")
    return ParsedCondition(name, operator, threshold, expression.strip())  # type: ignore[arg-type]


def interval_satisfies(interval: tuple[float, float], operator: str, threshold: float) -> bool | None:
    """True if the whole interval satisfies the condition, False if none of it does, else None."""
    lower, upper = interval
    outcomes = {
        ">": (lower > threshold, upper <= threshold),
        ">=": (lower >= threshold, upper < threshold),
        "<": (upper < threshold, lower >= threshold),
        "<=": (upper <= threshold, lower > threshold),
    }
    holds, fails = outcomes[operator]
    if holds:
        return True
    return False if fails else None
