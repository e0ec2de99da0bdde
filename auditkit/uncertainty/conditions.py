"""Conditions such as ``calibration_error < 0.05`` or ``coverage >= 0.9`` on an audit; three-valued."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from auditkit.conditions import ParsedCondition, interval_satisfies, parse_condition
from auditkit.errors import show
from auditkit.results import Condition, Verdict, VerdictStatus
from auditkit.uncertainty.audit_results import CalibrationAudit, CoverageAudit
from auditkit.uncertainty.results import Score

Span = tuple[float, float]
Audit = TypeVar("Audit", bound=CalibrationAudit | CoverageAudit)


def parse_conditions(expressions: Sequence[str], *, coverage: bool = False) -> list[ParsedCondition]:
    """Read conditions on an audit of probabilities, or of coverage.

    Parameters
    ----------
    expressions : sequence of str
    coverage : bool
        Whether they are about a `CoverageAudit`; its names are `COVERAGE_NAMES`, else `NAMES`.

    Raises
    ------
    InputError
        See `auditkit.conditions.parse_condition`.
    """
    names, example = (COVERAGE_NAMES, "coverage<0.9") if coverage else (NAMES, "calibration_error>0.05")
    return [parse_condition(expression, names, example) for expression in expressions]


def judged(audit: Audit, conditions: Sequence[ParsedCondition]) -> Audit:
    """The audit with its verdict: a finding where a condition is true, else undecided where one is.

    A number that this audit does not hold leaves a condition undecided.
    """
    outcomes = tuple(Condition(one.text, _satisfied(_interval(audit, one.name), one)) for one in conditions)
    values = {outcome.value for outcome in outcomes}
    status: VerdictStatus = "none"
    if outcomes:
        status = "fail" if True in values else "undecided" if None in values else "pass"
    words = {True: "true", False: "false", None: "undecided"}
    sentence = "; ".join(f"{show(one.expression)} is {words[one.value]}" for one in outcomes)
    return replace(audit, verdict=Verdict(status, sentence or sentence_of(audit), outcomes))


def sentence_of(audit: CalibrationAudit | CoverageAudit) -> str:
    """The answer in one sentence, its numbers in full."""
    return _coverage_sentence(audit) if isinstance(audit, CoverageAudit) else _calibration_sentence(audit)


def _calibration_sentence(audit: CalibrationAudit) -> str:
    error = audit.errors.get("calibration_error")
    if error is None:
        return "this audit holds no calibration error"
    least, of = error.p_value, ""
    if _holm(audit):
        least, of = min(_holm(audit)), f", the least of {len(_holm(audit))} tests after Holm's adjustment"
    shown = least <= audit.alpha or (error.lower is not None and error.lower > 0)
    detected = "was detected" if shown else "was not detected, which is no proof of calibration"
    if error.lower is None or error.upper is None:
        where = f"is {error.value!r}"
    else:
        ends = f"[{error.lower!r}, {error.upper!r}] with confidence {error.level:g}"
        where = f"lies in {ends} (as measured {error.value!r})"
    return (
        f"miscalibration {detected}: the binned calibration error {where}; perfect predictions would measure "
        f"{error.null_value!r} on average (p = {least!r}{of})"
    )


def _coverage_sentence(audit: CoverageAudit) -> str:
    found = audit.coverage
    if found is None:
        return "this audit holds no coverage"
    p_under, p_value, who, differs = found.p_under, found.p_value, "promised", "the promise"
    held = found.conformal or {}
    if held.get("p_under") is not None:  # the promise then is valid sets, whose coverage is itself random
        p_under, p_value = float(held["p_under"]), float(held["p_value"])
        who, differs = "valid split conformal sets give", "what valid split conformal sets give"
    how = f"not shown to differ from {differs}"
    if min(p_under, p_value) <= audit.alpha:
        how = f"{'less' if p_under <= audit.alpha else 'more'} than {who}"
    return (
        f"coverage is {how}: {found.covered} of {found.n} rows are covered ({found.value!r}), which puts it in "
        f"[{found.lower!r}, {found.upper!r}] with confidence {found.level:g}, against {found.target!r} "
        f"(p = {p_under!r} of too little coverage, p = {p_value!r} of any difference)"
    )


def _satisfied(interval: Span | None, condition: ParsedCondition) -> bool | None:
    if interval is None:
        return None
    return interval_satisfies(interval, condition.operator, condition.threshold)


def _interval(audit: CalibrationAudit | CoverageAudit, name: str) -> Span | None:
    """Where the number of a condition lies; None where this audit does not hold it."""
    if isinstance(audit, CoverageAudit):
        return _COVERAGE[name](audit)
    return _CALIBRATION[name](audit)


# -- what a name means


def _point(value: Any) -> Span | None:
    return None if value is None or math.isnan(value) else (float(value), float(value))


def _span(lower: float | None, upper: float | None) -> Span | None:
    return None if lower is None or upper is None else (float(lower), float(upper))


def _score(score: Score | None) -> Span | None:
    return None if score is None else _span(score.lower, score.upper)


def _error(name: str, field: str = "") -> Callable[[CalibrationAudit], Span | None]:
    """The interval of the error, or one of its numbers."""

    def read(audit: CalibrationAudit) -> Span | None:
        error = audit.errors.get(name)
        if error is None:
            return None
        return _point(getattr(error, field)) if field else _span(error.lower, error.upper)

    return read


def _test(name: str) -> Callable[[Any], Span | None]:
    return lambda audit: _point(audit.tests[name].p_value) if name in audit.tests else None


def _holm(audit: CalibrationAudit) -> list[float]:
    """The p-values of all tests together, adjusted; none where the audit did not adjust them."""
    check = audit.checks.get("calibration-tests")
    return [float(p) for p in check.details.get("holm", {}).values()] if check is not None else []


def _named_score(name: str) -> Callable[[Any], Span | None]:
    return lambda audit: _score(audit.scores.get(name))


def _group_p(audit: CalibrationAudit) -> Span | None:
    return _point(min((float(group["holm"]) for group in audit.groups), default=None))


def _covered(field: str) -> Callable[[CoverageAudit], Span | None]:
    return lambda audit: None if audit.coverage is None else _point(getattr(audit.coverage, field))


def _coverage(audit: CoverageAudit) -> Span | None:
    return None if audit.coverage is None else _span(audit.coverage.lower, audit.coverage.upper)


def _under_conformal(audit: CoverageAudit) -> Span | None:
    held = {} if audit.coverage is None else audit.coverage.conformal or {}
    return _point(held.get("p_under"))


def _least_holm(*, found: bool) -> Callable[[CoverageAudit], Span | None]:
    def read(audit: CoverageAudit) -> Span | None:
        held = audit.coverage
        groups = () if held is None else held.found if found else held.groups
        return _point(min((group.holm for group in groups), default=None))

    return read


_CALIBRATION: dict[str, Callable[[CalibrationAudit], Span | None]] = {
    "calibration_error": _error("calibration_error"),
    "calibration_error_value": _error("calibration_error", "value"),
    "p_value": _error("calibration_error", "p_value"),
    "p_adjusted": lambda audit: _point(min(_holm(audit), default=None)),
    "l2_error": _error("l2"),
    "equal_mass_error": _error("equal_mass"),
    "p_equal_mass": _error("equal_mass", "p_value"),
    "classwise_error": _error("classwise"),
    "p_classwise": _error("classwise", "p_value"),
    "top_label_error": _error("top_label"),
    "p_top_label": _error("top_label", "p_value"),
    "smooth_calibration_error": _error("smooth_calibration_error", "value"),
    "p_smooth": _error("smooth_calibration_error", "p_value"),
    "p_spiegelhalter": _test("spiegelhalter"),
    "p_kolmogorov_smirnov": _test("kolmogorov_smirnov"),
    "p_kuiper": _test("kuiper"),
    "p_minimax": _test("minimax"),
    "brier": _named_score("brier"),
    "log_loss": _named_score("log_loss"),
    "accuracy": lambda audit: _score(audit.accuracy),
    "p_group": _group_p,
}
_COVERAGE: dict[str, Callable[[CoverageAudit], Span | None]] = {
    "coverage": _coverage,
    "coverage_value": _covered("value"),
    "p_value": _covered("p_value"),
    "p_under": _covered("p_under"),
    "p_under_conformal": _under_conformal,
    "p_group": _least_holm(found=False),
    "p_found_group": _least_holm(found=True),
    "p_pit_kolmogorov_smirnov": _test("pit_kolmogorov_smirnov"),
    "p_pit_anderson_darling": _test("pit_anderson_darling"),
    "crps": _named_score("crps"),
    "interval_score": _named_score("interval_score"),
    "mean_width": lambda audit: _point(audit.sharpness.get("mean_width")),
}
NAMES = tuple(_CALIBRATION)
"""Of probabilities. Errors, scores and ``accuracy`` are known to lie in their intervals; ``calibration_error_value``
and ``smooth_calibration_error`` are as measured, positive for perfect predictions too; ``p_...`` are p-values,
``p_adjusted`` the least of all tests after Holm's adjustment."""
COVERAGE_NAMES = tuple(_COVERAGE)
"""Of coverage; ``p_under`` is small where too few rows are covered, ``p_under_conformal`` where fewer are than valid
split conformal sets would cover, ``p_group`` is the least p-value of a declared group after Holm's adjustment."""
