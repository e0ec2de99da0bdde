"""What protection bought: W9 (overlap rises, clean error stays), attempts that must undo what they are made for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import fft, stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from auditkit import InputError
from auditkit.bayes_error import objective, recovery, unlearnability
from auditkit.bayes_error.results import Ceiling
from auditkit.bayes_error.unlearnable import _default_models

CLEAN, MOVED, MIXED = 0.1586553, 0.2266274, 0.1926413


class Sign:
    """The Bayes rule of W9, before and after."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        return (X[:, 0] > 0).astype(int)


def w9(rng, n):
    y = rng.integers(2, size=n)
    return (2 * y - 1 + rng.normal(size=n))[:, None], y


def toward(X, y, eps):
    return X - eps * (2 * y - 1)[:, None]


@pytest.fixture
def known_ceiling(monkeypatch):
    """The population ceiling of W9 in closed form, in place of what a sample certifies."""
    exact = Ceiling(MOVED, "certified-upper", "population", "closed form", 0.25, "l2")
    monkeypatch.setattr("auditkit.bayes_error.unlearnable._ceilings", lambda *_: (exact,))


def test_w9_overlap_rises_and_clean_error_stays(known_ceiling):
    rng = np.random.default_rng(0)
    (X, y), test = w9(rng, 700), w9(rng, 20_000)
    found = unlearnability(
        X,
        toward(X, y, 0.25),
        y,
        test=test,
        models={"sign": Sign(), "logistic": LogisticRegression()},
        norm="l2",
        seed=1,
    )
    deviation = 5 * np.sqrt(0.25 / 700)
    assert found.before["error"] == pytest.approx(CLEAN, abs=deviation)
    assert found.after["error"] == pytest.approx(MOVED, abs=deviation)
    assert found.largest_move == pytest.approx(0.25, rel=1e-12)
    assert found.ceiling == MOVED
    errors = {
        name: {score.model: score.error for score in scores} for name, scores in found.clean_test.items()
    }
    assert {of["sign"] for of in errors.values()} == {errors["clean"]["sign"]}
    assert errors["clean"]["sign"] == pytest.approx(CLEAN, abs=5 * np.sqrt(0.16 * 0.84 / 20_000))
    # its cut moves by about sd / sqrt(n), which costs far less than one point in a hundred
    assert errors["protected"]["logistic"] == pytest.approx(errors["clean"]["sign"], abs=0.01)
    crossfit = {score.model: score.error for score in found.crossfit_protected}
    assert crossfit["sign"] == pytest.approx(MOVED, abs=deviation)
    assert "AK-BE-065" in [note.id for note in found.warnings]
    assert found.paired["sign"].p_value == 1.0
    assert "clean-test error" in found.verdict.sentence


def test_a_mixture_keeps_its_share_of_the_gain():
    x = np.linspace(-12, 12, 24_001)

    def error(share, eps):
        def density(c):
            at = 2 * c - 1
            return share * stats.norm.pdf(x, at * (1 - eps)) + (1 - share) * stats.norm.pdf(x, at)

        # a kink costs the trapezoids its jump of slope times step^2 / 12, below 1e-7
        return np.trapezoid(0.5 * np.minimum(density(0), density(1)), x)

    assert error(0, 0.25) == pytest.approx(CLEAN, abs=1e-7)
    assert error(1, 0.25) == pytest.approx(MOVED, abs=1e-7)
    assert error(0.5, 0.25) == pytest.approx(MIXED, abs=1e-7)  # equality: one rule is best for all three
    for share in (0.2, 0.5, 0.8):
        for eps in (0.5, 1.5):  # beyond 1 the classes have passed each other
            kept = share * error(1, eps) + (1 - share) * error(0, eps)
            assert error(share, eps) >= kept - 1e-7


def test_training_on_the_mixture_is_compared_with_dropping_the_protected_rows(known_ceiling):
    rng = np.random.default_rng(3)
    (X, y), test = w9(rng, 300), w9(rng, 4000)
    # shifting both classes alike moves every cut that is learned and changes no overlap
    found = unlearnability(X, X + 6.0, y, test=test, models={"logistic": LogisticRegression()}, seed=2)
    scores = {name: of[0] for name, of in found.clean_test.items()}
    assert scores["protected"].error > 0.4
    assert scores["clean part"].error < 0.2
    assert found.paired["logistic"].p_first_worse < 1e-6
    assert found.after["error"] == pytest.approx(found.before["error"], abs=0.02)


def test_the_clean_part_is_the_mixture_without_its_protected_rows(known_ceiling):
    seen = []

    class Rows(Sign):
        def fit(self, X, y):
            seen.append(X[:, 0].copy())
            return self

        def __deepcopy__(self, memo):
            return self

    rng = np.random.default_rng(14)
    (X, y), test = w9(rng, 60), w9(rng, 10)
    unlearnability(X, X + 100, y, test=test, mix=0.3, models={"rows": Rows()}, recover=False, seed=0)
    clean, protected, mixed, part = seen[:4]
    np.testing.assert_array_equal(protected, clean + 100)
    assert (mixed > 50).sum() == 18
    np.testing.assert_array_equal(part, mixed[mixed < 50])


def test_groups_stay_together(known_ceiling):
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(40, 6))
    labels = rng.integers(2, size=40)
    X, y, groups = np.repeat(rows, 5, axis=0), np.repeat(labels, 5), np.repeat(np.arange(40), 5)
    test = rng.normal(size=(50, 6)), rng.integers(2, size=50)
    one = {"one": KNeighborsClassifier(1)}
    leaking = unlearnability(X, X, y, test=test, models=one, recover=False, seed=0)
    grouped = unlearnability(X, X, y, test=test, models=one, recover=False, groups=groups, seed=0)
    assert leaking.crossfit_clean[0].errors == 0
    assert grouped.crossfit_clean[0].error > 0.25
    assert leaking.before["error"] == 0
    assert grouped.before["error"] > 0.25


def test_equal_seeds_give_equal_reports(known_ceiling):
    rng = np.random.default_rng(5)
    (X, y), test = w9(rng, 60), w9(rng, 30)
    first, second = (
        unlearnability(
            X, toward(X, y, 0.1), y, test=test, seed=7, models={"one": KNeighborsClassifier(1)}, recover=False
        )
        for _ in range(2)
    )
    assert first.to_json() == second.to_json()
    parsed = json.loads(first.to_json())
    assert parsed["kind"] == "unlearnability"
    assert set(parsed["clean_test"]) == {"clean", "protected", "mixed", "clean part"}
    names = [entry["name"] for entry in parsed["estimates"]]
    assert names[0] == "estimate_before"
    assert "ceiling_population" in names
    drawn = unlearnability(X, X, y, test=test, models={"sign": Sign()})
    assert drawn.seed >= 0


def test_the_models_that_are_tried_by_default_learn():
    rng = np.random.default_rng(5)
    (X, y), (X_test, y_test) = w9(rng, 100), w9(rng, 200)
    for name, make in _default_models(0).items():
        assert np.mean(make().fit(X, y).predict(X_test) != y_test) < 0.35, name


# -- attempts to undo


def test_a_linear_shortcut_is_projected_away(known_ceiling):
    rng = np.random.default_rng(6)
    d = 8
    direction = rng.normal(size=d)
    direction /= np.linalg.norm(direction)

    def clean(size):
        corners = 3 * (
            2 * rng.integers(2, size=(size, 2)) - 1
        )  # classes by sign of the product: no linear signal
        X = rng.normal(size=(size, d))
        X[:, :2] += corners
        return X, (corners.prod(axis=1) > 0).astype(int)

    (X, y), test = clean(400), clean(2000)
    shortcut = X + 12 * (2 * y - 1)[:, None] * direction
    found = unlearnability(X, shortcut, y, test=test, models={"svm": SVC()}, seed=0)
    attempts = {attempt.name: attempt for attempt in found.attempts}
    assert found.best("clean").error < 0.05
    assert found.best("protected").error > 0.3
    assert attempts["orthogonal-projection"].scores[0].error < 0.1
    assert "AK-BE-066" in [note.id for note in found.warnings]
    assert attempts["blur"].reason == "rows are not images"
    assert attempts["adversarial-training"].scores == ()


def test_projection_removes_what_it_learned_and_nothing_else():
    rng = np.random.default_rng(7)
    codes = rng.integers(3, size=90)
    rows = rng.normal(size=(90, 8)) + 5 * np.eye(8)[codes]
    project = recovery.project_away(rows, codes, 3)
    once = project(rows)
    np.testing.assert_allclose(project(once), once, atol=1e-12)
    assert np.linalg.matrix_rank(rows - once, tol=1e-8) == 2
    means = np.stack([once[codes == c].mean(axis=0) for c in range(3)])
    assert np.abs(means - means.mean(axis=0)).max() < 1.0
    assert recovery.project_away(np.zeros((4, 2)), np.array([0, 1, 0, 1]), 2)(np.ones((1, 2))).shape == (1, 2)


def test_blur_is_the_binomial_convolution():
    rng = np.random.default_rng(8)
    image = rng.random((5, 6))
    layout = recovery.image_layout((5, 6))
    padded = np.pad(image, 1, mode="edge")
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    wanted = [[(padded[i : i + 3, j : j + 3] * weights).sum() for j in range(6)] for i in range(5)]
    np.testing.assert_allclose(
        recovery.blur(layout)(image.reshape(1, -1))[0].reshape(5, 6), wanted, atol=1e-15
    )


@pytest.mark.parametrize("shape", [(8, 8), (16, 8, 3), (3, 8, 16), (10, 13)])
def test_compression_rounds_cosine_coefficients(shape):
    rng = np.random.default_rng(9)
    layout = recovery.image_layout(shape)
    rows = rng.random((3, int(np.prod(shape))))
    out = recovery.compress(layout, 1.0)(rows)
    assert out.shape == rows.shape
    assert out.min() >= 0
    assert out.max() <= 1
    smooth = np.full_like(rows, 0.5)
    np.testing.assert_allclose(recovery.compress(layout, 1.0)(smooth), smooth, atol=0.5 / 255 + 1e-12)
    planes = layout.planes(rows)
    np.testing.assert_array_equal(layout.rows(planes), rows)
    block = planes[0, 0, :8, :8] * 255 - 128
    table = recovery._QUANTISATION
    kept = np.round(fft.dctn(block, norm="ortho") / table) * table
    wanted = np.clip(fft.idctn(kept, norm="ortho"), -128, 127) + 128
    np.testing.assert_allclose(layout.planes(out)[0, 0, :8, :8], wanted / 255, atol=1e-12)


def test_grey_is_the_luminance_in_every_channel():
    rng = np.random.default_rng(10)
    image = rng.random((2, 4, 5, 3))
    wanted = image @ np.array([0.299, 0.587, 0.114])
    last = recovery.greyscale(recovery.image_layout((4, 5, 3)))(image.reshape(2, -1)).reshape(2, 4, 5, 3)
    first = recovery.greyscale(recovery.image_layout((3, 4, 5)))(
        image.transpose(0, 3, 1, 2).reshape(2, -1)
    ).reshape(2, 3, 4, 5)
    for channel in range(3):
        np.testing.assert_allclose(last[..., channel], wanted, atol=1e-15)
        np.testing.assert_allclose(first[:, channel], wanted, atol=1e-15)


@pytest.mark.parametrize("shape", [(64,), (2, 9), (3, 3, 3), (2, 2, 2, 2), (5, 5, 4)])
def test_other_rows_are_no_images(shape):
    assert recovery.image_layout(shape) is None
    assert recovery.image_attempts(shape, 1.0) == {}


# -- bad input


def reading(**changes):
    rng = np.random.default_rng(11)
    (X, y), test = w9(rng, 30), w9(rng, 10)
    asked = {"X": X, "protected": X, "y": y, "test": test, "models": {"sign": Sign()}, "seed": 0}
    asked |= {"compare": False, **changes}
    return unlearnability(asked.pop("X"), asked.pop("protected"), asked.pop("y"), **asked)


class Broken(Sign):
    def predict(self, X):
        raise RuntimeError("no\nway")


class Short(Sign):
    def predict(self, X):
        return [0]


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"protected": np.zeros((30, 2))}, "AK-BE-056"),
        ({"test": 7}, "AK-BE-056"),
        ({"test": (np.zeros((3, 2)), [0, 1, 0])}, "AK-BE-056"),
        ({"y": [0] * 30}, "AK-BE-002"),
        ({"eps": 0.1, "protected": np.full((30, 1), 9.0)}, "AK-BE-057"),
        ({"eps": -1}, "AK-BE-006"),
        ({"mix": 1.0}, "AK-BE-058"),
        ({"mix": 0}, "AK-BE-058"),
        ({"models": {}}, "AK-BE-059"),
        ({"models": {"a": 3}}, "AK-BE-059"),
        ({"models": {"a": Broken()}}, "AK-BE-059"),
        ({"models": {"a": Short()}}, "AK-BE-059"),
        ({"norm": "l7"}, "AK-BE-008"),
        ({"groups": [1, 2]}, "AK-BE-003"),
        ({"seed": -1}, "AK-BE-007"),
    ],
)
def test_bad_input_is_refused_by_name(changes, id, known_ceiling):
    with pytest.raises(InputError) as caught:
        reading(**changes)
    assert caught.value.id == id
    assert "\n" not in str(caught.value)


def test_test_rows_that_were_trained_on_are_told(known_ceiling):
    rng = np.random.default_rng(12)
    X, y = w9(rng, 30)
    found = reading(X=X, protected=X, y=y, test=(X[:4], y[:4]))
    assert "AK-BE-069" in [note.id for note in found.warnings]
    unknown = reading(test=(np.zeros((2, 1)), [7, 8]))
    assert unknown.clean_test["clean"][0].errors == 2


def test_digits_rise_under_a_ceiling_of_zero():
    pytest.importorskip("auditkit.bayes_error.ceilings")
    images, y = load_digits(return_X_y=True)
    images = (images / 16).reshape(-1, 8, 8)
    rng = np.random.default_rng(13)
    order = rng.permutation(len(y))
    train, test = order[:400], order[400:700]
    eps = 16 / 255
    start = moved = images[train]
    for _ in range(10):  # ascent of the estimate itself
        step = eps / 4 * np.sign(objective(moved, y[train], bandwidth=0.5)[1])
        moved = np.clip(np.clip(moved + step, start - eps, start + eps), 0, 1)
    found = unlearnability(
        images[train],
        moved,
        y[train],
        test=(images[test], y[test]),
        models={"logistic": LogisticRegression(max_iter=200)},
        eps=eps,
        seed=0,
    )
    sample = next(ceiling for ceiling in found.ceilings if ceiling.about == "sample")
    assert sample.value == 0
    assert found.after["plug_in"] > found.before["plug_in"]
    notes = [note.id for note in found.warnings]
    assert "AK-BE-064" in notes
    tried = {attempt.name: attempt for attempt in found.attempts}
    assert tried["greyscale"].reason == "rows have no colour"
    assert len(tried["jpeg"].scores) == len(tried["blur"].scores) == 1
    names = [other.name for other in found.others]
    assert names == ["error-minimising noise", "linearly separable noise"]
    # a shortcut that a line reads is learned at once: cross-fitted errors fall where the clean test's rise
    separable = found.others[1]
    assert separable.crossfit.errors <= found.crossfit_clean[0].errors
    assert separable.crossfit.trials == 400 and separable.clean_test.trials == 300
