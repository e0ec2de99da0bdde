"""Conformal predictive laws over many calibrations: transforms are uniform, intervals cover as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from auditkit.uncertainty.pit import discrete_pit, pit_test
from auditkit.uncertainty.predictive import conformal_predictive
from auditkit.uncertainty.shared_calibration import shared_histogram

pytestmark = pytest.mark.slow

REPETITIONS = 5000
FEWER = 2000
ROWS = 60
"""Test rows of a repetition, each with calibration rows of its own: one group of a Mondrian law each, so that the
transforms are independent and the Kolmogorov-Smirnov test is exact."""

NOISES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy": lambda rng, shape: rng.standard_t(2, size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape),
    "ties": lambda rng, shape: np.round(rng.normal(size=shape)),
}


def laws(noise, n, seed, scaled):
    """`ROWS` laws of n calibration rows each, and outcomes. Predictions are biased: laws mend that."""
    rng = np.random.default_rng([seed, n, sorted(NOISES).index(noise)])
    draws = NOISES[noise](rng, (ROWS, n + 1)) + 3.0
    hard = rng.choice([0.5, 1.0, 4.0], (ROWS, n + 1))
    # halves and powers of two: predictions and scales round nothing, ties stay ties
    mean = rng.integers(-8, 8, ROWS) / 2
    names = np.arange(ROWS)
    if scaled:
        draws = draws * hard
    law = conformal_predictive(
        mean,
        draws[:, :n].ravel(),
        scales=hard[:, n] if scaled else None,
        scales_cal=hard[:, :n].ravel() if scaled else None,
        groups=(np.repeat(names, n), names),
    )
    return law, mean + draws[:, n]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("n", "scaled"), [(1, False), (9, False), (50, True)])
def test_transforms_are_uniform(noise, n, scaled):
    rejected = 0
    for seed in range(REPETITIONS):
        law, y = laws(noise, n, seed, scaled)
        rejected += stats.kstest(law.pit(y, seed=seed)[0], "uniform").pvalue <= 0.05
    # deviation 0.0031: from -6.5 to 3.2 deviations
    assert 0.03 <= rejected / REPETITIONS <= 0.06


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("n", "alpha"), [(9, 0.2), (19, 0.1), (50, 0.1), (9, 0.1)])
def test_intervals_cover(noise, n, alpha):
    held = 0
    for seed in range(FEWER // 4):
        law, y = laws(noise, n, seed, n == 50)
        low, high = law.interval(alpha)
        held += int(((low <= y) & (y <= high)).sum())
    total = ROWS * (FEWER // 4)
    exact = 1 - 2 * math.floor(round(alpha * (n + 1), 9) / 2) / (n + 1)
    deviation = math.sqrt(max(exact * (1 - exact), 1e-12) / total)
    assert held / total >= exact - 4.5 * deviation
    if noise != "ties":
        assert held / total <= exact + 4.5 * deviation


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("n", "m"), [(20, 200), (99, 100), (500, 50)])
def test_tests_of_rows_that_share_their_calibration(noise, n, m):
    """Exact tests are at most as large as they say; the one that takes transforms as independent is far larger."""
    rejected = outside = wrong = 0
    for seed in range(FEWER):
        rng = np.random.default_rng([seed, n, m, sorted(NOISES).index(noise)])
        law = conformal_predictive(np.zeros(m), NOISES[noise](rng, n))
        y = NOISES[noise](rng, m)
        u, _ = law.pit(y, seed=seed)
        rejected += law.rank_test(y).p_value <= 0.05
        shown = shared_histogram(u, n, 0.05)
        outside += min(shown["counts"]) < shown["band"][0] or max(shown["counts"]) > shown["band"][1]
        wrong += stats.kstest(u, "uniform").pvalue <= 0.05
    # deviation 0.0049, four of them
    assert rejected / FEWER <= 0.07 and outside / FEWER <= 0.07
    if noise != "ties":
        assert rejected / FEWER >= 0.02
    if n == 20:
        assert wrong / FEWER >= 0.5


def test_laws_with_steps_keep_their_size():
    rejected = {"poisson": 0, "binomial": 0}
    poisson, binomial = stats.poisson(1.5), stats.binom(6, 0.3)
    for seed in range(FEWER):
        rng = np.random.default_rng([seed, 5])
        for name, law, y in (
            ("poisson", poisson, rng.poisson(1.5, 100)),
            ("binomial", binomial, rng.binomial(6, 0.3, 100)),
        ):
            u, _ = discrete_pit(law.cdf(y - 1), law.cdf(y), seed=seed)
            rejected[name] += pit_test(u).p_value <= 0.05
    # deviation 0.0049
    for count in rejected.values():
        assert 0.03 <= count / FEWER <= 0.06
