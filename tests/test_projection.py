"""The projected step: inside ball and box in exact arithmetic, nearest point, steepest direction."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import _core

NORMS = ("linf", "l2", "l1")
RESOLUTION = {np.float64: 1e-12, np.float32: 3e-6}


def step(X, start, slopes, radius, length, norm, *, free=None, box=(-np.inf, np.inf), threads=1):
    n, d = start.shape
    slopes = np.zeros((0, 0)) if slopes is None else slopes
    return _core.projected_step(
        X,
        start,
        slopes.astype(start.dtype),
        np.full(n, float(radius)) if np.isscalar(radius) else radius,
        np.full(n, float(length)),
        np.ones(d, dtype=bool) if free is None else free,
        *box,
        NORMS.index(norm),
        threads,
    )


def exactly_inside(row, start, radius, norm):
    moves = [abs(Fraction(float(a)) - Fraction(float(b))) for a, b in zip(row, start, strict=True)]
    if norm == "linf":
        return max(moves) <= Fraction(radius)
    if norm == "l1":
        return sum(moves) <= Fraction(radius)
    return sum(m * m for m in moves) <= Fraction(radius) ** 2


def size(moves, norm):
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    return np.linalg.norm(moves.astype(float), ord=order, axis=1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("norm", NORMS)
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_results_lie_in_the_ball_and_the_box_in_exact_arithmetic(norm, dtype, data):
    d = data.draw(st.integers(1, 9))
    width = 32 if dtype is np.float32 else 64
    inside = st.floats(-3, 2, width=width)
    any_size = st.floats(-1e6, 1e6, width=width)
    start = np.array([[data.draw(inside) for _ in range(d)]], dtype=dtype)
    X = np.array([[data.draw(any_size) for _ in range(d)]], dtype=dtype)
    slopes = np.array([[data.draw(any_size) for _ in range(d)]], dtype=dtype)
    radius, length = data.draw(st.floats(0, 10)), data.draw(st.floats(0, 10))
    low, high = data.draw(st.floats(-10, float(start.min()))), data.draw(st.floats(float(start.max()), 10))
    moved = step(X, start, slopes, radius, length, norm, box=(low, high))
    assert exactly_inside(moved[0], start[0], radius, norm)
    assert ((moved >= low) & (moved <= high)).all()
    bound = _core.move_norms(moved, start, NORMS.index(norm))[0]
    assert bound <= radius
    assert exactly_inside(moved[0], start[0], float(bound), norm)


@pytest.mark.parametrize("radius", [0.0, 5e-324, 1e-310, 1e-160, 1e300])
@pytest.mark.parametrize("norm", NORMS)
def test_radii_at_the_ends_of_the_doubles(norm, radius):
    rng = np.random.default_rng(3)
    start = rng.normal(size=(5, 7))
    start[:, 0] = 0
    moved = step(start + rng.normal(size=(5, 7)), start, rng.normal(size=(5, 7)), radius, 1e-3, norm)
    assert np.isfinite(moved).all()
    assert all(exactly_inside(a, b, radius, norm) for a, b in zip(moved, start, strict=True))


@pytest.mark.parametrize("norm", NORMS)
def test_norms_are_rounded_up_and_tight(norm):
    rng = np.random.default_rng(4)
    start, X = rng.normal(size=(2, 50, 30)) * 10.0 ** rng.integers(-8, 8, size=(2, 50, 30))
    bounds = _core.move_norms(X, start, NORMS.index(norm))
    assert all(exactly_inside(a, b, float(c), norm) for a, b, c in zip(X, start, bounds, strict=True))
    np.testing.assert_allclose(bounds, size(X - start, norm), rtol=1e-13)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bounded", [False, True])
def test_projection_is_the_nearest_point(norm, bounded):
    """The nearest point z of a convex set is the one with (x - z) . (w - z) <= 0 for every w of the set."""
    rng = np.random.default_rng(5)
    start = rng.uniform(0.1, 0.9, size=(40, 6))
    X = start + rng.normal(size=start.shape)
    box = (0.0, 1.0) if bounded else (-np.inf, np.inf)
    radius = 0.7
    near = step(X, start, None, radius, 0, norm, box=box)
    directions = rng.normal(size=(200, *start.shape)) * rng.random((200, 1, start.shape[1])) ** 8
    directions *= (radius / np.array([size(one, norm) for one in directions]))[:, :, None]
    others = start + directions * rng.random((200, 40, 1)) ** 0.2
    corners = start[None] + radius * np.concatenate([np.eye(6), -np.eye(6)])[:, None, :]
    others = np.concatenate([others, corners])
    # towards the start, a point enters the box and stays in the ball
    moves = others - start
    room = np.where(moves > 0, box[1] - start, start - box[0])
    gap = np.minimum(room / np.maximum(np.abs(moves), 1e-300), 1.0)
    others = start + gap.min(axis=2, keepdims=True) * (others - start)
    assert (((X - near)[None] * (others - near)).sum(axis=2)).max() <= 1e-12


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_projection_onto_ball_and_box_against_a_solver(norm):
    from scipy.optimize import minimize

    rng = np.random.default_rng(6)
    d, radius = 4, 0.5
    for _ in range(6):
        start, target = rng.uniform(size=d), rng.uniform(-0.5, 1.5, size=d)
        # move = a - b with a, b >= 0 makes the L1 ball smooth
        limits = [(0, 1 - s) for s in start] + [(0, s) for s in start]
        if norm == "l1":
            inside = {"type": "ineq", "fun": lambda v: radius - v.sum()}
        else:
            inside = {"type": "ineq", "fun": lambda v: radius**2 - ((v[:d] - v[d:]) ** 2).sum()}
        best = minimize(
            lambda v, start=start, target=target: ((start + v[:d] - v[d:] - target) ** 2).sum(),
            np.full(2 * d, 0.01),
            bounds=limits,
            constraints=[inside],
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        wanted = start + best.x[:d] - best.x[d:]
        near = step(target[None], start[None], None, radius, 0, norm, box=(0.0, 1.0))[0]
        np.testing.assert_allclose(near, wanted, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_are_the_steepest_of_their_norm(dtype):
    start = np.array([[0.5, 0.5, 1.0, 0.5]], dtype=dtype)
    slopes = np.array([[3.0, -4.0, 9.0, 0.0]], dtype=dtype)
    free = np.array([True, True, True, False])
    box = (0.0, 1.0)
    sign = step(start, start, slopes, 1, 0.125, "linf", free=free, box=box)
    np.testing.assert_array_equal(sign, [[0.625, 0.375, 1.0, 0.5]])
    flat = step(start, start, slopes[:, [0, 1, 3, 3]], 1, 0.5, "l2", free=free, box=box)
    np.testing.assert_allclose(flat, [[0.8, 0.1, 1.0, 0.5]], rtol=RESOLUTION[dtype])
    one = step(start, start, slopes, 1, 0.125, "l1", free=free, box=box)
    np.testing.assert_array_equal(one, [[0.5, 0.375, 1.0, 0.5]])  # the third has no room in the box


@pytest.mark.parametrize("norm", NORMS)
def test_masks_radii_and_threads(norm):
    rng = np.random.default_rng(7)
    start, X, slopes = rng.uniform(size=(3, 2000, 20))
    radius = rng.uniform(size=2000) * (rng.random(2000) < 0.7)
    free = rng.random((2000, 20)) < 0.5
    alone = step(X, start, slopes, radius, 0.1, norm, free=free, box=(0.0, 1.0))
    shared = step(X, start, slopes, radius, 0.1, norm, free=free, box=(0.0, 1.0), threads=3)
    assert alone.tobytes() == shared.tobytes()
    np.testing.assert_array_equal(alone[~free], start[~free])
    np.testing.assert_array_equal(alone[radius == 0], start[radius == 0])
    assert (size(alone - start, norm) <= radius * (1 + 1e-12)).all()


def test_no_slope_no_step():
    start = np.full((2, 3), 0.5)
    for norm in NORMS:
        np.testing.assert_array_equal(step(start, start, np.zeros((2, 3)), 1, 0.1, norm), start)


def test_bindings_refuse_what_is_unsafe():
    start = np.full((2, 3), 0.5)
    with pytest.raises(ValueError, match="box"):
        step(start, start, None, 1, 0, "l2", box=(0.6, 1.0))
    with pytest.raises(ValueError, match="radius"):
        step(start, start, None, np.array([1.0, -1.0]), 0, "l2")
    with pytest.raises(ValueError, match="flag"):
        step(start, start, None, 1, 0, "l2", free=np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="shape"):
        _core.move_norms(start, start[:1], 0)
    with pytest.raises(ValueError, match="unknown norm"):
        _core.move_norms(start, start, 3)
