"""Scores in parts: miscalibration, discrimination and uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import one_of
from auditkit.uncertainty._inputs import read_count, read_predictions
from auditkit.uncertainty.bins import cut
from auditkit.uncertainty.results import Decomposition
from auditkit.uncertainty.scores import brier, log_loss

Floats = NDArray[np.float64]

SCORES = {"brier": brier, "log_loss": log_loss}


def corp(p: Any, y: Any, *, weights: Any = None, score: str = "brier") -> Decomposition:
    """A mean score as miscalibration - discrimination + uncertainty, by isotonic recalibration.

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities; of a table the confidence of the predicted class.
    y : array_like, shape (n,)
    weights : array_like, shape (n,), optional
        Of rows, at least 0.
    score : {"brier", "log_loss"}

    Returns
    -------
    Decomposition
        With S the score, S_c that of the recalibrated predictions and S_r that of the mean outcome: miscalibration
        S - S_c >= 0, discrimination S_r - S_c >= 0, uncertainty S_r. An estimate: isotonic regression fits noise
        too, so miscalibration is above 0 for calibrated models.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-009.

    Notes
    -----
    Source: Dimitriadis, Gneiting, Jordan, Stable reliability diagrams for probabilistic classifiers (PNAS 2021).
    """
    one_of(score, tuple(SCORES), "score", id="AK-UN-009")
    data, _ = read_predictions(p, y, weights)
    steps = data.rising.isotonic
    rows, outcomes = (column.sum(keepdims=True) for column in (steps.rows, steps.outcomes))
    value = float(SCORES[score](data.p, data.y, weights=data.weights).value)
    best = _expected(score, steps.height, steps.rows, steps.outcomes)
    constant = _expected(score, outcomes / rows, rows, outcomes)
    return Decomposition(score, value, value - best, constant - best, constant, data.n, data.recalibrated)


def _expected(score: str, q: Floats, rows: Floats, outcomes: Floats) -> float:
    """The mean score where `rows` rows with so many outcomes are predicted as `q`."""
    others = rows - outcomes
    if score == "brier":
        return float(outcomes @ np.square(1 - q) + others @ np.square(q)) / float(rows.sum())
    # nothing was lost where nothing happened: 0 log 0 = 0
    surprise = outcomes @ np.log(np.where(outcomes > 0, q, 1)) + others @ np.log1p(
        -np.where(others > 0, q, 0)
    )
    return -float(surprise) / float(rows.sum())


def murphy(p: Any, y: Any, *, weights: Any = None, bins: int = 15) -> Decomposition:
    """The Brier score in binned parts, with what binning leaves over.

    Parameters
    ----------
    p, y, weights
        As in `corp`.
    bins : int
        Of equal width.

    Returns
    -------
    Decomposition
        Reliability, resolution and uncertainty as `miscalibration`, `discrimination`, `uncertainty`;
        ``details["residual"]`` is the score minus their sum, the variance and covariance inside bins.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-008.

    Notes
    -----
    Source: Murphy, A new vector partition of the probability score (1973).
    """
    bins = read_count(bins, "bins", most=2**20)
    data, _ = read_predictions(p, y, weights)
    cells = cut(data, bins)
    rate = float(cells.mean_outcome @ cells.importance)
    reliability = float(np.square(cells.gaps()) @ cells.importance)
    resolution = float(np.square(cells.mean_outcome - rate) @ cells.importance)
    uncertainty = rate * (1 - rate)
    value = float(brier(data.p, data.y, weights=data.weights).value)
    residual = value - (reliability - resolution + uncertainty)
    return Decomposition(
        "brier",
        value,
        reliability,
        resolution,
        uncertainty,
        data.n,
        method="bins",
        details={"bins": bins, "residual": residual},
    )
