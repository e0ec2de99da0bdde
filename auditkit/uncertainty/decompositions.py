"""Scores in parts: miscalibration, discrimination and uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import one_of
from auditkit.uncertainty._inputs import Binary, read_count, read_predictions
from auditkit.uncertainty.bins import cut
from auditkit.uncertainty.diagrams import isotonic
from auditkit.uncertainty.results import Decomposition
from auditkit.uncertainty.scores import brier, log_loss

Floats = NDArray[np.float64]

SCORES = {"brier": brier, "log_loss": log_loss}


def corp(p: Any, y: Any, *, score: str = "brier") -> Decomposition:
    """A mean score as miscalibration - discrimination + uncertainty, by isotonic recalibration.

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities; of a table the confidence of the predicted class.
    y : array_like, shape (n,)
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
        AK-UN-001 to AK-UN-003, AK-UN-009.

    Notes
    -----
    Source: Dimitriadis, Gneiting, Jordan, Stable reliability diagrams for probabilistic classifiers (PNAS 2021).
    """
    one_of(score, tuple(SCORES), "score", id="AK-UN-009")
    data, _ = read_predictions(p, y)
    levels, rates = isotonic(data)
    fitted = rates[np.searchsorted(levels, data.p.astype(np.float64))]
    measure = SCORES[score]
    value, best = (float(measure(q, data.y).value) for q in (data.p, fitted))
    constant = float(measure(np.full(data.n, data.y.mean()), data.y).value)
    return Decomposition(score, value, value - best, constant - best, constant, data.n, fitted)


def murphy(p: Any, y: Any, *, bins: int = 15) -> Decomposition:
    """The Brier score in binned parts, with what binning leaves over.

    Parameters
    ----------
    p, y
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
        AK-UN-001 to AK-UN-003, AK-UN-008.

    Notes
    -----
    Source: Murphy, A new vector partition of the probability score (1973).
    """
    bins = read_count(bins, "bins", most=2**20)
    data, _ = read_predictions(p, y)
    cells = cut(Binary(data.p, data.y), bins)
    rate = float(data.y.mean())
    reliability = float(np.square(cells.gaps()) @ cells.importance)
    resolution = float(np.square(cells.mean_outcome - rate) @ cells.importance)
    uncertainty = rate * (1 - rate)
    value = float(brier(data.p, data.y).value)
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
