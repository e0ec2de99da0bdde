"""Each rule of the family against another way to compute it, or a problem whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from auditkit.bayes_error import gaussians, members
from auditkit.bayes_error.learning_curve import extrapolate
from auditkit.bayes_error.members import Part
from auditkit.bayes_error.portfolio import stratified_folds
from auditkit.errors import InputError


def part(X, y, k=None, ratios=None, groups=None):
    k = int(y.max()) + 1 if k is None else k
    return Part(
        X=np.ascontiguousarray(X, dtype=float),
        codes=y.astype(np.int64),
        k=k,
        ratios=np.ones(k) if ratios is None else np.asarray(ratios, dtype=float),
        groups=np.arange(len(y)) if groups is None else groups,
        labels=np.arange(k),
        seed=(1, 2),
    )


def drawn(n=120, d=4, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 1.5 * rng.normal(size=(k, d))[y], y


def member(name):
    return next(m for m in members.NUMPY_MEMBERS + members.LIBRARY_MEMBERS if m.name == name)


def test_shrunk_covariance_is_ledoit_and_wolf():
    from sklearn.covariance import ledoit_wolf

    X, _ = drawn(60, 5)
    X -= X.mean(axis=0)
    expected, _ = ledoit_wolf(X, assume_centered=True)
    floor = gaussians.FLOOR * np.trace(X.T @ X / 60) / 5
    assert gaussians.shrunk_covariance(X) == pytest.approx(expected + floor * np.eye(5), rel=1e-10)


def test_gaussian_scores_are_log_densities():
    from scipy.stats import multivariate_normal

    X, y = drawn()
    moments = gaussians.fit_moments(X, y, 3, np.array([1.0, 2.0, 0.5]))
    pooled = gaussians.shrunk_covariance(moments.centred)
    own = [gaussians.shrunk_covariance(moments.centred[y == c]) for c in range(3)]
    round_ = [np.eye(4) * (moments.centred[y == c] ** 2).mean() for c in range(3)]
    for rule, covariances in (
        (gaussians.linear_rule, [pooled] * 3),
        (gaussians.quadratic_rule, own),
        (gaussians.spherical_rule, round_),
    ):
        expected = np.stack(
            [
                np.log(moments.shares[c]) + multivariate_normal(moments.means[c], covariances[c]).logpdf(X)
                for c in range(3)
            ],
            axis=1,
        )
        found = rule(moments)(X)
        assert found - found[:, :1] == pytest.approx(expected - expected[:, :1], abs=1e-9)


def test_two_class_bounds_in_closed_form():
    rng = np.random.default_rng(1)
    n, gap = 40_000, 2.0
    y = (rng.random(n) < 0.5).astype(int)
    X = rng.normal(size=(n, 2)) + gap * y[:, None] * np.array([1, 0])
    moments = gaussians.fit_moments(X, y, 2)
    # equal unit covariances: B = gap^2 / 8, D = gap; the error of gap^2 is 2 gap sqrt(4 / n) = 0.04
    assert gaussians.bhattacharyya(moments) == pytest.approx(
        0.5 * math.exp(-0.5), abs=4.5 * 0.3 * 0.04 / 8 * 2
    )
    assert gaussians.mahalanobis(moments) == pytest.approx(
        0.5 / (1 + 0.25 * 4), abs=4.5 * 0.0625 * 0.04 * 1.5
    )


def test_bhattacharyya_of_other_scales():
    # W4: N(0, 1) against N(0, 4): B = log(2.5 / 2) / 2
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(size=20_000), 2 * rng.normal(size=20_000)])[:, None]
    moments = gaussians.fit_moments(X, np.repeat([0, 1], 20_000), 2)
    assert gaussians.bhattacharyya(moments) == pytest.approx(0.5 / math.sqrt(1.25), abs=0.01)


@pytest.mark.parametrize("name", members.NAMES)
def test_every_member_learns_what_is_plain(name):
    X, y = drawn(90, 2, 2)
    X[:, 0] += 20 * y
    found = member(name).fit(part(X, y))(X)
    assert found.dtype.kind == "i"
    assert np.mean(found != y) == 0 or name == "majority"


@pytest.mark.parametrize("name", members.NAMES)
def test_every_member_bears_missing_classes_and_leans_to_target_shares(name):
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(80, 2)), rng.integers(0, 2, 80)
    plain, leaning = (member(name).fit(part(X, y, k=4, ratios=r))(X) for r in ([1, 1, 0, 1], [1, 30, 1, 1]))
    assert set(plain.tolist()) <= {0, 1}
    # nothing to learn but the shares
    assert leaning.mean() > 0.9


@pytest.mark.parametrize("name", members.NAMES)
def test_one_row(name):
    assert member(name).fit(part(np.zeros((1, 2)), np.array([1]), k=3))(np.ones((2, 2))).tolist() == [1, 1]


def test_the_bandwidth_of_many_rows_comes_from_some(monkeypatch):
    X, y = drawn(400, 2, 2, seed=3)
    whole = member("kernel").fit(part(X, y))(X)
    monkeypatch.setattr(members, "BANDWIDTH_ROWS", 200)
    assert np.mean(member("kernel").fit(part(X, y))(X) != whole) < 0.1


def test_folds_are_balanced_and_keep_groups_whole():
    rng = np.random.default_rng(5)
    y = np.repeat([0, 1, 2], [50, 20, 5])
    folds = stratified_folds(y, np.arange(75), 5, rng)
    for c, size in ((0, 10), (1, 4), (2, 1)):
        assert np.bincount(folds[y == c], minlength=5).tolist() == [size] * 5
    groups = rng.integers(0, 12, 75)
    folds = stratified_folds(y, groups, 5, rng)
    assert all(len(set(folds[groups == g].tolist())) == 1 for g in np.unique(groups))


def test_scaler_leaves_constant_features_alone():
    X = np.array([[1e8, 3.0, 0.1], [1e8 + 2, 3.0, 0.1]])
    scaled = members.fit_scaler(X)(X)
    assert scaled == pytest.approx(np.array([[-1, 0, 0], [1, 0, 0]]), abs=1e-9)
    assert members.fit_scaler(X)(np.array([[0.0, 1e300, 0]]))[0, 1] == members.FAR


class Mean:
    """A model of the user's: the nearest class mean, of labels as they were given."""

    def __init__(self, answer=None):
        self.answer = answer

    def fit(self, X, y):
        self.labels = np.unique(y)
        self.means = np.stack([X[y == label].mean(axis=0) for label in self.labels])

    def predict(self, X):
        if self.answer is not None:
            return self.answer
        gaps = ((X[:, None] - self.means) ** 2).sum(axis=2)
        return self.labels[gaps.argmin(axis=1)]


def test_models_of_the_user():
    assert list(members.read_models(Mean())) == ["Mean"]
    assert list(members.read_models([Mean(), Mean()])) == ["Mean", "Mean 2"]
    X, y = drawn(60, 2, 2)
    X[:, 0] += 20 * y
    family, _ = members.family(2, {"mine": Mean()})
    assert (family[-1].fit(part(X, y))(X) == y).all()


@pytest.mark.parametrize("models", [3, {"lda": Mean()}, {"a": 3}, {1: Mean()}, {"a": Mean}, [3]])
def test_refused_models(models):
    with pytest.raises(InputError) as caught:
        members.read_models(models)
    assert caught.value.id == "AK-BE-020"


@pytest.mark.parametrize("model", [Mean(answer=np.zeros(3)), Mean(answer="no")])
def test_models_that_fail_are_named(model):
    X, y = drawn(20, 2, 2)
    family, _ = members.family(2, {"mine": model})
    with pytest.raises(InputError, match="mine") as caught:
        family[-1].fit(part(X, y))(X)
    assert caught.value.id == "AK-BE-021"


def test_extrapolation_finds_the_limit_of_a_power_law():
    sizes = [100, 200, 400, 800]
    for power in (0.3, 0.5, 1.0):
        assert extrapolate(sizes, [0.1 + 2 * n**-power for n in sizes]) == pytest.approx(0.1, abs=1e-9)
    assert extrapolate(sizes, [0.2] * 4) == pytest.approx(0.2)
    assert 0.1 <= extrapolate(sizes, [0.1, 0.2, 0.15, 0.2]) <= 0.2  # rising: the mean
    assert extrapolate(sizes, [n**-1.0 for n in sizes]) == pytest.approx(0, abs=1e-9)
