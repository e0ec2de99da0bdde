"""Simulated audits of known epsilon for the subsampled Gaussian bound and the anytime bound.

Seeds are fixed. A test fails when so many misses would be improbable at the level that it names if the bound missed
exactly as often as it may.
"""

import math

import numpy as np
import pytest
from scipy import stats

from auditkit.privacy import anytime_bound, subsampled_gaussian_bound
from auditkit.privacy.epsilon import privacy_loss
from auditkit.privacy.epsilon.families import SubsampledGaussianCurves

pytestmark = pytest.mark.slow

DELTA, ALPHA = 1e-5, 0.05


def assert_covered(misses, audits, improbable):
    assert stats.binom.sf(misses - 1, audits, ALPHA) > improbable, f"{misses} of {audits}"


def traces(seed, canaries, rate, steps, sigma):
    """Log-likelihood-ratio scores of gradient canaries, and their coins."""
    random = np.random.default_rng([seed, 1])
    bits = random.integers(0, 2, canaries).astype(bool)
    total = np.zeros(canaries)
    for _ in range(steps):
        seen = (bits & (random.random(canaries) < rate)) + sigma * random.standard_normal(canaries)
        total += np.log1p(rate * np.expm1((2 * seen - 1) / (2 * sigma**2)))
    return np.clip(total, -50, 50), bits


@pytest.mark.parametrize("nominal", [4.0, 10.0])
def test_the_family_bound_on_its_mechanism(nominal):
    declared = {"sampling_rate": 0.1, "steps": 100, "delta": DELTA}
    curves = SubsampledGaussianCurves.tabulate(**declared)
    sigma = privacy_loss.sigma_for_epsilon(nominal, **declared)
    found = []
    for seed in range(250):
        scores, bits = traces(seed, 5000, 0.1, 100, sigma)
        bound = subsampled_gaussian_bound(scores[bits], scores[~bits], **declared, seed=seed, curves=curves)
        found.append(bound.epsilon)
    assert_covered(sum(epsilon > nominal for epsilon in found), 250, 1e-3)
    assert np.mean(found) >= 0.8 * nominal


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("nominal", [0.0, 1.0, 4.0, 10.0])
def test_the_family_bound_on_gaussian_scores(nominal, n):
    declared = {"sampling_rate": 1.0, "steps": 1, "delta": DELTA}
    curves = SubsampledGaussianCurves.tabulate(**declared)
    sigma = privacy_loss.sigma_for_epsilon(nominal, **declared) if nominal else 1e9
    misses = 0
    for seed in range(600):
        random = np.random.default_rng([seed, n])
        inside, outside = random.normal(1, sigma, n), random.normal(0, sigma, n)
        misses += (
            subsampled_gaussian_bound(inside, outside, **declared, seed=seed, curves=curves).epsilon > nominal
        )
    assert_covered(misses, 600, 1e-6)


@pytest.mark.parametrize(
    ("x", "y"), [(0.5, 0.5), (0.27, 0.27), (0.1, 0.1), (0.5, 0.01), (0.9, 0.03), ("changing", None)]
)
def test_the_anytime_bound_at_the_worst_moment(x, y):
    """The last entry of the running bound is its largest: the moment that an adversary would stop at."""
    audits, n, misses = 500, 600, 0
    for seed in range(audits):
        random = np.random.default_rng([seed, 2])
        member = random.random(n) < 0.5
        missed, false = (x, y) if y is not None else (np.linspace(0.5, 0.1, n), np.linspace(0.5, 0.1, n))
        rates = ((missed, false),) if y is not None else ((0.1, 0.1),)
        truth = max(0.0, *(math.log((1 - DELTA - b) / a) for a, b in rates + tuple((b, a) for a, b in rates)))
        guesses = np.where(member, random.random(n) >= missed, random.random(n) < false)
        misses += anytime_bound(guesses, member, delta=DELTA).epsilon > truth
    assert_covered(misses, audits, 1e-6)
