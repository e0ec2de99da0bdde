"""Intervals of calibration errors cover, and their tests keep their size, over simulated models of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditkit.uncertainty.calibration import (
    calibration_error,
    classwise_calibration_error,
    top_label_calibration_error,
)

pytestmark = pytest.mark.slow

TRIALS = 400
# slope of the log-odds that are promised, spread and centre of the true ones
TRUTHS = {
    "calibrated": (1.0, 1.5, 0.0),
    "a little overconfident": (1.1, 1.5, 0.0),
    "overconfident": (1.3, 1.5, 0.0),
    "underconfident": (0.7, 1.5, 0.0),
    "confident, calibrated": (1.0, 4.0, 0.0),
    "rare, calibrated": (1.0, 1.0, -4.0),
    "rare, overconfident": (1.3, 1.0, -4.0),
}


def sample(name, n, seed):
    slope, spread, centre = TRUTHS[name]
    rng = np.random.default_rng([seed, n, sorted(TRUTHS).index(name)])
    z = rng.normal(centre, spread, n)
    truth = 1 / (1 + np.exp(-z))
    return 1 / (1 + np.exp(-slope * z)), (rng.random(n) < truth).astype(np.uint8), truth


def true_error(found, p, truth, norm):
    """The norm of mean prediction less mean true rate in the bins of the result."""
    lows = np.array([one.low for one in found.bins])
    b = np.searchsorted(lows, p, side="right") - 1
    rows = np.bincount(b, minlength=lows.size)
    gaps, share = np.bincount(b, p - truth, lows.size) / rows, rows / p.size
    sizes = {"l1": share @ np.abs(gaps), "l2": np.sqrt(share @ gaps**2), "max": np.abs(gaps).max()}
    return sizes[norm]


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("n", [1000, 10_000])
@pytest.mark.parametrize(
    ("norm", "binning"), [("l1", "width"), ("l1", "mass"), ("l2", "width"), ("max", "mass")]
)
def test_binned_errors(name, n, norm, binning):
    covered = rejected = above = 0
    for seed in range(TRIALS):
        p, y, truth = sample(name, n, seed)
        found = calibration_error(p, y, norm=norm, binning=binning, replicates=99, seed=seed)
        covered += found.lower - 1e-12 <= true_error(found, p, truth, norm) <= found.upper
        rejected += found.p_value <= 0.05
        above += found.lower > 0
    assert covered >= stats.binom.ppf(1e-6, TRIALS, 0.95)
    if "calibrated" in name:
        # five of a hundred replicates reject: the size is 0.05 but for ties
        assert stats.binom.ppf(1e-6, TRIALS, 0.05) <= rejected <= stats.binom.isf(1e-6, TRIALS, 0.05)
        assert above <= stats.binom.isf(1e-6, TRIALS, 0.05)


@pytest.mark.parametrize("sharpness", [1.0, 1.3])
@pytest.mark.parametrize("classes", [3, 10])
def test_errors_of_tables(sharpness, classes):
    n, trials = 1000, 200
    held = {"classwise": 0, "top": 0}
    rejected = dict(held)
    for seed in range(trials):
        rng = np.random.default_rng([seed, classes])
        z = rng.normal(0, 1.5, (n, classes))
        truth = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        said = np.exp(sharpness * z) / np.exp(sharpness * z).sum(axis=1, keepdims=True)
        labels = (truth.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
        by_class = classwise_calibration_error(said, labels, replicates=99, seed=seed)
        errors = []
        for k in range(classes):
            b = np.minimum((said[:, k] * 15).astype(int), 14)
            errors.append(np.abs(np.bincount(b, said[:, k] - truth[:, k], 15)).sum() / n)
        held["classwise"] += by_class.lower <= np.mean(errors) <= by_class.upper
        rejected["classwise"] += by_class.p_value <= 0.05
        by_label = top_label_calibration_error(said, labels, replicates=99, seed=seed)
        top = said.argmax(axis=1)
        rows = np.arange(n)
        cell = top * 15 + np.minimum((said[rows, top] * 15).astype(int), 14)
        expected = np.abs(np.bincount(cell, said[rows, top] - truth[rows, top])).sum() / n
        held["top"] += by_label.lower <= expected <= by_label.upper
        rejected["top"] += by_label.p_value <= 0.05
    for name, count in held.items():
        assert count >= stats.binom.ppf(1e-6, trials, 0.95), name
        if sharpness == 1:
            assert rejected[name] <= stats.binom.isf(1e-6, trials, 0.05), name
