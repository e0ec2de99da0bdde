"""protect: what is released lies in ball and box exactly, scores what it says, and never claims the impossible."""

import json
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest

from auditkit import bayes_error
from auditkit.bayes_error.portfolio import stratified_folds
from auditkit.bayes_error.projections import read_room
from auditkit.bayes_error.protection import _FOLDS, _Climb, _Lens, _read_rows
from auditkit.bayes_error.quantisation import quantise
from auditkit.errors import InputError

WIDE = (-np.inf, np.inf)


def folds_of(codes, count, seed):
    return stratified_folds(codes, np.arange(codes.size), count, np.random.default_rng([seed, _FOLDS]))


def pair(n, d, distance, seed=0):
    rng = np.random.default_rng([seed, d])
    y = np.arange(n) % 2
    X = rng.normal(size=(n, d))
    X[:, 0] += distance * (y - 0.5)
    return X, y


def pixels(n=60, d=12, seed=1):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return np.clip(rng.integers(0, 200, (n, d)) + 40 * (y[:, None] == np.arange(d) % 3), 0, 255).astype(
        np.uint8
    ), y


def exact_norm_at_most(moves, radius, norm):
    """The moves are Fractions."""
    moves = [abs(m) for m in moves]
    if norm == "linf":
        return max(moves) <= radius
    return sum(moves) <= radius if norm == "l1" else sum(m * m for m in moves) <= radius**2


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_released_rows_lie_in_ball_and_box(norm, split, dtype):
    X, y = pixels()
    X, eps = (X / 255).astype(dtype), 0.3
    found = bayes_error.protect(X, y, eps=eps, norm=norm, split=split, steps=6, seed=0, random_start=True)
    assert found.X.dtype == dtype and found.X.shape == X.shape
    assert found.X.min() >= 0 and found.X.max() <= 1
    for after, before in zip(found.X, X, strict=True):
        moves = [Fraction(float(a)) - Fraction(float(b)) for a, b in zip(after, before, strict=True)]
        assert exact_norm_at_most(moves, Fraction(eps), norm)
    assert found.largest_move <= eps
    assert found.score_after >= found.score_before
    json.loads(found.to_json())


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_quantised_rows_keep_ball_and_box_in_whole_numbers(norm):
    X, y = pixels()
    eps = {"linf": 8 / 255, "l2": 0.1, "l1": 0.2}[norm]
    found = bayes_error.protect(X, y, eps=eps, norm=norm, steps=8, seed=0)
    assert found.X.dtype == np.uint8 and found.X.shape == X.shape
    radius = Fraction(8, 255) if norm == "linf" else Fraction(eps)
    for after, before in zip(found.X.astype(int), X.astype(int), strict=True):
        moves = [Fraction(int(a - b), 255) for a, b in zip(after, before, strict=True)]
        assert exact_norm_at_most(moves, radius, norm)
    steps = np.abs(found.X.astype(int) - X.astype(int))
    if norm == "linf":
        assert steps.max() == 8  # 8/255 is 8 steps although the double lies below it
    assert found.largest_move <= eps
    floats = bayes_error.protect(X / 255, y, eps=eps, norm=norm, steps=8, seed=0, quantize=255)
    np.testing.assert_array_equal(np.rint(floats.X * 255), found.X)
    np.testing.assert_array_equal(floats.X, found.X / 255)


def test_the_score_is_of_what_is_released():
    X, y = pixels()
    found = bayes_error.protect(X, y, eps=0.2, norm="l2", steps=10, seed=3)
    data = _read_rows(X, y)
    room = read_room(data, eps=0.2, norm="l2", box=(0, 1))
    climb = _Climb(data, room, folds_of(data.codes, 2, 3), True, 0.05, 0.1)
    judge = _Lens(None)
    judge.fit(data.X, data)
    assert climb.score(found.X / 255, judge).value == found.score_after
    assert climb.score(data.X, judge).value == found.score_before
    assert found.score_after > found.score_before


def test_scores_against_brute_force():
    X, y = pair(30, 3, 2.0)
    found = bayes_error.protect(X, y, eps=0.5, norm="l2", box=WIDE, steps=5, seed=2)
    folds = folds_of(y, 2, 2)
    for rows, value in ((X, found.score_before), (found.X, found.score_after)):
        z = rows / X.std(axis=0)
        apart = ((z[:, None] - z[None]) ** 2).sum(axis=2)
        weights = np.exp(-apart / (2 * found.bandwidth**2)) * (folds[:, None] == folds[None])
        np.fill_diagonal(weights, 0)
        shares = weights @ np.eye(2)[y] / weights.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(1 - shares.max(axis=1).mean(), value, rtol=1e-11)


@pytest.mark.parametrize("split", [True, False])
def test_slopes_against_central_differences(split):
    """One tiny L2 step goes along the gradient of the objective, over pairs of different folds where it is split."""
    X, y = pair(14, 3, 1.0)
    data = _read_rows(X, y)
    room = read_room(data, eps=1.0, norm="l2", box=WIDE)
    folds = folds_of(y, 2, 0)
    lens = _Lens(None)
    lens.fit(X, data)
    _, moved = _Climb(data, room, folds, split, 0.05, 1e-9).sweep(X, lens)

    def value(rows):
        z = rows / lens.scale
        weights = np.exp(-((z[:, None] - z[None]) ** 2).sum(axis=2) / (2 * lens.bandwidth**2))
        weights *= (folds[:, None] != folds[None]) if split else 1 - np.eye(14)
        p = weights @ np.eye(2)[y] / weights.sum(axis=1, keepdims=True)
        return -0.05 * np.log(np.exp(p / 0.05).sum(axis=1)).sum()

    slopes = np.zeros_like(X)
    for i in range(14):
        for j in range(3):
            up, down = X.copy(), X.copy()
            up[i, j] += 1e-6
            down[i, j] -= 1e-6
            slopes[i, j] = value(up) - value(down)
    directions = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    np.testing.assert_allclose((moved - X) / 1e-9, directions, atol=2e-5)


def test_rows_and_features_that_stay():
    X, y = pixels()
    mask = np.arange(12) < 5
    movable = np.arange(60) % 4 != 0
    eps = np.linspace(0.01, 0.1, 60)
    found = bayes_error.protect(X / 255, y, eps=eps, mask=mask, movable=movable, steps=4, seed=0)
    moved = np.abs(found.X - X / 255)
    assert moved[:, ~mask].max() == 0 and moved[~movable].max() == 0
    assert (moved.max(axis=1) <= eps + 1e-15).all() and moved[movable].max() > 0
    entries = np.random.default_rng(0).random((60, 12)) < 0.5
    found = bayes_error.protect(X, y, mask=entries, steps=4, seed=0)
    assert (found.X[~entries] == X[~entries]).all()
    none = bayes_error.protect(X, y, eps=0, steps=3, seed=0)
    assert (none.X == X).all() and [w.id for w in none.warnings][-1] == "no-gain"
    images = bayes_error.protect(X.reshape(60, 3, 4), y, steps=2, seed=0)
    assert images.X.shape == (60, 3, 4)


def test_seeds_repeat_and_are_recorded():
    X, y = pixels()
    drawn = bayes_error.protect(X, y, steps=3, random_start=True)
    again = bayes_error.protect(X, y, steps=3, random_start=True, seed=drawn.seed)
    assert drawn.X.tobytes() == again.X.tobytes()
    assert drawn.curve == again.curve and len(drawn.curve) == 3
    other = bayes_error.protect(X, y, steps=3, random_start=True, seed=drawn.seed + 1)
    assert other.X.tobytes() != drawn.X.tobytes()


def test_two_dimensions_reach_about_the_ceiling():
    """Section 9 of the method: Gaussian pairs, D = 2, L2 0.25: Phi(-0.75) = 0.227 from Phi(-1) = 0.159.

    The estimate of 400 rows has a standard error of 0.02.
    """
    X, y = pair(400, 2, 2.0)
    found = bayes_error.protect(X, y, eps=0.25, norm="l2", box=WIDE, steps=25, seed=0)
    assert found.score_after > found.score_before + 0.03
    assert abs(found.score_after - NormalDist().cdf(-0.75)) < 0.06


def test_ten_dimensions_overshoot_and_the_warning_says_so():
    X, y = pair(400, 10, 3.0)
    found = bayes_error.protect(X, y, eps=0.5, norm="l2", box=WIDE, split=False, steps=25, seed=0)
    assert found.figures["estimate"]["after"]["plug_in"] > 1.3 * NormalDist().cdf(-1)
    assert "estimate-above-ceiling" in [note.id for note in found.warnings]


def test_digits_rise_although_the_certified_ceiling_is_zero():
    """Acceptance test 6: smallest L_inf gap between classes 0.4375, so nothing meets at 2 * 16/255."""
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_digits(return_X_y=True)
    X, y = X[:450] / 16, y[:450]
    found = bayes_error.protect(X, y, eps=16 / 255, split=False, steps=15, seed=0)
    sample = next(one for one in found.ceilings if one.about == "sample")
    assert sample.value == found.ceiling == 0.0 and found.ceiling_kind == "certified-upper"
    assert (
        found.figures["estimate"]["after"]["plug_in"] > found.figures["estimate"]["before"]["plug_in"] + 0.03
    )
    notes = {note.id: note.text for note in found.warnings}
    assert "the rise is an artefact of the estimator" in notes["estimate-above-ceiling"]
    assert "no-pair-within-reach" in notes


def test_holdout_errors():
    X, y = pair(200, 2, 3.0)
    test = pair(200, 2, 3.0, seed=5)
    labels = np.array(["b", "a"])
    found = bayes_error.protect(
        X, labels[y], eps=0.5, norm="l2", box=WIDE, steps=5, seed=0, holdout=(test[0], labels[test[1]])
    )
    for errors in (found.clean_test["clean"], found.clean_test["protected"]):
        assert all(0.02 < error < 0.15 for error in errors.values())
    assert [row["label"] for row in found.per_class] == ["a", "b"]


def test_small_sets():
    for n in (2, 3, 5):
        X = np.linspace(0, 1, 2 * n).reshape(n, 2)
        for split in (True, False):
            found = bayes_error.protect(X, np.arange(n), steps=2, split=split, seed=0)
            assert np.isfinite([found.score_before, found.score_after, found.ceiling]).all()


def test_rounding_is_to_the_nearest_where_there_is_room():
    X, y = pixels()
    data = _read_rows(X, y)
    room = read_room(data, eps=0.05, norm="l2", box=(0, 1))
    rng = np.random.default_rng(2)
    wished = np.clip(data.X + 0.01 * rng.uniform(-1, 1, X.shape), 0, 1)
    codes, values = quantise(wished, room, 255)
    np.testing.assert_array_equal(codes, np.rint(wished * 255))
    np.testing.assert_array_equal(values, codes / 255)


@pytest.mark.parametrize(
    ("change", "id"),
    [
        ({"eps": -0.1}, "AK-BE-035"),
        ({"eps": np.nan}, "AK-BE-035"),
        ({"eps": [0.1, 0.2]}, "AK-BE-035"),
        ({"norm": "l3"}, "AK-BE-036"),
        ({"mask": np.ones(5, dtype=bool)}, "AK-BE-037"),
        ({"mask": np.ones(12)}, "AK-BE-037"),
        ({"box": (0, 0.2)}, "AK-BE-038"),
        ({"box": (1, 0)}, "AK-BE-038"),
        ({"box": 3}, "AK-BE-038"),
        ({"quantize": 0}, "AK-BE-039"),
        ({"quantize": 16}, "AK-BE-039"),
        ({"movable": [True]}, "AK-BE-008"),
        ({"holdout": 3}, "AK-BE-042"),
        ({"holdout": (np.ones((2, 3)), [0, 1])}, "AK-BE-042"),
        ({"holdout": (np.ones((2, 12)), [0, 9])}, "AK-BE-042"),
        ({"refresh": lambda X, y, step: None}, "AK-BE-042"),
        ({"steps": -1}, "AK-BE-007"),
        ({"folds": 1}, "AK-BE-007"),
        ({"step": 0}, "AK-BE-006"),
        ({"seed": -1}, "AK-BE-007"),
        ({"y": np.zeros(60, dtype=int)}, "AK-BE-002"),
    ],
)
def test_bad_arguments_are_named(change, id):
    X, y = pixels()
    arguments = {"X": X / 255, "y": y, "steps": 1, **change}
    with pytest.raises(InputError) as caught:
        bayes_error.protect(**arguments)
    assert caught.value.id == id
    assert "\n" not in str(caught.value)


def test_rows_of_bytes_have_255_levels():
    X, y = pixels()
    with pytest.raises(InputError, match="255 for rows of uint8") as caught:
        bayes_error.protect(X, y, quantize=16)
    assert caught.value.id == "AK-BE-039"


def test_progress_is_told_of_every_step():
    X, y = pixels()
    told = []
    bayes_error.protect(X / 255, y, eps=0.1, steps=3, seed=0, progress=lambda *step: told.append(step))
    assert told == [("ascent", 1, 3), ("ascent", 2, 3), ("ascent", 3, 3)]
