"""Answers of the audits: what single functions found, side by side, with one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auditkit.results import SCHEMA, Assumption, Check, Estimate, Note, Result, Verdict, json_ready
from auditkit.uncertainty.results import (
    INDEPENDENT,
    CalibrationError,
    CoverageResult,
    Decomposition,
    Reliability,
    Score,
    Test,
)


@dataclass(frozen=True)
class _Audit(Result):
    """What both audits hold; `kind` names the question in the JSON."""

    alpha: float
    n: int
    seed: int
    errors: Mapping[str, CalibrationError] = field(default_factory=dict)
    tests: Mapping[str, Test] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    coverage: CoverageResult | None = None
    reliability: Reliability | None = None
    decompositions: Mapping[str, Decomposition] = field(default_factory=dict)
    groups: tuple[Mapping[str, Any], ...] = ()
    verdict: Verdict | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)

    _KIND = "audit"

    def estimates(self) -> tuple[Estimate, ...]:
        """The numbers with their labels: errors, coverage, scores."""
        covered = () if self.coverage is None else (self.coverage.estimate(),)
        errors = tuple(one.estimate() for one in self.errors.values())
        return errors + covered + tuple(one.estimate() for one in self.scores.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": self._KIND,
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "estimates": [estimate.to_dict() for estimate in self.estimates()],
            "alpha": self.alpha,
            "n": self.n,
            **self._own_fields(),
            "errors": [one.to_dict() for one in self.errors.values()],
            "tests": [one.to_dict() for one in self.tests.values()],
            "scores": [one.to_dict() for one in self.scores.values()],
            "coverage": None if self.coverage is None else self.coverage.to_dict(),
            "reliability": None if self.reliability is None else self.reliability.to_dict(),
            "decompositions": [one.to_dict() for one in self.decompositions.values()],
            "groups": json_ready(self.groups),
            "checks": [check.to_dict() for check in self.checks.values()],
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "seed": self.seed,
            "figures": json_ready(self.figures),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
            "timing": json_ready(self.timing),
        }

    def _own_fields(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class CalibrationAudit(_Audit):
    """Do class probabilities mean what they say? Made by `auditkit.uncertainty.calibration_audit`.

    Attributes
    ----------
    n, n_classes : int
        n_classes is 2 for a single column of probabilities.
    about : {"probability", "confidence"}
        What the first error is about: the probability of class 1, or the confidence of the predicted class.
    accuracy : Score
        Share of right answers, with its exact interval.
    errors : dict of str to CalibrationError
        ``calibration_error``, ``equal_mass``, ``smooth_calibration_error``, and with several classes ``classwise`` and
        ``top_label``.
    tests : dict of str to Test
        ``spiegelhalter``, ``kolmogorov_smirnov``, ``kuiper``, ``minimax``.
    scores : dict of str to Score
        ``brier``, ``log_loss``, ``aurc``, ``augrc``.
    decompositions : dict of str to Decomposition
    reliability : Reliability
    groups : tuple of mapping
        For each group ``label``, ``n``, ``value``, ``lower``, ``upper``, ``p_value``, ``holm``, ``benjamini_hochberg``.
    figures : mapping
        ``risk_coverage``: at most 200 points of ``coverage``, ``risk``.
    """

    n_classes: int = 2
    about: str = "probability"
    accuracy: Score | None = None

    _KIND = "calibration"

    def _own_fields(self) -> dict[str, Any]:
        accuracy = None if self.accuracy is None else self.accuracy.to_dict()
        return {"n_classes": self.n_classes, "about": self.about, "accuracy": accuracy}


@dataclass(frozen=True)
class CoverageAudit(_Audit):
    """Do intervals, sets or predictive laws cover as promised? Made by `auditkit.uncertainty.coverage_audit`.

    Attributes
    ----------
    target : float
        Coverage that was promised.
    about : {"intervals", "sets", "gaussian", "conformal"}
    coverage : CoverageResult
    sharpness : mapping
        ``mean_width``, ``median_width``, ``infinite`` (how many rows), or ``mean_size``, ``empty`` for sets.
    tests : dict of str to Test
        For normal laws ``pit_kolmogorov_smirnov``, for conformal laws ``pit_two_sample``.
    scores : dict of str to Score
        ``interval_score``, ``crps``, ``pinball_...``.
    figures : mapping
        ``pit`` (histogram ``counts`` with simultaneous ``band``), ``quantile_calibration`` (``level``, ``observed``),
        ``sizes`` (histogram of widths or set sizes).
    """

    target: float = 0.9
    about: str = "intervals"
    sharpness: Mapping[str, Any] = field(default_factory=dict)

    _KIND = "coverage"

    def _own_fields(self) -> dict[str, Any]:
        return {"target": self.target, "about": self.about, "sharpness": json_ready(self.sharpness)}
