"""Transforms of many rows by laws of the same calibration rows: what is right of them although they share these."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_UP_TO = 10**7
"""Products of both sizes up to which the permutation law is summed; beyond it the limit law is near."""


def two_sample(calibration: Floats, test: Floats) -> tuple[float, float, bool]:
    """Kolmogorov and Smirnov's statistic of two samples, its p-value, and whether that is exact (or, with ties, large).

    Source: Hodges, The significance probability of the Smirnov two-sample test (1958).
    """
    from scipy.stats import ks_2samp

    exact = calibration.size * test.size <= EXACT_UP_TO
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")  # SciPy warns where the exact sum fails and the limit law stands in
        found = ks_2samp(calibration, test, method="exact" if exact else "asymp")
    return float(found.statistic), min(float(found.pvalue), 1.0), exact and not said


def shared_histogram(u: Floats, n_calibration: int, alpha: float) -> Mapping[str, Any]:
    """Counts of min(20, m / 10) bins, and the band that holds all of them with probability at least 1 - alpha.

    Given the n calibration rows, outcomes fall between them with probabilities of a flat Dirichlet law: j of the n + 1
    steps hold a Beta(j, n + 1 - j) share, whatever the law of the data. A bin holds at least the steps inside it, and
    at most those that it touches. The binomial band of independent values would be too narrow unless n is far above m.
    """
    bins = max(1, min(20, u.size // 10))
    counts = np.histogram(u, bins, (0, 1))[0]
    steps, rest = divmod(n_calibration + 1, bins)
    fewest, most = (steps, steps) if rest == 0 else (max(steps - 1, 0), steps + 2)
    error = alpha / (2 * bins)
    band = [
        _count_quantile(u.size, j, n_calibration + 1 - j, error, upper)
        for j, upper in ((fewest, False), (most, True))
    ]
    return {"counts": counts.tolist(), "band": band}


def _count_quantile(m: int, a: int, b: int, error: float, upper: bool) -> int:
    """A beta-binomial count that is undercut, or exceeded, with probability at most `error`."""
    from scipy.special import betaln, gammaln

    if a <= 0 or b <= 0:
        return 0 if a <= 0 else m
    counts = np.arange(m + 1.0)
    log_pmf = math.lgamma(m + 1) - gammaln(counts + 1) - gammaln(m - counts + 1)
    log_pmf += betaln(counts + a, m - counts + b) - betaln(a, b)
    pmf = np.exp(log_pmf)
    if upper:
        return m - int(np.searchsorted(np.cumsum(pmf[::-1]), error, side="right"))
    return int(np.searchsorted(np.cumsum(pmf), error, side="right"))
