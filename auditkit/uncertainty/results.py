"""Answers of single functions: frozen, each with its interval, its method and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.results import (
    SCHEMA,
    Assumption,
    BoundKind,
    Estimate,
    Note,
    Result,
    json_ready,
)

INDEPENDENT = Assumption(
    id="independent-rows",
    text="Rows are independent draws from the population that the statement is about, and none was used to fit or to "
    "calibrate the model.",
)
GIVEN_BINS = Assumption(
    id="given-bins",
    text="The interval is about the error of these bins: what differs inside a bin and cancels there is not seen.",
)
EXCHANGEABLE = Assumption(
    id="exchangeable",
    text="Calibration and test rows are exchangeable: any order of them was equally likely.",
)


@dataclass(frozen=True)
class Test(Result):
    """A statistic with its p-value.

    Attributes
    ----------
    name : str
        For example ``"kuiper"``.
    statistic : float
    p_value : float
    n : int
        Rows used.
    null : str
        The hypothesis in words: "the model is calibrated".
    method : str
        Where the p-value comes from: ``"null resampling"``, ``"asymptotic"``, ``"exact"``, ...
    exact : bool
        Whether the p-value is at most alpha with probability at most alpha for every n under the assumptions.
    replicates : int or None
        Null replicates behind the p-value.
    direction : str or None
        What the sign of the statistic says, for example ``"overconfident"``.
    """

    __test__ = False  # not a pytest class

    name: str
    statistic: float
    p_value: float
    n: int
    null: str
    method: str
    exact: bool
    replicates: int | None = None
    seed: int | None = None
    direction: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "test",
            "name": self.name,
            "statistic": json_ready(self.statistic),
            "p_value": self.p_value,
            "n": self.n,
            "null": self.null,
            "method": self.method,
            "exact": self.exact,
            "replicates": self.replicates,
            "seed": self.seed,
            "direction": self.direction,
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


@dataclass(frozen=True)
class Score(Result):
    """A mean over rows with its interval.

    Attributes
    ----------
    name : str
        For example ``"brier"``.
    value : float
        The (weighted) mean over rows.
    lower, upper : float or None
        Interval of the expected score at `level`; None with a single row.
    kind : {"approximate", "confidence", "estimate"}
        A t interval is approximate.
    method : str
        For example ``"t interval"``.
    n : int
    per_point : ndarray or None, shape (n,), float64
        The score of each row. Not part of the JSON.
    """

    name: str
    value: float
    lower: float | None
    upper: float | None
    level: float
    kind: BoundKind
    method: str
    n: int
    per_point: NDArray[np.float64] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()

    def estimate(self) -> Estimate:
        """The score as a line of ``estimates``."""
        return Estimate(
            self.name, self.lower, self.upper, self.value, self.level, "two", self.kind, self.method
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "score",
            "name": self.name,
            "value": json_ready(self.value),
            "lower": json_ready(self.lower),
            "upper": json_ready(self.upper),
            "level": self.level,
            "value_kind": self.kind,
            "method": self.method,
            "n": self.n,
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


@dataclass(frozen=True)
class Bin:
    """One bin of predictions.

    Attributes
    ----------
    low, high : float
        Edges: predictions of [low, high), in the last bin [low, high].
    n : int
        Rows in it, at least 1: empty bins are not listed.
    share : float
        Its weight: n over all rows, or the share of the row weights.
    mean_prediction, mean_outcome : float
    lower, upper : float
        Clopper-Pearson interval of the bin's true rate, for this bin alone.
    simultaneous_lower, simultaneous_upper : float
        The same for all bins at once.
    null_lower, null_upper : float
        Where the middle 1 - alpha of mean outcomes falls if the predictions are right.
    """

    low: float
    high: float
    n: int
    share: float
    mean_prediction: float
    mean_outcome: float
    lower: float
    upper: float
    simultaneous_lower: float
    simultaneous_upper: float
    null_lower: float
    null_upper: float

    @property
    def gap(self) -> float:
        """Mean prediction minus mean outcome: above 0 the model promises too much."""
        return self.mean_prediction - self.mean_outcome

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in BIN_FIELDS} | {"gap": self.gap}


BIN_FIELDS = tuple(Bin.__dataclass_fields__)


@dataclass(frozen=True)
class CalibrationError(Result):
    """A calibration error with its interval, its test and its value under perfect calibration.

    Attributes
    ----------
    name : str
        ``"calibration_error"``, ``"classwise_calibration_error"``, ``"top_label_calibration_error"``,
        ``"smooth_calibration_error"``.
    value : float
        The plug-in value. It is positive for a calibrated model too: read it beside `null_value`.
    lower, upper : float or None
        Interval of the true error at `level`, both ends at once; None where none is known (smooth error).
    kind : str
        ``"confidence"``: holds at any n under the assumptions.
    p_value : float
        Of the consistency test: perfect predictions give a value this large with this probability.
    null_value, null_upper : float
        Mean and 1 - alpha point of the value under perfect calibration with these predictions.
    bins : tuple of Bin
    n : int
    norm : {"l1", "l2", "max"}
    binning : {"width", "mass"} or None
    squared : float or None
        With norm l2: the debiased squared error T, which may be negative.
    worst : mapping or None
        The bin, class or label with the largest error: ``label`` or ``low``/``high``, ``value``, ``n``.
    parts : tuple of mapping
        For classwise and top-label errors: ``label``, ``n``, ``value`` of each.
    """

    name: str
    value: float
    lower: float | None
    upper: float | None
    level: float
    kind: BoundKind
    method: str
    p_value: float
    null_value: float
    null_upper: float
    n: int
    norm: str
    seed: int
    replicates: int
    bins: tuple[Bin, ...] = ()
    binning: str | None = None
    squared: float | None = None
    worst: Mapping[str, Any] | None = None
    parts: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT, GIVEN_BINS)
    warnings: tuple[Note, ...] = ()

    def estimate(self) -> Estimate:
        """The error as a line of ``estimates``."""
        return Estimate(
            self.name, self.lower, self.upper, self.value, self.level, "two", self.kind, self.method
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "calibration-error",
            "name": self.name,
            "value": self.value,
            "lower": json_ready(self.lower),
            "upper": json_ready(self.upper),
            "level": self.level,
            "value_kind": self.kind,
            "method": self.method,
            "p_value": self.p_value,
            "null_value": self.null_value,
            "null_upper": self.null_upper,
            "n": self.n,
            "norm": self.norm,
            "seed": self.seed,
            "replicates": self.replicates,
            "bins": [one.to_dict() for one in self.bins],
            "binning": self.binning,
            "squared": json_ready(self.squared),
            "worst": json_ready(self.worst),
            "parts": json_ready(self.parts),
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


@dataclass(frozen=True)
class Reliability(Result):
    """What a reliability diagram shows, as numbers: made by `auditkit.uncertainty.reliability`.

    Attributes
    ----------
    bins : tuple of Bin
    curve : tuple of mapping
        The isotonic (CORP) curve, at most 200 points: ``prediction``, ``rate``, ``null_lower``, ``null_upper``.
    histogram : tuple of int
        Rows in 20 equal-width bins of predictions.
    n : int
    alpha : float
    """

    bins: tuple[Bin, ...]
    curve: tuple[Mapping[str, Any], ...]
    histogram: tuple[int, ...]
    n: int
    alpha: float
    seed: int
    replicates: int
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "reliability",
            "bins": [one.to_dict() for one in self.bins],
            "curve": json_ready(self.curve),
            "histogram": list(self.histogram),
            "n": self.n,
            "alpha": self.alpha,
            "seed": self.seed,
            "replicates": self.replicates,
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


@dataclass(frozen=True)
class Decomposition(Result):
    """A mean score in three parts, score = miscalibration - discrimination + uncertainty.

    Attributes
    ----------
    score : str
        ``"brier"`` or ``"log_loss"``.
    value, miscalibration, discrimination, uncertainty : float
    fitted : ndarray or None, shape (n,), float64
        The isotonic recalibration of each prediction, in the order of the rows. Not part of the JSON.
    """

    score: str
    value: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    n: int
    fitted: NDArray[np.float64] | None = None
    method: str = "isotonic"
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "decomposition",
            "score": self.score,
            "value": json_ready(self.value),
            "miscalibration": json_ready(self.miscalibration),
            "discrimination": json_ready(self.discrimination),
            "uncertainty": json_ready(self.uncertainty),
            "n": self.n,
            "method": self.method,
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


@dataclass(frozen=True)
class GroupCoverage:
    """Coverage inside one group.

    Attributes
    ----------
    label : str
    n, covered : int
    value, lower, upper : float
        Share covered with its Clopper-Pearson interval, for this group alone.
    p_value : float
        Exact, one-sided: the group is covered as promised.
    holm, benjamini_hochberg : float
        Adjusted over all groups: Holm for the family, Benjamini-Hochberg as an exploratory column.
    detectable : float or None
        The coverage that this many rows would have noticed with power 0.8 (before adjustment); None if none would be.
    """

    label: str
    n: int
    covered: int
    value: float
    lower: float
    upper: float
    p_value: float
    holm: float
    benjamini_hochberg: float
    detectable: float | None

    def to_dict(self) -> dict[str, Any]:
        return {name: json_ready(getattr(self, name)) for name in GROUP_FIELDS}


GROUP_FIELDS = tuple(GroupCoverage.__dataclass_fields__)


@dataclass(frozen=True)
class CoverageResult(Result):
    """How often the truth was covered, against what was promised: made by `auditkit.uncertainty.coverage`.

    Attributes
    ----------
    value, lower, upper : float
        Share covered with its Clopper-Pearson interval at `level`.
    n, covered : int
    target : float
        1 - alpha of the sets.
    p_value, p_under : float
        Exact: two-sided (minimum likelihood) and one-sided against too little coverage, of "each row is covered with
        probability target".
    conformal : mapping or None
        With `n_calibration`: what valid split conformal sets would do, beta-binomial: ``k``, ``mean``,
        ``coverage_lower``, ``coverage_upper`` (5 % and 95 % points of the coverage), ``count_lower``, ``count_upper``,
        ``p_value``, ``p_under``.
    groups : tuple of GroupCoverage
        Declared groups.
    found : tuple of GroupCoverage
        Groups that a tree found on one half and tested on the other.
    detectable : float or None
        As in `GroupCoverage`, of all rows.
    """

    value: float
    lower: float
    upper: float
    level: float
    n: int
    covered: int
    target: float
    p_value: float
    p_under: float
    conformal: Mapping[str, Any] | None = None
    groups: tuple[GroupCoverage, ...] = ()
    found: tuple[GroupCoverage, ...] = ()
    detectable: float | None = None
    seed: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()

    def estimate(self) -> Estimate:
        """The coverage as a line of ``estimates``."""
        return Estimate(
            "coverage",
            self.lower,
            self.upper,
            self.value,
            self.level,
            "two",
            "confidence",
            "clopper-pearson",
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "coverage-result",
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "level": self.level,
            "n": self.n,
            "covered": self.covered,
            "target": self.target,
            "p_value": self.p_value,
            "p_under": self.p_under,
            "conformal": json_ready(self.conformal),
            "groups": [one.to_dict() for one in self.groups],
            "found": [one.to_dict() for one in self.found],
            "detectable": json_ready(self.detectable),
            "seed": self.seed,
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }
