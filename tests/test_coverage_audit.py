"""Coverage against its promise, scores of predictive laws, transforms and the audit of all of them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import integrate, stats

from auditkit.errors import InputError
from auditkit.uncertainty.coverage_audits import coverage_audit
from auditkit.uncertainty.covering import conformal_rank, coverage, detectable_coverage
from auditkit.uncertainty.crps import crps_ensemble, crps_gaussian
from auditkit.uncertainty.found_groups import found_groups
from auditkit.uncertainty.pit import pit_test, quantile_calibration


def hits(k, n):
    return (np.arange(n) < k).astype(int)


def test_the_worked_example_of_coverage():
    found = coverage(hits(168, 200), target=0.9)
    assert (found.lower, found.upper) == pytest.approx((0.7817, 0.8879), abs=5e-5)
    assert found.p_value == pytest.approx(0.00888, abs=5e-6)
    assert found.p_under == pytest.approx(0.00535, abs=5e-6)


def test_the_worked_example_of_split_conformal_coverage():
    found = coverage(hits(199, 221), target=0.9, n_calibration=221).conformal
    assert found["k"] == 200
    assert found["mean"] == pytest.approx(0.90090, abs=5e-6)
    assert (found["coverage_lower"], found["coverage_upper"]) == pytest.approx((0.86605, 0.93164), abs=5e-6)
    assert (found["count_lower"], found["count_upper"]) == (188, 209)


def test_the_law_of_counts_is_beta_binomial():
    found = coverage(hits(190, 221), target=0.9, n_calibration=221).conformal
    law = stats.betabinom(221, 200, 22)
    assert found["p_under"] == pytest.approx(law.cdf(190), rel=1e-9)
    likely = [k for k in range(222) if law.pmf(k) <= law.pmf(190) * (1 + 1e-7)]
    assert found["p_value"] == pytest.approx(sum(law.pmf(k) for k in likely), rel=1e-9)
    # many rows: the sum of all probabilities is one to within rounding
    many = coverage(hits(900_000, 1_000_000), target=0.9, n_calibration=1000).conformal
    assert 0.4 < many["p_under"] < 0.6


def test_ranks_are_of_the_target_as_typed():
    """In floating point (9 + 1) * 0.9 may round above 9, and a peer then takes the largest score."""
    assert conformal_rank(9, 0.9) == 9
    assert conformal_rank(99, 0.95) == 95
    assert conformal_rank(8, 0.9) == 9 > 8


def test_too_few_calibration_rows_mean_infinite_sets():
    found = coverage(hits(20, 20), target=0.9, n_calibration=8)
    assert found.conformal["infinite"] and found.conformal["p_under"] == 1
    assert found.warnings[0].id == "AK-UN-031"
    assert coverage(hits(19, 20), target=0.9, n_calibration=8).conformal["p_under"] == 0


def test_valid_split_conformal_sets_pass_and_the_binomial_would_not():
    """The law of coverage given the calibration rows is wider than the binomial: 200 audits of valid intervals."""
    rejected = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        calibration, test = np.sort(rng.random(50)), rng.random(2000)
        found = coverage(test <= calibration[conformal_rank(50, 0.9) - 1], target=0.9, n_calibration=50)
        rejected += [found.conformal["p_under"] <= 0.05, found.p_under <= 0.05]
    assert rejected[0] <= stats.binom.isf(1e-6, 200, 0.05)
    assert rejected[1] > 40


def test_groups_are_adjusted_and_say_what_they_could_show():
    rng = np.random.default_rng(1)
    groups = np.repeat(["a", "b", "c"], [400, 400, 20])
    inside = rng.random(820) < np.repeat([0.9, 0.7, 0.9], [400, 400, 20])
    found = coverage(inside, target=0.9, groups=groups)
    by_label = {group.label: group for group in found.groups}
    assert by_label["b"].holm < 1e-6 < 0.05 < by_label["a"].holm
    assert by_label["c"].detectable < by_label["a"].detectable < 0.9
    assert [group.n for group in found.groups] == [400, 400, 20]


@pytest.mark.parametrize("n", [30, 200, 5000])
def test_what_is_detectable_is_found_with_its_power(n):
    worst = detectable_coverage(n, 0.9, 0.05)
    power = sum(stats.binom.pmf(k, n, worst) for k in range(n + 1) if stats.binom.cdf(k, n, 0.9) <= 0.05)
    assert power == pytest.approx(0.8, abs=1e-6)
    assert detectable_coverage(2, 0.01, 0.05) is None


def test_worked_numbers_of_the_gaussian_score():
    found = crps_gaussian([0.0, 1.0, -1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 2.0]).per_point
    assert found == pytest.approx([0.2336950, 0.6024414, 1.2048827], abs=5e-8)


def test_the_gaussian_score_is_its_integral():
    y, mean, sd = 0.7, -0.2, 1.3
    gap = lambda x: (stats.norm.cdf(x, mean, sd) - (x >= y)) ** 2  # noqa: E731
    expected = integrate.quad(gap, -12, y)[0] + integrate.quad(gap, y, 12)[0]
    assert crps_gaussian([y], [mean], [sd]).value == pytest.approx(expected, abs=1e-8)


def test_ensemble_scores():
    assert crps_ensemble([1.0], [[0.0, 1.0, 2.0]]).value == pytest.approx(2 / 9, abs=1e-15)
    assert crps_ensemble([1.0], [[0.0, 1.0, 2.0]], fair=True).value == pytest.approx(0, abs=1e-15)
    rng = np.random.default_rng(2)
    y, members = rng.normal(size=7), rng.normal(size=(7, 5))
    pairs = np.abs(members[:, :, None] - members[:, None, :]).sum(axis=(1, 2))
    plain = np.abs(members - y[:, None]).mean(axis=1)
    assert crps_ensemble(y, members).per_point == pytest.approx(plain - pairs / 50, abs=1e-13)
    assert crps_ensemble(y, members, fair=True).per_point == pytest.approx(plain - pairs / 40, abs=1e-13)


def test_transforms():
    rng = np.random.default_rng(3)
    u = rng.random(2000)
    fine, poor = pit_test(u), pit_test(u**1.2)
    assert fine.p_value > 0.01 > poor.p_value
    histogram = fine.details["histogram"]
    assert len(histogram["counts"]) == 20 and sum(histogram["counts"]) == 2000
    low, high = histogram["band"]
    assert low < 100 < high and all(low <= count <= high for count in histogram["counts"])
    found = quantile_calibration(u)
    direct = [np.mean(np.abs(2 * u - 1) <= level) for level in found.levels]
    assert found.observed == pytest.approx(direct)
    assert found.rms == pytest.approx(np.sqrt(np.mean((np.array(direct) - np.arange(100) / 99) ** 2)))
    assert len(pit_test([0.5]).details["histogram"]["counts"]) == 1


def data(n=600, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=n)
    return mean + rng.normal(size=n), mean, np.ones(n)


def test_an_audit_of_normal_laws():
    y, mean, sd = data()
    fine, poor = coverage_audit(y, mean=mean, sd=sd, seed=1), coverage_audit(y, mean=mean, sd=sd / 2, seed=1)
    assert fine.checks["coverage"].status == "pass" and poor.checks["coverage"].status == "fail"
    assert fine.tests["pit_kolmogorov_smirnov"].p_value > 0.01 > poor.tests["pit_kolmogorov_smirnov"].p_value
    assert fine.scores["crps"].value < poor.scores["crps"].value
    assert fine.sharpness["mean_width"] == pytest.approx(2 * stats.norm.isf(0.05))
    json.loads(fine.to_json())


def test_intervals_of_a_law_are_judged_alike():
    y, mean, sd = data()
    reach = stats.norm.isf(0.05)
    law, ends = coverage_audit(y, mean=mean, sd=sd), coverage_audit(y, lower=mean - reach, upper=mean + reach)
    assert law.coverage.covered == ends.coverage.covered
    assert law.scores["interval_score"].value == pytest.approx(ends.scores["interval_score"].value)


def test_infinite_intervals_cover_and_are_counted():
    found = coverage_audit([0.0, 1.0, 2.0], lower=[-np.inf, 0.5, 3.0], upper=[np.inf, np.inf, 4.0])
    assert found.coverage.covered == 2 and found.sharpness["infinite"] == 2
    assert found.sharpness["mean_width"] == math.inf
    endless = coverage_audit([0.0], lower=[-np.inf], upper=[np.inf])
    assert endless.coverage.value == 1 and "interval_score" not in endless.scores
    json.loads(endless.to_json())


def test_sets_are_judged_by_their_labels():
    sets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)
    found = coverage_audit([0, 2, 1], sets=sets, groups=["x", "x", "y"])
    assert found.coverage.covered == 1 and found.sharpness == {"mean_size": 1.0, "empty": 1}
    assert [group.label for group in found.coverage.groups] == ["x", "y"]


def test_undeclared_groups_are_found_on_one_half_and_tested_on_the_other():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 3))
    y = np.where(x[:, 1] > 1, 1.8, 1.0) * rng.normal(size=3000)
    reach = stats.norm.isf(0.05)
    found = coverage_audit(y, lower=np.full(3000, -reach), upper=np.full(3000, reach), features=x, seed=1)
    worst = min(found.coverage.found, key=lambda group: group.holm)
    assert found.checks["found-groups"].status == "fail" and worst.label.startswith("x1 > ")
    assert sum(group.n for group in found.coverage.found) == 1500
    assert coverage_audit(y[:150], mean=y[:150], sd=np.ones(150), features=x[:150]).coverage.found == ()


def test_groups_are_not_found_where_there_are_none():
    failed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        hits = rng.random(400) < 0.9
        groups = found_groups(hits.view(np.uint8), rng.random((400, 4)), target=0.9, alpha=0.05, seed=seed)
        failed += bool(groups) and min(group.holm for group in groups) <= 0.05
    assert failed <= stats.binom.isf(1e-6, 60, 0.05)


def test_bad_input_is_refused():
    for call, id in (
        (lambda: coverage([], target=0.9), "AK-UN-008"),
        (lambda: coverage([0, 2], target=0.9), "AK-UN-002"),
        (lambda: coverage([0, 1], target=1.0), "AK-UN-007"),
        (lambda: coverage([0, 1], target=0.9, n_calibration=0), "AK-UN-008"),
        (lambda: coverage([0, 1], target=0.9, groups=["a"]), "AK-UN-006"),
        (lambda: crps_gaussian([1.0], [1.0], [0.0]), "AK-UN-023"),
        (lambda: crps_ensemble([1.0], [[1.0]], fair=True), "AK-UN-024"),
        (lambda: crps_ensemble([1.0], [[math.nan]]), "AK-UN-005"),
        (lambda: pit_test([1.5]), "AK-UN-025"),
        (lambda: coverage_audit([1.0]), "AK-UN-032"),
        (lambda: coverage_audit([1.0], lower=[0.0]), "AK-UN-032"),
        (lambda: coverage_audit([1.0], lower=[0.0], upper=[2.0], mean=[1.0], sd=[1.0]), "AK-UN-032"),
        (lambda: coverage_audit([1.0], lower=[2.0], upper=[0.0]), "AK-UN-021"),
        (lambda: coverage_audit([1.0], lower=[math.nan], upper=[0.0]), "AK-UN-005"),
        (lambda: coverage_audit([1.0, 2.0], lower=[0.0], upper=[3.0]), "AK-UN-005"),
        (lambda: coverage_audit([0], sets=[[2, 1]]), "AK-UN-033"),
        (lambda: coverage_audit([2], sets=[[True, False]]), "AK-UN-002"),
        (lambda: coverage_audit([1.0], mean=[1.0], sd=[1.0], features=[math.nan]), "AK-UN-037"),
        (lambda: coverage_audit([1.0], mean=[1.0], sd=[1.0], features=[1.0, 2.0]), "AK-UN-037"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id
