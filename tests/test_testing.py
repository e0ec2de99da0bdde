"""Assertions for test suites: what fails, with which sentence and how often, and that bad input never passes."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

import auditkit.testing
from auditkit import InputError, dp_estimate
from auditkit.privacy import Evidence, clopper_pearson
from auditkit.testing import assert_calibrated, assert_epsilon
from auditkit.uncertainty.calibration import calibration_error


def rows(seed, n=2000, off=0.0):
    """Predictions whose true rate is smaller by `off`."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.3, 0.9, size=n)
    return p, (rng.random(n) < p - off).astype(int)


def failure(function):
    with pytest.raises(AssertionError) as caught:
        function()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_calibrated_predictions_pass_and_others_fail_with_their_numbers():
    p, y = rows(0)
    found = assert_calibrated(p, y)
    assert found.to_dict() == calibration_error(p, y, alpha=0.01, seed=0).to_dict()
    p, y = rows(1, off=0.2)
    error = calibration_error(p, y, alpha=0.01, seed=0)
    words = failure(lambda: assert_calibrated(p, y))
    assert words == (
        f"all rows: calibration is rejected at alpha 0.01, p = 0.001: the calibration error is {error.value:.3g} as "
        f"measured on 2,000 rows, where perfect predictions would measure {error.null_value:.3g}; the true one lies in "
        f"[{error.lower:.3g}, {error.upper:.3g}] with 99% confidence"
    )
    table = np.stack([1 - p, p], axis=1)
    assert_calibrated(np.stack([1 - p, p], axis=1), rows(1)[1])
    assert "rejected" in failure(lambda: assert_calibrated(table, y))


def test_what_is_tolerated_is_compared_to_the_interval():
    p, y = rows(2, off=0.2)
    error = calibration_error(p, y, alpha=0.05, seed=0)
    low, high = error.lower, error.upper
    assert 0.08 < low < 0.2 < high < 0.3
    settings = {"alpha": 0.05}
    assert assert_calibrated(p, y, at_most=low, **settings).value == error.value
    assert "above the 0.08 that is tolerated" in failure(
        lambda: assert_calibrated(p, y, at_most=0.08, **settings)
    )
    assert_calibrated(p, y, at_most=high, surely=True, **settings)
    words = failure(lambda: assert_calibrated(p, y, at_most=low, surely=True, **settings))
    assert "not shown to be at most" in words
    assert f"[{low:.3g}, {high:.3g}] with 95% confidence" in words


def test_a_group_that_hides_in_the_whole_is_found_and_named():
    p, y = rows(3, n=4000)
    groups = np.array(["a", "b", "c", "d"] * 1000)
    rng = np.random.default_rng(4)
    y[groups == "c"] = rng.random(1000) < p[groups == "c"] - 0.2
    y[groups == "d"] = rng.random(1000) < np.minimum(p[groups == "d"] + 0.2, 1)
    assert_calibrated(p, y, at_most=0.05)
    words = failure(lambda: assert_calibrated(p, y, groups=groups))
    assert words.startswith(("group c: calibration is rejected", "group d: calibration is rejected"))
    assert "p = 0.005, adjusted for 5 tests" in words
    assert failure(lambda: assert_calibrated(p, y, at_most=0.05, groups=groups)).startswith(
        "group c: the calibr"
    )
    weights = np.where(np.isin(groups, ["c", "d"]), 0.0, 1.0)
    with pytest.raises(InputError):  # a group of no weight has no error
        assert_calibrated(p, y, groups=groups, weights=weights)
    assert_calibrated(p, y, weights=weights)


def test_calibrated_models_fail_as_rarely_as_promised():
    failed, repeats, alpha = 0, 80, 0.1
    for seed in range(repeats):
        p, y = rows(seed, n=200)
        try:
            assert_calibrated(p, y, alpha=alpha, groups=np.arange(200) % 2, replicates=99, seed=seed)
        except AssertionError:
            failed += 1
    assert failed <= binom.isf(1e-4, repeats, alpha)


def test_epsilon_is_compared_to_its_lower_bound():
    bound = clopper_pearson(tp=190, fn=10, fp=10, tn=190, delta=1e-5)
    assert bound.epsilon > 2
    assert assert_epsilon(bound, at_most=bound.epsilon) is bound
    words = failure(lambda: assert_epsilon(bound, at_most=2))
    assert words.startswith(
        f"epsilon is at least {bound.epsilon:.4g} at delta 1e-05, above 2: confidence bound of level"
    )
    assert "clopper-pearson" in words
    scores = np.concatenate([np.zeros(200), np.arange(1, 201)])
    found = dp_estimate(
        Evidence.from_scores(scores, np.repeat([0, 1], 200), design="independent"), delta=0, seed=0
    )
    assert assert_epsilon(found, at_most=found.epsilon_lower) is found
    assert "above 0.5" in failure(lambda: assert_epsilon(found, at_most=0.5))
    # a hard check failed: what was not audited does not pass
    invalid = replace(found, epsilon_lower=None, headline=None)
    assert failure(lambda: assert_epsilon(invalid, at_most=9)).startswith("epsilon has no lower bound: ")


def test_bad_input_never_passes():
    p, y = rows(5, n=60)
    bound = clopper_pearson(tp=5, fn=5, fp=5, tn=5, delta=0)
    for id, call in (
        ("AK-UN-001", lambda: assert_calibrated(p * math.nan, y)),
        ("AK-UN-001", lambda: assert_calibrated(0.5, y)),
        ("AK-UN-001", lambda: assert_calibrated([], [])),
        ("AK-UN-002", lambda: assert_calibrated(p, y[:9])),
        ("AK-UN-002", lambda: assert_calibrated(p, y[:9], groups=y)),
        ("AK-UN-006", lambda: assert_calibrated(p, y, groups=y[:9])),
        ("AK-UN-007", lambda: assert_calibrated(p, y, alpha=0)),
        ("AK-UN-008", lambda: assert_calibrated(p, y, replicates=0)),
        ("AK-TE-001", lambda: assert_calibrated(p, y, at_most=1.5)),
        ("AK-TE-001", lambda: assert_calibrated(p, y, at_most="all")),
        ("AK-TE-001", lambda: assert_calibrated(p, y, surely=True)),
        ("AK-TE-002", lambda: assert_calibrated(p, y, replicates=98)),
        ("AK-TE-002", lambda: assert_calibrated(p, y, replicates=298, groups=y)),
        ("AK-TE-003", lambda: assert_epsilon(0.3, at_most=1)),
        ("AK-TE-003", lambda: assert_epsilon(calibration_error(p, y), at_most=1)),
        ("AK-TE-004", lambda: assert_epsilon(bound, at_most=-1)),
        ("AK-TE-004", lambda: assert_epsilon(bound, at_most=math.inf)),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id, str(caught.value)
    # the least number of replicates with which the test can fail at all
    assert_calibrated(*rows(0, n=60), replicates=99)
    with pytest.raises(AssertionError):
        assert_calibrated(*rows(6, off=0.3), replicates=99)


def test_it_loads_neither_pytest_nor_numpy_before_it_is_used():
    program = "import sys, auditkit.testing; print({'pytest', 'numpy', '_pytest'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert dir(auditkit.testing) == ["assert_calibrated", "assert_epsilon"]
    with pytest.raises(AttributeError, match="no attribute 'assert_true'"):
        auditkit.testing.assert_true  # noqa: B018
