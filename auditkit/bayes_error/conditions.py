"""Conditions such as ``upper < 0.1`` on a Bayes error or ``score_after > 0.2`` on protected data; three-valued."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from auditkit.bayes_error.results import BayesErrorEstimate, Protection
from auditkit.bayes_error.verdicts import TooGood
from auditkit.conditions import ParsedCondition, interval_satisfies, parse_condition
from auditkit.errors import show
from auditkit.results import Condition, Verdict, VerdictStatus

NAMES = (
    "upper",
    "value",
    "anchor",
    "lower",
    "bayes_error",
    "model_error",
    "p_floor",
    "p_anchor",
    "p_under_fit",
)
"""The certified upper end, the estimate, the anchor and the certified lower end as numbers; ``bayes_error``, the
unknown itself, and ``model_error``, known to lie between their limits; p-values of the model's error."""
PROTECTION_NAMES = ("score_before", "score_after", "ceiling", "largest_move", "clean_error")
"""Estimates before and after, the least ceiling, the largest move, and the clean-test error after training on the
protected rows, known to lie between its limits."""
Answer = TypeVar("Answer", BayesErrorEstimate, Protection)


def parse_conditions(expressions: Sequence[str], *, protection: bool = False) -> list[ParsedCondition]:
    """Read conditions on an estimate, or on a protection.

    Raises
    ------
    InputError
        See `auditkit.conditions.parse_condition`.
    """
    names, example = (PROTECTION_NAMES, "score_after<0.1") if protection else (NAMES, "upper>0.1")
    return [parse_condition(expression, names, example) for expression in expressions]


def judged(answer: Answer, conditions: Sequence[ParsedCondition], model: TooGood | None = None) -> Answer:
    """The answer with its verdict: a finding where a condition is true, else undecided where one is.

    Parameters
    ----------
    answer : BayesErrorEstimate or Protection
    conditions : sequence of ParsedCondition
    model : TooGood, optional
        What conditions on ``model_error`` and p-values are about; without it they are undecided.
    """
    outcomes = tuple(
        Condition(one.text, _satisfied(_interval(answer, one.name, model), one)) for one in conditions
    )
    values = {outcome.value for outcome in outcomes}
    status: VerdictStatus = "none"
    if outcomes:
        status = "fail" if True in values else "undecided" if None in values else "pass"
    words = {True: "true", False: "false", None: "undecided"}
    sentence = "; ".join(f"{show(one.expression)} is {words[one.value]}" for one in outcomes)
    if not outcomes:
        sentence = sentence_of(answer) if model is None else model.sentence
    return replace(answer, verdict=Verdict(status, sentence, outcomes))


def sentence_of(answer: BayesErrorEstimate | Protection) -> str:
    """The answer in one sentence, its numbers in full."""
    if isinstance(answer, Protection):
        return (
            f"the estimate of the Bayes error moves from {answer.score_before!r} to {answer.score_after!r}; no map of "
            f"this size can reach more than {answer.ceiling!r} ({answer.ceiling_kind})"
        )
    return (
        f"the Bayes error is estimated at {answer.value!r} and is at most {answer.upper!r} ({answer.upper_kind}) "
        f"with confidence {1 - answer.alpha:g}"
    )


def _satisfied(interval: tuple[float, float] | None, condition: ParsedCondition) -> bool | None:
    if interval is None:
        return None
    return interval_satisfies(interval, condition.operator, condition.threshold)


def _interval(
    answer: BayesErrorEstimate | Protection, name: str, model: TooGood | None
) -> tuple[float, float] | None:
    """Where the number of a condition lies; None where this result does not hold it."""
    if isinstance(answer, Protection):
        if name == "clean_error":
            return _clean_error(answer)
        return _point(float(getattr(answer, name)))
    if name == "model_error":
        return None if model is None else (model.lower, model.upper)
    if name.startswith("p_"):
        found = None if model is None else getattr(model, name)
        return None if found is None else _point(float(found))
    if name == "bayes_error":
        certified = answer.upper_kind == "certified-upper"
        return (answer.certified_lower or 0.0, answer.upper if certified else 1.0)
    found = {
        "upper": answer.upper,
        "value": answer.value,
        "anchor": answer.anchor,
        "lower": answer.certified_lower,
    }
    number = found[name]
    return None if number is None else _point(float(number))


def _point(value: float) -> tuple[float, float] | None:
    return (value, value) if math.isfinite(value) else None


def _clean_error(answer: Protection) -> tuple[float, float] | None:
    """Limits of the clean-test error of the best model trained on the protected rows."""
    scores = ((answer.unlearnability or {}).get("clean_test") or {}).get("protected") or ()
    if not scores:
        return None
    best = min(scores, key=lambda score: score["errors"])
    return float(best["lower"]), float(best["upper"])
