"""Result types: frozen dataclasses that all turn into the one JSON schema ``auditkit/result/1``.

Nothing here computes; a result is made once by the function that answers the question, and a report is a function of
`Result.to_dict` alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from auditkit.errors import InputError, UndecidedError, show

if TYPE_CHECKING:
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior

SCHEMA = "auditkit/result/1"

BoundKind = Literal[
    "confidence",
    "one-run",
    "anytime",
    "approximate",
    "credible",
    "prediction",
    "certified-upper",
    "certified-lower",
    "estimate",
]
CheckStatus = Literal["pass", "fail", "warn", "not-run"]
VerdictStatus = Literal["pass", "fail", "undecided", "none", "invalid-design"]


@dataclass(frozen=True)
class Assumption:
    """What a number rests on. `checked` is True only when this run tested it."""

    id: str
    text: str
    checked: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text, "checked": self.checked}


@dataclass(frozen=True)
class Note:
    """A warning that travels with a result."""

    id: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text}


@dataclass(frozen=True)
class Check:
    """One hygiene check: its outcome in one sentence. `not-run` means the evidence cannot support it."""

    id: str
    status: CheckStatus
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, "status": self.status, "text": self.text, "details": json_ready(self.details)}


@dataclass(frozen=True)
class Counts:
    """Outcomes of a membership attack, in units (rows that share a coin are one unit)."""

    tp: int
    fn: int
    fp: int
    tn: int

    def to_dict(self) -> dict[str, Any]:
        return {"tp": self.tp, "fn": self.fn, "fp": self.fp, "tn": self.tn}


@dataclass(frozen=True)
class Estimate:
    """One number or interval with its full label, as it stands in ``estimates`` of the JSON."""

    name: str
    lower: float | None
    upper: float | None
    median: float | None
    level: float
    side: Literal["lower", "upper", "two"]
    kind: BoundKind
    method: str
    family: str | None = None

    def to_dict(self) -> dict[str, Any]:
        fields: dict[str, Any] = json_ready(
            {
                "name": self.name,
                "lower": self.lower,
                "upper": self.upper,
                "median": self.median,
                "level": self.level,
                "side": self.side,
                "kind": self.kind,
                "method": self.method,
                "family": self.family,
                "rounding": "outward",
            }
        )
        return fields


class Result:
    """What every result offers: `to_dict`, `to_json`, `to_html`, and no truth value."""

    def to_dict(self) -> dict[str, Any]:
        """The result as plain dictionaries, lists, numbers and strings (infinities as the string ``"inf"``)."""
        raise NotImplementedError

    def to_json(self, *, indent: int | None = None) -> str:
        """The result as JSON text; keys in a fixed order, floats in their shortest exact form."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_html(self, path: str | Path) -> None:
        """Write the report: one self-contained HTML file without scripts, put in place atomically."""
        from auditkit.io.files import write_atomically
        from auditkit.report.html import render_html

        write_atomically(path, render_html(self.to_dict()))

    def _repr_html_(self) -> str:
        from auditkit.report.html import render_card

        return render_card(self.to_dict())

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} has no truth value: a bound is neither true nor false; compare a number of it, "
            "for example result.epsilon_lower > 2"
        )


@dataclass(frozen=True)
class EpsilonBound(Result):
    """A lower bound on epsilon together with everything that says what it means.

    Attributes
    ----------
    epsilon : float
        The bound in nats, >= 0; 0 means that nothing was detected.
    level : float
        1 - alpha.
    kind : {"confidence", "one-run", "anytime", "approximate", "credible"}
        ``approximate`` has no finite-sample guarantee; ``credible`` is Bayesian.
    method : str
        For example ``"clopper-pearson"``.
    delta : float
        The delta at which epsilon is read.
    family : str or None
        None when nothing is assumed about the mechanism, else the assumed family of trade-off curves.
    threshold : float or None
        The score threshold (guess "in" when score >= threshold), where there is one.
    counts : Counts or None
    """

    epsilon: float
    level: float
    kind: BoundKind
    method: str
    delta: float
    family: str | None = None
    threshold: float | None = None
    counts: Counts | None = None
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Note, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def estimate(self, name: str = "epsilon") -> Estimate:
        """The bound as a line of ``estimates``."""
        return Estimate(
            name=name,
            lower=self.epsilon,
            upper=None,
            median=None,
            level=self.level,
            side="lower",
            kind=self.kind,
            method=self.method,
            family=self.family,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "epsilon-bound",
            "estimates": [self.estimate().to_dict()],
            "delta": self.delta,
            "threshold": json_ready(self.threshold),
            "counts": None if self.counts is None else self.counts.to_dict(),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "details": json_ready(self.details),
        }


@dataclass(frozen=True)
class AnytimeBound(EpsilonBound):
    """A lower bound that holds at every moment at once: made by `auditkit.privacy.anytime_bound`.

    Attributes
    ----------
    times : tuple of int
        Numbers of guesses after which the bound was computed, ascending; the last is all of them.
    running : tuple of float
        The bound at each of them, never falling; `epsilon` is the last.
    """

    times: tuple[int, ...] = ()
    running: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "times": list(self.times), "running": json_ready(self.running)}


@dataclass(frozen=True)
class Condition:
    """One ``--fail-on`` condition and its three-valued outcome (None: the data cannot decide)."""

    expression: str
    value: bool | None

    def to_dict(self) -> dict[str, Any]:
        return {"expr": self.expression, "value": self.value}


@dataclass(frozen=True)
class Verdict:
    """The answer in one sentence."""

    status: VerdictStatus
    sentence: str
    conditions: tuple[Condition, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "sentence": self.sentence,
            "conditions": [c.to_dict() for c in self.conditions],
        }


@dataclass(frozen=True)
class DPEstimate(Result):
    """The answer to "how much does it leak?": made by `auditkit.dp_estimate`.

    Attributes
    ----------
    epsilon_lower : float or None
        The headline bound, fixed by the design; None when the design is invalid.
    headline : EpsilonBound or None
        The bound behind `epsilon_lower`.
    posterior : EpsilonPosterior or None
        Posterior of the epsilon that this attack demonstrates (credible, not confidence).
    bounds : dict of str to EpsilonBound
        All bounds computed, the headline among them; family bounds carry their label.
    checks : dict of str to Check
    detectable_epsilon : float
        The bound that a perfect attack would have got with these units.
    mechanism : mapping or None
        Mechanism fit, where a training trace was given.
    figures : mapping
        Summaries that the pictures of the report are drawn from; never grows with the data.
    """

    epsilon_lower: float | None
    headline: EpsilonBound | None
    posterior: EpsilonPosterior | None
    bounds: Mapping[str, EpsilonBound]
    checks: Mapping[str, Check]
    detectable_epsilon: float
    verdict: Verdict
    delta: float
    alpha: float
    design: str
    claimed_epsilon: float | None
    estimates: tuple[Estimate, ...]
    counts: Counts | None
    seed: int
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Note, ...] = ()
    mechanism: Mapping[str, Any] | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)

    def check(self, expression: str, *, strict: bool = False) -> bool | None:
        """Whether a condition such as ``"epsilon_lower <= 3"`` holds; None when the data cannot decide.

        Parameters
        ----------
        expression : str
            ``NAME OPERATOR NUMBER`` with the names epsilon_lower, epsilon, epsilon_posterior, inconsistencies.
        strict : bool
            Raise instead of returning None.

        Raises
        ------
        InputError
            If the expression cannot be read.
        UndecidedError
            If `strict` and the data cannot decide.
        """
        from auditkit.privacy.conditions import evaluate_result

        value = evaluate_result(expression, self).value
        if value is None and strict:
            raise UndecidedError(f"{show(expression)}: the data cannot decide ({self.verdict.sentence})")
        return value

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "dp-estimate",
            "verdict": self.verdict.to_dict(),
            "estimates": [e.to_dict() for e in self.estimates],
            "delta": self.delta,
            "alpha": self.alpha,
            "design": self.design,
            "claimed_epsilon": json_ready(self.claimed_epsilon),
            "detectable_epsilon": json_ready(self.detectable_epsilon),
            "counts": None if self.counts is None else self.counts.to_dict(),
            "bounds": {name: bound.to_dict() for name, bound in self.bounds.items()},
            "checks": [check.to_dict() for check in self.checks.values()],
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "seed": self.seed,
            "figures": json_ready(self.figures),
            "mechanism": json_ready(self.mechanism),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
            "timing": json_ready(self.timing),
        }


@dataclass(frozen=True)
class AuditPlan(Result):
    """How many canaries or runs an audit needs: made by `auditkit.privacy.plan_audit`.

    Attributes
    ----------
    units : int or None
        Canaries (one-run) or training runs (independent) with which the assumed leak is shown to exceed the claim with
        probability at least `power`; None when no number up to the search limit does.
    perfect_attack_units : int or None
        The least number of units with which even a perfect attack can exceed the claim.
    expected : tuple of mapping
        For a ladder of sizes: the bound to expect and what a perfect attack could show.
    """

    claimed_epsilon: float
    true_epsilon: float
    delta: float
    design: str
    alpha: float
    power: float
    units: int | None
    perfect_attack_units: int | None
    expected: tuple[Mapping[str, Any], ...]
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "plan",
            "claimed_epsilon": self.claimed_epsilon,
            "true_epsilon": self.true_epsilon,
            "delta": self.delta,
            "design": self.design,
            "alpha": self.alpha,
            "power": self.power,
            "units": self.units,
            "perfect_attack_units": self.perfect_attack_units,
            "expected": json_ready(self.expected),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


def json_ready(value: Any) -> Any:
    """Plain JSON values: infinities become "inf" and "-inf", NumPy scalars become numbers, NaN is refused."""
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [json_ready(item) for item in value]
    if hasattr(value, "tolist"):
        return json_ready(value.tolist())
    number = float(value)
    if math.isnan(number):
        raise ValueError("a result must not hold NaN")
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def load_result(path: str | Path) -> dict[str, Any]:
    """Read a result JSON written by auditkit.

    Parameters
    ----------
    path : path
        A file written by ``--report FILE.json`` or `Result.to_json`.

    Returns
    -------
    dict
        The object of schema ``auditkit/result/1``.

    Raises
    ------
    InputError
        If the file cannot be read, is not JSON, or carries another schema.
    """
    from auditkit.io.files import read_bytes

    name = show(path)
    try:
        loaded = json.loads(read_bytes(path, limit=64 * 2**20), parse_constant=_refuse_constant)
    except InputError:
        raise
    except (
        ValueError,
        RecursionError,
    ) as error:  # not UTF-8, not JSON, NaN, or a number of thousands of digits
        raise InputError(
            f"{name}: must be a JSON result: {show(error)}", id="AK-IO-010", path=str(path)
        ) from None
    if not isinstance(loaded, dict) or loaded.get("schema") != SCHEMA:
        found = loaded.get("schema") if isinstance(loaded, dict) else type(loaded).__name__
        raise InputError(
            f"{name}: must carry schema {SCHEMA!r}, not {show(found)!r}", id="AK-IO-011", path=str(path)
        )
    return loaded
