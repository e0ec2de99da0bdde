"""Classification problems whose Bayes error is known: what estimators are judged by.

Fixed before any estimator was written, so that nothing is tuned on them without showing here. Each problem draws (X, y)
and knows the logarithm of prior times density of every class up to a common term, hence its Bayes rule.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import integrate, stats

Sampler = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Truth:
    """A problem with its Bayes error.

    `log_joint` maps X (n, d) to (n, K): log of prior times density, up to a term common to all classes.
    """

    name: str
    bayes_error: float
    sample: Sampler
    log_joint: Callable[[np.ndarray], np.ndarray]
    tags: frozenset[str]


def _labels(rng, n, priors):
    return rng.choice(len(priors), size=n, p=priors)


def _from_classes(name, error, priors, draw, log_density, tags):
    """Classes with a sampler draw(rng, c, n) and a log density log_density(X, c) each."""

    def sample(rng, n):
        y = _labels(rng, n, priors)
        parts = [draw(rng, c, n) for c in range(len(priors))]
        return np.stack(parts)[y, np.arange(n)], y

    def log_joint(X):
        with np.errstate(divide="ignore"):
            columns = [np.log(p) + log_density(X, c) for c, p in enumerate(priors)]
        return np.stack(columns, axis=1)

    return Truth(name, float(error), sample, log_joint, frozenset(tags))


def _gaussians(name, error, means, covariances, priors, tags):
    means = np.asarray(means, dtype=float)
    laws = [stats.multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]
    d = means.shape[1]
    return _from_classes(
        name,
        error,
        priors,
        lambda rng, c, n: laws[c].rvs(n, random_state=rng).reshape(n, d),
        lambda X, c: laws[c].logpdf(X).reshape(len(X)),
        tags,
    )


def _shared(name, error, means, covariance, priors, tags):
    return _gaussians(name, error, means, [covariance] * len(means), priors, tags)


def _pair_error(distance, prior=0.5):
    """Two Gaussians of one covariance at a Mahalanobis distance, the first with the prior."""
    t = math.log(prior / (1 - prior))
    phi = stats.norm.cdf
    return prior * phi(-distance / 2 - t / distance) + (1 - prior) * phi(-distance / 2 + t / distance)


def _far_means(d, distance, direction=None):
    direction = np.eye(d)[0] if direction is None else direction / np.linalg.norm(direction)
    return np.stack([0 * direction, distance * direction])


def _orthogonal_means_error(k, size):
    """K Gaussians at size * e_c with unit noise: right when the own coordinate is the largest."""
    right = integrate.quad(
        lambda z: stats.norm.pdf(z - size) * stats.norm.cdf(z) ** (k - 1), -12, 12 + size, epsabs=1e-13
    )[0]
    return 1 - right


def _overlap_error(densities, priors, low, high, points=()):
    """1 - integral of the largest prior times density over a line."""
    largest = integrate.quad(
        lambda x: max(p * f(x) for p, f in zip(priors, densities, strict=True)),
        low,
        high,
        limit=500,
        points=points or None,
        epsabs=1e-11,
    )[0]
    return 1 - largest


def _rings(d):
    radii = [stats.gamma(25, scale=1 / 25), stats.gamma(25, scale=1.6 / 25)]
    error = _overlap_error([r.pdf for r in radii], (0.5, 0.5), 0, 6, points=(1, 1.26, 1.6))

    def draw(rng, c, n):
        direction = rng.normal(size=(n, d))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        return direction * radii[c].rvs(n, random_state=rng)[:, None]

    def log_density(X, c):
        r = np.linalg.norm(X, axis=1)
        return radii[c].logpdf(r) - (d - 1) * np.log(r)

    return _from_classes(f"rings, d = {d}", error, (0.5, 0.5), draw, log_density, {"rings"})


def _flipped(name, d, q, clean, tags):
    """A separable task on uniform points with labels flipped at rate q."""

    def sample(rng, n):
        X = rng.random((n, d))
        return X, np.where(rng.random(n) < q, 1 - clean(X), clean(X))

    def log_joint(X):
        wrong, right = (np.log(max(p, 1e-300)) for p in (q, 1 - q))
        return np.where(clean(X)[:, None] == np.arange(2), right, wrong)

    return Truth(name, q, sample, log_joint, frozenset(tags))


def _one_dimensional(name, error, laws, priors, tags):
    return _from_classes(
        name,
        error,
        priors,
        lambda rng, c, n: laws[c].rvs(size=(n, 1), random_state=rng).astype(float),
        lambda X, c: (
            getattr(laws[c], "logpdf", None)(X[:, 0])
            if hasattr(laws[c].dist, "pdf")
            else laws[c].logpmf(X[:, 0])
        ),
        tags,
    )


def _binary_features(rates):
    """Independent binary features; every one of the 2^d outcomes is summed."""
    rates = np.asarray(rates)
    outcomes = np.array(list(itertools.product((0, 1), repeat=rates.shape[1])))
    mass = np.stack([np.prod(np.where(outcomes == 1, r, 1 - r), axis=1) for r in rates])
    error = 1 - (mass / len(rates)).max(axis=0).sum()
    priors = [1 / len(rates)] * len(rates)
    return _from_classes(
        "binary features, d = 8",
        error,
        priors,
        lambda rng, c, n: (rng.random((n, rates.shape[1])) < rates[c]).astype(float),
        lambda X, c: np.log(np.where(X == 1, rates[c], 1 - rates[c])).sum(axis=1),
        {"discrete"},
    )


def _mixtures(name, error, centres, tags):
    """Unit Gaussians at several centres a class, equally likely."""
    centres = [np.atleast_2d(np.asarray(c, dtype=float)) for c in centres]
    d = centres[0].shape[1]

    def log_density(X, c):
        gaps = X[:, None, :] - centres[c][None]
        logs = -0.5 * (gaps**2).sum(axis=2)
        top = logs.max(axis=1)
        return top + np.log(np.exp(logs - top[:, None]).mean(axis=1))

    return _from_classes(
        name,
        error,
        [1 / len(centres)] * len(centres),
        lambda rng, c, n: centres[c][rng.integers(0, len(centres[c]), n)] + rng.normal(size=(n, d)),
        log_density,
        tags,
    )


def _triangle_error(size):
    """Three unit Gaussians at the corners of a triangle: the plane in polar pieces, by symmetry one corner."""
    corners = size * np.array([[1, 0], [-0.5, math.sqrt(3) / 2], [-0.5, -math.sqrt(3) / 2]])
    # own wedge of the first corner: |angle| < 60 degrees
    inside = integrate.dblquad(
        lambda r, a: (
            r
            * math.exp(-0.5 * ((r * math.cos(a) - corners[0][0]) ** 2 + (r * math.sin(a)) ** 2))
            / (2 * math.pi)
        ),
        -math.pi / 3,
        math.pi / 3,
        0,
        size + 10,
        epsabs=1e-11,
    )[0]
    return 1 - inside, corners


def _uniform_boxes(d, shift):
    """Unit cubes, the second moved along the first axis."""
    return _from_classes(
        f"cubes, d = {d}, moved by {shift:g}",
        max(0.0, 1 - shift) / 2,
        (0.5, 0.5),
        lambda rng, c, n: rng.random((n, d)) + c * shift * np.eye(d)[0],
        lambda X, c: np.where(
            ((X - c * shift * np.eye(d)[0] >= 0) & (X - c * shift * np.eye(d)[0] <= 1)).all(axis=1),
            0.0,
            -np.inf,
        ),
        {"bounded"} | ({"near zero"} if shift >= 1 else set()),
    )


def _scales(d, ratio):
    """N(0, I) against N(0, ratio I): the rule cuts at a radius."""
    cut = d * math.log(ratio) / (1 - 1 / ratio)
    law = stats.chi2(d)
    error = 0.5 * (law.sf(cut) + law.cdf(cut / ratio))
    covariances = [np.eye(d), ratio * np.eye(d)]
    return _gaussians(f"scales, d = {d}", error, np.zeros((2, d)), covariances, (0.5, 0.5), {"same mean"})


def _all_truths() -> tuple[Truth, ...]:
    half = (0.5, 0.5)
    rng = np.random.default_rng(20261123)
    spread = np.diag(np.geomspace(0.05, 20, 32))
    gap = spread @ rng.normal(size=32)  # along which the Mahalanobis distance is not that of any axis
    gap *= 2.5 / math.sqrt(gap @ np.linalg.solve(spread, gap))
    turned = np.array([[2, 0.5], [0.5, 1]])
    triangle, corners = _triangle_error(1.5)
    poisson = [stats.poisson(4), stats.poisson(9)]
    counts = np.arange(80)
    bimodal = [lambda x: 0.5 * (stats.norm.pdf(x + 3) + stats.norm.pdf(x - 3)), stats.norm.pdf]
    p = stats.norm.cdf(-1.2)
    q = stats.norm.cdf(-1.0)
    return (
        _shared("two Gaussians, d = 1", _pair_error(2.5), _far_means(1, 2.5), np.eye(1), half, {"gaussian"}),
        _shared(
            "correlated, d = 2",
            _pair_error(math.sqrt(2 / 1.75)),
            [[0, 0], [1, 1]],
            turned,
            half,
            {"gaussian"},
        ),
        _shared("priors .8/.2", _pair_error(2, 0.8), _far_means(1, 2), np.eye(1), (0.8, 0.2), {"imbalanced"}),
        _scales(1, 4.0),
        _scales(5, 2.25),
        _shared(
            "five classes",
            _orthogonal_means_error(5, 2.5),
            2.5 * np.eye(5),
            np.eye(5),
            [0.2] * 5,
            {"multi-class"},
        ),
        _uniform_boxes(1, 0.5),
        _flipped("half plane, labels flipped", 2, 0.1, lambda X: (X[:, 0] > 0.5).astype(int), {"flips"}),
        _shared("two Gaussians, d = 10", _pair_error(2), _far_means(10, 2), np.eye(10), half, {"gaussian"}),
        _shared("anisotropic, d = 32", _pair_error(2.5), [0 * gap, gap], spread, half, {"anisotropic"}),
        _shared(
            "spread over all axes, d = 64",
            _pair_error(3),
            _far_means(64, 3, np.ones(64)),
            np.eye(64),
            half,
            {"gaussian", "high-dimensional"},
        ),
        _shared("far apart, d = 4", _pair_error(6), _far_means(4, 6), np.eye(4), half, {"near zero"}),
        _uniform_boxes(3, 1.5),
        _shared(
            "priors .95/.05, d = 3",
            _pair_error(2, 0.95),
            _far_means(3, 2),
            np.eye(3),
            (0.95, 0.05),
            {"imbalanced"},
        ),
        _shared("no information, .9/.1", 0.1, np.zeros((2, 2)), np.eye(2), (0.9, 0.1), {"imbalanced"}),
        _shared("no information, d = 5", 0.5, np.zeros((2, 5)), np.eye(5), half, {"noise"}),
        _shared("triangle", triangle, corners, np.eye(2), [1 / 3] * 3, {"multi-class"}),
        _shared(
            "ten classes",
            _orthogonal_means_error(10, 3.0),
            3 * np.eye(10),
            np.eye(10),
            [0.1] * 10,
            {"multi-class"},
        ),
        _rings(2),
        _rings(8),
        _mixtures(
            "exclusive or", 2 * p * (1 - p), 1.2 * np.array([[[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]), {"xor"}
        ),
        _flipped(
            "checkerboard, labels flipped",
            2,
            0.15,
            lambda X: (np.floor(4 * X).sum(axis=1) % 2).astype(int),
            {"flips"},
        ),
        _binary_features([np.linspace(0.2, 0.7, 8), np.linspace(0.6, 0.4, 8)]),
        _one_dimensional(
            "Poisson counts",
            1 - 0.5 * np.maximum(*(law.pmf(counts) for law in poisson)).sum(),
            poisson,
            half,
            {"discrete"},
        ),
        _one_dimensional(
            "exponential times",
            0.5 * (1 - 3**-0.5 + 3**-1.5),
            [stats.expon(), stats.expon(scale=1 / 3)],
            half,
            {"skewed"},
        ),
        _one_dimensional(
            "Laplace, moved by 2",
            0.5 * math.exp(-1),
            [stats.laplace(), stats.laplace(2)],
            half,
            {"heavy tails"},
        ),
        _one_dimensional(
            "Cauchy, moved by 3",
            0.5 - math.atan(1.5) / math.pi,
            [stats.cauchy(), stats.cauchy(3)],
            half,
            {"heavy tails"},
        ),
        _gaussians(
            "crossed ellipses",
            1 - 2 / math.pi * math.atan(3),
            np.zeros((2, 2)),
            [np.diag([1.0, 9.0]), np.diag([9.0, 1.0])],
            half,
            {"same mean"},
        ),
        _mixtures(
            "between two modes",
            _overlap_error(bimodal, half, -14, 14, points=(-3, -1.7, 0, 1.7, 3)),
            [[[-3.0], [3.0]], [[0.0]]],
            {"multi-modal"},
        ),
        _shared(
            "four classes on a square",
            1 - (1 - q) ** 2,
            [[-1, -1], [-1, 1], [1, -1], [1, 1]],
            np.eye(2),
            [0.25] * 4,
            {"multi-class"},
        ),
    )


TRUTHS = _all_truths()
