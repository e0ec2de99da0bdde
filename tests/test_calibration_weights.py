"""Weights of rows: equal ones change nothing, zeros leave rows out, whole ones repeat rows where nothing is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditkit.runtime import core
from auditkit.uncertainty.audits import calibration_audit
from auditkit.uncertainty.calibration import classwise_calibration_error
from auditkit.uncertainty.crps import crps_ensemble, crps_gaussian
from auditkit.uncertainty.decompositions import corp, murphy
from auditkit.uncertainty.diagrams import reliability
from auditkit.uncertainty.minimax import minimax_calibration_test
from auditkit.uncertainty.predictive import conformal_predictive
from auditkit.uncertainty.scores import interval_score, pinball
from auditkit.uncertainty.selective import augrc, aurc
from auditkit.uncertainty.smooth import smooth_calibration_error
from auditkit.uncertainty.walks import ks_calibration, kuiper_calibration, spiegelhalter

TESTS = {
    "ks": lambda p, y, w=None: ks_calibration(p, y, weights=w, method="resampling", replicates=19, seed=1),
    "kuiper": lambda p, y, w=None: kuiper_calibration(p, y, weights=w, replicates=19, seed=1),
    "minimax": lambda p, y, w=None: minimax_calibration_test(p, y, weights=w, replicates=19, seed=1),
    "smooth": lambda p, y, w=None: smooth_calibration_error(p, y, weights=w, replicates=19, seed=1),
    "spiegelhalter": lambda p, y, w=None: spiegelhalter(p, y, weights=w),
}
VALUES = {
    "smooth": lambda p, y, w: (
        smooth_calibration_error(p, y, weights=w, bandwidth=0.1, replicates=1, seed=1).value
    ),
    "corp": lambda p, y, w: corp(p, y, weights=w).miscalibration,
    "corp, log loss": lambda p, y, w: corp(p, y, weights=w, score="log_loss").discrimination,
    "murphy": lambda p, y, w: murphy(p, y, weights=w).discrimination,
    "uncertainty": lambda p, y, w: corp(p, y, weights=w).uncertainty,
}


def sample(n, seed, slope=1.3):
    rng = np.random.default_rng([seed, n])
    z = rng.normal(0, 1.5, n)
    p = 1 / (1 + np.exp(-slope * z))
    return np.round(p, 3), (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.uint8), rng


def figure(found):
    return getattr(found, "statistic", getattr(found, "value", None))


@pytest.mark.parametrize("name", TESTS)
def test_equal_weights_change_nothing(name):
    p, y, _ = sample(400, 1)
    plain, weighted = TESTS[name](p, y), TESTS[name](p, y, np.full(400, 3.0))
    assert figure(weighted) == pytest.approx(figure(plain), rel=1e-9)
    assert weighted.p_value == pytest.approx(plain.p_value, rel=1e-9)


@pytest.mark.parametrize("name", TESTS)
def test_rows_of_weight_zero_are_not_there(name):
    p, y, rng = sample(400, 2)
    weights = rng.integers(0, 3, 400).astype(np.float64)
    kept = weights > 0
    p[0], y[0], weights[0], kept[0] = 0.0, 1, 0.0, False  # a contradiction, if it counted
    found, expected = TESTS[name](p, y, weights), TESTS[name](p[kept], y[kept], weights[kept])
    assert figure(found) == pytest.approx(figure(expected), rel=1e-12)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-12) and found.p_value > 0


@pytest.mark.parametrize("name", VALUES)
def test_whole_weights_repeat_rows(name):
    p, y, rng = sample(300, 3)
    times = rng.integers(0, 4, 300)
    found = VALUES[name](p, y, times.astype(np.float64))
    assert found == pytest.approx(VALUES[name](np.repeat(p, times), np.repeat(y, times), None), abs=1e-12)


def test_walks_and_partitions_of_weighted_rows():
    p, y, rng = sample(500, 4)
    order = np.argsort(p)
    p, y, w = p[order], y[order], rng.random(500)
    walk = np.concatenate([[0], np.cumsum(w * (y - p))])
    ends = np.ones(500, dtype=np.uint8)
    assert core.walk_range(p, y, w, ends) == pytest.approx((walk.max(), walk.min()), abs=1e-12)
    found = core.partition_errors(p, y, w, 5)
    for level in range(1, 6):
        bins, total = np.minimum((p * 2**level).astype(int), 2**level - 1), 0.0
        for b in np.unique(bins):
            rows = bins == b
            size, squares = w[rows].sum(), (w[rows] ** 2).sum()
            if np.count_nonzero(rows) < 2:
                continue
            mean, gap = (w[rows] @ y[rows]) / size, (w[rows] @ (p - y)[rows]) / size
            total += size / w.sum() * (gap**2 - mean * (1 - mean) / (size**2 / squares - 1))
        assert found[level - 1] == pytest.approx(total, abs=1e-14)


@pytest.mark.parametrize("name", ["ks", "minimax", "smooth"])
def test_weighted_tests_keep_their_size(name):
    trials, rejected = 40 if name == "smooth" else 200, 0
    for seed in range(trials):
        p, y, rng = sample(100, seed, slope=1.0)
        p = np.clip(p, 1e-3, 1 - 1e-3)
        rejected += TESTS[name](p, y, rng.pareto(1.5, 100)).p_value <= 0.05
    assert rejected <= stats.binom.isf(1e-6, trials, 0.05)
    p, y, rng = sample(2000, 1, slope=2.0)
    assert TESTS[name](p, y, 0.5 + rng.random(2000)).p_value == 0.05


def test_few_heavy_rows_are_resampled():
    p, y, _ = sample(1000, 5)
    assert ks_calibration(p, y, seed=1).method == "asymptotic"
    weights = np.ones(1000)
    weights[0] = 1e3
    assert ks_calibration(p, y, weights=weights, seed=1).method == "null resampling"


def test_classwise_errors_of_weighted_rows():
    rng = np.random.default_rng(6)
    table = rng.dirichlet(np.ones(3), 300)
    labels = np.array([rng.choice(3, p=row) for row in table])
    plain = classwise_calibration_error(table, labels, seed=1)
    equal = classwise_calibration_error(table, labels, weights=np.full(300, 2.0), seed=1)
    assert equal.value == pytest.approx(plain.value) and equal.upper == pytest.approx(plain.upper)
    assert equal.p_value == plain.p_value
    times = rng.integers(0, 4, 300)
    found = classwise_calibration_error(table, labels, weights=times.astype(float), seed=1)
    repeated = classwise_calibration_error(np.repeat(table, times, axis=0), np.repeat(labels, times), seed=1)
    assert found.value == pytest.approx(repeated.value, abs=1e-12)
    # repeated rows are not independent rows: their interval is too short
    assert found.upper > repeated.upper and found.method == "hoeffding, mcdiarmid"


@pytest.mark.parametrize("area", [aurc, augrc])
def test_areas_of_weighted_rows(area):
    """The definition row by row: coverages are shares of weight."""
    rng = np.random.default_rng(8)
    sure, right, w = rng.permutation(60) / 60, rng.integers(0, 2, 60), 0.1 + rng.random(60)
    order = np.argsort(-sure)
    c, e = np.cumsum(w[order]) / w.sum(), np.cumsum((w * (1 - right))[order]) / w.sum()
    risk = e / c if area is aurc else e
    found = area(sure, right, weights=w)
    assert found.value == pytest.approx(np.trapezoid(risk, c) / (1 - c[0]), abs=1e-14)
    assert found.details["excess"] > 0
    assert found.details["curve"][0]["coverage"] == pytest.approx(c[0])
    last = found.details["risks"][-1]
    assert last["risk"] == pytest.approx((w @ (1 - right)) / w.sum()) and last["lower"] < last["risk"]
    reach = np.sqrt(np.log(2 / 0.05) * (w**2).sum() / w.sum() ** 2 / 2)
    assert last["upper"] == pytest.approx(last["risk"] + reach)
    plain, equal = area(sure, right), area(sure, right, weights=np.full(60, 2.0))
    assert equal.value == pytest.approx(plain.value, abs=1e-14)
    assert equal.details["excess"] == pytest.approx(plain.details["excess"], abs=1e-14)
    # rows of equal confidence are exchangeable, whatever their weights
    tied = area(np.zeros(60), right, weights=w), area(np.zeros(60), right[::-1], weights=w[::-1])
    assert tied[0].value == pytest.approx(tied[1].value, abs=1e-14)


def test_an_audit_of_weighted_rows():
    p, y, rng = sample(600, 7)
    weights = rng.random(600)
    found = calibration_audit(p, y, weights=weights, replicates=99, seed=1)
    assert set(found.tests) == {"spiegelhalter", "kolmogorov_smirnov", "kuiper", "minimax"}
    assert "smooth_calibration_error" in found.errors and set(found.decompositions) == {"brier", "log_loss"}
    assert {"brier", "log_loss", "aurc", "augrc"} <= set(found.scores)
    curve = reliability(p, y, weights=weights, seed=1).curve
    rates = [point["rate"] for point in curve]
    assert rates == sorted(rates)
    assert all(point["null_lower"] <= point["null_upper"] for point in curve)


@pytest.mark.parametrize(
    "score",
    [
        lambda y, w: pinball(y, np.zeros(y.size), 0.2, weights=w),
        lambda y, w: conformal_predictive(np.zeros(y.size), [-1.0, 0.2, 2.0]).crps(y, weights=w),
        lambda y, w: crps_gaussian(y, np.zeros(y.size), np.ones(y.size), weights=w),
        lambda y, w: crps_ensemble(y, np.tile([-1.0, 0.5, 2.0], (y.size, 1)), weights=w),
        lambda y, w: interval_score(y, np.full(y.size, -1.0), np.ones(y.size), 0.2, weights=w),
    ],
)
def test_scores_of_weighted_rows(score):
    rng = np.random.default_rng(9)
    y, times = rng.normal(size=80), rng.integers(0, 4, 80)
    found, points = score(y, times.astype(float)), score(y, None).per_point
    assert found.value == pytest.approx(np.repeat(points, times).mean())
    assert found.lower < found.value < found.upper
