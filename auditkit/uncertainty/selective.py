"""Selective prediction: what is left of the errors when unsure answers are withheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.results import SCHEMA, Assumption, Note, Result, json_ready
from auditkit.uncertainty._inputs import Binary, read_alpha, read_finite, read_outcomes
from auditkit.uncertainty.intervals import clopper_pearson
from auditkit.uncertainty.ordered import Ordered, rising
from auditkit.uncertainty.results import INDEPENDENT, Score

Floats = NDArray[np.float64]

CURVE_POINTS = 200
COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)

GIVEN_CONFIDENCES = Assumption(
    id="given-confidences",
    text="The promise is about the mean risk of rows with confidences like those accepted here.",
)


def aurc(confidence: Any, correct: Any, *, alpha: float = 0.05) -> Score:
    """Area under the curve of risk (errors among accepted rows / accepted rows) against coverage.

    Parameters
    ----------
    confidence : array_like, shape (n,)
        Larger is surer; any scale.
    correct : array_like, shape (n,)
        1 where the answer is right.
    alpha : float
        Of the intervals of risks in the details.

    Returns
    -------
    Score
        An estimate without interval: trapezoids over coverages 1/n to 1, divided by 1 - 1/n. Rows of equal confidence
        share their errors. ``details``: ``excess`` over the order that knows the errors, ``risks`` at fixed coverages
        with Clopper-Pearson intervals, ``curve`` of at most 200 points.

    Raises
    ------
    InputError
        AK-UN-002, AK-UN-005, AK-UN-007.

    Notes
    -----
    One sort. Source: Geifman, Uziel, El-Yaniv, Bias-reduced uncertainty estimation (ICLR 2019).
    """
    return _area("aurc", confidence, correct, alpha, generalised=False)


def augrc(confidence: Any, correct: Any, *, alpha: float = 0.05) -> Score:
    """Area under the curve of generalised risk (errors among accepted rows / all rows) against coverage.

    Parameters
    ----------
    confidence, correct, alpha
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
    return _area("augrc", confidence, correct, alpha, generalised=True)


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


def _read(confidence: Any, correct: Any) -> Ordered:
    """The answers by rising confidence; an audit gives them as it has them."""
    if isinstance(confidence, Binary):
        return confidence.rising
    sure = read_finite(confidence, "confidence")
    return rising(sure, read_outcomes(correct, sure.size, "correct"))


def _runs(answers: Ordered) -> tuple[Floats, Floats, Floats]:
    """Distinct confidences, falling, with rows and errors of each."""
    levels, rows, right = answers.runs()
    return levels[::-1], rows[::-1], (rows - right)[::-1]


def _area(name: str, confidence: Any, correct: Any, alpha: float, *, generalised: bool) -> Score:
    alpha = read_alpha(alpha)
    answers = _read(confidence, correct)
    n = answers.p.size
    _, rows, errors = _runs(answers)
    shared = np.repeat(errors / rows, rows.astype(np.int64))
    value, curve = _under(shared, generalised)
    ideal, _ = _under(np.sort(1 - answers.y).astype(np.float64), generalised)
    shown = np.unique(np.linspace(0, n - 1, CURVE_POINTS).round().astype(np.int64))
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
            "risks": _risks(rows, errors, alpha),
            "curve": [{"coverage": (k + 1) / n, "risk": float(curve[k])} for k in shown.tolist()],
        },
    )


def _under(wrong: Floats, generalised: bool) -> tuple[float, Floats]:
    """Area under the curve of errors in this order, over coverages 1/n to 1, and the curve."""
    n = wrong.size
    curve = np.cumsum(wrong) / (n if generalised else np.arange(1, n + 1))
    if n == 1:
        return float(curve[0]), curve
    area = float((curve[1:] + curve[:-1]).sum()) / (2 * n)
    return area / (1 - 1 / n), curve


def _risks(rows: Floats, errors: Floats, alpha: float) -> list[dict[str, Any]]:
    """Risk with its interval where a run of equal confidences first reaches each coverage."""
    accepted, wrong = np.cumsum(rows), np.cumsum(errors)
    places = np.searchsorted(accepted, np.array(COVERAGES) * accepted[-1] * (1 - 1e-12))
    places = np.minimum(places, accepted.size - 1)
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
