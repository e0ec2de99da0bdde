"""The kernel posterior and its gradient against brute force over all pairs, and what must not change them."""

import subprocess
import sys

import numpy as np
import pytest

from auditkit import _core, bayes_error
from auditkit.bayes_error._inputs import read_labelled
from auditkit.bayes_error.kernel import fit_kernel, objective_at, posterior_at
from auditkit.errors import InputError

SIZES = [
    (1, 1, 1),
    (2, 1, 2),
    (7, 3, 7),
    (191, 2, 3),
    (193, 17, 3),
    (400, 40, 2),
    (450, 5, 40),
    (390, 130, 4),
]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


def brute(X, codes, classes, h, tau, *, log_weights=0.0, groups=None, queries=None):
    """Log normalisers, probabilities, J and its gradient in one n x n picture."""
    X = X.astype(float)
    rows = X if queries is None else queries.astype(float)
    exponents = log_weights - ((rows[:, None] - X[None]) ** 2).sum(axis=2) / (2 * h * h)
    if queries is None:
        own = np.arange(len(X)) if groups is None else groups
        exponents = np.where(own[:, None] == own[None], -np.inf, exponents)
    top = exponents.max(axis=1)
    kept = np.isfinite(top)
    weights = np.exp(exponents - np.where(kept, top, 0)[:, None])
    total = np.where(kept, weights.sum(axis=1), 1)
    weights /= total[:, None]
    p = weights @ np.eye(classes)[codes]
    best = p.max(axis=1)
    if tau:
        powers = np.exp((p - best[:, None]) / tau)
        phi, g = best + tau * np.log(powers.sum(axis=1)), powers / powers.sum(axis=1, keepdims=True)
    else:
        phi, g = best, np.eye(classes)[p.argmax(axis=1)]
    pairs = weights * (g[:, codes] - (g * p).sum(axis=1)[:, None])
    pairs[~kept] = 0
    pairs = pairs + pairs.T if queries is None else pairs
    count = max(kept.sum(), 1)
    gradient = (pairs.sum(axis=1)[:, None] * rows - pairs @ X) / (count * h * h)
    value = 1 - phi[kept].mean() if kept.any() else 0.0
    log_z = np.where(kept, top + np.log(total), -np.inf)
    return log_z, p, value, gradient


def problem(n, d, classes, seed=0, *, scale=1.0):
    rng = np.random.default_rng([seed, n, d, classes])
    X = scale * rng.normal(size=(n, d))
    log_weights = rng.normal(size=n)
    if n > 10:
        X[3] = X[9]  # a duplicate
        log_weights[rng.random(n) < 0.1] = -np.inf
    return X, rng.integers(0, classes, n), log_weights, rng.integers(0, max(1, n // 5), n), rng


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def test_posterior_is_that_of_all_pairs(size, dtype):
    n, d, classes = size
    X, codes, log_weights, groups, rng = problem(*size)
    X, queries = X.astype(dtype), rng.normal(size=(max(1, n // 2), d)).astype(dtype)
    bandwidths = np.array([0.5, 1.0]) * np.sqrt(d)
    for own in (np.arange(n), groups):
        found = _core.kernel_posterior(X, codes, classes, log_weights, own, bandwidths, 2)
        for b, h in enumerate(bandwidths):
            log_z, p, _, _ = brute(X, codes, classes, h, 0, log_weights=log_weights, groups=own)
            kept = np.isfinite(log_z)
            assert np.array_equal(np.isfinite(found[0][b]), kept)
            assert np.abs(found[0][b][kept] - log_z[kept]).max(initial=0) <= TOLERANCE[dtype]
            assert np.abs(found[1][b] - p).max() <= TOLERANCE[dtype]
    log_z, p = _core.kernel_posterior_at(queries, X, codes, classes, log_weights, bandwidths[:1], 2)
    wanted = brute(X, codes, classes, bandwidths[0], 0, log_weights=log_weights, queries=queries)
    kept = np.isfinite(wanted[0])
    assert np.abs(log_z[0][kept] - wanted[0][kept]).max(initial=0) <= TOLERANCE[dtype]
    assert np.abs(p[0] - wanted[1]).max() <= TOLERANCE[dtype]


def test_as_many_classes_as_there_may_be():
    """Classes without rows change nothing: twenty rows of 65,535 classes against those rows relabelled."""
    X, few, log_weights, groups, _ = problem(20, 3, 20)
    most = 65535
    far = np.sort(np.r_[0, most - 1, np.random.default_rng(1).choice(most - 2, 18, replace=False) + 1])
    h, tau = 1.5, 0.0  # a soft maximum counts classes without rows too
    log_z, p = _core.kernel_posterior(X, far[few], most, log_weights, groups, np.array([h]), 2)
    expected = _core.kernel_posterior(X, few, 20, log_weights, groups, np.array([h]), 2)
    assert np.array_equal(log_z, expected[0]) and np.array_equal(p[0][:, far], expected[1][0])
    assert p[0].sum() == pytest.approx(expected[1].sum())
    value, slope = _core.kernel_gradient(X, far[few], most, log_weights, groups, h, tau, 2)
    again = _core.kernel_gradient(X, few, 20, log_weights, groups, h, tau, 2)
    assert value == again[0] and np.array_equal(slope, again[1])


def test_more_classes_are_refused():
    rows = np.zeros((65536, 1))
    assert read_labelled(rows[1:], np.arange(65535)).k == 65535
    with pytest.raises(InputError, match="at most 65,535 classes") as caught:
        bayes_error.estimate(rows, np.arange(65536))
    assert caught.value.id == "AK-BE-002"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("tau", [0.0, 0.05])
@pytest.mark.parametrize("size", SIZES)
def test_gradient_is_that_of_all_pairs(size, tau, dtype):
    n, d, classes = size
    X, codes, log_weights, groups, rng = problem(*size)
    X, queries = X.astype(dtype), rng.normal(size=(max(1, n // 2), d)).astype(dtype)
    h = 0.5 * np.sqrt(d)
    for own in (np.arange(n), groups):
        value, gradient = _core.kernel_gradient(X, codes, classes, log_weights, own, h, tau, 2)
        _, _, wanted, slope = brute(X, codes, classes, h, tau, log_weights=log_weights, groups=own)
        assert abs(value - wanted) <= TOLERANCE[dtype]
        assert np.abs(gradient - slope).max() <= TOLERANCE[dtype] * np.abs(slope).max()
    value, gradient = _core.kernel_gradient_at(queries, X, codes, classes, log_weights, h, tau, 2)
    _, _, wanted, slope = brute(X, codes, classes, h, tau, log_weights=log_weights, queries=queries)
    assert abs(value - wanted) <= TOLERANCE[dtype]
    assert np.abs(gradient - slope).max() <= TOLERANCE[dtype] * np.abs(slope).max()


@pytest.mark.parametrize("d", [3, 20])
def test_gradient_is_that_of_central_differences(d):
    X, y, _, _, rng = problem(60, d, 3)
    step = 1e-5  # error step^2 J''' / 6 about 1e-10, rounding 1e-16 / step about 1e-11
    _, gradient = bayes_error.objective(X, y, bandwidth=0.6 * np.sqrt(d))
    for _ in range(20):
        move = np.zeros_like(X)
        row, column = rng.integers(60), rng.integers(d)
        move[row, column] = step
        ends = [bayes_error.objective(X + s * move, y, bandwidth=0.6 * np.sqrt(d))[0] for s in (1, -1)]
        assert abs((ends[0] - ends[1]) / (2 * step) - gradient[row, column]) <= 1e-6 * np.abs(gradient).max()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("d", [4, 30])
def test_threads_change_no_bit(d, dtype):
    X, codes, log_weights, groups, _ = problem(900, d, 5)
    X, h = X.astype(dtype), np.array([0.7 * np.sqrt(d)])
    one, three = (
        (
            *_core.kernel_posterior(X, codes, 5, log_weights, groups, h, threads),
            *_core.kernel_gradient(X, codes, 5, log_weights, groups, h[0], 0.05, threads),
            *_core.kernel_posterior_at(X, X, codes, 5, log_weights, h, threads),
            *_core.kernel_gradient_at(X, X, codes, 5, log_weights, h[0], 0.05, threads),
        )
        for threads in (1, 3)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, three, strict=True))


def test_own_rows_and_queries_agree():
    X, y, *_ = problem(40, 3, 2)
    data = read_labelled(X, y)
    _, p = bayes_error.posterior(X, y, bandwidth=0.5)
    for row in range(40):
        others = np.delete(np.arange(40), row)
        _, at = posterior_at(X[row : row + 1], read_labelled(X[others], y[others]), [0.5])
        assert np.abs(at[0, 0] - p[row]).max() <= 1e-13
    value, gradient = objective_at(X, data, 0.5, 0.05)
    wanted = brute(X, data.codes, 2, 0.5, 0.05, queries=X)
    assert abs(value - wanted[2]) <= 1e-13 and np.abs(gradient - wanted[3]).max() <= 1e-13


@pytest.mark.parametrize("d", [4, 30])
def test_invariances(d):
    X, y, _, _, rng = problem(300, d, 3)
    h = 0.6 * np.sqrt(d)
    _, p = bayes_error.posterior(X, y, bandwidth=h)
    value, gradient = bayes_error.objective(X, y, bandwidth=h)
    order = rng.permutation(300)
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    moved = {
        "rows": (X[order], y[order], h, p[order], gradient[order]),
        "labels": (X, 2 - y, h, p[:, ::-1], gradient),
        "translation": (X + 100.0, y, h, p, gradient),
        "orthogonal": (X @ turn, y, h, p, gradient @ turn),
        "scale": (8 * X, y, 8 * h, p, gradient / 8),
    }
    for name, (rows, labels, width, wanted, slope) in moved.items():
        _, found = bayes_error.posterior(rows, labels, bandwidth=width)
        assert np.abs(found - wanted).max() <= 1e-10, name
        again, steps = bayes_error.objective(rows, labels, bandwidth=width)
        assert abs(again - value) <= 1e-10 and np.abs(steps - slope).max() <= 1e-10, name


def test_isolated_points_take_their_nearest_neighbour():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = (
        rng.normal(size=(200, 64)) + 100.0 * y[:, None]
    )  # a kernel without the row maximum loses all mass here
    log_z, p = bayes_error.posterior(X, y, bandwidth=0.3)
    assert np.isfinite(log_z).all() and (p[np.arange(200), y] == 1).all()
    assert bayes_error.objective(X, y, bandwidth=0.3, tau=0)[0] == 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_clusters_far_from_each_other_keep_their_distances(dtype):
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(size=(80, 30)) * 0.01 + shift for shift in (0.0, 300.0)]).astype(dtype)
    y = rng.integers(0, 2, 160)
    _, p = bayes_error.posterior(X, y, bandwidth=0.05, dtype=dtype)
    centred = X.astype(float) - X.astype(float).mean(axis=0)
    rounded = centred.astype(dtype)
    assert np.abs(p - brute(rounded, y, 2, 0.05, 0)[1]).max() <= TOLERANCE[dtype] * 10


def test_large_features_and_constant_ones():
    X, y, *_ = problem(100, 4, 2)
    _, p = bayes_error.posterior(X, y, bandwidth=1.0)
    _, large = bayes_error.posterior(1e8 * X, y, bandwidth=1e8)
    assert np.abs(large - p).max() <= 1e-12
    _, padded = bayes_error.posterior(np.column_stack([X, np.full(100, 1e8)]), y, bandwidth=1.0)
    assert np.abs(padded - p).max() <= 1e-12


def test_class_of_one_row_is_unseen_by_itself():
    X, y, *_ = problem(50, 2, 2)
    y[0] = 7
    _, p = bayes_error.posterior(X, y, bandwidth=0.5)
    assert p[0, 2] == 0 and np.allclose(p.sum(axis=1), 1, atol=1e-13)


def test_rows_without_references():
    X = np.arange(6.0).reshape(3, 2)
    log_z, p = bayes_error.posterior(X, [0, 1, 1], bandwidth=1.0, groups=["a", "a", "a"])
    assert (log_z == -np.inf).all() and (p == 0).all()
    value, gradient = bayes_error.objective(X, [0, 1, 1], bandwidth=1.0, groups=["a", "a", "a"])
    assert value == 0 and (gradient == 0).all()


def test_weights_are_those_of_a_sample_with_other_shares():
    X, y, *_ = problem(80, 2, 2)
    twice = np.concatenate([np.arange(80), np.flatnonzero(y == 1)])
    share = np.bincount(y[twice]) / twice.size
    _, weighted = bayes_error.posterior(X, y, bandwidth=0.5, weights=dict(enumerate(share)))
    X0 = X[y == 0]
    _, doubled = bayes_error.posterior(
        X[twice], y[twice], bandwidth=0.5, groups=np.concatenate([np.arange(80), np.flatnonzero(y == 1)])
    )
    assert X0.size and np.abs(weighted[y == 0] - doubled[:80][y == 0]).max() <= 1e-13


def test_movable_rows_alone_get_a_gradient():
    X, y, *_ = problem(60, 3, 2)
    whole = bayes_error.objective(X.reshape(60, 3, 1), y, bandwidth=0.5)
    part = bayes_error.objective(X.reshape(60, 3, 1), y, bandwidth=0.5, movable=y == 1)
    assert whole[1].shape == (60, 3, 1) and part[0] == whole[0]
    assert (part[1][y == 0] == 0).all() and np.array_equal(part[1][y == 1], whole[1][y == 1])


def test_bandwidth_is_that_of_least_log_loss():
    X, y, *_ = problem(150, 2, 2)
    data = read_labelled(X + 0.8 * y[:, None], y)
    fit = fit_kernel(data)
    shares = np.bincount(y) / 150
    for h, loss in zip(fit.grid, fit.log_losses, strict=True):
        p = brute(data.X, y, 2, h, 0)[1][np.arange(150), y]
        assert abs(-np.log((1 - 1 / 150) * p + shares[y] / 150).mean() - loss) <= 1e-10
    assert fit.bandwidth == fit.grid[fit.log_losses.argmin()]
    assert fit.plug_in == pytest.approx(1 - fit.probabilities.max(axis=1).mean(), abs=1e-14)
    assert fit.error == np.mean(fit.probabilities.argmax(axis=1) != y)


NAN = [[0.0, 1.0], [np.nan, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "id", "says"),
    [
        ({"X": NAN}, "AK-BE-001", r"X\[1\]: must be finite, not nan"),
        ({"X": [1.0, 2.0]}, "AK-BE-001", "X: must be rows of one feature or more"),
        ({"X": "rows"}, "AK-BE-001", "X: must be an array of numbers"),
        ({"y": [0]}, "AK-BE-002", "y: must be one label a row of X"),
        ({"y": [0, 0.5]}, "AK-BE-002", r"y\[1\]: must be a class"),
        ({"groups": [1]}, "AK-BE-003", "groups: must be one group a row"),
        ({"weights": [1, 2, 3]}, "AK-BE-004", "weights: must be 2 shares of the classes"),
        ({"weights": {0: 1}}, "AK-BE-004", "weights: must be 2 shares of the classes"),
        ({"bandwidth": 0}, "AK-BE-006", "bandwidth: must be a number above 0"),
        ({"bandwidth": np.nan}, "AK-BE-006", "bandwidth: must be a number above 0"),
        ({"dtype": "float16"}, "AK-BE-008", "dtype: must be one of float64, float32"),
        ({"bandwidth": 1e-200}, "AK-BE-008", "bandwidth: must be from"),
        ({"X": [[1e200], [2.0]]}, "AK-BE-008", "bandwidth: must be at least"),
        ({"X": [[1e10], [2.0]], "bandwidth": 1e-8, "dtype": "float32"}, "AK-BE-008", "bandwidth: must be at"),
    ],
)
def test_bad_arguments_are_refused(arguments, id, says):
    given = {"X": [[0.0, 1.0], [1.0, 0.0]], "y": [0, 1], "bandwidth": 1.0} | arguments
    with pytest.raises(InputError, match=says) as error:
        bayes_error.posterior(given.pop("X"), given.pop("y"), **given)
    assert error.value.id == id and "\n" not in str(error.value)


def test_bad_masks_and_smoothing_are_refused():
    X, y, *_ = problem(10, 2, 2)
    with pytest.raises(InputError, match="movable: must be one bool a row"):
        bayes_error.objective(X, y, bandwidth=1.0, movable=[True])
    with pytest.raises(InputError, match="tau: must be a number of at least 0"):
        bayes_error.objective(X, y, bandwidth=1.0, tau=-1)


def test_memory_grows_with_the_rows_and_not_with_their_pairs():
    program = """
import resource, numpy as np
from auditkit.bayes_error import objective
rng = np.random.default_rng(0)
X, y = rng.normal(size=(12_000, 8)), rng.integers(0, 2, 12_000)
objective(X[:500], y[:500], bandwidth=1.0)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
objective(X, y, bandwidth=1.0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    kilobytes = int(done.stdout) * (1 if sys.platform == "linux" else 1 / 1024)
    assert kilobytes < 40_000  # one value a pair would be 1,152,000
