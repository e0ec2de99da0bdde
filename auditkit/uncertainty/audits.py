"""The audit of class probabilities: every metric in one call, one answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.results import Check
from auditkit.uncertainty._inputs import (
    Binary,
    Multiclass,
    read_alpha,
    read_count,
    read_groups,
    read_predictions,
    read_seed,
)
from auditkit.uncertainty.adjustments import benjamini_hochberg, holm
from auditkit.uncertainty.audit_results import CalibrationAudit
from auditkit.uncertainty.calibration import (
    MOST_BINS,
    calibration_error,
    classwise_calibration_error,
    top_label_calibration_error,
)
from auditkit.uncertainty.decompositions import corp
from auditkit.uncertainty.diagrams import reliability
from auditkit.uncertainty.intervals import clopper_pearson, hoeffding
from auditkit.uncertainty.minimax import minimax_calibration_test
from auditkit.uncertainty.results import (
    GIVEN_BINS,
    INDEPENDENT,
    CalibrationError,
    Decomposition,
    Score,
    Test,
)
from auditkit.uncertainty.scores import brier, log_loss
from auditkit.uncertainty.selective import augrc, aurc
from auditkit.uncertainty.smooth import smooth_calibration_error
from auditkit.uncertainty.walks import ks_calibration, kuiper_calibration, spiegelhalter

Progress = Callable[[str, int, int], None]

FEW_ROWS = 100
HEAVY_REPLICATES = 99
"""Null replicates of what draws every row again, where the caller asked for more."""


def calibration_audit(
    probabilities: Any,
    labels: Any,
    *,
    groups: Any = None,
    weights: Any = None,
    bins: int = 15,
    replicates: int = 999,
    alpha: float = 0.05,
    seed: int | None = None,
    progress: Progress | None = None,
) -> CalibrationAudit:
    """Do class probabilities mean what they say?

    Parameters
    ----------
    probabilities : array_like, shape (n,) or (n, K)
        Of outcome 1; or of each class: then calibration is judged of the confidence, of each class and of each
        predicted label.
    labels : array_like, shape (n,)
        Outcomes 0 and 1; or the columns of the classes, from 0.
    groups : array_like, shape (n,), optional
        Declared groups: the error of each, with Holm's adjustment.
    weights : array_like, shape (n,), optional
        Of rows, at least 0; not drawn from the outcomes. Numbers of rows are not weighted.
    bins : int
        Of equal width, and as many of equal mass.
    replicates : int
        Null replicates of binned statistics; those that draw every row again use at most 99.
    alpha : float
        Error allowed of each interval, and of all tests together (Holm).
    seed : int, optional
    progress : callable, optional
        Called with what is being computed, how many of the parts are done, and how many there are.

    Returns
    -------
    CalibrationAudit

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-008.
    """
    say = _Parts(progress)
    alpha, seed = read_alpha(alpha), read_seed(seed)
    bins, replicates = (
        read_count(bins, "bins", most=MOST_BINS),
        read_count(replicates, "replicates", most=10**6),
    )
    data, table = read_predictions(probabilities, labels, weights, names=("probabilities", "labels"))
    codes = None if groups is None else read_groups(groups, data.n)
    settings: dict[str, Any] = {"bins": bins, "replicates": replicates, "alpha": alpha, "seed": seed}
    errors = _errors(data, table, settings, say)
    tests = _tests(data, settings, say)
    scores, figures, decompositions = _scores(data, table, alpha, say)
    say("reliability")
    accuracy = _accuracy(data, table, alpha)
    return CalibrationAudit(
        alpha=alpha,
        n=data.n,
        seed=seed,
        errors=errors,
        tests=tests,
        scores=scores,
        reliability=reliability(data, None, bins=bins, alpha=alpha, seed=seed),
        decompositions=decompositions,
        groups=() if codes is None else _groups(data, *codes, settings),
        checks=_checks(errors, tests, data, alpha),
        settings=settings,
        figures=figures,
        assumptions=(INDEPENDENT, GIVEN_BINS),
        warnings=tuple(note for score in scores.values() for note in score.warnings),
        timing=say.timing(),
        n_classes=2 if table is None else table.k,
        about="probability" if table is None else "confidence",
        accuracy=accuracy,
    )


class _Parts:
    """Tells what is being computed, and how long each part took."""

    NAMES = (
        *("binned errors", "classwise error", "smooth error", "walk tests", "minimax test"),
        *("scores", "reliability"),
    )

    def __init__(self, progress: Progress | None):
        self._progress = progress
        self._started = time.perf_counter()
        self._begun: list[tuple[str, float]] = []

    def __call__(self, name: str) -> None:
        self._begun.append((name, time.perf_counter()))
        if self._progress is not None:
            self._progress(name, self.NAMES.index(name), len(self.NAMES))

    def timing(self) -> dict[str, Any]:
        """Seconds since the audit began, reading included, and of each part; the last ends now."""
        now = time.perf_counter()
        ends = [*(at for _, at in self._begun[1:]), now]
        parts = {name: end - at for (name, at), end in zip(self._begun, ends, strict=True)}
        return {"seconds": now - self._started, "parts": parts}


def _errors(
    data: Binary, table: Multiclass | None, settings: Mapping[str, Any], say: _Parts
) -> dict[str, CalibrationError]:
    say("binned errors")
    heavy = {name: settings[name] for name in ("alpha", "seed")}
    heavy["replicates"] = min(settings["replicates"], HEAVY_REPLICATES)
    errors = {
        "calibration_error": calibration_error(data, None, **settings),
        "equal_mass": calibration_error(data, None, binning="mass", **settings),
        "l2": calibration_error(data, None, norm="l2", debiased=True, **settings),
    }
    if table is not None:
        errors["top_label"] = top_label_calibration_error(
            table.P, table.labels, weights=table.weights, **settings
        )
        say("classwise error")
        errors["classwise"] = classwise_calibration_error(
            table.P, table.labels, weights=table.weights, bins=settings["bins"], **heavy
        )
    say("smooth error")
    errors["smooth_calibration_error"] = smooth_calibration_error(data, None, **heavy)
    return errors


def _tests(data: Binary, settings: Mapping[str, Any], say: _Parts) -> dict[str, Test]:
    say("walk tests")
    replicates, seed = settings["replicates"], settings["seed"]
    tests = {
        "spiegelhalter": spiegelhalter(data, None),
        "kolmogorov_smirnov": ks_calibration(data, None, replicates=replicates, seed=seed),
        "kuiper": kuiper_calibration(data, None, replicates=replicates, seed=seed),
    }
    say("minimax test")
    few = min(replicates, HEAVY_REPLICATES)
    return tests | {"minimax": minimax_calibration_test(data, None, replicates=few, seed=seed)}


def _scores(
    data: Binary, table: Multiclass | None, alpha: float, say: _Parts
) -> tuple[dict[str, Score], dict[str, Any], dict[str, Decomposition]]:
    say("scores")
    p, y = (data.p, data.y) if table is None else (table.P, table.labels)
    scores = {
        "brier": brier(p, y, weights=data.weights, alpha=alpha),
        "log_loss": log_loss(p, y, weights=data.weights, alpha=alpha),
    }
    answers = _answers(data, table)
    scores["aurc"] = aurc(answers, None, alpha=alpha)
    scores["augrc"] = augrc(answers, None, alpha=alpha)
    figures = {"risk_coverage": scores["aurc"].details["curve"]}
    for name in ("aurc", "augrc"):  # the curve is drawn once
        kept = {key: item for key, item in scores[name].details.items() if key != "curve"}
        scores[name] = replace(scores[name], details=kept)
    return scores, figures, {score: corp(data, None, score=score) for score in ("brier", "log_loss")}


def _answers(data: Binary, table: Multiclass | None) -> Binary:
    """How sure the model is of its answer, and whether it is right."""
    if table is not None:
        return data
    yes = data.p >= 0.5
    right = (yes == (data.y == 1)).view(np.uint8)
    return Binary(np.where(yes, data.p, 1 - data.p), right, data.weights)


def _accuracy(data: Binary, table: Multiclass | None, alpha: float) -> Score:
    """Share of right answers with its finite-sample interval."""
    right = _answers(data, table).y.astype(np.float64)
    if data.weights is None:
        value, method = float(right.mean()), "clopper-pearson"
        low, high = clopper_pearson(right.sum(keepdims=True), np.array([float(data.n)]), alpha)
    else:
        w = data.weights
        value, method = float(w @ right / w.sum()), "hoeffding"
        low, high = hoeffding(np.array([value]), np.array([w.sum() ** 2 / np.square(w).sum()]), alpha)
    return Score("accuracy", value, float(low[0]), float(high[0]), 1 - alpha, "confidence", method, data.n)


def _groups(
    data: Binary, codes: NDArray[np.int64], labels: list[str], settings: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...]:
    """The error of each group, its test adjusted over all."""
    found = []
    for code, label in enumerate(labels):
        rows = codes == code
        weights = None if data.weights is None else data.weights[rows]
        if weights is not None and not weights.any():
            continue
        found.append((label, calibration_error(data.p[rows], data.y[rows], weights=weights, **settings)))
    p_values = [error.p_value for _, error in found]
    adjusted = zip(holm(p_values), benjamini_hochberg(p_values), strict=True)
    return tuple(
        {
            "label": label,
            "n": error.n,
            "value": error.value,
            "null_value": error.null_value,
            "lower": error.lower,
            "upper": error.upper,
            "p_value": error.p_value,
            "holm": float(family),
            "benjamini_hochberg": float(share),
        }
        for (label, error), (family, share) in zip(found, adjusted, strict=True)
    )


def _checks(
    errors: Mapping[str, CalibrationError], tests: Mapping[str, Test], data: Binary, alpha: float
) -> dict[str, Check]:
    """Whether any test, adjusted for their number, speaks against calibration; and whether the rows could show it."""
    p_values = {"consistency": errors["calibration_error"].p_value} | {
        name: test.p_value for name, test in tests.items()
    }
    adjusted = dict(zip(p_values, (float(p) for p in holm(list(p_values.values()))), strict=True))
    least = min(adjusted, key=lambda name: adjusted[name])
    upper = errors["calibration_error"].upper
    words = f"the smallest of {len(adjusted)} p-values, adjusted by Holm, is {adjusted[least]:.3g} ({least})"
    against = adjusted[least] <= alpha
    text = (
        f"calibration is rejected: {words}"
        if against
        else f"no test speaks against calibration: {words}; errors up to {upper:.3g} remain possible"
    )
    size = f"{data.n:,} rows"
    return {
        "calibration-tests": Check(
            "calibration-tests", "fail" if against else "pass", text, {"holm": adjusted}
        ),
        "enough-rows": Check(
            "enough-rows",
            "warn" if data.n < FEW_ROWS else "pass",
            f"{size} show little: below {FEW_ROWS} even large errors go unseen"
            if data.n < FEW_ROWS
            else size,
        ),
    }
