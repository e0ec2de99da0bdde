"""How often intervals of the off-distribution AUROC hold the truth, over laws, sizes and truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom

from auditkit.uncertainty.detection import delong_interval, newcombe_interval, off_distribution_auroc

REPEATS = 500
SIZES = ((10, 10), (10, 200), (200, 10), (50, 50), (500, 100))


def draw(law, rng, n, m, truth):
    if law == "normal":
        return rng.normal(size=n), rng.normal(size=m) + ndtri(truth) * math.sqrt(2)
    if law == "wide":  # five times the spread outside
        return rng.normal(size=n), 5 * rng.normal(size=m) + ndtri(truth) * math.sqrt(26)
    if law == "exponential":
        return rng.exponential(size=n), truth / (1 - truth) * rng.exponential(size=m)
    return np.zeros(n), np.where(rng.random(m) < truth, 1.0, -1.0)  # the largest variance there is


@pytest.mark.slow
@pytest.mark.parametrize("truth", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("law", ["normal", "exponential", "wide", "coin"])
def test_intervals_hold_the_truth_as_often_as_promised(law, truth):
    rng = np.random.default_rng(1)
    for n, m in SIZES:
        held = wider = 0
        for _ in range(REPEATS // 4 if n + m > 500 else REPEATS):
            inside, outside = draw(law, rng, n, m, truth)
            found = off_distribution_auroc(inside, outside)
            low, high = found.details["approximate"]
            held += found.lower <= truth <= found.upper
            wider += low <= truth <= high
        repeats = REPEATS // 4 if n + m > 500 else REPEATS
        assert held >= binom.ppf(1e-5, repeats, 0.95), (n, m, held)
        # promised is nothing; this is what the docstring says was measured
        assert wider >= binom.ppf(1e-5, repeats, 0.86), (n, m, wider)


@pytest.mark.slow
def test_neither_approximate_interval_does_alone():
    """DeLong's on the logit scale at few rows near 1; Newcombe's where the groups spread differently."""
    rng = np.random.default_rng(2)
    delong = newcombe = 0
    for _ in range(500):
        inside, outside = (np.sort(rows) for rows in draw("normal", rng, 10, 10, 0.99))
        low, high = delong_interval(inside, outside, 0.05)
        delong += low <= 0.99 <= high
        found = off_distribution_auroc(*draw("coin", rng, 200, 10, 0.5)).value
        low, high = newcombe_interval(found, 200, 10, 0.05)
        newcombe += low <= 0.5 <= high
    assert delong < 250
    assert newcombe < 400
