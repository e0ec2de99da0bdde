"""Conditions on epsilon such as ``epsilon_lower > 2`` and their three-valued outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditkit.conditions import ParsedCondition, interval_satisfies
from auditkit.conditions import parse_condition as parse
from auditkit.results import Condition

if TYPE_CHECKING:
    from auditkit.results import DPEstimate

NAMES = ("epsilon_lower", "epsilon", "epsilon_posterior", "inconsistencies")


def parse_condition(expression: str) -> ParsedCondition:
    """Read ``NAME OPERATOR NUMBER``, for example ``epsilon_lower>2``.

    The names: ``epsilon_lower``, the headline bound; ``epsilon`` itself, known to lie in [bound, inf);
    ``epsilon_posterior``, the credible interval of the posterior; ``inconsistencies``, the number of ways in which
    the mechanism fit disagrees with what was declared. Thresholds are in nats.

    Raises
    ------
    InputError
        See `auditkit.conditions.parse_condition`.
    """
    return parse(expression, NAMES, "epsilon_lower>2")


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
        return None if count is None else interval_satisfies((count, count), condition.operator, t)
    interval = (epsilon_lower, math.inf) if condition.name == "epsilon" else posterior
    return None if interval is None else interval_satisfies(interval, condition.operator, t)


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
