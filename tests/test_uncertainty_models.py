"""Fitted models audited in one step: what scikit-learn and torch give is read for what it is, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from auditkit import InputError
from auditkit.report.html import render_html
from auditkit.report.text import render_text
from auditkit.uncertainty.audits import calibration_audit
from auditkit.uncertainty.models import audit_classifier, audit_regressor, model_probabilities

SETTINGS = {"replicates": 49, "seed": 0}


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    names = np.array(["setosa", "versicolor", "virginica"])
    return X[order].astype(np.float32), names[y[order]]


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return X, np.where(y == 1, "harmless", "a tumour")


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(10, random_state=0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        CalibratedClassifierCV(LinearSVC(), cv=3),
    ],
    ids=["forest", "pipeline", "calibrated"],
)
def test_classifiers_of_scikit_learn_in_one_step(iris, model):
    X, y = iris
    model.fit(X[:75], y[:75])
    found = model_probabilities(model, X[75:])
    assert np.array_equal(found.probabilities, model.predict_proba(X[75:]))
    assert found.classes.tolist() == ["setosa", "versicolor", "virginica"]
    audit = audit_classifier(model, X[75:], y[75:], **SETTINGS)
    by_hand = calibration_audit(found.probabilities, np.searchsorted(found.classes, y[75:]), **SETTINGS)
    assert audit.to_dict()["errors"] == by_hand.to_dict()["errors"]
    assert audit.accuracy.value == model.score(X[75:], y[75:])
    assert audit.inputs["model"]["classes"] == ["setosa", "versicolor", "virginica"]
    assert type(model).__name__ in render_html(audit.to_dict())
    assert render_text(audit.to_dict())


def test_two_classes_are_judged_by_the_probability_of_the_second(cancer):
    X, y = cancer
    model = GaussianNB().fit(X[::2], y[::2])
    groups = np.where(X[1::2, 0] > 14, "large", "small")
    audit = audit_classifier(model, X[1::2], y[1::2], groups=groups, **SETTINGS)
    p = model.predict_proba(X[1::2])[:, 1]
    by_hand = calibration_audit(p, y[1::2] == "harmless", groups=groups, **SETTINGS)
    assert audit.errors["calibration_error"].value == by_hand.errors["calibration_error"].value
    assert audit.groups == by_hand.groups
    assert (audit.about, audit.checks["calibration-tests"].status) == ("probability", "fail")


def net(torch, *layers):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), *layers)


def test_logits_and_probabilities_of_a_module_are_told_apart(iris):
    torch = pytest.importorskip("torch")
    X, _ = iris
    logits = net(torch)(torch.from_numpy(X)).detach().numpy().astype(np.float64)
    assert logits.min() < 0
    right = softmax(logits, axis=1)
    for layers, kind in (
        ((), "logits"),
        # logarithms of probabilities are logits: softmax gives the probabilities back
        ((torch.nn.LogSoftmax(1),), "logits"),
        ((torch.nn.Softmax(1),), "probabilities"),
    ):
        found = model_probabilities(net(torch, *layers), X)
        assert found.outputs == kind
        assert found.classes.tolist() == [0, 1, 2]
        # float32 arithmetic in the module
        np.testing.assert_allclose(found.probabilities, right, atol=1e-6)
    # taken for probabilities, logits are refused; taken for logits, probabilities give what softmax gives
    with pytest.raises(InputError, match=r"model\(X\)\[0\]: must be probabilities") as caught:
        model_probabilities(net(torch), X, outputs="probabilities")
    assert caught.value.id == "AK-UN-053"
    twice = model_probabilities(net(torch, torch.nn.Softmax(1)), X, outputs="logits")
    np.testing.assert_allclose(twice.probabilities, softmax(right, axis=1), atol=1e-6)


def test_a_module_is_left_as_it_was_and_runs_in_evaluation_mode(iris):
    torch = pytest.importorskip("torch")
    X, _ = iris
    module = net(torch, torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.9), torch.nn.Linear(3, 3))
    module.train()
    module[1].eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    one, other = (model_probabilities(module, X, batch_size=size).probabilities for size in (7, 1024))
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert (module.training, module[1].training, module[2].training) == (True, False, True)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(each.grad is None for each in module.parameters())
    for rows in (torch.from_numpy(X), X.astype(np.float64), X.astype(">f4"), X[::-1][::-1], X.tolist()):
        np.testing.assert_allclose(model_probabilities(module, rows).probabilities, one, atol=1e-6)
    double = model_probabilities(module.double(), X).probabilities
    np.testing.assert_allclose(double, one, atol=1e-6)


def test_one_column_of_a_module_is_told_what_it_is(cancer):
    torch = pytest.importorskip("torch")
    X = StandardScaler().fit_transform(cancer[0]).astype(np.float32)
    torch.manual_seed(1)
    line = torch.nn.Linear(30, 1)
    logits = line(torch.from_numpy(X)).detach().numpy()[:, 0].astype(np.float64)
    found = model_probabilities(line, X)
    assert (found.outputs, found.probabilities.shape) == ("logits", (569,))
    np.testing.assert_allclose(found.probabilities, expit(logits), rtol=1e-6)
    squashed = torch.nn.Sequential(line, torch.nn.Sigmoid(), torch.nn.Flatten(0))
    with pytest.raises(InputError, match="one column from 0 to 1 may be logits or probabilities") as caught:
        model_probabilities(squashed, X)
    assert caught.value.id == "AK-UN-053"
    assert "outputs='logits'" in caught.value.hint
    said = model_probabilities(squashed, X, outputs="probabilities").probabilities
    np.testing.assert_allclose(said, expit(logits), rtol=1e-5)
    audit = audit_classifier(line, X, cancer[1], classes=["a tumour", "harmless"], **SETTINGS)
    by_hand = calibration_audit(found.probabilities, cancer[1] == "harmless", **SETTINGS)
    assert audit.errors["calibration_error"].value == by_hand.errors["calibration_error"].value


def test_extreme_logits_give_probabilities():
    torch = pytest.importorskip("torch")
    X = np.array([[1e30, -1e30, 0.0], [np.log(3.0), 0.0, -np.inf]], dtype=np.float32)
    found = model_probabilities(torch.nn.Identity(), X).probabilities
    np.testing.assert_allclose(found, [[1, 0, 0], [0.75, 0.25, 0]], rtol=1e-6)
    column = model_probabilities(torch.nn.Identity(), np.array([[-800.0], [800.0], [-np.inf]])).probabilities
    assert column.tolist() == [0, 1, 0]


def test_predicted_laws_of_regressors_in_one_step():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(160, 1))
    y = np.sin(2 * X[:, 0]) + 0.2 * rng.normal(size=160)
    process = GaussianProcessRegressor(RBF() + WhiteKernel(0.04), optimizer=None).fit(X[:80], y[:80])
    audit = audit_regressor(process, X[80:], y[80:], target=0.8, seed=0)
    mean, sd = process.predict(X[80:], return_std=True)
    assert audit.coverage.covered == int((np.abs(y[80:] - mean) <= 1.2815515655446004 * sd).sum())
    assert audit.inputs["model"]["name"] == "GaussianProcessRegressor"
    assert render_html(audit.to_dict())
    piped = make_pipeline(StandardScaler(), BayesianRidge()).fit(X[:80], y[:80])
    assert audit_regressor(piped, X[80:], y[80:], seed=0).about == "gaussian"


class Says:
    """A classifier that says the same whatever it is asked."""

    def __init__(self, said, classes=None):
        self.said = said
        if classes is not None:
            self.classes_ = np.array(classes)

    def predict_proba(self, X):
        return self.said

    def predict(self, X):
        return self.said


def test_models_that_are_none_are_refused(iris):
    X, y = iris
    model = LogisticRegression(max_iter=500).fit(X[:50], y[:50])
    half = np.full((4, 2), 0.5)
    for id, words, call in (
        ("AK-UN-051", "not LinearSVC", lambda: model_probabilities(LinearSVC().fit(X, y), X)),
        ("AK-UN-051", "predict_proba or a torch module", lambda: model_probabilities(7, X)),
        ("AK-UN-051", "torch module, not", lambda: model_probabilities(GaussianNB, X)),
        ("AK-UN-051", "return_std", lambda: audit_regressor(LinearRegression().fit(X, X[:, 0]), X, X[:, 0])),
        ("AK-UN-051", "return_std", lambda: audit_regressor(None, X, X[:, 0])),
        ("AK-UN-052", "2 outcomes", lambda: model_probabilities(Says([half, half]), X)),
        ("AK-UN-052", "two columns", lambda: model_probabilities(Says(half[:, :1]), X)),
        ("AK-UN-001", r"\[0, 0\]", lambda: model_probabilities(Says(half * np.nan), X)),
        ("AK-UN-003", "sum to one", lambda: model_probabilities(Says(half * 0.9), X)),
        ("AK-UN-053", "'logits'", lambda: model_probabilities(model, X, outputs="logits")),
        ("AK-UN-053", "one of auto", lambda: model_probabilities(model, X, outputs="scores")),
        ("AK-UN-054", "2 different labels", lambda: model_probabilities(Says(half, [1, 2, 3]), X)),
        ("AK-UN-054", "different", lambda: model_probabilities(Says(half), X, classes=["a", "a"])),
        ("AK-UN-054", "those of the model", lambda: model_probabilities(model, X, classes=[0, 1, 2])),
        ("AK-UN-008", "batch_size", lambda: model_probabilities(model, X, batch_size=0)),
        ("AK-UN-002", "one label a row", lambda: audit_classifier(model, X, y[:9])),
        (
            "AK-UN-002",
            "one kind",
            lambda: audit_classifier(model, X[:2], np.array([None, "a"], dtype=object)),
        ),
        (
            "AK-UN-055",
            r"y\[1\].*'setosa', 'versicolor'",
            lambda: audit_classifier(model, X[:2], ["setosa", "rose"]),
        ),
        ("AK-UN-055", r"y\[0\].*not 1", lambda: audit_classifier(model, X[:2], [1, 2])),
    ):
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert caught.value.id == id, str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as caught:
        model_probabilities(LinearSVC().fit(X, y), X)
    assert "CalibratedClassifierCV" in caught.value.hint


def test_modules_that_give_no_probabilities_are_refused(iris):
    torch = pytest.importorskip("torch")
    X, _ = iris

    class Gives(torch.nn.Module):
        def __init__(self, what):
            super().__init__()
            self.what = what

        def forward(self, x):
            return self.what(x)

    spoilt = X.copy()
    spoilt[5, 2] = np.nan
    for id, words, module, rows in (
        ("AK-UN-052", r"model\(X\)\[5\]: must be a number, not nan", net(torch), spoilt),
        ("AK-UN-052", "RuntimeError: mat1", net(torch), X[:, :3]),
        ("AK-UN-052", "RuntimeError", net(torch), np.ones((2, 4), dtype=int)),
        ("AK-UN-052", "not tuple", Gives(lambda x: (x, x)), X),
        ("AK-UN-052", r"of shape \(1024, 4, 1\)|of shape \(150, 4, 1\)", Gives(lambda x: x[:, :, None]), X),
        ("AK-UN-052", r"of shape \(150, 0\)", Gives(lambda x: x[:, :0]), X),
        ("AK-UN-052", "of shape", Gives(lambda x: x[:1]), X),
        ("AK-UN-052", "rows of numbers", net(torch), [["a", "b"]]),
        ("AK-UN-052", "rows of numbers", net(torch), np.empty((0, 4))),
        ("AK-UN-052", r"\[0\]: must be logits with", Gives(lambda x: x - np.inf), X),
        ("AK-UN-053", "do not sum to one", Gives(torch.sigmoid), X),
        ("AK-UN-054", "4 different labels", Gives(lambda x: x), X),
    ):
        classes = ["a", "b"] if id == "AK-UN-054" else None
        module.train()
        with pytest.raises(InputError, match=words) as caught:
            model_probabilities(module, rows, classes=classes)
        assert caught.value.id == id, str(caught.value)
        assert module.training
