"""The smooth calibration error: no bins, a kernel whose width is the error itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import finite_number, refuse
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import Binary, read_alpha, read_count, read_predictions, read_seed
from auditkit.uncertainty.nulls import p_value
from auditkit.uncertainty.results import INDEPENDENT, CalibrationError
from auditkit.uncertainty.walks import contradicted

Floats = NDArray[np.float64]

GRID = 8192
FREQUENCIES = np.pi * np.arange(GRID + 1)
LEAST_WIDTH = 1e-6


def smooth_calibration_error(
    p: Any,
    y: Any,
    *,
    weights: Any = None,
    bandwidth: float | None = None,
    replicates: int = 99,
    alpha: float = 0.05,
    seed: int | None = None,
) -> CalibrationError:
    """The mean size of the kernel-smoothed residuals p - y, at the kernel width that equals it.

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities; of a table the confidence of the predicted class.
    y : array_like, shape (n,)
    weights : array_like, shape (n,), optional
        Weights of rows, at least 0; not drawn from the outcomes.
    bandwidth : float, optional
        A width above 0 instead of the fixed point.
    replicates : int
        Null replicates, each draws every outcome again and finds its own width.
    alpha : float
        Of `null_upper`.
    seed : int, optional

    Returns
    -------
    CalibrationError
        An estimate: no interval is known, so `lower` and `upper` are None and the value under calibration stands beside
        it. ``details["bandwidth"]`` is the width. An outcome that was called impossible rejects at once.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-007, AK-UN-008, AK-UN-010.

    Notes
    -----
    One sort and one pass onto a grid of 8,193 points, then cosine transforms. The Gaussian kernel is reflected at 0
    and 1. Widths below 1/8192 are finer than the grid: the value is then that of residuals moved by up to half a step.
    Source: Blasiok, Nakkiran, Smooth ECE (arXiv 2309.12236), section 4.
    """
    if bandwidth is not None:
        width = finite_number(bandwidth)
        if width is None or width <= 0:
            refuse("bandwidth", "a number above 0", repr(bandwidth), id="AK-UN-010")
        bandwidth = width
    replicates, seed = read_count(replicates, "replicates", most=10**5), read_seed(seed)
    alpha = read_alpha(alpha)
    data, _ = read_predictions(p, y, weights)
    value = smooth_error(data, bandwidth)
    rows, null = data.rising, np.empty(replicates)
    for first in range(0, replicates, 64):  # grids of 64 replicates at once: 4 MB
        count = min(64, replicates - first)
        grids = _core.draw_residuals(rows.p, rows.weights, GRID + 1, seed, count, get_num_threads(), first)
        null[first : first + count] = [_error_of(grid, rows.p.size, bandwidth) for grid in grids]
    return CalibrationError(
        name="smooth_calibration_error",
        value=value,
        lower=None,
        upper=None,
        level=1 - alpha,
        kind="estimate",
        method="reflected gaussian kernel",
        p_value=0.0 if contradicted(data) else p_value(value, null),
        null_value=float(null.mean()),
        null_upper=float(np.quantile(null, 1 - alpha)),
        n=data.n,
        norm="l1",
        seed=seed,
        replicates=replicates,
        details={"bandwidth": max(value, LEAST_WIDTH) if bandwidth is None else bandwidth},
        assumptions=(INDEPENDENT,),
    )


def smooth_error(data: Binary, bandwidth: float | None = None) -> float:
    """The smooth error alone, at a width or at that which equals it."""
    rows = data.rising
    return _error_of(_core.spread_residuals(rows.p, rows.y, rows.weights, GRID + 1), rows.p.size, bandwidth)


def _error_of(grid: Floats, n: int, bandwidth: float | None) -> float:
    """Of the residuals of n rows on the grid."""
    modes = _modes(grid)
    return _fixed_point(modes, 0.5 / math.sqrt(n)) if bandwidth is None else _error(modes, bandwidth)


def _fixed_point(modes: Floats, start: float) -> float:
    """The width that equals its error; 1e-6 or less where the error is.

    Equal residuals have equal widths to the last bit if they start from the same guess. A coarse grid, which carries
    the few modes that a wide kernel lets through, finds the root roughly; a few steps on the whole grid settle it.
    """
    from scipy.optimize import brentq

    # the error falls with the width, so that any width and its error have the fixed point between them
    low, high = sorted((start, _error(modes, start)))
    if low <= LEAST_WIDTH:
        low = LEAST_WIDTH
        least = _error(modes, low)
        if least <= low:
            return least
    points = GRID
    while points > 64 and np.pi * points * low > 20:
        points //= 2
    some = modes[: points + 1]
    close: dict[str, float] = {"xtol": 1e-10} if points == GRID else {"xtol": 1e-9, "rtol": 1e-6}
    width = float(brentq(lambda h: _error(some, h) - h, 0.95 * low, 1.05 * high, **close))
    if points == GRID:
        return width
    slope = (_error(some, 1.001 * width) - _error(some, width)) / (0.001 * width) - 1
    for _ in range(20):
        rest = _error(modes, width) - width
        if abs(rest) < 1e-10:
            break
        width -= rest / slope
    return width


def _modes(grid: Floats) -> Floats:
    """Cosine modes. A residual at an end of [0, 1] is its own mirror image and counts twice in its mode sums."""
    from scipy.fft import dct

    ends = grid.copy()
    ends[[0, -1]] *= 2
    return np.asarray(dct(ends, type=1) / 2)


def _error(modes: Floats, width: float) -> float:
    """The smooth error at a width, on as many parts of [0, 1] as there are modes beside the constant."""
    from scipy.fft import dct

    damping = np.exp(-np.square(np.minimum(FREQUENCIES[: modes.size] * width, 40)) / 2)
    values = np.abs(dct(modes * damping, type=1))
    return float((values.sum() - (values[0] + values[-1]) / 2) / (modes.size - 1))
