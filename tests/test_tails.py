"""The distribution functions of the checks against scipy.stats, which is another implementation of each law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from auditkit.privacy import tails

PROBABILITIES = (1e-12, 1e-6, 0.025, 0.5, 0.975)
CLOSE = {"rtol": 1e-9, "atol": 1e-300}  # far below what a test at level 1% could notice


@pytest.mark.parametrize("freedom", [1, 7, 50_000, 5_000_000])
def test_chi_square(freedom):
    x = stats.chi2.ppf(PROBABILITIES, freedom)
    assert np.allclose(tails.chi2_cdf(x, freedom), stats.chi2.cdf(x, freedom), **CLOSE)
    assert np.allclose(tails.chi2_sf(x, freedom), stats.chi2.sf(x, freedom), **CLOSE)
    for p in PROBABILITIES:
        assert tails.chi2_ppf(p, freedom) == pytest.approx(stats.chi2.ppf(p, freedom), rel=1e-9)
        assert tails.chi2_isf(p, freedom) == pytest.approx(stats.chi2.isf(p, freedom), rel=1e-9)


@pytest.mark.parametrize("shape", [0.5, 3.0, 1e6])
def test_gamma(shape):
    x = np.append(stats.gamma.ppf(PROBABILITIES, shape), [-1.0, 0.0])
    assert np.allclose(tails.gamma_cdf(x, shape), stats.gamma.cdf(x, shape), **CLOSE)
    assert np.allclose(tails.gamma_sf(x, shape), stats.gamma.sf(x, shape), **CLOSE)


@pytest.mark.parametrize("freedom", [1, 30, 100_000, math.inf])
def test_student_and_normal(freedom):
    x = np.linspace(-6, 6, 25)
    assert np.allclose(tails.student_sf(x, freedom), stats.t.sf(x, freedom), **CLOSE)
    assert np.allclose(tails.normal_sf(x), stats.norm.sf(x), **CLOSE)
    for p in PROBABILITIES:
        assert tails.student_isf(p, freedom) == pytest.approx(stats.t.isf(p, freedom), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(1, 10), (90, 12), (1e5, 9e5)])
def test_beta(a, b):
    for p in PROBABILITIES:
        assert tails.beta_ppf(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-9)
        assert tails.beta_isf(p, a, b) == pytest.approx(stats.beta.isf(p, a, b), rel=1e-9)


@pytest.mark.parametrize(("n", "p"), [(1, 0.5), (100, 0.1), (1437, 0.1), (10, 1.0), (10, 0.0)])
def test_binomial(n, p):
    k = np.arange(-1, n + 2)
    assert np.allclose(tails.binomial_cdf(k, n, p), stats.binom.cdf(k, n, p), rtol=1e-9, atol=1e-300)
    assert np.allclose(tails.binomial_sf(k, n, p), stats.binom.sf(k, n, p), rtol=1e-9, atol=1e-300)
    inside = np.arange(n + 1)
    assert np.allclose(
        tails.binomial_pmf(inside, n, p), stats.binom.pmf(inside, n, p), rtol=1e-8, atol=1e-300
    )
