"""Conditions on a batch such as ``upper > 0.5`` and their three-valued outcome; the verdict that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from auditkit.batchpi.results import BatchSet
from auditkit.batchpi.selection import Selection
from auditkit.conditions import ParsedCondition, interval_satisfies, parse_condition
from auditkit.errors import InputError, show
from auditkit.results import Condition, Verdict, VerdictStatus

NAMES = ("lower", "upper", "value")
"""The ends of the set, and the unknown number itself, known to lie in the set."""
SELECTION_NAMES = ("selected", "threshold")
Answer = TypeVar("Answer", bound=BatchSet | Selection)


def parse_conditions(expressions: Sequence[str], *, selection: bool = False) -> list[ParsedCondition]:
    """Read conditions on a set, or on a selection.

    Raises
    ------
    InputError
        See `auditkit.conditions.parse_condition`.
    """
    names, example = (SELECTION_NAMES, "selected<10") if selection else (NAMES, "upper>0.5")
    return [parse_condition(expression, names, example) for expression in expressions]


def judged(answer: Answer, conditions: Sequence[ParsedCondition]) -> Answer:
    """The answer with its verdict: a finding where a condition is true, else undecided where one is.

    Raises
    ------
    InputError
        If the answer is of several sets (AK-CO-005): conditions are on one.
    """
    outcomes = tuple(Condition(one.text, _value(answer, one)) for one in conditions)
    values = {outcome.value for outcome in outcomes}
    status: VerdictStatus = "none"
    if outcomes:
        status = "fail" if True in values else "undecided" if None in values else "pass"
    words = {True: "true", False: "false", None: "undecided"}
    sentence = "; ".join(f"{show(one.expression)} is {words[one.value]}" for one in outcomes)
    if not outcomes and isinstance(answer, BatchSet):
        sentence = answer.sentence
    return replace(answer, verdict=Verdict(status, sentence, outcomes))


def _value(answer: BatchSet | Selection, condition: ParsedCondition) -> bool | None:
    if isinstance(answer, Selection):
        found = float(answer.selected if condition.name == "selected" else answer.threshold)
        return interval_satisfies((found, found), condition.operator, condition.threshold)
    if np.size(answer.lower) != 1:
        raise InputError(
            f"fail_on: must be about one set, not {np.size(answer.lower):,}",
            id="AK-CO-005",
            hint="give one row of scores",
        )
    lower, upper = float(np.ravel(answer.lower)[0]), float(np.ravel(answer.upper)[0])
    if condition.name == "value":
        return interval_satisfies((lower, upper), condition.operator, condition.threshold)
    end = lower if condition.name == "lower" else upper
    # an end that was not asked for, or that these data cannot give, decides nothing
    return (
        interval_satisfies((end, end), condition.operator, condition.threshold)
        if math.isfinite(end)
        else None
    )
