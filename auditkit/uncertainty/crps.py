"""The continuous ranked probability score of predictive laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.errors import InputError
from auditkit.uncertainty._inputs import as_numbers, read_finite, read_weights
from auditkit.uncertainty.results import Score
from auditkit.uncertainty.scores import mean_score

Floats = NDArray[np.float64]


def crps_gaussian(y: Any, mean: Any, sd: Any, *, weights: Any = None, alpha: float = 0.05) -> Score:
    """CRPS of normal predictive laws, in units of y.

    Parameters
    ----------
    y, mean, sd : array_like, shape (n,)
        What happened, and the predicted mean and standard deviation, above 0.
    weights : array_like, shape (n,), optional
        Of rows, at least 0.
    alpha : float
        Of the t interval.

    Returns
    -------
    Score

    Raises
    ------
    InputError
        AK-UN-004, AK-UN-005, AK-UN-007, AK-UN-023.

    Notes
    -----
    Source: Gneiting et al., Calibrated probabilistic forecasting using EMOS (2005), equation 5.
    """
    from scipy.special import ndtr

    mean, sd = read_gaussian(mean, sd)
    z = (read_finite(y, "y", mean.size) - mean) / sd
    density = np.exp(-np.square(z) / 2) / math.sqrt(2 * math.pi)
    points = sd * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))
    given = read_weights(weights, points.size)
    return mean_score("crps", points, alpha, weights=given, details={"law": "gaussian"})


def crps_ensemble(
    y: Any, members: Any, *, fair: bool = False, weights: Any = None, alpha: float = 0.05
) -> Score:
    """CRPS of ensembles, in units of y.

    Parameters
    ----------
    y : array_like, shape (n,)
    members : array_like, shape (n, m)
        Equally likely values for each row.
    fair : bool
        Divide the spread by 2 m (m - 1) instead of 2 m^2: unbiased for the law that members were drawn from; needs
        two members. May be negative.
    weights : array_like, shape (n,), optional
        Of rows, at least 0.
    alpha : float
        Of the t interval.

    Returns
    -------
    Score

    Raises
    ------
    InputError
        AK-UN-004, AK-UN-005, AK-UN-007, AK-UN-024.

    Notes
    -----
    One sort a row. Source: Ferro, Fair scores for ensemble forecasts (2014).
    """
    y = read_finite(y, "y")
    table = as_numbers(members, "members").astype(np.float64)
    if table.ndim != 2 or table.shape[0] != y.size or table.shape[1] < (2 if fair else 1):
        least = "two" if fair else "one"
        refuse("members", f"{y.size:,} rows of {least} or more", f"of shape {table.shape}", id="AK-UN-024")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        refuse(f"members[{bad[0]}]", "finite", _not_finite(table[bad[0]]), id="AK-UN-005")
    m = table.shape[1]
    table = np.sort(table, axis=1)
    spread = 2 * table @ (2 * np.arange(1, m + 1) - m - 1.0)
    points = np.abs(table - y[:, None]).mean(axis=1) - spread / (2 * m * (m - 1 if fair else m))
    about = {"law": "ensemble", "members": m, "fair": fair}
    return mean_score("crps", points, alpha, weights=read_weights(weights, y.size), details=about)


def read_gaussian(mean: Any, sd: Any) -> tuple[Floats, Floats]:
    """Means and standard deviations above 0 (AK-UN-005, AK-UN-023)."""
    centre = read_finite(mean, "mean")
    spread = read_finite(sd, "sd", centre.size)
    bad = np.flatnonzero(spread <= 0)
    if bad.size:
        raise InputError(
            f"sd[{bad[0]}]: must be above 0, not {spread[bad[0]]}",
            id="AK-UN-023",
            hint="the standard deviation, not its logarithm",
        )
    return centre, spread


def _not_finite(row: Floats) -> str:
    """The first value of a row that is not finite."""
    return f"{row[~np.isfinite(row)][0]}"
