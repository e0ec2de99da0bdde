"""What a calibrated model would show: outcomes of cells drawn from the predictions themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.uncertainty._inputs import Binary
from auditkit.uncertainty.bins import EXACT_BELOW, Cells

Floats = NDArray[np.float64]


def draw_outcomes(cells: Cells, replicates: int, seed: int, task: int = 0) -> Floats:
    """Sums of outcomes of each cell under calibration, shape (replicates, cells).

    A cell with variance below `EXACT_BELOW` is drawn from its exact Poisson-binomial law. Above it the normal law is
    corrected for skewness (Cornish and Fisher) and rounded to whole outcomes: for equal predictions its distribution
    function is then off by less than 2e-4.

    Cost: O(replicates * cells), whatever the rows.
    """
    from scipy.special import ndtri

    count = cells.rows.size
    u = _core.philox_uniform(seed, task, 0, replicates * count).reshape(replicates, count)
    z = ndtri(u)
    sd = np.sqrt(cells.variance)
    lean = np.divide(cells.skew, 6 * cells.variance, out=np.zeros(count), where=cells.variance > 0)
    drawn = cells.prediction + sd * z + lean * (np.square(z) - 1)
    if not cells.weighted:
        drawn = np.rint(drawn)
    drawn = np.clip(drawn, 0, cells.weight)
    for place, law in enumerate(cells.laws):
        if law is not None:
            first, pmf = law
            cdf = np.cumsum(pmf)
            found = np.searchsorted(cdf, u[:, place] * cdf[-1], side="right")
            drawn[:, place] = first + np.minimum(found, pmf.size - 1)
    return np.asarray(drawn)


def null_outcomes(cells: Cells, data: Binary, replicates: int, seed: int, task: int = 0) -> Floats:
    """`draw_outcomes` for rows with or without weights."""
    if data.weights is None:
        return draw_outcomes(cells, replicates, seed, task)
    bin_of = np.searchsorted(cells.low, data.p, side="right") - 1
    return draw_weighted(cells, data, bin_of, replicates, seed)


def draw_weighted(
    cells: Cells, data: Binary, bin_of: NDArray[np.int64], replicates: int, seed: int
) -> Floats:
    """As `draw_outcomes` for weighted rows; cells that few rows decide are drawn row by row."""
    drawn = draw_outcomes(cells, replicates, seed)
    assert data.weights is not None
    rng = np.random.default_rng([seed, 1])
    for place in range(cells.rows.size):
        rows = np.flatnonzero(bin_of == place)
        weights, p = data.weights[rows], data.p[rows].astype(np.float64)
        if cells.variance[place] >= EXACT_BELOW * np.square(weights.max()):
            continue
        for one in range(replicates):
            drawn[one, place] = weights @ (rng.random(rows.size) < p)
    return drawn


def p_value(observed: float, null: Floats) -> float:
    """(1 + number of null values of at least the observed one) / (1 + their number).

    Null values within rounding of the observed one count as equal, or ties would be decided by the last bit.
    """
    slack = 1e-12 * max(abs(observed), 1e-3)
    return (1 + int(np.count_nonzero(null >= observed - slack))) / (1 + null.size)
