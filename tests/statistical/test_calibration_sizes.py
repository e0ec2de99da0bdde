"""Calibration tests without bins reject calibrated models as often as they say, and miscalibrated ones more often."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditkit.uncertainty.minimax import minimax_calibration_test
from auditkit.uncertainty.smooth import smooth_calibration_error
from auditkit.uncertainty.walks import ks_calibration, kuiper_calibration, spiegelhalter

pytestmark = pytest.mark.slow

TRIALS = 4000
# spread and centre of the true log-odds
POPULATIONS = {"usual": (1.5, 0.0), "confident": (4.0, 0.0), "rare": (1.0, -3.0), "one rate": (0.0, 1.0)}
TESTS = {
    "ks": lambda p, y, seed: ks_calibration(p, y, method="resampling", replicates=39, seed=seed),
    "kuiper": lambda p, y, seed: kuiper_calibration(p, y, method="resampling", replicates=39, seed=seed),
    "minimax": lambda p, y, seed: minimax_calibration_test(p, y, replicates=39, seed=seed),
    "smooth": lambda p, y, seed: smooth_calibration_error(p, y, replicates=39, seed=seed),
    "ks, limit law": lambda p, y, seed: ks_calibration(p, y, method="asymptotic"),
    "kuiper, limit law": lambda p, y, seed: kuiper_calibration(p, y, method="asymptotic"),
    "spiegelhalter": lambda p, y, seed: spiegelhalter(p, y),
}


def sample(name, n, seed, slope=1.0):
    spread, centre = POPULATIONS[name]
    rng = np.random.default_rng([seed, n, list(POPULATIONS).index(name)])
    z = rng.normal(centre, spread, n) if spread else np.full(n, centre)
    return 1 / (1 + np.exp(-slope * z)), (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.uint8)


def rejected(test, name, n, trials, slope=1.0):
    return sum(TESTS[test](*sample(name, n, seed, slope), seed).p_value <= 0.05 for seed in range(trials))


@pytest.mark.parametrize("name", POPULATIONS)
@pytest.mark.parametrize("n", [50, 500])
@pytest.mark.parametrize("test", ["ks", "kuiper", "minimax"])
def test_resampled_tests_have_their_size(test, n, name):
    share = rejected(test, name, n, TRIALS) / TRIALS
    # where all rows promise the same rate, few outcomes are possible: ties make the tests conservative
    assert (0 if name == "one rate" else 0.03) <= share <= 0.06


@pytest.mark.parametrize("name", ["usual", "confident", "rare"])
def test_the_smooth_test_has_its_size(name):
    trials = 1000
    assert 0.03 <= rejected("smooth", name, 200, trials) / trials <= 0.06


@pytest.mark.parametrize("name", ["usual", "confident", "rare"])
@pytest.mark.parametrize("test", ["ks, limit law", "kuiper, limit law", "spiegelhalter"])
def test_limit_laws_are_close(test, name):
    # approximate: no size is claimed, but 5,000 rows must bring them near it
    assert 0.03 <= rejected(test, name, 5000, TRIALS) / TRIALS <= 0.06


@pytest.mark.parametrize("slope", [0.6, 1.6])
@pytest.mark.parametrize("test", TESTS)
def test_miscalibrated_models_are_rejected(test, slope):
    trials = 200
    assert rejected(test, "usual", 1000, trials, slope) >= stats.binom.isf(1e-6, trials, 0.05)
