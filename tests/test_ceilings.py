"""Ceilings against every way of bringing rows together, against attacks, and against known truths."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm as gaussian
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from auditkit.bayes_error import ceiling, ceilings, sample_ceiling
from auditkit.bayes_error._inputs import read_labelled
from auditkit.bayes_error.bounds import error_upper
from auditkit.bayes_error.neighbours import nearest
from auditkit.errors import InputError

RULES = ("nearest", "half-space", "linear")
W8 = np.array([1.0, 0.2, 0.1])
W8_CEILING = 0.2266274


def w8(rng, n):
    y = rng.integers(0, 2, n)
    return (2 * y - 1)[:, None] * W8 + rng.normal(size=(n, 3)), y


def partitions(items):
    """All ways to put items into places."""
    if not items:
        yield []
        return
    first, *rest = items
    for places in partitions(rest):
        yield [[first], *places]
        for i, place in enumerate(places):
            yield [*places[:i], [first, *place], *places[i + 1 :]]


def most_errors(X, y, eps, mask):
    """In the L_inf norm rows can meet exactly where every two can: boxes that meet in pairs have a common point."""
    gaps = np.abs(X[:, None] - X[None])
    apart = (gaps > np.where(mask, 2 * eps, 0.0)).any(axis=2)
    best = 0
    for places in partitions(list(range(len(X)))):
        if not any(apart[i, j] for place in places for i, j in itertools.combinations(place, 2)):
            best = max(best, sum(len(place) - np.bincount(y[place]).max() for place in places))
    return best


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(8))
def test_sample_ceiling_is_the_worst_of_all_ways_to_move(seed, classes):
    rng = np.random.default_rng([seed, classes])
    X, y = rng.integers(0, 9, (7, 2)).astype(float), rng.integers(0, classes, 7)
    for eps, mask in itertools.product((0.0, 0.5, 1.0, 2.0), (np.ones(2, bool), np.array([True, False]))):
        wanted = most_errors(X, y, eps, mask)
        found = sample_ceiling(X, y, eps=eps, mask=mask)
        assert found.errors >= wanted and found.value == found.errors / 7
        assert found.kind == "certified-upper" and found.about == "sample"
        if np.unique(y).size <= 2:
            assert found.details["exact"]
        if found.details["exact"]:
            assert found.errors == wanted


def test_sample_ceiling_of_a_place_where_all_classes_meet():
    assert sample_ceiling(np.zeros((3, 1)), [0, 1, 2], eps=0).errors == 2
    assert sample_ceiling(np.zeros((5, 1)), range(5), eps=0).errors == 4
    star = sample_ceiling([[0.0], [-1.0], [1.0], [1.0]], ["a", "b", "b", "b"], eps=0.5)
    assert (star.errors, star.details["pairs"], star.details["rows"]) == (1, 3, 4)
    assert star.method == "matching" and star.details["exact"]
    alone = sample_ceiling(np.zeros((3, 1)), [1, 1, 1], eps=9)
    assert (alone.value, alone.method) == (0.0, "no close pair")


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_pairs_at_twice_eps_count_whatever_their_last_digits(norm):
    """Pixels k / 255 as float32, 16/255 apart where they can be: a distance is one rounding off, either way."""
    low = np.arange(0, 239, 7)
    steps = {"linf": (16, 16, 16), "l2": (16, 0, 0), "l1": (4, 8, 4)}[norm]
    for dtype in (np.float32, np.float64):
        for value in low:
            a = np.full(3, value) / 255
            b = (np.full(3, value) + steps) / 255
            rows = np.stack([a, b]).astype(dtype)
            assert sample_ceiling(rows, [0, 1], eps=8 / 255, norm=norm).errors == 1
            assert sample_ceiling(rows, [0, 1], eps=7.99 / 255, norm=norm).errors == 0


def test_sample_ceiling_never_falls_below_what_a_shift_makes():
    """Both classes moved towards each other inside the ball."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 20, (300, 1)).astype(float), rng.integers(0, 2, 300)
    found = sample_ceiling(X, y, eps=1.0)
    moved = X[:, 0] + np.where(y == 1, -1, 1) * (rng.random(300) < 0.5)
    at = [np.bincount(y[moved == place], minlength=2) for place in np.unique(moved)]
    assert found.errors >= sum(min(counts) for counts in at)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_no_attack_breaks_a_certified_row(rule, masked, classes, norm):
    rng = np.random.default_rng(classes)
    centres = 2.5 * np.eye(classes, 5)
    y = rng.integers(0, classes, 160)
    X = centres[y] + rng.normal(size=(160, 5))
    mask = np.array([True, True, False, True, False]) if masked else None
    eps = {"linf": 0.3, "l2": 0.6, "l1": 0.9}[norm]
    reference, fresh = X[:100], X[100:]
    ball = ceilings._ball(read_labelled(X, y), eps, norm, mask, X)
    certified = ceilings._RULES[rule][1](reference, y[:100], ball)(fresh, y[100:])
    assert 0.1 < certified.mean() < 0.99
    steps = rng.normal(size=(300, 5)) if norm == "l2" else rng.choice([-1.0, 0.0, 1.0], (300, 5))
    steps[:10] = np.concatenate([np.eye(5), -np.eye(5)])
    steps = steps if mask is None else steps * mask
    size = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    steps *= eps / np.maximum(np.linalg.norm(steps, ord=size, axis=1, keepdims=True), 1e-9)
    weights, offsets = ceilings._logistic(reference, y[:100])
    if rule == "linear":
        certified = ceilings._linear_certificate(weights, offsets, ball)(fresh, y[100:])
    for x, own in zip(fresh[certified], y[100:][certified], strict=True):
        if rule == "linear":
            given = ((x + steps) @ weights.T + offsets).argmax(axis=1)
        else:
            given = y[nearest(x + steps, reference, 1, norm=norm if rule == "nearest" else "l2")[0][:, 0]]
        assert (given == own).all()


def test_half_spaces_certify_what_the_triangle_inequality_does():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 300)
    X = 2 * y[:, None] + rng.normal(size=(300, 4))
    ball = ceilings._ball(read_labelled(X, y), 0.4, "l2", None, X)
    triangle, half_space = (
        ceilings._RULES[rule][1](X[:60], y[:60], ball)(X[60:], y[60:]) for rule in RULES[:2]
    )
    assert (half_space | ~triangle).all() and half_space.sum() > triangle.sum()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("classes", [2, 3])
def test_linear_certificates_are_exact(classes, norm):
    rng = np.random.default_rng(2)
    y = rng.integers(0, classes, 200)
    X = 1.5 * y[:, None] * np.array([1.0, 0.3, 0.0, -0.2]) + rng.normal(size=(200, 4))
    for model in (LogisticRegression().fit(X, y), RidgeClassifier().fit(X, y)):
        found = ceiling(X, y, eps=0.3, norm=norm, classifier=model)
        w, b = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
        if classes == 2:
            w, b = np.concatenate([0 * w, w]), np.concatenate([0 * b, b])
        dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
        right = np.ones(200, bool)
        for i, other in itertools.product(range(200), range(classes)):
            gap = w[y[i]] - w[other]
            if other != y[i]:
                right[i] &= gap @ X[i] + b[y[i]] - b[other] > 0.3 * np.linalg.norm(gap, dual)
        assert found.errors == 200 - right.sum() and found.trials == 200
        assert found.value == error_upper(found.errors, 200, 0.05)
        assert found.method == "linear certificate"


def test_ceiling_of_gaussians_is_above_the_known_one():
    """W8: no map does better than moving both means by soft(mu, eps), so the best classifier's ceiling is known."""
    truth = gaussian.cdf(-np.linalg.norm(np.maximum(W8 - 0.25, 0)))
    assert abs(truth - W8_CEILING) <= 1e-7
    best = LogisticRegression().fit(*w8(np.random.default_rng(0), 50))
    best.coef_, best.intercept_ = np.array([[1.0, 0.0, 0.0]]), np.zeros(1)
    below = 0
    for seed in range(200):
        X, y = w8(np.random.default_rng([1, seed]), 200)
        below += ceiling(X, y, eps=0.25, classifier=best).value < truth
    # wrong with probability at most 0.05 each: more than 23 of 200 has probability 2e-4
    assert below <= 23
    X, y = w8(np.random.default_rng(2), 6000)
    found = ceiling(X, y, eps=0.25)
    assert found.method == "linear certificate" and truth <= found.value <= truth + 0.04
    # the rows themselves: below the population's, since finitely many can be matched less well
    assert sample_ceiling(X[:1500], y[:1500], eps=0.25).value <= truth + 3 * np.sqrt(0.25 / 1500)


@pytest.mark.slow
def test_ceilings_of_our_rules_hold_as_often_as_they_say():
    below = dict.fromkeys((*RULES, None), 0)
    for seed, rule in itertools.product(range(300), below):
        X, y = w8(np.random.default_rng([3, seed]), 300)
        below[rule] += ceiling(X, y, eps=0.25, classifier=rule, seed=seed).value < W8_CEILING
    # of 300 at 0.05 more than 30 has probability 3e-4
    assert max(below.values()) <= 30


def test_digits():
    """Rows of different digits are 0.4375 apart at least, so that no move by less than half of it makes any error."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    assert sample_ceiling(X, y, eps=16 / 255).value == 0
    assert sample_ceiling(X, y, eps=16 / 255).details["exact"]
    assert sample_ceiling(X, y, eps=0.4375 / 2 - 1e-9).value == 0 < sample_ceiling(X, y, eps=0.4375 / 2).value
    assert ceiling(X, y, eps=8 / 255, classifier="nearest").value <= 0.101
    assert ceiling(X, y, eps=8 / 255).value <= 0.05
    assert ceiling(X, y, eps=16 / 255).value <= 0.192


def test_what_a_certificate_of_the_users_gives():
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2

    def certify(rows, labels, eps):
        assert rows is X and labels is y and eps == 0.5
        return np.arange(20) >= 3

    found = ceiling(X, y, eps=0.5, classifier=certify, alpha=0.1)
    assert (found.errors, found.trials, found.value) == (3, 20, error_upper(3, 20, 0.1))
    assert {a.id for a in found.assumptions} == {"independent-rows", "fresh-rows"}
    both = ceiling(X, y, eps=0.5, classifier=[certify, lambda *_: np.ones(20, bool)], alpha=0.1)
    assert both.value == error_upper(0, 20, 0.05) and both.alpha == 0.1 and both.details["candidates"] == 2
    nobody = ceiling(X, y, eps=0.5, classifier=lambda *_: np.zeros(20, bool))
    assert nobody.value == 1.0
    assert found.to_dict()["value"] == found.value


def test_rows_of_a_group_count_once_and_stay_together():
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(300, 3)), rng.integers(0, 2, 300)
    copies, groups = np.tile(X, (4, 1)), np.tile(np.arange(300), 4)
    # labels that follow nothing: copies on both sides of the split would certify all the same
    assert ceiling(copies, np.tile(y, 4), eps=1e-6, classifier="nearest").value < 0.1
    assert ceiling(copies, np.tile(y, 4), eps=1e-6, classifier="nearest", groups=groups).value > 0.4
    once = ceiling(copies, np.tile(y, 4), eps=0.1, groups=groups, classifier=lambda *_: np.ones(1200, bool))
    assert once.trials == 300


def test_small_and_odd_input_has_an_answer():
    for n in (4, 5, 9):
        X, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2
        for rule in (*RULES, None):
            for eps in (0.0, 1e6):
                assert 0 < ceiling(X, y, eps=eps, classifier=rule).value <= 1
    X = np.random.default_rng(0).normal(size=(60, 2, 3))
    labels = np.array(["a", "b", "c"])[np.arange(60) % 3]
    for mask in (np.zeros((2, 3), bool), np.zeros(6, bool)):
        assert sample_ceiling(X, labels, eps=9, mask=mask).value == 0
        assert 0 < ceiling(X, labels, eps=0.1, mask=mask).value <= 1
    twice = np.concatenate([X, X])
    assert sample_ceiling(twice, np.r_[np.zeros(60), np.ones(60)], eps=9, mask=np.zeros(6, bool)).value == 0.5
    apart = ceiling(X, labels, eps=0.1, groups=np.arange(60) // 3)
    assert apart.trials == 20 - round(20 * 2 / 3) and apart.details["reference"] == 39
    first, second = (ceiling(X, labels, eps=0.1, seed=seed) for seed in (1, 1))
    assert first == second and first.details["seed"] == 1


def test_bad_input_is_refused(monkeypatch):
    X, y = np.arange(16.0).reshape(8, 2), np.arange(8) % 2
    three = LogisticRegression().fit(np.zeros((6, 3)), np.arange(6) % 2)
    for call, id in [
        (lambda: ceiling(X, y, eps=-1), "AK-BE-006"),
        (lambda: sample_ceiling(X, y, eps=np.nan), "AK-BE-006"),
        (lambda: ceiling(X, y, eps=1, norm="l3"), "AK-BE-012"),
        (lambda: sample_ceiling(X * 1e141, y, eps=1), "AK-BE-010"),
        (lambda: ceiling(X, y, eps=1, mask=[True]), "AK-BE-013"),
        (lambda: sample_ceiling(X, y, eps=1, mask=[1, 0]), "AK-BE-013"),
        (lambda: ceiling(X, y, eps=1, classifier=3), "AK-BE-015"),
        (lambda: ceiling(X, y, eps=1, classifier=[]), "AK-BE-015"),
        (lambda: ceiling(X, y, eps=1, classifier=three), "AK-BE-015"),
        (lambda: ceiling(X, y, eps=1, classifier=lambda *_: np.ones(8)), "AK-BE-015"),
        (lambda: ceiling(X, y, eps=1, classifier=lambda *_: np.ones(7, bool)), "AK-BE-015"),
        (lambda: ceiling(X[:3], y[:3], eps=1), "AK-BE-016"),
        (lambda: ceiling(X, y, eps=1, groups=[0, 0, 1, 1, 2, 2, 2, 2]), "AK-BE-016"),
        (lambda: ceiling(X, y, eps=1, groups=[0]), "AK-BE-003"),
        (lambda: ceiling(X, y, eps=1, classifier="svm"), "AK-BE-017"),
        (lambda: ceiling(X, 0 * y, eps=1), "AK-BE-002"),
        (lambda: ceiling(X, y, eps=1, alpha=1), "AK-BE-005"),
        (lambda: ceiling(X, y, eps=1, seed=-1), "AK-BE-007"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id
    monkeypatch.setattr(ceilings, "MOST_PAIRS", 3)
    with pytest.raises(InputError, match="at most 3 pairs") as caught:
        sample_ceiling(X, y, eps=10)
    assert caught.value.id == "AK-BE-014"
