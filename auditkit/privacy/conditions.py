"""Conditions such as ``epsilon_lower > 2`` and their three-valued outcome."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from auditkit.errors import InputError, show
from auditkit.results import Condition

if TYPE_CHECKING:
    from auditkit.results import DPEstimate

NAMES = ("epsilon_lower", "epsilon", "epsilon_posterior", "inconsistencies")
OPERATORS = (">", ">=", "<", "<=")

_SHAPE = re.compile(r"\s*(?P<name>[^\s<>=!~]+)\s*(?P<operator>[<>=!~]+)\s*(?P<number>\S+)\s*")


@dataclass(frozen=True)
class ParsedCondition:
    """``NAME OPERATOR NUMBER``, checked.

    Attributes
    ----------
    name : {"epsilon_lower", "epsilon", "epsilon_posterior", "inconsistencies"}
        The headline bound; epsilon itself, known to lie in [bound, inf); the credible interval of the
        posterior; the number of ways in which the mechanism fit disagrees with what was declared.
    operator : {">", ">=", "<", "<="}
    threshold : float
        Finite, in nats.
    text : str
        As it was written.
    """

    name: Literal["epsilon_lower", "epsilon", "epsilon_posterior", "inconsistencies"]
    operator: Literal[">", ">=", "<", "<="]
    threshold: float
    text: str


def parse_condition(expression: str) -> ParsedCondition:
    """Read ``NAME OPERATOR NUMBER``, for example ``epsilon_lower>2``.

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
            hint="for example 'epsilon_lower>2'",
        )
    name, operator, number = shape["name"], shape["operator"], shape["number"]
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
        raise InputError(
            f"condition: must name one of {', '.join(NAMES)}, not {show(name)!r}",
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


def evaluate(
    condition: ParsedCondition,
    *,
    epsilon_lower: float | None,
    detectable_epsilon: float,
    posterior: tuple[float, float] | None,
    mechanism: Mapping[str, Any] | None = None,
) -> bool | None:
    """True, False, or None where the data cannot decide.

    Parameters
    ----------
    condition : ParsedCondition
    epsilon_lower : float or None
        The headline bound; None for an invalid design, which decides nothing.
    detectable_epsilon : float
        The bound of a perfect attack of this size.
    posterior : (float, float) or None
        Credible interval.
    mechanism : mapping or None
        The mechanism fit; without one its inconsistencies cannot be counted.

    Notes
    -----
    A condition on an interval is true if the whole interval satisfies it, false if none of it does. The
    bound itself is a number, so it is compared as such; but ``epsilon_lower > t`` is undecided when it is
    false although no result of this design could have made it true (``detectable_epsilon <= t``). ``<=`` is
    the negation of ``>`` and ``<`` of ``>=``, undecided together with it.
    """
    if epsilon_lower is None:
        return None
    t = condition.threshold
    if condition.name == "epsilon_lower":
        strict = condition.operator in (">", "<=")
        above = epsilon_lower > t if strict else epsilon_lower >= t
        reachable = detectable_epsilon > t if strict else detectable_epsilon >= t
        if not above and not reachable:
            return None
        return above if condition.operator in (">", ">=") else not above
    if condition.name == "inconsistencies":
        count = None if mechanism is None else float(len(mechanism["inconsistent"]))
        return None if count is None else _whole_interval((count, count), condition.operator, t)
    interval = (epsilon_lower, math.inf) if condition.name == "epsilon" else posterior
    return None if interval is None else _whole_interval(interval, condition.operator, t)


def evaluate_result(expression: str, result: DPEstimate) -> Condition:
    """The condition with its outcome for a finished audit."""
    condition = parse_condition(expression)
    interval = next((e for e in result.estimates if e.name == "epsilon_posterior"), None)
    ends = None
    if interval is not None and interval.lower is not None and interval.upper is not None:
        ends = (interval.lower, interval.upper)
    value = evaluate(
        condition,
        epsilon_lower=result.epsilon_lower,
        detectable_epsilon=result.detectable_epsilon,
        posterior=ends,
        mechanism=result.mechanism,
    )
    return Condition(condition.text, value)


def _whole_interval(interval: tuple[float, float], operator: str, t: float) -> bool | None:
    lower, upper = interval
    outcomes = {
        ">": (lower > t, upper <= t),
        ">=": (lower >= t, upper < t),
        "<": (upper < t, lower >= t),
        "<=": (upper <= t, lower > t),
    }
    holds, fails = outcomes[operator]
    if holds:
        return True
    return False if fails else None
