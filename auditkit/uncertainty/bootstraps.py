"""The bootstrap of a binned error, for comparison: near calibration its intervals do not hold what they promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.uncertainty.bins import Cells

Floats = NDArray[np.float64]


def bootstrap_interval(
    cells: Cells, norm: str, *, debiased: bool, replicates: int, alpha: float, seed: int
) -> Mapping[str, Any]:
    """The percentile interval of the error of cells of unweighted rows."""
    values = bootstrap_errors(cells, norm, debiased=debiased, replicates=replicates, seed=seed)
    lower, upper = np.quantile(values, [alpha / 2, 1 - alpha / 2])
    return {
        "lower": float(lower),
        "upper": float(upper),
        "level": 1 - alpha,
        "replicates": replicates,
        "valid": False,
        "text": "percentile bootstrap, for comparison: not valid near calibration",
    }


def bootstrap_errors(cells: Cells, norm: str, *, debiased: bool, replicates: int, seed: int) -> Floats:
    """Errors of resampled rows, shape (replicates,).

    The error depends on the rows through counts and mean predictions of cells (bin and outcome) only. So one
    multinomial draw of the counts and a normal one of the means, with the variance that resampling gives them, stand
    for n draws of rows; the law is that of the resampled error up to the normal approximation of the means. Cost:
    O(replicates * cells), whatever the rows.
    """
    rng = np.random.default_rng([seed, 31])
    rows = np.concatenate([cells.rows - cells.outcome, cells.outcome])
    first = np.concatenate([cells.prediction - cells.first_one, cells.first_one])
    second = np.concatenate([cells.second - cells.second_one, cells.second_one])
    n, used = rows.sum(), np.maximum(rows, 1)
    mean = first / used
    sd = np.sqrt(np.maximum(second / used - np.square(mean), 0))
    counts = rng.multinomial(round(float(n)), rows / n, size=replicates).astype(np.float64)
    drawn = counts * mean + np.sqrt(counts) * sd * rng.standard_normal(counts.shape)
    none, one = np.split(counts, 2, axis=1)
    weight = none + one
    prediction = sum(np.split(drawn, 2, axis=1))
    held = np.maximum(weight, 1)
    gaps, share = (prediction - one) / held, weight / n
    if norm == "max":
        return np.asarray(np.abs(gaps).max(axis=1))
    if norm == "l1":
        return np.asarray((share * np.abs(gaps)).sum(axis=1))
    squares = np.square(gaps)
    if debiased:
        chance = one * none / np.square(held) / np.maximum(weight - 1, 1)
        squares = np.where(weight >= 2, squares - chance, 0)
    return np.asarray(np.sqrt(np.maximum((share * squares).sum(axis=1), 0)))
