"""Answers of Bayes-error audits: frozen, each with what it is (certified or estimated) and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.results import SCHEMA, Assumption, Check, Estimate, Note, Result, Verdict, json_ready

Kind = Literal["certified-upper", "certified-lower", "estimate"]

INDEPENDENT = Assumption(
    id="independent-rows",
    text="Rows (or groups, where given) are independent draws from the population that the Bayes error is about.",
)


@dataclass(frozen=True)
class MemberError:
    """One way of estimating the Bayes error.

    Attributes
    ----------
    name : str
        ``"majority"``, ``"kernel"``, ``"knn"``, ``"lda"``, ``"qda"``, ``"spherical-qda"``, ``"logistic"``,
        ``"forest"``, ``"boosting"``, ``"ghp"``, ``"cover-hart"``, ``"bhattacharyya"``, ``"mahalanobis"``,
        ``"soft-labels"`` or of a model of the user's.
    value : float
        Its estimate: for classifiers the cross-fitted error.
    standard_error : float or None
    role : {"classifier", "anchor", "moment-bound", "soft"}
        Whether it is the error of a rule, an asymptotic lower anchor, a bound if the moments are right, or soft labels.
    details : mapping
        For example ``bandwidth``, ``k``, ``plug_in``.
    """

    name: str
    value: float
    standard_error: float | None
    role: Literal["classifier", "anchor", "moment-bound", "soft"]
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "value": self.value,
            "standard_error": self.standard_error,
            "role": self.role,
            "details": json_ready(self.details),
        }


@dataclass(frozen=True)
class BayesErrorEstimate(Result):
    """How low anyone's error can go on this task: made by `auditkit.bayes_error.estimate`.

    Attributes
    ----------
    value : float
        The estimate. Not a bound.
    upper : float
        The Bayes error is at most this, at level 1 - alpha.
    upper_kind : {"certified-upper", "estimate"}
    anchor : float
        Lower end of the band that is shown. Never certified: no lower bound without assumptions exists.
    alpha : float
    method : str
        As asked for.
    selected : str
        The member that `value` comes from.
    by_method : dict of str to MemberError
    bandwidth : float or None
        Of the kernel posterior, in units of the standardised features.
    n, n_eff, n_classes, n_features : int
        n_eff: independent units; groups where they were given.
    upper_errors, upper_trials : int or None
        Behind `upper`: errors among fresh predictions.
    per_class : tuple of mapping
        For each class ``label``, ``n``, ``share`` and the cross-fitted ``error`` of the selected member.
    curve : tuple of mapping
        Learning curve, where asked for: ``n`` and ``error``.
    extrapolated : float or None
        Limit of the learning curve, an estimate.
    certified_lower : float or None
        Only from true soft labels or a known law.
    upper_method : str
        How `upper` was made.
    """

    value: float
    upper: float
    upper_kind: Kind
    anchor: float
    alpha: float
    method: str
    selected: str
    by_method: Mapping[str, MemberError]
    bandwidth: float | None
    n: int
    n_eff: int
    n_classes: int
    n_features: int | None
    upper_errors: int | None = None
    upper_trials: int | None = None
    per_class: tuple[Mapping[str, Any], ...] = ()
    curve: tuple[Mapping[str, Any], ...] = ()
    extrapolated: float | None = None
    certified_lower: float | None = None
    upper_method: str = "clopper-pearson"
    model: Mapping[str, Any] | None = None
    verdict: Verdict | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    seed: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Note, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)

    def estimates(self) -> tuple[Estimate, ...]:
        """The numbers with their labels."""
        level = 1 - self.alpha
        found = [
            Estimate("bayes_error", None, None, self.value, level, "two", "estimate", self.selected),
            Estimate("upper", None, self.upper, None, level, "upper", self.upper_kind, self.upper_method),
            Estimate("anchor", self.anchor, None, None, level, "lower", "estimate", "anchor, not certified"),
        ]
        if self.certified_lower is not None:
            found.append(
                Estimate(
                    "lower",
                    self.certified_lower,
                    None,
                    None,
                    level,
                    "lower",
                    "certified-lower",
                    "soft labels",
                )
            )
        if self.extrapolated is not None:
            found.append(
                Estimate(
                    "extrapolated", None, None, self.extrapolated, level, "two", "estimate", "learning curve"
                )
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "bayes-error",
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "estimates": [estimate.to_dict() for estimate in self.estimates()],
            "value": self.value,
            "upper": self.upper,
            "upper_kind": self.upper_kind,
            "upper_method": self.upper_method,
            "upper_errors": self.upper_errors,
            "upper_trials": self.upper_trials,
            "anchor": self.anchor,
            "certified_lower": self.certified_lower,
            "extrapolated": self.extrapolated,
            "alpha": self.alpha,
            "method": self.method,
            "selected": self.selected,
            "by_method": [member.to_dict() for member in self.by_method.values()],
            "bandwidth": self.bandwidth,
            "n": self.n,
            "n_eff": self.n_eff,
            "n_classes": self.n_classes,
            "n_features": self.n_features,
            "per_class": json_ready(self.per_class),
            "curve": json_ready(self.curve),
            "model": json_ready(self.model),
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


@dataclass(frozen=True)
class Ceiling(Result):
    """The most that perturbations inside a ball can do: made by `auditkit.bayes_error.ceiling`.

    Attributes
    ----------
    value : float
        No map that moves each row by at most eps gives a Bayes error above this.
    kind : {"certified-upper", "estimate"}
    about : {"population", "sample"}
        Whether it holds for the law the rows come from, at level 1 - alpha (U2), or for these rows exactly (U3).
    method : str
        ``"one-nearest-neighbour certificate"``, ``"matching"``, ``"no close pair"``.
    """

    value: float
    kind: Kind
    about: Literal["population", "sample"]
    method: str
    eps: float
    norm: str
    alpha: float | None = None
    errors: int | None = None
    trials: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "ceiling",
            "value": self.value,
            "value_kind": self.kind,
            "about": self.about,
            "method": self.method,
            "eps": json_ready(self.eps),
            "norm": self.norm,
            "alpha": self.alpha,
            "errors": self.errors,
            "trials": self.trials,
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
        }


@dataclass(frozen=True)
class Protection(Result):
    """Perturbed rows and what the perturbation bought: made by `auditkit.bayes_error.protect`.

    Attributes
    ----------
    X : ndarray
        The protected rows in the shape and dtype of the input (of the quantised values, where asked for).
    score_before, score_after : float
        The held-out (split) estimate of the Bayes error of the rows before and after: estimates, see `ceilings`.
    ceiling : float
        The least of `ceilings`.
    ceiling_kind : {"certified-upper", "estimate"}
    ceilings : tuple of Ceiling
    curve : tuple of mapping
        Per iteration ``step``, ``objective``, ``score``.
    largest_move : float
        The largest perturbation of a row in the norm, at most eps to the last bit.
    clean_test : mapping or None
        Errors on a clean holdout of models trained on the clean and the protected rows.
    """

    X: NDArray[Any]
    score_before: float
    score_after: float
    ceiling: float
    ceiling_kind: Kind
    ceilings: tuple[Ceiling, ...]
    curve: tuple[Mapping[str, Any], ...]
    eps: float
    norm: str
    largest_move: float
    n: int
    n_classes: int
    bandwidth: float
    clean_test: Mapping[str, Any] | None = None
    unlearnability: Mapping[str, Any] | None = None
    per_class: tuple[Mapping[str, Any], ...] = ()
    verdict: Verdict | None = None
    seed: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Note, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "protection",
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "score_before": self.score_before,
            "score_after": self.score_after,
            "ceiling": self.ceiling,
            "ceiling_kind": self.ceiling_kind,
            "ceilings": [ceiling.to_dict() for ceiling in self.ceilings],
            "curve": json_ready(self.curve),
            "eps": json_ready(self.eps),
            "norm": self.norm,
            "largest_move": self.largest_move,
            "n": self.n,
            "n_classes": self.n_classes,
            "shape": list(np.shape(self.X)),
            "bandwidth": self.bandwidth,
            "clean_test": json_ready(self.clean_test),
            "unlearnability": json_ready(self.unlearnability),
            "per_class": json_ready(self.per_class),
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "seed": self.seed,
            "figures": json_ready(self.figures),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
            "timing": json_ready(self.timing),
        }
