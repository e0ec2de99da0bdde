"""Gaussian classes: linear, quadratic and spherical rules from shrunk moments, and two-class bounds from moments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rule = Callable[[NDArray[Any]], NDArray[np.float64]]

FLOOR = 1e-6
"""Least variance in any direction, in units of the mean variance: constant features leave none."""


@dataclass(frozen=True)
class Moments:
    """Shares (K,), means (K, d) and rows centred at their class (n, d) of labelled rows."""

    shares: NDArray[np.float64]
    means: NDArray[np.float64]
    centred: NDArray[np.float64]
    codes: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Rows of each class."""
        return np.bincount(self.codes, minlength=self.shares.size)


def fit_moments(
    X: NDArray[Any], codes: NDArray[np.int64], k: int, ratios: NDArray[np.float64] | None = None
) -> Moments:
    """Means and shares of every class; a class without rows has share 0. `ratios`: target over sample share."""
    counts = np.bincount(codes, minlength=k)
    means = np.zeros((k, X.shape[1]))
    np.add.at(means, codes, X)
    means /= np.maximum(counts, 1)[:, None]
    shares = counts * (np.ones(k) if ratios is None else ratios)
    return Moments(shares / shares.sum(), means, X - means[codes], codes)


def shrunk_covariance(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of centred rows (n, d), shrunk towards a multiple of the identity.

    References
    ----------
    Ledoit and Wolf 2004, Journal of Multivariate Analysis 88.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    n, d = centred.shape
    sample = centred.T @ centred / n
    scale = float(np.trace(sample)) / d
    weight = float(ledoit_wolf_shrinkage(centred, assume_centered=True)) if n > 1 else 1.0
    floor = FLOOR * scale if scale > 0 else 1.0
    return np.asarray((1 - weight) * sample + (weight * scale + floor) * np.eye(d))


def linear_rule(m: Moments) -> Rule:
    """LDA: one shrunk covariance for all classes. The rule maps rows (m, d) to scores (m, K)."""
    root = np.linalg.cholesky(shrunk_covariance(m.centred))
    means = np.linalg.solve(root, m.means.T)
    offsets = _log(m.shares) - 0.5 * (means**2).sum(axis=0)
    return lambda X: np.asarray(np.linalg.solve(root, X.T).T @ means + offsets)


def quadratic_rule(m: Moments) -> Rule:
    """QDA: a shrunk covariance of its own for every class, the pooled one for classes of one row."""
    pooled = shrunk_covariance(m.centred)
    counts = m.counts
    order = np.argsort(m.codes, kind="stable")
    rows = np.split(order, np.cumsum(counts)[:-1])
    roots = [np.linalg.cholesky(shrunk_covariance(m.centred[r]) if r.size > 1 else pooled) for r in rows]
    halves = np.array([np.log(np.diag(root)).sum() for root in roots])
    offsets = _log(m.shares) - halves

    def scores(X: NDArray[Any]) -> NDArray[np.float64]:
        found = np.full((len(X), len(roots)), -np.inf)
        for c in np.flatnonzero(m.shares > 0):
            gaps = np.linalg.solve(roots[c], (X - m.means[c]).T)
            found[:, c] = offsets[c] - 0.5 * (gaps**2).sum(axis=0)
        return found

    return scores


def spherical_rule(m: Moments) -> Rule:
    """One variance a class, the same in all directions: tells classes of one mean but other scales apart."""
    d = m.means.shape[1]
    squares = (m.centred**2).sum(axis=1)
    pooled = float(squares.mean()) / d
    totals = np.bincount(m.codes, weights=squares, minlength=m.shares.size)
    counts = m.counts
    variances = np.where(counts > 1, totals / np.maximum(counts, 1) / d, pooled)
    variances = np.maximum(variances, FLOOR * pooled if pooled > 0 else 1.0)
    offsets = _log(m.shares) - 0.5 * d * np.log(variances)

    def scores(X: NDArray[Any]) -> NDArray[np.float64]:
        squared = (X**2).sum(axis=1)[:, None] - 2 * X @ m.means.T + (m.means**2).sum(axis=1)
        return np.asarray(offsets - 0.5 * np.maximum(squared, 0) / variances)

    return scores


def bhattacharyya(m: Moments) -> float:
    """sqrt(pi0 pi1) exp(-B): at least the Bayes error of two Gaussian classes, if the moments are right.

    B = dm' S^-1 dm / 8 + log(|S| / sqrt(|S0| |S1|)) / 2 with S = (S0 + S1) / 2.

    References
    ----------
    Kailath 1967, IEEE Transactions on Communication Technology 15.
    """
    first, second = (shrunk_covariance(m.centred[m.codes == c]) for c in (0, 1))
    middle = (first + second) / 2
    gap = m.means[1] - m.means[0]
    logs = [float(np.linalg.slogdet(s)[1]) for s in (middle, first, second)]
    exponent = float(gap @ np.linalg.solve(middle, gap)) / 8 + 0.5 * (logs[0] - 0.5 * (logs[1] + logs[2]))
    return math.sqrt(m.shares[0] * m.shares[1]) * math.exp(-exponent)


def mahalanobis(m: Moments) -> float:
    """2 pi0 pi1 / (1 + pi0 pi1 D^2): at least the Bayes error of two classes, if the moments are right.

    D is the Mahalanobis distance of the means by the share-weighted covariance.

    References
    ----------
    Devijver and Kittler 1982, Pattern Recognition: A Statistical Approach.
    """
    pair = m.shares[0] * m.shares[1]
    parts = [m.shares[c] * shrunk_covariance(m.centred[m.codes == c]) for c in (0, 1)]
    gap = m.means[1] - m.means[0]
    distance = float(gap @ np.linalg.solve(parts[0] + parts[1], gap))
    return float(2 * pair / (1 + pair * distance))


def _log(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(shares))
