"""Scores of conformal predictive laws, as crepes does it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from cases import residual_rows
from crepes import ConformalPredictiveSystem
from crepes.base import calculate_crps


def describe() -> dict[str, Any]:
    return {"package": "crepes", "version": version("crepes")}


def law_score(case: dict[str, Any]) -> Callable[[], float]:
    """Its evaluation with the score as the only metric; it makes intervals all the same."""
    residuals, predicted, y = residual_rows(case)

    def run() -> float:
        system = ConformalPredictiveSystem().fit(residuals)
        return float(system.evaluate(predicted, y, metrics=["CRPS"])["CRPS"])

    return run


def law_score_alone(case: dict[str, Any]) -> Callable[[], float]:
    """Its laws and the arithmetic of the score, without the intervals."""
    residuals, predicted, y = residual_rows(case)

    def run() -> float:
        system = ConformalPredictiveSystem().fit(residuals)
        laws = system.predict_cpds(predicted, cpds_by_bins=True)
        return float(calculate_crps(laws, system.alphas, np.ones(y.size), y))

    return run
