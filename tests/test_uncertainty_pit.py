"""Predictive laws: uniform ranks by enumeration, tests against simulation, one sort for all levels."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from auditkit import InputError
from auditkit.uncertainty.pit import discrete_pit, pit_test, pit_values, quantile_calibration


def test_ranks_of_an_ensemble():
    u, seed = pit_values([0.5, 2, -1, 1], [[0, 1, 2]] * 4, seed=3)
    assert (u * 4).astype(int).tolist()[:1] == [1]
    assert 2 <= u[1] * 4 <= 4 and 0 <= u[2] * 4 <= 1 and 1 <= u[3] * 4 <= 3
    again, _ = pit_values([0.5, 2, -1, 1], [[0, 1, 2]] * 4, seed=seed)
    assert u.tolist() == again.tolist()
    assert pit_values([1], [[1]])[1] >= 0


def test_tied_outcomes_are_uniform():
    # tools that rank without V give few distinct values and reject every right ensemble of counts
    rng = np.random.default_rng(4)
    drawn = rng.poisson(2, (20_000, 5))
    u, _ = pit_values(drawn[:, 0], drawn[:, 1:], seed=5)
    assert pit_test(u).p_value > 1e-4
    assert pit_test((drawn[:, :1] > drawn[:, 1:]).mean(axis=1)).p_value < 1e-100


def counts(law, mean, size, seed):
    """Counts of one law with their transform by another of the same mean."""
    rng = np.random.default_rng(seed)
    poisson, binomial = stats.poisson(mean), stats.binom(4, mean / 4)
    y = rng.poisson(mean, size) if law == "poisson" else rng.binomial(4, mean / 4, size)
    return {
        name: discrete_pit(other.cdf(y - 1), other.cdf(y), seed=seed)[0]
        for name, other in (("poisson", poisson), ("binomial", binomial))
    }


@pytest.mark.parametrize("truth", ["poisson", "binomial"])
def test_laws_of_counts(truth):
    other = "binomial" if truth == "poisson" else "poisson"
    found = [counts(truth, 2.0, 300, seed) for seed in range(20)]
    # 20 tests at 0.05: more than 6 with probability 3e-5; the slow twin measures the size
    assert sum(pit_test(one[truth]).p_value <= 0.05 for one in found) <= 6
    # variance 2 against 1: 300 rows see it nine times in ten
    assert sum(pit_test(one[other]).p_value <= 0.05 for one in found) >= 15


def test_steps_of_laws():
    u, seed = discrete_pit([0, 0.25, 0.5, 1], [0.25, 0.25, 1, 1], seed=3)
    assert 0 <= u[0] <= 0.25 and u[1] == 0.25 and 0.5 <= u[2] <= 1 and u[3] == 1
    assert discrete_pit([0, 0.25, 0.5, 1], [0.25, 0.25, 1, 1], seed=seed)[0].tolist() == u.tolist()
    # rounding of distribution functions: a little above 1, or falling by a unit
    assert discrete_pit([1 + 1e-12, 0.5 + 1e-12, -1e-12], [1, 0.5, 0])[0] == pytest.approx([1, 0.5, 0])
    # a right law without V is rejected
    y = np.random.default_rng(2).poisson(2, 300)
    assert pit_test(stats.poisson(2).cdf(y)).p_value < 1e-6


def test_faults_that_cancel_over_groups_show_in_each():
    draws = np.random.default_rng(9).random(2000)
    half = np.arange(2000) < 1000
    # one half of the rows is promised too low, the other too high
    found = pit_test(np.where(half, draws / 2, 0.5 + draws / 2), groups=np.where(half, "low", "high"))
    assert found.p_value > 0.001
    rows = {row["label"]: row for row in found.details["groups"]}
    assert rows["low"]["n"] == 1000 and max(row["holm"] for row in rows.values()) < 1e-10
    level = pit_test(draws, groups=np.arange(2000) % 10).details["groups"]
    assert len(level) == 10 and min(row["holm"] for row in level) > 0.01
    assert level[3]["p_value"] == pit_test(draws[3::10]).p_value
    assert json.loads(found.to_json())["details"]["groups"][0]["label"] == "high"
    assert "groups" not in pit_test(draws).details


def test_kolmogorov_by_hand():
    # one value: P(max(u, 1 - u) >= 0.8) = 0.4
    found = pit_test([0.8])
    assert found.statistic == pytest.approx(0.8)
    assert found.p_value == pytest.approx(0.4)
    assert found.details["histogram"] == {"counts": [1], "band": [1, 1]}


def test_anderson_darling_at_its_tabled_points():
    # A^2 is -1 - log(u (1 - u)) for one value: choose u so that it takes the tabled points of the limit law
    for point, tail in ((1.933, 0.1), (2.492, 0.05), (3.8781, 0.01)):
        u = (1 - math.sqrt(1 - 4 * math.exp(-1 - point))) / 2
        found = pit_test([u]).details["anderson_darling"]
        assert found["statistic"] == pytest.approx(point)
        assert found["p_value"] == pytest.approx(tail, rel=0.005)
    below, above = (pit_test([(1 - math.sqrt(1 - 4 * math.exp(-1 - z))) / 2]) for z in (1.9999, 2.0001))
    rests = [one.details["anderson_darling"]["p_value"] for one in (below, above)]
    assert rests[0] == pytest.approx(rests[1], abs=2e-4)


def test_anderson_darling_against_its_series():
    # the limit law is that of sum_j X_j / (j (j + 1)) with chi-squared X_j; the terms left out have mean 1 / 101
    terms = np.arange(1, 101)
    draws = np.random.default_rng(8).chisquare(1, (20_000, 100)) @ (1 / (terms * (terms + 1))) + 1 / 101
    for z in (0.6, 1.0, 1.7, 2.6, 4.0):
        u = (1 - math.sqrt(1 - 4 * math.exp(-1 - z))) / 2
        p = pit_test([u]).details["anderson_darling"]["p_value"]
        assert np.mean(draws > z) == pytest.approx(p, abs=4 * math.sqrt(p / 20_000))


def test_size_and_power():
    draws = np.random.default_rng(6).random((400, 200))
    found = [pit_test(row) for row in draws]
    # 400 tests at 0.05: 20 expected, standard deviation 4.4
    assert 5 <= sum(one.p_value <= 0.05 for one in found) <= 38
    assert 5 <= sum(one.details["anderson_darling"]["p_value"] <= 0.05 for one in found) <= 38
    outside = [one.details["histogram"] for one in found]
    broken = sum(min(h["counts"]) < h["band"][0] or max(h["counts"]) > h["band"][1] for h in outside)
    assert broken <= 38 and len(outside[0]["counts"]) == 20
    # a law that is too wide
    narrow = pit_test(0.25 + draws[0] / 2)
    assert narrow.p_value < 1e-6 and narrow.details["anderson_darling"]["p_value"] < 1e-4


def test_edges_are_ordinary():
    found = pit_test([0.0, 0.5, 1.0])
    assert found.details["anderson_darling"]["statistic"] == math.inf
    assert json.loads(found.to_json())["details"]["anderson_darling"]["statistic"] == "inf"


def test_all_levels_of_quantiles():
    u = np.random.default_rng(7).random(1000)
    found = quantile_calibration(u)
    by_hand = [np.mean(np.abs(2 * u - 1) <= j / 99) for j in range(100)]
    assert list(found.observed) == by_hand
    rest = np.array(by_hand) - np.arange(100) / 99
    assert found.rms == pytest.approx(math.sqrt(np.mean(rest**2)))
    assert found.mean_absolute == pytest.approx(np.abs(rest).mean())
    assert json.loads(found.to_json())["levels"][99] == 1
    # outcomes in the middle of every law: each central interval holds all
    assert quantile_calibration([0.5] * 3).mean_absolute == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "id"),
    [
        (lambda: pit_values([1, 2], [[1, 2, 3]]), "AK-UN-024"),
        (lambda: pit_values([1], [[float("nan")]]), "AK-UN-024"),
        (lambda: pit_values([float("inf")], [[1]]), "AK-UN-005"),
        (lambda: pit_values([1], [[1]], seed=-1), "AK-UN-008"),
        (lambda: pit_test([0.5, 1.5]), "AK-UN-025"),
        (lambda: pit_test([]), "AK-UN-005"),
        (lambda: pit_test([0.5], alpha=0), "AK-UN-007"),
        (lambda: quantile_calibration([-0.1]), "AK-UN-025"),
        (lambda: pit_test([0.5, 0.6], groups=[1]), "AK-UN-006"),
        (lambda: discrete_pit([0.5, 0.6], [0.6, 0.5]), "AK-UN-028"),
        (lambda: discrete_pit([-0.5], [0.5]), "AK-UN-028"),
        (lambda: discrete_pit([0.5], [1.5]), "AK-UN-028"),
        (lambda: discrete_pit([math.nan], [0.5]), "AK-UN-005"),
        (lambda: discrete_pit([0.1], [0.5, 0.6]), "AK-UN-005"),
        (lambda: discrete_pit([0.1], [0.5], seed=-1), "AK-UN-008"),
    ],
)
def test_refusals(call, id):
    with pytest.raises(InputError) as error:
        call()
    assert error.value.id == id
