"""The scikit-learn wrapper for batches: its protocol, the pairing of predictions with residuals, coverage."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from auditkit import InputError
from auditkit.batchpi import BatchPredictor, count, mean, order_statistics, pac_threshold
from auditkit.batchpi.estimators import _down, _up, largest_paired

N, M, ALPHA, REPEATS = 60, 5, 0.2, 200


def line(rng, n):
    X = rng.normal(size=(n, 2))
    return X, X @ [1.0, -2.0] + rng.normal(size=n)


def labelled(rng, n):
    X = rng.normal(size=(n, 2))
    return X, (X[:, 0] + rng.normal(size=n) > 0).astype(int) + 3


@pytest.fixture(scope="module")
def regressor():
    rng = np.random.default_rng(1)
    return LinearRegression().fit(*line(rng, 30))


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(2)
    return LogisticRegression().fit(*labelled(rng, 60))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("inner", [LinearRegression(), LogisticRegression()], ids=["regressor", "classifier"])
def test_scikit_learn_accepts_it(inner):
    check_estimator(BatchPredictor(inner))


def test_the_package_does_not_load_scikit_learn():
    program = "import sys, auditkit.batchpi; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_pairing_is_the_largest_of_all(m):
    rng = np.random.default_rng(m)
    for _ in range(8):
        mu, limits = (np.sort(rng.integers(-6, 7, size=m)).astype(float) for _ in range(2))
        sums = [np.sort(mu + limits[list(order)]) for order in itertools.permutations(range(m))]
        for zeta in range(1, m + 1):
            assert largest_paired(mu[zeta - 1 :], limits[zeta - 1 :]) == max(row[zeta - 1] for row in sums)
            least = 0.0 - largest_paired(-mu[:zeta][::-1], -limits[:zeta][::-1])
            assert least == min(row[zeta - 1] for row in sums)


def test_sums_are_rounded_outward_by_no_more_than_needed():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 500)) * 10.0 ** rng.integers(-20, 20, size=(2, 500))
    a[:3], b[:3] = 1.0, [2.0, math.inf, -math.inf]
    a[3], b[3] = -1e308, -1e308
    ups, downs = _up(a, b), _down(a, b)
    assert ups[:3].tolist() == downs[:3].tolist() == [3.0, math.inf, -math.inf]
    assert (ups[3], downs[3]) == (-np.finfo(float).max, -math.inf)
    for x, y, up, down in zip(a[4:], b[4:], ups[4:], downs[4:], strict=True):
        exact = Fraction(float(x)) + Fraction(float(y))
        assert Fraction(float(down)) <= exact <= Fraction(float(up))
        assert up in (down, np.nextafter(down, math.inf))


def test_sets_hold_as_often_as_promised(regressor):
    rng = np.random.default_rng(4)
    held = dict.fromkeys(("mean", "upper mean", "median", "largest", "lower quartile", "pac"), 0)
    for _ in range(REPEATS):
        (X, y), (new, truth) = line(rng, N), line(rng, M)
        model = BatchPredictor(regressor, alpha=ALPHA).fit(X, y)
        ordered = np.sort(truth)
        for name, found, value in (
            ("mean", model.predict_mean(new, seed=5), truth.mean()),
            ("upper mean", model.predict_mean(new, side="upper", ordering="rank_sum"), truth.mean()),
            ("median", model.predict_quantile(new, 0.5), ordered[2]),
            ("largest", model.predict_quantile(new, 1, side="upper"), ordered[4]),
            ("lower quartile", model.predict_quantile(new, 0.25, side="lower"), ordered[1]),
        ):
            assert found.event_probability >= 1 - ALPHA
            assert found.lower < found.upper
            held[name] += found.lower <= value <= found.upper
        lower, upper, _ = model.predict_sets(new, 0.2)
        held["pac"] += ((lower <= truth) & (truth <= upper)).sum() >= 4
    # four standard errors of a share of REPEATS
    slack = 4 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)
    assert all(times / REPEATS >= 1 - ALPHA - slack for times in held.values()), held
    assert held["largest"] < REPEATS  # neither infinite nor trivial


def test_label_sets_and_errors_hold_as_often_as_promised(classifier):
    rng = np.random.default_rng(6)
    sets = errors = 0
    for _ in range(REPEATS):
        (X, y), (new, truth) = labelled(rng, N), labelled(rng, M)
        model = BatchPredictor(classifier, alpha=ALPHA).fit(X, y)
        member, found = model.predict_sets(new, 0.2)
        assert member.shape == (M, 2)
        assert found.event_probability >= 1 - ALPHA
        sets += member[np.arange(M), np.searchsorted(model.classes_, truth)].sum() >= 4
        errors += (model.predict(new) != truth).sum() <= model.predict_errors(new)
    slack = 4 * math.sqrt(ALPHA * (1 - ALPHA) / REPEATS)
    assert min(sets, errors) / REPEATS >= 1 - ALPHA - slack


@pytest.mark.parametrize("side", ["two", "upper", "lower"])
@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.8, 1])
def test_a_quantile_is_the_extreme_over_all_pairings_within_a_band(regressor, quantile, side):
    rng = np.random.default_rng(14)
    X, y = line(rng, 2 * N)
    new, m, level = 0.3 * rng.normal(size=(M, 2)), M, ALPHA / 2 if side == "two" else ALPHA
    model = BatchPredictor(regressor, alpha=ALPHA).fit(X, y)
    found = model.predict_quantile(new, quantile, side=side)
    mu, zeta = model.predict(new), math.ceil(quantile * m)
    for one in ("upper", "lower"):
        value = getattr(found, one)
        if side not in ("two", one):
            assert abs(value) == math.inf
            continue
        chosen = range(zeta, m + 1) if one == "upper" else range(1, zeta + 1)
        limits = [getattr(each, one) for each in order_statistics(model.scores_, m, chosen, level, side=one)]
        # residuals that the band leaves free are so far off that they cannot be the zeta-th outcome
        free = [-1e6] * (zeta - 1) + limits if one == "upper" else limits + [1e6] * (m - zeta)
        outcomes = [np.sort(mu + list(order))[zeta - 1] for order in itertools.permutations(free)]
        assert value == pytest.approx(max(outcomes) if one == "upper" else min(outcomes), rel=1e-9)
    assert 1 - ALPHA <= found.event_probability < 1


def test_the_other_sets_are_those_of_the_scores(regressor, classifier):
    rng = np.random.default_rng(15)
    X, y = line(rng, N)
    model, new = BatchPredictor(regressor, alpha=ALPHA).fit(X, y), X[:M] / 2
    for ordering in ("rank_sum", "partition"):
        # residuals rounded down for the lower end and up for the upper one: groups are drawn for each
        rounded = np.stack([model._lower_scores, model._upper_scores])
        scores = mean(rounded, M, ALPHA, ordering=ordering, seed=1, limits=(-9, 9))
        np.testing.assert_allclose(rounded, [model.scores_] * 2, rtol=1e-14)
        found = model.predict_mean(new, ordering=ordering, seed=1, limits=(-9, 9))
        centre = model.predict(new).mean()
        assert (found.lower, found.upper) == pytest.approx(
            (scores.lower[0] + centre, scores.upper[1] + centre)
        )
        assert found.event_probability == scores.event_probability
    lower, upper, _ = model.predict_sets(new, 0.2, alpha=0.3)
    width = pac_threshold(np.abs(model.scores_), M, 0.2, 0.3).upper
    assert np.stack([lower, upper]) == pytest.approx(model.predict(new) + np.array([[-width], [width]]))

    X, y = labelled(rng, N)
    model = BatchPredictor(classifier, alpha=ALPHA).fit(X, y)
    scores = 1 - classifier.predict_proba(X)[np.arange(N), y - 3]
    threshold = pac_threshold(scores, N, 0.2, ALPHA).upper
    member, _ = model.predict_sets(X, 0.2)
    assert np.array_equal(member, 1 - classifier.predict_proba(X) <= threshold)
    assert member[np.flatnonzero(scores == threshold), y[scores == threshold] - 3].all()
    right = int((classifier.predict(X) == y).sum())
    assert model.predict_errors(new) == count(right, N, M, ALPHA)


def test_a_quantile_of_equal_predictions_is_that_of_the_residuals(regressor):
    rng = np.random.default_rng(7)
    X, y = line(rng, N)
    model = BatchPredictor(regressor, alpha=ALPHA).fit(X, y)
    new = np.zeros((1, 2))
    found, centre = model.predict_quantile(new, 1, side="upper"), model.predict(new)[0]
    # one point: rank ceil((n + 1) (1 - alpha)) of n
    assert found.upper == pytest.approx(
        centre + model.scores_[math.ceil((N + 1) * (1 - ALPHA)) - 1], rel=1e-14
    )


def test_a_fitted_estimator_is_not_refitted(regressor):
    before = regressor.coef_.tobytes(), regressor.intercept_
    X, y = line(np.random.default_rng(8), N)
    model = BatchPredictor(regressor).fit(X, y)
    assert model.estimator_ is regressor
    assert (regressor.coef_.tobytes(), regressor.intercept_) == before
    assert (model.calibrated_on_, model.n_calibration_) == ("all", N)
    assert model.scores_.tolist() == sorted(y - regressor.predict(X))
    assert model.score(X, y) == regressor.score(X, y)


def test_an_estimator_that_is_not_fitted_calibrates_on_what_it_has_not_seen():
    X, y = line(np.random.default_rng(9), N)
    inner = LinearRegression()
    model = BatchPredictor(inner, calibration_size=0.25, random_state=3).fit(X, y)
    assert not hasattr(inner, "coef_")
    assert (model.calibrated_on_, model.n_calibration_) == ("held-out", 15)
    seen = model._split(N)
    assert sorted(np.concatenate(seen)) == list(range(N))
    assert np.array_equal(model.estimator_.coef_, LinearRegression().fit(X[seen[0]], y[seen[0]]).coef_)
    assert model.scores_ == pytest.approx(np.sort(y[seen[1]] - model.predict(X[seen[1]])), rel=1e-12)


def test_it_survives_pickling_and_cloning(regressor):
    X, y = line(np.random.default_rng(10), N)
    model = BatchPredictor(regressor, alpha=ALPHA).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    for method, arguments in (("predict_quantile", {"quantile": 0.5}), ("predict_mean", {"seed": 1})):
        one, other = (getattr(each, method)(X[:4], **arguments) for each in (model, again))
        assert (one.lower, one.upper) == (other.lower, other.upper)
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


def test_a_label_that_the_classifier_does_not_know_is_never_covered(classifier):
    X, y = labelled(np.random.default_rng(11), N)
    y[:2] = 9
    model = BatchPredictor(classifier, alpha=0.5).fit(X, y)
    assert model.scores_[-2:].tolist() == [math.inf, math.inf]
    assert model.predict_sets(X[:3]).found.finite


def test_what_cannot_be_bounded_is_infinite_and_says_why(regressor):
    X, y = line(np.random.default_rng(12), 3)
    found = BatchPredictor(regressor).fit(X, y).predict_quantile(X, 1)
    assert (found.upper, found.finite) == (math.inf, False)
    assert "3 of calibration" in found.reason
    known = BatchPredictor(regressor).fit(X, y).predict_quantile(X, 1, limits=(-50, 50))
    assert known.finite
    assert known.upper == pytest.approx(regressor.predict(X).max() + 50)


class Silent(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), math.nan)


class Undecided(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), math.nan)


def test_bad_input_is_refused_by_name(regressor, classifier):
    X, y = line(np.random.default_rng(13), N)
    labels = (y > 0).astype(int) + 3
    ready, labelling = BatchPredictor(regressor).fit(X, y), BatchPredictor(classifier).fit(X, labels)
    for id, words, call in (
        ("AK-BP-050", "X: must be at least 2", lambda: BatchPredictor(LinearRegression()).fit(X[:1], y[:1])),
        ("AK-BP-051", "estimator: must be one that", lambda: BatchPredictor(Silent()).fit(X, y)),
        ("AK-BP-051", "finite probability", lambda: BatchPredictor(Undecided()).fit(X, labels)),
        ("AK-BP-052", "predict_mean: must be asked of a reg", lambda: labelling.predict_mean(X)),
        ("AK-BP-052", "predict_quantile: must be asked", lambda: labelling.predict_quantile(X, 0.5)),
        ("AK-BP-052", "predict_errors: must be asked of a cl", lambda: ready.predict_errors(X)),
        ("AK-BP-053", "a classifier with predict_proba", lambda: BatchPredictor(LinearSVC()).fit(X, labels)),
        ("AK-BP-054", "calibration_size", lambda: BatchPredictor(Silent(), calibration_size=1.0).fit(X, y)),
        ("AK-BP-055", "not NoneType", lambda: BatchPredictor().fit(X, y)),
        ("AK-BP-055", "not KMeans", lambda: BatchPredictor(KMeans()).fit(X, y)),
        ("AK-BP-003", "alpha", lambda: BatchPredictor(regressor, alpha=1).fit(X, y)),
        ("AK-BP-009", "limits", lambda: ready.predict_mean(X, limits=(0, 0.1))),
        ("AK-BP-009", "limits", lambda: ready.predict_quantile(X, 0.5, limits=(0, 0.1))),
        ("AK-BP-010", "reference", lambda: ready.predict_mean(X, reference=ready.scores_.copy())),
        ("AK-BP-011", "seed", lambda: BatchPredictor(Silent(), random_state=-1).fit(X, y)),
    ):
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert caught.value.id == id
    with pytest.raises(ValueError, match="X has 1 features"):
        ready.predict_mean(X[:, :1])
    with pytest.raises(NotFittedError):
        BatchPredictor(regressor).predict_sets(X)
