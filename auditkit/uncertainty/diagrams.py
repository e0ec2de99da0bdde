"""Reliability data: what a reliability diagram shows, as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.uncertainty._inputs import Binary, read_alpha, read_count, read_predictions, read_seed
from auditkit.uncertainty.bins import Cells, cut
from auditkit.uncertainty.calibration import MOST_BINS, list_bins
from auditkit.uncertainty.nulls import null_outcomes
from auditkit.uncertainty.results import Reliability

Floats = NDArray[np.float64]

CURVE_POINTS = 200
HISTOGRAM_BINS = 20


def reliability(
    p: Any,
    y: Any,
    *,
    weights: Any = None,
    bins: int = 15,
    binning: str = "width",
    replicates: int = 199,
    alpha: float = 0.05,
    seed: int | None = None,
) -> Reliability:
    """Bins with their intervals, the isotonic curve and what both would show under calibration.

    Parameters
    ----------
    p, y, weights, bins, binning, seed
        As in `calibration_error`.
    replicates : int
        Null replicates behind the bands.
    alpha : float
        Of intervals and bands.

    Returns
    -------
    Reliability
        The curve has at most 200 points, each a prediction that occurs; its band is pointwise and drawn from at most
        200 cells of equal mass.

    Raises
    ------
    InputError
        As `calibration_error`.

    Notes
    -----
    One sort; isotonic regression by pooling adjacent violators. Source: Dimitriadis, Gneiting, Jordan, Stable
    reliability diagrams for probabilistic classifiers (PNAS 2021).
    """
    bins, replicates = (
        read_count(bins, "bins", most=MOST_BINS),
        read_count(replicates, "replicates", most=10**5),
    )
    alpha, seed = read_alpha(alpha), read_seed(seed)
    data, _ = read_predictions(p, y, weights)
    cells = cut(data, bins, binning)
    null = null_outcomes(cells, data, replicates, seed)
    return Reliability(
        bins=list_bins(cells, null, alpha),
        curve=_curve(data, alpha, replicates, seed),
        histogram=tuple(int(rows) for rows in np.histogram(data.p, HISTOGRAM_BINS, (0, 1))[0]),
        n=data.n,
        alpha=alpha,
        seed=seed,
        replicates=replicates,
    )


def _curve(data: Binary, alpha: float, replicates: int, seed: int) -> tuple[Mapping[str, Any], ...]:
    """Points of the isotonic curve with the band of such curves under calibration."""
    levels = data.rising.p[data.rising.starts].astype(np.float64)
    shown = levels[np.unique(np.linspace(0, levels.size - 1, CURVE_POINTS).round().astype(np.int64))]
    fitted = data.rising.isotonic.at(shown)
    cells = cut(data, CURVE_POINTS, "mass")
    band = _null_band(cells, null_outcomes(cells, data, replicates, seed, task=1), alpha)
    place = np.searchsorted(cells.low, shown, side="right") - 1
    return tuple(
        {"prediction": float(x), "rate": float(rate), "null_lower": float(low), "null_upper": float(high)}
        for x, rate, low, high in zip(shown, fitted, *band[:, place], strict=True)
    )


def _null_band(cells: Cells, outcomes: Floats, alpha: float) -> Floats:
    """Pointwise quantiles of isotonic fits of null outcomes, shape (2, cells)."""
    from scipy.optimize import isotonic_regression

    fits = [isotonic_regression(row / cells.weight, weights=cells.weight).x for row in outcomes]
    return np.asarray(np.quantile(np.clip(fits, 0, 1), [alpha / 2, 1 - alpha / 2], axis=0))
