"""The bootstrap on cells against the bootstrap of rows, and what its interval is worth."""

from __future__ import annotations

import numpy as np
import pytest

from auditkit.errors import InputError
from auditkit.uncertainty._inputs import read_binary
from auditkit.uncertainty.bins import cut
from auditkit.uncertainty.bootstraps import bootstrap_errors
from auditkit.uncertainty.calibration import calibration_error


def sample(n, seed, slope=1.0):
    rng = np.random.default_rng([seed, n])
    z = rng.normal(0, 1.5, n)
    return 1 / (1 + np.exp(-slope * z)), (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.uint8), z


@pytest.mark.parametrize(
    ("norm", "debiased", "bins"),
    [("l1", False, 8), ("l2", False, 8), ("l2", True, 8), ("max", False, 8), ("l1", False, 1)],
)
def test_cells_stand_for_rows(norm, debiased, bins):
    """Resampling rows and computing anew gives the same law: means and spreads within five standard errors."""
    p, y, _ = sample(800, 1, 1.3)
    cells, rng, draws = cut(read_binary(p, y), bins), np.random.default_rng(0), 500
    fast = bootstrap_errors(cells, norm, debiased=debiased, replicates=4000, seed=1)
    slow = np.empty(draws)
    for draw in range(draws):
        rows = rng.integers(0, 800, 800)
        again = cut(read_binary(p[rows], y[rows]), bins)
        squared = again.debiased_square() if debiased else None
        slow[draw] = np.sqrt(max(squared, 0)) if debiased else again.norm(again.gaps(), norm)
    assert abs(fast.mean() - slow.mean()) < 5 * slow.std() / np.sqrt(draws)
    assert fast.std() == pytest.approx(slow.std(), rel=5 / np.sqrt(2 * draws) * 1.3)


def test_a_percentile_interval_misses_where_ours_holds():
    """Calibrated rows, true error 0: the bootstrap that other tools print never holds it."""
    held = {"ours": 0, "bootstrap": 0}
    for seed in range(60):
        p, y, z = sample(1000, seed)
        found = calibration_error(p, y, bootstrap=200, replicates=1, seed=seed)
        rates = 1 / (1 + np.exp(-z))
        b = np.minimum((p * 15).astype(int), 14)
        true = np.abs(np.bincount(b, p - rates)).sum() / 1000
        beside = found.details["bootstrap"]
        held["ours"] += found.lower <= true <= found.upper
        held["bootstrap"] += beside["lower"] <= true <= beside["upper"]
    assert held["ours"] >= 57 and held["bootstrap"] == 0


def test_the_interval_says_what_it_is():
    p, y, _ = sample(300, 3)
    found = calibration_error(p, y, bootstrap=50, alpha=0.1, seed=4)
    beside = found.details["bootstrap"]
    assert beside == calibration_error(p, y, bootstrap=50, alpha=0.1, seed=4).details["bootstrap"]
    assert beside["lower"] <= beside["upper"] and not beside["valid"] and "not valid" in beside["text"]
    assert beside["level"] == 0.9 and beside["replicates"] == 50
    assert "bootstrap" not in calibration_error(p, y, seed=4).details
    for bad, settings in ((-1, {}), (2.5, {}), (9, {"weights": np.ones(300)})):
        with pytest.raises(InputError) as refused:
            calibration_error(p, y, bootstrap=bad, **settings)
        assert refused.value.id == "AK-UN-008" and "bootstrap" in str(refused.value)


@pytest.mark.parametrize(("p", "y"), [([0.3], [1]), ([0.5] * 4, [1] * 4), ([0.0, 1.0], [0, 1])])
def test_edge_data_have_an_interval(p, y):
    for settings in ({}, {"norm": "max"}, {"norm": "l2", "debiased": True}):
        beside = calibration_error(p, y, bootstrap=9, seed=1, **settings).details["bootstrap"]
        assert 0 <= beside["lower"] <= beside["upper"] <= 1
