"""Comparison protectors: inside ball and box, and doing what their papers say."""

import numpy as np
import pytest

from auditkit.bayes_error._inputs import read_labelled
from auditkit.bayes_error.baselines import _Network, error_minimising, linearly_separable
from auditkit.errors import InputError


def rows(n=90, shape=(6, 6), classes=3):
    rng = np.random.default_rng(0)
    return rng.random((n, *shape)), np.arange(n) % classes


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("protector", [error_minimising, linearly_separable])
def test_noise_stays_in_ball_and_box_and_repeats(protector, norm):
    X, y = rows()
    quick = {"rounds": 2, "steps": 3} if protector is error_minimising else {}
    found = protector(X, y, eps=0.2, norm=norm, seed=1, **quick)
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    moves = np.linalg.norm((found - X).reshape(90, -1), ord=order, axis=1)
    assert found.shape == X.shape and moves.max() <= 0.2 * (1 + 1e-12) and moves.min() > 0
    assert found.min() >= 0 and found.max() <= 1
    assert found.tobytes() == protector(X, y, eps=0.2, norm=norm, seed=1, **quick).tobytes()
    assert found.tobytes() != protector(X, y, eps=0.2, norm=norm, seed=2, **quick).tobytes()


def test_minimising_noise_is_easier_to_learn_than_the_rows():
    X, y = rows()
    found = error_minimising(X, y, eps=0.1, rounds=3, steps=5)
    losses = []
    for version in (X, found):
        data = read_labelled(version, y)
        network = _Network(data, np.random.default_rng(5))
        network.train(data.X)
        losses.append(network.loss(data.X))
    assert losses[1] < 0.7 * losses[0]


def test_slopes_of_the_network_against_central_differences():
    X, y = rows(9)
    data = read_labelled(X, y)
    network = _Network(data, np.random.default_rng(0))
    slopes = network.slopes(data.X)
    for i, j in [(0, 0), (4, 17), (8, 35)]:
        up, down = data.X.copy(), data.X.copy()
        up[i, j] += 1e-6
        down[i, j] -= 1e-6
        assert slopes[i, j] == pytest.approx(
            (network.loss(up) - network.loss(down)) / 2e-6, rel=1e-5, abs=1e-10
        )


@pytest.mark.parametrize(
    ("shape", "classes"), [((6, 6), 3), ((40,), 10), ((16, 16, 3), 4), ((1,), 2), ((3,), 20)]
)
def test_separable_noise_is_linearly_separable(shape, classes):
    X = np.full((4 * classes, *shape), 0.5)
    y = np.arange(4 * classes) % classes
    noise = (linearly_separable(X, y, eps=0.1, seed=3) - X).reshape(len(X), -1)
    if 2 ** noise.shape[1] < 4 * classes:
        return
    means = np.array([noise[y == c].mean(axis=0) for c in range(classes)])
    assert (((noise[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1) == y).all()


def test_bad_arguments_are_named():
    X, y = rows()
    for change, id in [
        ({"eps": -1}, "AK-BE-035"),
        ({"norm": "l0"}, "AK-BE-036"),
        ({"box": (0.4, 1)}, "AK-BE-038"),
    ]:
        with pytest.raises(InputError) as caught:
            linearly_separable(X, y, **change)
        assert caught.value.id == id
