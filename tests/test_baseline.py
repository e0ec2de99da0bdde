"""The blind baseline: exact under exchangeability, awake to every difference that it is meant to see."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from auditkit.privacy import baseline
from auditkit.privacy.baseline import area_under_roc, auc_interval, blind_baseline
from auditkit.privacy.numbers import binomial_tail

CHANCE = 1e-3
"""A simulated rate is refused when so many alarms would be rarer than this at the level allowed."""


@pytest.fixture
def quick(monkeypatch):
    """Two of the classifiers: the test is the same, the boosted trees take the time."""
    kept = ("logistic regression", "summary features")
    monkeypatch.setattr(baseline, "_CLASSIFIERS", {name: baseline._CLASSIFIERS[name] for name in kept})


def draw(generator, n, d=6, classes=3):
    return generator.normal(size=(n, d)) * generator.gamma(2.0, size=(n, 1)), generator.integers(
        0, classes, n
    )


def alarms(seeds, make):
    found = [blind_baseline(*make(np.random.default_rng([7, seed])), seed=seed) for seed in range(seeds)]
    assert all(check.status in ("pass", "fail") for check in found)
    return found


def assert_level(found):
    failed = sum(check.status == "fail" for check in found)
    assert binomial_tail(failed, len(found), baseline.LEVEL) > CHANCE
    for name in baseline._CLASSIFIERS:
        low = sum(check.details["classifiers"][name]["p_value"] <= 0.1 for check in found)
        assert binomial_tail(low, len(found), 0.1) > CHANCE, name


def test_exchangeable_sets_raise_no_more_alarms_than_the_level(quick):
    assert_level(alarms(30, lambda rng: (draw(rng, 40), draw(rng, 25))))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(15, 40), (100, 100)])
def test_exchangeable_sets_long(sizes):
    assert_level(alarms(120, lambda rng: tuple(draw(rng, n) for n in sizes)))


@pytest.mark.slow
def test_exchangeable_units_long():
    def make(rng):
        sets = []
        for n in (60, 60):
            size = rng.integers(1, 6, n)
            X, y = draw(rng, n)
            sets.append((np.repeat(X, size, axis=0) + 0.1, np.repeat(y, size), np.repeat(np.arange(n), size)))
        return sets

    found = []
    for seed in range(120):
        (X, y, u), (V, w, v) = make(np.random.default_rng([8, seed]))
        found.append(blind_baseline((X, y), (V, w), units=(u, v), seed=seed))
    assert_level(found)


def test_rows_of_one_unit_are_not_counted_singly(quick):
    """Many rows a person: without units the persons are recognised, with units there is nothing to see."""
    rng = np.random.default_rng(3)
    sets, units = [], []
    for _ in range(2):
        persons = rng.normal(size=(20, 5))
        sets.append((np.repeat(persons, 8, axis=0) + 0.05 * rng.normal(size=(160, 5)), np.zeros(160)))
        units.append(np.repeat(np.arange(20), 8))
    assert blind_baseline(*sets, units=tuple(units), seed=0).status == "pass"
    assert blind_baseline(*sets, units=tuple(units), seed=0).details["members_used"] == 20
    assert blind_baseline(*sets, seed=0).details["p_value"] < 0.01


def shifted(kind, rng, n=300):
    (X, y), (V, w) = draw(rng, n), draw(rng, n)
    if kind == "mean":
        V[:, 2] += 0.8
    elif kind == "labels":
        w = np.where(rng.random(n) < 0.35, 0, w)
    elif kind == "norm":
        V *= 1.8
    elif kind == "missing":
        V[rng.random(V.shape) < 0.1] = np.nan
    elif kind == "copies":  # members come from a few sources, non-members do not
        X = X[rng.integers(0, 30, n)] + 1e-3 * rng.normal(size=X.shape)
    elif kind == "joint":  # every column alike, their signs not independent
        V[:, 0] = np.abs(V[:, 0]) * np.sign(V[:, 1])
    elif kind == "target":
        y, w = rng.normal(size=n), 1.5 * rng.normal(size=n)
    return (X, y), (V, w)


@pytest.mark.parametrize("kind", ["mean", "labels", "norm", "missing", "copies", "joint", "target"])
def test_differences_are_seen(kind):
    check = blind_baseline(*shifted(kind, np.random.default_rng(11)), seed=4)
    assert check.status == "fail", check.text
    assert check.details["p_value"] < 0.01
    assert "were not drawn alike" in check.text


def test_equal_sets_pass_without_claiming_more():
    rng = np.random.default_rng(5)
    check = blind_baseline(draw(rng, 150), draw(rng, 150), seed=1)
    assert check.status == "pass"
    assert "at chance, which is no proof of exchangeability" in check.text
    assert check.details["auc_lower"] <= check.details["auc"] <= check.details["auc_upper"]
    again = blind_baseline(*(draw(r, 150) for r in [np.random.default_rng(5)] * 2), seed=1)
    assert again == check


def test_text_dates_and_lengths_are_read(quick):
    rng = np.random.default_rng(6)
    words = np.array(["loss", "model", "tree", "river", "stone", "light"])

    def text(year):
        return f"{' '.join(rng.choice(words, 12))} in {year}"

    early = np.array([text(rng.integers(2001, 2011)) for _ in range(150)])
    late = np.array([text(rng.integers(2011, 2021)) for _ in range(150)])
    label = np.zeros(150)
    assert blind_baseline((early, label), (late, label), seed=0).status == "fail"
    mixed = rng.permutation(np.concatenate([early, late]))
    assert blind_baseline((mixed[:150], label), (mixed[150:], label), seed=0).status == "pass"


def test_wide_and_large_sets_are_represented_by_a_part(quick, monkeypatch):
    monkeypatch.setattr(baseline, "UNITS_A_CLASS", 60)
    rng = np.random.default_rng(9)
    X, V = rng.normal(size=(90, 40, 80)), rng.normal(size=(80, 40, 80))
    check = blind_baseline((X, np.zeros(90)), (V, np.zeros(80)), seed=2)
    assert check.status == "pass"
    assert "a random part: 60 + 60 units" in check.text
    V += 0.5
    assert blind_baseline((X, np.zeros(90)), (V, np.zeros(80)), seed=2).status == "fail"


def test_extreme_values_do_no_harm(quick):
    X = np.full((40, 3), 1e300)
    X[::3, 1], X[::5, 2] = -np.inf, np.nan
    labels = np.arange(40) % 2
    assert blind_baseline((X, labels), (X.copy(), labels), seed=0).status == "pass"
    constant = np.zeros((40, 1), np.uint8)
    assert blind_baseline((constant, labels), (constant, labels), seed=0).details["p_value"] == 1.0


def test_too_few_units_are_not_tested():
    rng = np.random.default_rng(2)
    check = blind_baseline(draw(rng, 11), draw(rng, 500), seed=0)
    assert check.status == "not-run"
    assert "11 members" in check.text


@pytest.mark.parametrize("coarse", [False, True])
def test_areas_and_p_values_are_those_of_enumeration(coarse):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 9))
    if coarse:
        values = np.round(values)
    labels = np.arange(9) < 4
    areas, p_values = baseline._areas(values, labels, np.random.default_rng(0))

    def pairs(row, chosen):
        inside, outside = row[chosen], row[~chosen]
        return np.mean((inside[:, None] > outside) + 0.5 * (inside[:, None] == outside))

    for row, area, p_value in zip(values, areas, p_values, strict=True):
        assert area == pytest.approx(pairs(row, labels), abs=1e-12)
        assert area_under_roc(row, labels) == pytest.approx(area, abs=1e-12)
        every = [pairs(row, np.isin(np.arange(9), chosen)) for chosen in itertools.combinations(range(9), 4)]
        exact = np.mean(np.array(every) >= area - 1e-9)
        # five standard errors of 1,999 random arrangements, and the one that is added
        assert abs(p_value - exact) <= 5 * np.sqrt(exact * (1 - exact) / 1999) + 1 / 2000


def test_the_interval_solves_its_equation_and_covers():
    lower, upper = auc_interval(0.7, 40, 55, alpha=0.05)
    for end, sign in ((lower, -1), (upper, 1)):
        assert 0.7 - end + sign * 1.959963984540054 * baseline._sd(end, 40, 55) == pytest.approx(0, abs=1e-12)
    assert auc_interval(1.0, 20, 20, alpha=0.05)[1] == 1.0
    assert 0.7 < auc_interval(1.0, 20, 20, alpha=0.05)[0] < 1.0
    assert auc_interval(0.0, 20, 20, alpha=0.05)[0] == 0.0
    rng = np.random.default_rng(0)
    missed = 0
    truth = 0.7  # of exponential scores with rates 3 and 7: the interval's own model
    for _ in range(1000):
        values = np.concatenate([rng.exponential(1 / 3, 40), rng.exponential(1 / 7, 40)])
        low, high = auc_interval(area_under_roc(values, np.arange(80) < 40), 40, 40, alpha=0.05)
        missed += not low <= truth <= high
    assert binomial_tail(missed, 1000, 0.06) > CHANCE  # approximate: up to one point from its level
