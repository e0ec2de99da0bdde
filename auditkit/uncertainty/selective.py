"""Selective prediction: what is left of the errors when unsure answers are withheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.results import SCHEMA, Assumption, Note, Result, json_ready
from auditkit.uncertainty._inputs import (
    Binary,
    read_alpha,
    read_finite,
    read_outcomes,
    read_weights,
)
from auditkit.uncertainty.intervals import clopper_pearson, hoeffding
from auditkit.uncertainty.ordered import Ordered, rising
from auditkit.uncertainty.results import INDEPENDENT, Score

Floats = NDArray[np.float64]

CURVE_POINTS = 200
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)

GIVEN_CONFIDENCES = Assumption(
    id="given-confidences",
    text="The promise is about the mean risk of rows with confidences like those accepted here.",
)


def aurc(confidence: Any, correct: Any, *, weights: Any = None, alpha: float = 0.05) -> Score:
    """Area under the curve of risk (errors among accepted rows / accepted rows) against coverage.

    Parameters
    ----------
    confidence : array_like, shape (n,)
        Larger is surer; any scale.
    correct : array_like, shape (n,)
        1 where the answer is right.
    weights : array_like, shape (n,), optional
        Weights of rows, at least 0; not drawn from the answers. Then each row has its share of the coverage.
    alpha : float
        Of the intervals of risks in the details.

    Returns
    -------
    Score
        An estimate without interval: trapezoids over coverages 1/n to 1, divided by 1 - 1/n. Rows of equal confidence
        share their errors. ``details``: ``excess`` over the order that knows the errors, ``risks`` at fixed coverages
        with Clopper-Pearson intervals (with weights Hoeffding's), ``curve`` of at most 200 points.

    Raises
    ------
    InputError
        AK-UN-002, AK-UN-004, AK-UN-005, AK-UN-007.

    Notes
    -----
    One sort. Source: Geifman, Uziel, El-Yaniv, Bias-reduced uncertainty estimation (ICLR 2019).
    """
    return _area("aurc", _read(confidence, correct, weights), alpha, generalised=False)


def augrc(confidence: Any, correct: Any, *, weights: Any = None, alpha: float = 0.05) -> Score:
    """Area under the curve of generalised risk (errors among accepted rows / all rows) against coverage.

    Parameters
    ----------
    confidence, correct, weights, alpha
        As in `aurc`.

    Returns
    -------
    Score
        As `aurc`.

    Raises
    ------
    InputError
        As `aurc`.

    Notes
    -----
    Source: Traub et al., Overcoming common flaws in the evaluation of selective classification (NeurIPS 2024).
    """
    return _area("augrc", _read(confidence, correct, weights), alpha, generalised=True)


@dataclass(frozen=True)
class RiskThreshold(Result):
    """A confidence above which errors are promised to be rare: made by `auditkit.uncertainty.risk_threshold`.

    Attributes
    ----------
    threshold : float or None
        Accept rows of at least this confidence; None where no threshold can be promised.
    risk, delta : float
        The promise: risk at most `risk`, wrong with probability at most `delta`.
    accepted, errors, n : int
        Rows accepted here, wrong ones among them, and all rows.
    upper : float or None
        Upper Clopper-Pearson limit of the risk at the threshold, at level 1 - delta.
    """

    threshold: float | None
    risk: float
    delta: float
    accepted: int
    errors: int
    n: int
    upper: float | None
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT, GIVEN_CONFIDENCES)
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "risk-threshold",
            "threshold": json_ready(self.threshold),
            "risk": self.risk,
            "delta": self.delta,
            "accepted": self.accepted,
            "errors": self.errors,
            "n": self.n,
            "upper": json_ready(self.upper),
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


def risk_threshold(confidence: Any, correct: Any, *, risk: float, delta: float = 0.05) -> RiskThreshold:
    """The lowest confidence down to which a risk can be promised.

    Parameters
    ----------
    confidence, correct
        As in `aurc`.
    risk : float
        Error rate among accepted rows that must not be exceeded, strictly between 0 and 1.
    delta : float
        Probability of a wrong promise.

    Returns
    -------
    RiskThreshold

    Raises
    ------
    InputError
        AK-UN-002, AK-UN-005, AK-UN-007.

    Notes
    -----
    Fixed-sequence testing: from the surest rows down each set of accepted rows is tested by the exact binomial bound at
    level delta, and the first failure ends it, so no alpha is divided. The sequence begins where no error at all would
    pass, a number that depends on `risk` and `delta` only. Source: Angelopoulos et al., Learn then test
    (arXiv 2110.01052), section 3.
    """
    risk, delta = read_alpha(risk, "risk"), read_alpha(delta, "delta")
    levels, rows, wrong = _runs(_read(confidence, correct))
    accepted, errors = np.cumsum(rows), np.cumsum(wrong)
    # an upper limit at level 1 - delta is the upper end of a two-sided interval at level 1 - 2 delta
    upper = np.ones(levels.size)
    enough = (1 - risk) ** accepted <= delta
    if enough.any() and delta < 0.5:
        upper[enough] = clopper_pearson(errors[enough], accepted[enough], 2 * delta)[1]
    passed = upper[enough] <= risk
    held = int(passed.argmin()) if not passed.all() else passed.size
    if held == 0:
        return RiskThreshold(None, risk, delta, 0, 0, int(accepted[-1]), None)
    at = int(np.flatnonzero(enough)[0]) + held - 1
    return RiskThreshold(
        threshold=float(levels[at]),
        risk=risk,
        delta=delta,
        accepted=int(accepted[at]),
        errors=int(errors[at]),
        n=int(accepted[-1]),
        upper=float(upper[at]),
    )


def _read(confidence: Any, correct: Any, weights: Any = None) -> Ordered:
    """The answers by rising confidence; an audit gives them as it has them."""
    if isinstance(confidence, Binary):
        return confidence.rising
    sure = read_finite(confidence, "confidence")
    return rising(sure, read_outcomes(correct, sure.size, "correct"), read_weights(weights, sure.size))


def _runs(answers: Ordered) -> tuple[Floats, Floats, Floats]:
    """Distinct confidences, falling, with rows and errors of each, by weight."""
    levels, rows, right = answers.runs()
    return levels[::-1], rows[::-1], (rows - right)[::-1]


def _area(name: str, answers: Ordered, alpha: float, *, generalised: bool) -> Score:
    alpha = read_alpha(alpha)
    n = answers.p.size
    _, rows, errors = _runs(answers)
    times = np.diff(answers.starts, append=n)[::-1]
    # rows of equal confidence have no order: each gets its share of their weight and of their errors
    value, curve = _under(np.repeat(rows / times, times), np.repeat(errors / times, times), generalised)
    ideal, _ = _under(*_known_errors_last(answers), generalised)
    return Score(
        name=name,
        value=value,
        lower=None,
        upper=None,
        level=1 - alpha,
        kind="estimate",
        method="trapezoid",
        n=n,
        details={
            "excess": value - ideal,
            "risks": _risks(rows, errors, answers.weights, times, alpha),
            "curve": curve,
        },
    )


def _known_errors_last(answers: Ordered) -> tuple[Floats, Floats]:
    """Weights of rows and of errors in the order that knows the errors."""
    wrong = answers.y[::-1] == 0
    if not answers.weights.size:
        return np.ones(wrong.size), np.sort(wrong).astype(np.float64)
    order = np.argsort(wrong, kind="stable")
    weights = answers.weights[::-1][order]
    return weights, np.where(wrong[order], weights, 0.0)


def _under(sizes: Floats, wrong: Floats, generalised: bool) -> tuple[float, list[dict[str, float]]]:
    """Area under the curve of rows in this order, from the first row's coverage to 1; points of the curve."""
    accepted = np.cumsum(sizes)
    total = float(accepted[-1])
    risk = np.cumsum(wrong)
    risk /= total if generalised else accepted
    shown = np.unique(np.linspace(0, sizes.size - 1, CURVE_POINTS).round().astype(np.int64))
    curve = [{"coverage": float(accepted[k]) / total, "risk": float(risk[k])} for k in shown.tolist()]
    if sizes.size == 1:
        return float(risk[0]), curve
    area = float(risk[1:] @ sizes[1:] + risk[:-1] @ sizes[1:]) / (2 * total)
    return area / (1 - float(sizes[0]) / total), curve


def _risks(
    rows: Floats, errors: Floats, weights: Floats, times: NDArray[np.int64], alpha: float
) -> list[dict[str, Any]]:
    """Risk with its interval where a run of equal confidences first reaches each coverage."""
    accepted, wrong = np.cumsum(rows), np.cumsum(errors)
    places = np.searchsorted(accepted, np.array(COVERAGES) * accepted[-1] * (1 - 1e-12))
    places = np.minimum(places, accepted.size - 1)
    if weights.size:
        squares = np.cumsum(np.square(weights[::-1]))[np.cumsum(times)[places] - 1]
        lows, highs = hoeffding(
            wrong[places] / accepted[places], np.square(accepted[places]) / squares, alpha
        )
    else:
        lows, highs = clopper_pearson(wrong[places], accepted[places], alpha)
    return [
        {
            "coverage": float(accepted[k] / accepted[-1]),
            "risk": float(wrong[k] / accepted[k]),
            "lower": float(low),
            "upper": float(high),
        }
        for k, low, high in zip(places.tolist(), lows, highs, strict=True)
    ]
