"""Sorted rows against plain NumPy and scikit-learn's isotonic regression."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from auditkit.uncertainty._inputs import read_binary
from auditkit.uncertainty.ordered import rising


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 17, 4000])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shift", [0.0, -0.5, 1e6])
def test_rows_are_sorted_with_their_outcomes(dtype, n, ties, shift):
    rng = np.random.default_rng([n, ties])
    values = (np.round(rng.random(n), 2 if ties else 12) + shift).astype(dtype)
    outcomes = rng.integers(0, 2, n).astype(np.uint8)
    found = rising(values, outcomes)
    order = np.lexsort((outcomes, values))
    assert found.weights.size == 0
    assert found.p.dtype == dtype and np.array_equal(found.p, values[order])
    for level, rows, ones in zip(*found.runs(), strict=True):
        assert rows == np.count_nonzero(values == level)
        assert ones == outcomes[values == level].sum() == found.y[found.p == level].sum()
    assert np.array_equal(np.flatnonzero(found.ends) + 1, [*found.starts[1:], n])


def test_weights_go_with_their_rows():
    rng = np.random.default_rng(1)
    values, outcomes = np.round(rng.random(300), 1), rng.integers(0, 2, 300).astype(np.uint8)
    weights = rng.integers(0, 4, 300).astype(np.float64)
    found = rising(values, outcomes, weights)
    assert found.p.size == np.count_nonzero(weights)
    for level, rows, ones in zip(*found.runs(), strict=True):
        assert rows == weights[values == level].sum()
        assert ones == weights[(values == level) & (outcomes == 1)].sum()
    # whole weights are repeated rows
    times = weights.astype(int)
    repeated = rising(np.repeat(values, times), np.repeat(outcomes, times))
    for ours, theirs in zip(found.runs(), repeated.runs(), strict=True):
        assert np.array_equal(ours, theirs)
    assert found.isotonic.height == pytest.approx(repeated.isotonic.height, abs=1e-14)
    assert found.isotonic.at(np.array([-1.0, 2.0])).tolist() == [
        found.isotonic.height[0],
        found.isotonic.height[-1],
    ]


def test_zero_has_no_sign():
    found = rising(np.array([0.5, -0.0, 0.0, -0.0]), np.array([0, 1, 0, 1], dtype=np.uint8))
    assert found.p.tolist() == [0, 0, 0, 0.5] and found.y.sum() == 2
    assert [column.tolist() for column in found.runs()] == [[0, 0.5], [3, 1], [2, 0]]


@pytest.mark.parametrize("digits", [1, 12])
@pytest.mark.parametrize("n", [1, 5, 700])
def test_the_isotonic_fit_is_that_of_scikit_learn(n, digits):
    rng = np.random.default_rng([n, digits])
    p = np.round(rng.random(n), digits)
    y = (rng.random(n) < p).astype(np.uint8)
    data = read_binary(p, y)
    expected = IsotonicRegression(y_min=0, y_max=1).fit(p, y).predict(p)
    assert data.recalibrated == pytest.approx(expected, abs=1e-12)
    steps = data.rising.isotonic
    assert steps.rows.sum() == n and steps.outcomes.sum() == y.sum()
    assert steps.outcomes / steps.rows == pytest.approx(steps.height, abs=1e-12)
    assert (np.diff(steps.height) > 0).all()
