"""Models wrapped in split conformal prediction and checked in one step: protocol, coverage, refusals."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import check_estimator

from auditkit import InputError
from auditkit.uncertainty.conformal import conformal_interval, conformal_sets
from auditkit.uncertainty.estimators import ConformalClassifier, ConformalRegressor

REPEATS = 100


def labelled(rng, n):
    X = rng.normal(size=(n, 2))
    y = (X[:, 0] + rng.normal(size=n) > 0).astype(int) + (X[:, 1] > 1)
    return X, np.array(["low", "middle", "top"])[y]


def line(rng, n):
    X = rng.normal(size=(n, 2))
    return X, X @ [1.0, -2.0] + rng.normal(size=n)


@pytest.fixture(scope="module")
def bayes():
    return GaussianNB().fit(*labelled(np.random.default_rng(1), 60))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    "model",
    [ConformalClassifier(LogisticRegression()), ConformalRegressor(LinearRegression())],
    ids=["classifier", "regressor"],
)
def test_scikit_learn_accepts_it(model):
    check_estimator(model)


def test_the_package_does_not_load_scikit_learn():
    program = "import sys, auditkit.uncertainty.models; print({'sklearn', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_fitted_classifier_is_wrapped_and_checked_in_one_step():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    order = np.random.default_rng(0).permutation(len(y))
    first, second, third = order[:400], order[400:1000], order[1000:]
    fitted = LogisticRegression(max_iter=200).fit(X[first], y[first])
    audit = (
        ConformalClassifier(fitted, alpha=0.2, calibration="prefit")
        .fit(X[second], y[second])
        .audit(X[third], y[third])
    )
    sets, _ = conformal_sets(
        fitted.predict_proba(X[second]), y[second], fitted.predict_proba(X[third]), alpha=0.2
    )
    covered = int(sets[np.arange(len(third)), y[third]].sum())
    assert (audit.coverage.covered, audit.coverage.target) == (covered, 0.8)
    # the k-th of n scores: coverage of m new rows is beta-binomial(m, k, n + 1 - k)
    k = math.ceil(601 * 0.8)
    assert audit.coverage.conformal["p_under"] == pytest.approx(
        betabinom.cdf(covered, len(third), k, 601 - k), rel=1e-9
    )
    assert audit.checks["coverage"].status == "pass"


def test_a_torch_module_is_wrapped_and_checked_in_one_step():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    X = rng.normal(size=(700, 4)).astype(np.float32)
    torch.manual_seed(3)
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5))
    with torch.no_grad():
        law = torch.softmax(module.eval()(torch.from_numpy(X)), 1).numpy().astype(np.float64)
    y = np.array([rng.choice(3, p=row / row.sum()) for row in law])
    module.train()
    audit = ConformalClassifier(module, calibration="prefit").fit(X[:300], y[:300]).audit(X[300:], y[300:])
    sets, _ = conformal_sets(law[:300], y[:300], law[300:], alpha=0.1)
    assert audit.coverage.covered == int(sets[np.arange(400), y[300:]].sum())
    assert audit.checks["coverage"].status == "pass"
    assert module.training
    # tensors of rows and labels do as well, and so does one column of the second class
    model = ConformalClassifier(module, calibration="prefit", classes=["a", "b", "c"])
    named = np.array(["a", "b", "c"])[y]
    model.fit(torch.from_numpy(X[:300]), named[:300])
    assert model.predict(torch.from_numpy(X[300:])).tolist() == ["abc"[k] for k in law[300:].argmax(axis=1)]
    assert model.audit(X[300:], named[300:]).coverage.covered == audit.coverage.covered
    column = torch.nn.Linear(4, 1)
    yes = torch.from_numpy((X[:, 0] > 0).astype(np.int64))
    one = ConformalClassifier(column, calibration="prefit").fit(X[:300], yes[:300])
    assert one.predict_set(X[300:]).shape == (400, 2)
    np.testing.assert_allclose(one.predict_proba(X[:5]).sum(axis=1), 1)


def test_what_a_module_gives_is_decided_once():
    """A single row of logits may look like probabilities: what all calibration rows said holds."""
    torch = pytest.importorskip("torch")
    X = np.array([[3.0, 1.0], [-2.0, 0.5], [0.25, 0.75], [0.1, 0.2]] * 10, dtype=np.float32)
    model = ConformalClassifier(torch.nn.Identity(), calibration="prefit").fit(X, np.tile([0, 1, 1, 0], 10))
    whole = model.predict_proba(X)
    for row in range(4):
        np.testing.assert_allclose(model.predict_proba(X[row : row + 1])[0], whole[row], rtol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"method": "aps"}, {"method": "raps", "randomized": True}])
def test_sets_cover_as_often_as_promised(bayes, settings):
    rng = np.random.default_rng(4)
    hits, rows = 0, 5
    for seed in range(REPEATS):
        X, y = labelled(rng, 39 + rows)
        model = ConformalClassifier(bayes, alpha=0.2, calibration="prefit", random_state=seed, **settings)
        sets = model.fit(X[:39], y[:39]).predict_set(X[39:])
        hits += int(sets[np.arange(rows), np.searchsorted(model.classes_, y[39:])].sum())
    # k = 32 of 39: mean coverage 32/40; rows of one calibration share a threshold: beta-binomial, four deviations
    slack = 4 * math.sqrt(betabinom.var(rows, 32, 8) * REPEATS)
    assert hits >= 0.8 * rows * REPEATS - slack
    if settings.get("method") != "aps":  # neither breaks ties: aps without shares is larger than promised
        assert hits <= 0.8 * rows * REPEATS + slack


def test_intervals_cover_as_often_as_promised_when_the_split_is_drawn():
    rng = np.random.default_rng(5)
    hits, rows = 0, 5
    for seed in range(REPEATS):
        X, y = line(rng, 60 + rows)
        model = ConformalRegressor(LinearRegression(), alpha=0.2, calibration=0.4, random_state=seed)
        lower, upper = model.fit(X[:60], y[:60]).predict_interval(X[60:])
        assert model.n_calibration_ == 24
        hits += int(((lower <= y[60:]) & (y[60:] <= upper)).sum())
    slack = 4 * math.sqrt(betabinom.var(rows, 20, 5) * REPEATS)
    assert abs(hits - 0.8 * rows * REPEATS) <= slack


def test_the_split_is_plain_and_repeatable():
    X, y = labelled(np.random.default_rng(6), 80)
    one, other, third = (
        ConformalClassifier(GaussianNB(), calibration=0.3, random_state=seed).fit(X, y) for seed in (1, 1, 2)
    )
    assert (one.n_calibration_, one.threshold_) == (24, other.threshold_)
    assert one.threshold_ != third.threshold_
    fitted, held = one._split(80, np.random.RandomState(1))
    assert sorted(np.concatenate([fitted, held])) == list(range(80))
    again = GaussianNB().fit(X[fitted], y[fitted])
    assert np.array_equal(one.predict_proba(X), again.predict_proba(X))
    scores = 1 - again.predict_proba(X[held])[np.arange(24), np.searchsorted(again.classes_, y[held])]
    assert one.threshold_ == np.sort(scores)[math.ceil(25 * 0.9) - 1]
    # the same rows whatever their labels
    for labels in (y, y[::-1]):
        assert np.array_equal(one._split(len(labels), np.random.RandomState(1))[1], held)


def test_intervals_hold_the_calibration_rows_that_they_are_made_of():
    """Ends are rounded outward: the row with the largest residual is on the end, and stays inside."""
    X = np.linspace(0, 1, 19)[:, None]
    fitted = LinearRegression().fit(X, X[:, 0] * 0)
    for scale in (1e-3, 0.1, 1e6):
        y = scale * np.sin(np.arange(19) + 0.1)
        model = ConformalRegressor(fitted, alpha=0.05, calibration="prefit").fit(X, y)
        assert model.half_width_ == conformal_interval(np.abs(y - fitted.predict(X)), alpha=0.05)
        lower, upper = model.predict_interval(X)
        assert ((lower <= y) & (y <= upper)).all()
        # three roundings
        np.testing.assert_allclose(upper - lower, 2 * model.half_width_, rtol=4e-16 * 3, atol=1e-15)


def test_a_torch_regressor_is_wrapped_and_checked_in_one_step():
    torch = pytest.importorskip("torch")
    X, y = line(np.random.default_rng(7), 500)
    module = torch.nn.Linear(2, 1)
    audit = ConformalRegressor(module, calibration="prefit").fit(X[:200], y[:200]).audit(X[200:], y[200:])
    centre = module(torch.from_numpy(X).float()).detach().numpy()[:, 0].astype(np.float64)
    half = conformal_interval(np.abs(y - centre)[:200], alpha=0.1)
    assert audit.coverage.covered == int((np.abs(y - centre)[200:] <= half).sum())
    assert (audit.checks["coverage"].status, audit.about) == ("pass", "intervals")


def test_labels_that_the_classifier_does_not_know_are_missed(bayes):
    X, y = labelled(np.random.default_rng(8), 300)
    y[:100:5] = "new"  # a fifth of the calibration rows, more than may be missed
    for method in ("lac", "aps", "raps"):
        model = ConformalClassifier(bayes, alpha=0.1, method=method, calibration="prefit").fit(
            X[:100], y[:100]
        )
        assert model.predict_set(X[100:]).all()  # all that is known, and it is not enough
        model.set_params(alpha=0.3).fit(X[:100], y[:100])
        sets = model.predict_set(X[100:])
        assert sets.shape == (200, 3)
        assert not sets.all()
    late = y[100:].copy()
    late[:150] = "new"
    audit = model.audit(X[100:], late)
    assert audit.coverage.covered == int(
        sets[np.arange(150, 200), np.searchsorted(bayes.classes_, late[150:])].sum()
    )
    assert audit.checks["coverage"].status == "fail"


def test_declared_groups_and_levels_reach_the_audit(bayes):
    X, y = labelled(np.random.default_rng(9), 400)
    model = ConformalClassifier(bayes, alpha=0.3, calibration="prefit").fit(X[:99], y[:99])
    audit = model.audit(X[99:], y[99:], groups=np.where(X[99:, 1] > 1, "upper", "lower"), alpha=0.01, seed=4)
    assert [group.label for group in audit.coverage.groups] == ["lower", "upper"]
    assert (audit.alpha, audit.target, audit.seed) == (0.01, 0.7, 4)


def test_too_few_calibration_rows_give_everything_and_say_so(bayes):
    X, y = labelled(np.random.default_rng(10), 30)
    model = ConformalClassifier(bayes, calibration="prefit").fit(X[:8], y[:8])
    assert model.threshold_ == math.inf
    assert model.predict_set(X).all()
    assert [note.id for note in model.audit(X, y).warnings] == ["AK-UN-031"]
    fitted = LinearRegression().fit(X, X[:, 0])
    wide = ConformalRegressor(fitted, calibration="prefit").fit(X[:8], X[:8, 0])
    assert wide.predict_interval(X[:1]) == ([-math.inf], [math.inf])


def test_it_survives_pickling_cloning_and_cross_validation(bayes):
    X, y = labelled(np.random.default_rng(11), 90)
    model = ConformalClassifier(
        bayes, method="aps", randomized=True, calibration="prefit", random_state=3
    ).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(model.predict_set(X), again.predict_set(X))
    with pytest.raises(NotFittedError):
        clone(model).predict(X)
    with pytest.raises(NotFittedError):
        ConformalRegressor(LinearRegression()).predict_interval(X)
    assert cross_val_score(ConformalClassifier(GaussianNB(), random_state=0), X, y, cv=3).min() > 0.4


def test_bad_input_is_refused_by_name(bayes):
    X, y = labelled(np.random.default_rng(12), 40)
    number = X[:, 0]
    twice = LinearRegression().fit(X, X)
    ready = ConformalClassifier(bayes, calibration="prefit").fit(X, y)
    cases = [
        ("AK-UN-051", "not KMeans", lambda: ConformalClassifier(KMeans(2, n_init=1)).fit(X, y)),
        ("AK-UN-056", "not NoneType", lambda: ConformalClassifier(None).fit(X, y)),
        ("AK-UN-051", "not NoneType", lambda: ConformalClassifier(None, calibration="prefit").fit(X, y)),
        ("AK-UN-056", "a regressor, not GaussianNB", lambda: ConformalRegressor(bayes).fit(X, number)),
        ("AK-UN-057", "'half'", lambda: ConformalClassifier(bayes, calibration="half").fit(X, y)),
        (
            "AK-UN-057",
            "not 1.0",
            lambda: ConformalRegressor(LinearRegression(), calibration=1.0).fit(X, number),
        ),
        (
            "AK-UN-057",
            "not True",
            lambda: ConformalRegressor(LinearRegression(), calibration=True).fit(X, number),
        ),
        ("AK-UN-058", "1 sample", lambda: ConformalRegressor(LinearRegression()).fit(X[:1], number[:1])),
        ("AK-UN-052", r"\(40, 2\)", lambda: ConformalRegressor(twice, calibration="prefit").fit(X, number)),
        ("AK-UN-007", "alpha", lambda: ConformalClassifier(bayes, alpha=1).fit(X, y)),
        (
            "AK-UN-009",
            "method",
            lambda: ConformalClassifier(bayes, method="best", calibration="prefit").fit(X, y),
        ),
        ("AK-UN-055", "such as 'low', not", lambda: ready.audit(X, np.arange(40))),
        ("AK-UN-002", "one label a row", lambda: ready.audit(X, y[:3])),
    ]
    for id, words, call in cases:
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert caught.value.id == id, str(caught.value)
    with pytest.raises(ValueError, match="requires y"):
        ready.fit(X, None)
    with pytest.raises(ValueError, match="3 features"):
        ready.predict_set(np.ones((2, 3)))


def test_a_module_is_calibrated_only_when_fitted():
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError, match="not Linear") as caught:
        ConformalRegressor(torch.nn.Linear(2, 1)).fit(np.ones((9, 2)), np.ones(9))
    assert (caught.value.id, "prefit" in caught.value.hint) == ("AK-UN-056", True)
