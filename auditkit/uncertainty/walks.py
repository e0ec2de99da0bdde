"""Calibration tests without bins: walks over sorted predictions, and Spiegelhalter's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import one_of
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import Binary, read_count, read_predictions, read_seed
from auditkit.uncertainty.nulls import p_value
from auditkit.uncertainty.results import Test

CALIBRATED = "each outcome happens with the predicted probability"
LEAST_VARIANCE = 100.0
"""Below this variance of the sum of outcomes, in squares of the largest weight, "auto" resamples."""
EDGE = 1e-12
SURELY_EXCEEDED = 0.05
"""Both limit laws exceed this but for less than exp(-490), and dividing by squares of less would overflow."""


def ks_calibration(
    p: Any,
    y: Any,
    *,
    weights: Any = None,
    method: str = "auto",
    replicates: int = 999,
    seed: int | None = None,
) -> Test:
    """The largest distance of the walk of y - p over sorted predictions from 0 (Kolmogorov-Smirnov type).

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities; of a table the confidence of the predicted class.
    y : array_like, shape (n,)
        Outcomes 0 and 1; or columns of the table.
    weights : array_like, shape (n,), optional
        Weights of rows, at least 0; not drawn from the outcomes.
    method : {"auto", "asymptotic", "resampling"}
        Where the p-value comes from. Auto: resampling if sum w^2 p (1 - p) is below 100 times the largest w^2.
    replicates : int
        Of resampling, which costs O(replicates * n).
    seed : int, optional
        Of resampling.

    Returns
    -------
    Test
        The statistic max |D_j|, D_j the sum of w (y - p) over the j least predictions divided by
        sqrt(sum w^2 p (1 - p)); only ends of runs of equal predictions count. Exact when resampled.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-008, AK-UN-009.

    Notes
    -----
    Source: Arrieta-Ibarra et al., Metrics of calibration for probabilistic predictions (JMLR 23, 2022).
    """
    return _walk_test("kolmogorov_smirnov", p, y, weights, method=method, replicates=replicates, seed=seed)


def kuiper_calibration(
    p: Any,
    y: Any,
    *,
    weights: Any = None,
    method: str = "auto",
    replicates: int = 999,
    seed: int | None = None,
) -> Test:
    """The range of the walk of y - p over sorted predictions (Kuiper type).

    Parameters
    ----------
    p, y, weights, method, replicates, seed
        As in `ks_calibration`.

    Returns
    -------
    Test
        The statistic max(D, 0) - min(D, 0).

    Raises
    ------
    InputError
        As `ks_calibration`.

    Notes
    -----
    Source: as `ks_calibration`.
    """
    return _walk_test("kuiper", p, y, weights, method=method, replicates=replicates, seed=seed)


def spiegelhalter(p: Any, y: Any, *, weights: Any = None) -> Test:
    """Spiegelhalter's test, two-sided: is the Brier score what these predictions promise?

    Parameters
    ----------
    p, y, weights
        As in `ks_calibration`.

    Returns
    -------
    Test
        The statistic z; `direction` "overconfident" for z > 0, "underconfident" for z < 0. The p-value is asymptotic.
        It sees over- and underconfidence, not every departure.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004.

    Notes
    -----
    Source: Spiegelhalter, Probabilistic prediction in patient management and clinical trials (1986).
    """
    data, _ = read_predictions(p, y, weights)
    q = data.p.astype(np.float64)
    inside = np.clip(q, EDGE, 1 - EDGE)
    slope = 1 - 2 * q if data.weights is None else data.weights * (1 - 2 * q)
    variance = float((np.square(slope) * inside * (1 - inside)).sum())
    z = float(((data.y - q) * slope).sum()) / math.sqrt(variance) if variance > 0 else 0.0
    against = contradicted(data)
    direction = "overconfident" if z > 0 else "underconfident" if z < 0 else None
    return Test(
        name="spiegelhalter",
        statistic=z,
        p_value=0.0 if against else math.erfc(abs(z) / math.sqrt(2)),
        n=data.n,
        null=CALIBRATED,
        method="asymptotic",
        exact=False,
        direction=direction,
        details={"contradicted": against},
    )


def contradicted(data: Binary) -> int:
    """Rows that were called impossible and happened, or certain and did not."""
    against = ((data.p == 0) & (data.y == 1)) | ((data.p == 1) & (data.y == 0))
    return int(np.count_nonzero(against if data.weights is None else against & (data.weights > 0)))


def _walk_test(
    name: str, p: Any, y: Any, weights: Any, *, method: str, replicates: int, seed: int | None
) -> Test:
    one_of(method, ("auto", "asymptotic", "resampling"), "method", id="AK-UN-009")
    replicates, seed = read_count(replicates, "replicates", most=10**6), read_seed(seed)
    data, _ = read_predictions(p, y, weights)
    rows, ends = data.rising, data.rising.ends
    inside = np.clip(rows.p.astype(np.float64), EDGE, 1 - EDGE)
    chances = inside * (1 - inside)
    squares = np.square(rows.weights)
    variance = float(squares @ chances if squares.size else chances.sum())
    few = variance < LEAST_VARIANCE * (float(squares.max()) if squares.size else 1.0)
    scale = math.sqrt(variance)
    reach = np.array([_core.walk_range(rows.p, rows.y, rows.weights, ends)])
    statistic = float(_statistic(name, reach)[0]) / scale
    against = contradicted(data)
    # what was impossible and happened needs no draws
    resampled = not against and (method == "resampling" or (method == "auto" and few))
    if against:
        found = 0.0
    elif resampled:
        null = _core.draw_walks(rows.p, rows.weights, ends, seed, replicates, get_num_threads())
        found = p_value(statistic, _statistic(name, null) / scale)
    else:
        found = (ks_tail if name == "kolmogorov_smirnov" else kuiper_tail)(statistic)
    return Test(
        name=name,
        statistic=statistic,
        p_value=found,
        n=data.n,
        null=CALIBRATED,
        method="contradiction" if against else "null resampling" if resampled else "asymptotic",
        exact=resampled or against > 0,
        replicates=replicates if resampled else None,
        seed=seed if resampled else None,
        details={"contradicted": against},
    )


def _statistic(name: str, ranges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of highest and lowest sums, shape (r, 2)."""
    if name == "kuiper":
        return np.asarray(ranges[:, 0] - ranges[:, 1])
    return np.asarray(np.maximum(ranges[:, 0], -ranges[:, 1]))


def ks_tail(x: float) -> float:
    """P(max |W| > x) for a Brownian motion on [0, 1]; both series converge fast on their side of 1.5."""
    if x < SURELY_EXCEEDED:
        return 1.0
    if x > 1.5:
        return min(4 * math.fsum((-1.0) ** k * _upper((2 * k + 1) * x) for k in range(8)), 1.0)
    inner = math.fsum(
        (-1.0) ** k / (2 * k + 1) * math.exp(-((2 * k + 1) ** 2) * math.pi**2 / (8 * x * x))
        for k in range(16)
    )
    return 1 - 4 / math.pi * inner


def kuiper_tail(x: float) -> float:
    """P(max W - min W > x) for a Brownian motion from 0 on [0, 1] (Feller 1951)."""
    if x < SURELY_EXCEEDED:
        return 1.0
    if x > 2:
        return min(8 * math.fsum((-1.0) ** (k - 1) * k * _upper(k * x) for k in range(1, 12)), 1.0)
    inner = 0.0
    for k in range(1, 24):
        half = (k - 0.5) ** 2
        inner += (8 / x**2 + 2 / (half * math.pi**2)) * math.exp(-2 * half * math.pi**2 / x**2)
    return 1 - inner


def _upper(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))
