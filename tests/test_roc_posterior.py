"""The posterior of a ROC curve: its marginals are the Beta laws it is defined by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from auditkit import InputError
from auditkit.privacy.epsilon.roc import _drawn_rates, roc_posterior

DRAWS = 20_000


def test_rates_at_each_threshold_have_their_beta_laws():
    counts = np.array([0, 3, 10, 10, 40])
    drawn = _drawn_rates(counts, 0.5, DRAWS, np.random.default_rng(1))
    # Kolmogorov distance of 20,000 draws from the true law, at a level of 1e-6 for each of four thresholds.
    bar = math.sqrt(math.log(2 / 1e-6) / (2 * DRAWS))
    for column, k in zip(drawn.T[1:-1], counts, strict=True):
        assert stats.kstest(column, stats.beta(k + 0.5, 40 - k + 0.5).cdf).statistic < bar


def test_leaving_out_thresholds_leaves_the_law_of_the_rest():
    full, rates = np.arange(41), np.array([0.1, 0.5, 0.9])
    many = roc_posterior(full, np.minimum(2 * full, 40), rates, seed=3, draws=DRAWS)
    few = roc_posterior(full[::4], np.minimum(2 * full[::4], 40), rates, seed=4, draws=DRAWS)
    # Between thresholds the curve is interpolated, so only the ends of the band are compared, loosely.
    assert few.low == pytest.approx(many.low, abs=0.03)
    assert few.high == pytest.approx(many.high, abs=0.03)


def test_band_lies_around_the_curve_and_narrows_with_the_units():
    rates = np.linspace(0.05, 0.95, 19)
    widths = []
    for n in (100, 10_000):
        at = np.linspace(0, n, 51).astype(np.int64)
        true = np.round(n * np.sqrt(at / n)).astype(np.int64)
        band = roc_posterior(at, true, rates, seed=5)
        assert np.all(band.low < np.sqrt(rates) + 0.01)
        assert np.all(np.sqrt(rates) < band.high + 0.01)
        assert np.all(np.diff(band.median) >= -0.02)
        widths.append(np.mean(band.high - band.low))
    assert widths[0] / widths[1] == pytest.approx(10, rel=0.35)


def test_same_seed_same_band_and_bad_alpha_is_named():
    counts, rates = np.array([0, 1, 2]), np.array([0.5])
    one, two = (roc_posterior(counts, counts, rates, seed=9) for _ in range(2))
    np.testing.assert_array_equal(one.high, two.high)
    with pytest.raises(InputError, match="alpha: must be one number in"):
        roc_posterior(counts, counts, rates, alpha=1.0)
