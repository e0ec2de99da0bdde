"""Intervals of calibration errors that hold at any number of rows.

Let pi_b be the true rate of cell b, g_b = (mean prediction) - pi_b, and f the norm of the gaps that were seen.
Outcomes are independent given the predictions. Both ends rest on one event A, that simultaneous Clopper-Pearson
intervals [l_b, u_b] hold all pi_b (probability at least 1 - alpha / 2):

* lower end: the norm of the least gaps inside the box.
* upper end: f is a convex function of the outcomes, so by Jensen the true error is at most E f. Changing one outcome of
  cell b moves f by at most c_b. The differences of the Doob martingale of f are centred two-point variables with
  probabilities (pi, 1 - pi) and range at most c_b, so for every s > 0
      log E exp(s (E f - f)) <= psi(s) = sum_b N_b E(s c_b, pi_b),
  with E(t, .) the concave envelope of the larger of K(t, pi) and K(-t, pi), K(t, pi) = log(1 - pi + pi exp(t)) - t pi.
  Hence f >= E f - (psi(s) + log(2 / alpha)) / s with probability at least 1 - alpha / 2, for the s that is best at the
  true rates. On A, psi at the worst rates of the box bounds it for any s. K(t, .) is concave with its maximum at
  r = 1 / t - 1 / (exp(t) - 1) < 1/2, so E(t, pi) = K(t, min(pi, 1 - pi, r)), largest in the box nearest to 1/2.

The upper end shrinks as 1/sqrt(n) with the spread of the outcomes; simultaneous Clopper-Pearson alone (the largest
gaps of the box) grows with the number of bins. The smaller of the two is taken: both hold on the same events.
The proof in full: docs/theory/calibration-interval.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.uncertainty.bins import Cells

Floats = NDArray[np.float64]


def clopper_pearson(successes: Floats, trials: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Exact two-sided intervals of rates, elementwise; alpha / 2 on each side."""
    low = np.zeros(successes.size)
    high = np.ones(successes.size)
    log_small, log_large = math.log(alpha / 2), math.log1p(-alpha / 2)
    some, others = successes > 0, successes < trials

    def quantile(a: Floats, b: Floats, log_p: float, log_1mp: float) -> Floats:
        full = np.full(a.size, log_p), np.full(a.size, log_1mp)
        table: Floats = _core.beta_quantile(np.ascontiguousarray(a), np.ascontiguousarray(b), *full)
        return np.asarray(table[0])

    if some.any():
        low[some] = quantile(successes[some], (trials - successes + 1)[some], log_small, log_large)
    if others.any():
        high[others] = quantile((successes + 1)[others], (trials - successes)[others], log_large, log_small)
    return low, high


def hoeffding(mean: Floats, rows: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Two-sided intervals of the means of what lies in [0, 1]; weighted rows count as (sum w)^2 / sum w^2."""
    reach = np.sqrt(math.log(2 / alpha) / (2 * rows))
    return np.clip(mean - reach, 0, 1), np.clip(mean + reach, 0, 1)


def rate_intervals(cells: Cells, alpha: float) -> tuple[Floats, Floats]:
    """Intervals of the true rate of each cell: Clopper-Pearson, with weights Hoeffding."""
    if not cells.weighted:
        return clopper_pearson(cells.outcome, cells.rows, alpha)
    return hoeffding(cells.mean_outcome, np.square(cells.weight) / cells.squares, alpha)


def error_interval(cells: Cells, norm: str, alpha: float) -> tuple[float, float]:
    """Both ends of the true error of these cells, together with probability at least 1 - alpha."""
    low, high = rate_intervals(cells, alpha / 2 / cells.rows.size)
    mean = cells.mean_prediction
    least = np.maximum(0, np.maximum(low - mean, mean - high))
    largest = np.maximum(np.abs(mean - low), np.abs(high - mean))
    seen = float(cells.norm(cells.gaps(), norm))
    reach = _reach(cells, norm, low, high, alpha / 2)
    upper = min(float(cells.norm(largest, norm)), seen + reach)
    return min(float(cells.norm(least, norm)), seen), max(upper, seen)


def flip(cells: Cells, norm: str) -> Floats:
    """How far one outcome of a row of root-mean-square weight can move the error, for each cell."""
    size = np.sqrt(cells.squares / cells.rows) / cells.weight
    if norm == "l1":
        return np.asarray(cells.importance * size)
    return np.asarray(np.sqrt(cells.importance) * size if norm == "l2" else size)


def _reach(cells: Cells, norm: str, low: Floats, high: Floats, alpha: float) -> float:
    """What must be added to the error that was seen."""
    moves = flip(cells, norm)
    if (
        cells.weighted
    ):  # rows of one cell move it by different amounts: Hoeffding's bound needs their squares only
        return math.sqrt(math.log(1 / alpha) * float(cells.rows @ np.square(moves)) / 2)
    # around the best s of a normal law with variance 1/4, over four decades; any s gives a valid bound
    scale = math.sqrt(8 * math.log(1 / alpha) / float(cells.rows @ np.square(moves)))
    s = scale * np.logspace(-1, 3, 161)[:, None]
    exponent = s * moves
    nearest = np.clip(0.5, low, high)
    psi = _envelope(np.minimum(exponent, 700), np.minimum(nearest, 1 - nearest)) @ cells.rows
    valid = exponent.max(axis=1) <= 700  # beyond the range of exp the bound would no longer be one
    return float(((psi + math.log(1 / alpha)) / s[:, 0])[valid].min())


def _envelope(t: Floats, rate: Floats) -> Floats:
    """K(t, min(rate, r)) of the text above, elementwise, for t > 0 and rates of at most 1/2."""
    # the difference of two large numbers at small t: there its series, off by less than t^3 / 720
    highest = np.where(t < 1e-3, 0.5 - t / 12, 1 / t - 1 / np.expm1(t))
    rate = np.minimum(rate, highest)
    return np.asarray(np.log1p(rate * np.expm1(t)) - t * rate)
