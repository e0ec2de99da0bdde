"""Split or plain leave-one-out ascent: which one moves what it claims to move? The table of docs/studies.md.

Usage: python -P tools/studies/split_objective.py [--rows 1200] [--seeds 3]

Gaussian pairs with means D apart in d dimensions, each row moved by at most eps (L2): no map raises the Bayes error
above the ceiling Phi(eps - D / 2). And scikit-learn's digits at 16/255, where the ceiling of the rows is 0. Every
result is judged by the leave-one-out estimate (with a bandwidth of its own), by the score inside folds (pairs that the
split ascent never looked at, and the plain one did), and by the 5-fold cross-fitted error of 25 nearest neighbours.
Seeded.
"""

from __future__ import annotations

import argparse
import math
import platform
from statistics import NormalDist

import numpy as np

from auditkit import bayes_error
from auditkit.bayes_error.neighbours import nearest

PAIRS = ((2, 2.0, 0.25), (2, 3.0, 0.5), (10, 2.0, 0.25), (10, 3.0, 0.5))
"""Dimensions, distance of the means, radius."""
FOLDS, NEIGHBOURS = 5, 25


def pair(rows: int, d: int, distance: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two unit Gaussians, the same number of rows each."""
    rng = np.random.default_rng([seed, d])
    y = np.arange(rows) % 2
    X = rng.normal(size=(rows, d))
    X[:, 0] += distance * (y - 0.5)
    return X, y


def cross_fitted(X: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Error of the vote of 25 nearest neighbours among the other folds."""
    fold = np.random.default_rng([seed, 1]).permutation(len(X)) % FOLDS
    wrong = 0
    for own in range(FOLDS):
        train, test = fold != own, fold == own
        order, _ = nearest(np.ascontiguousarray(X[test]), np.ascontiguousarray(X[train]), NEIGHBOURS)
        votes = (y[train][order][:, :, None] == np.arange(y.max() + 1)).sum(axis=1)
        wrong += int((votes.argmax(axis=1) != y[test]).sum())
    return wrong / len(X)


def judged(
    X: np.ndarray, y: np.ndarray, *, eps: float, norm: str, box: tuple[float, float], split: bool, seed: int
):
    """(before, after) of the estimate, of the score inside folds and of the cross-fitted error."""
    found = bayes_error.protect(X, y, eps=eps, norm=norm, box=box, split=split, seed=seed)
    estimate = found.figures["estimate"]
    return (
        (estimate["before"]["plug_in"], estimate["after"]["plug_in"]),
        (found.score_before, found.score_after),
        (cross_fitted(X, y, seed), cross_fitted(found.X, y, seed)),
    )


def show(name: str, ceiling: float, results: list[tuple[tuple[float, float], ...]], split: bool) -> None:
    """One row of the table: means over the seeds."""
    means = np.mean(results, axis=0)
    cells = " | ".join(f"{before:.3f} → {after:.3f}" for before, after in means)
    print(f"| {name} | {'split' if split else 'plain'} | {ceiling:.3f} | {cells} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print(
        "| rows | ascent | ceiling | estimate | inside folds | kNN-25, cross-fitted |\n|---|---|---|---|---|---|"
    )
    for d, distance, eps in PAIRS:
        ceiling = NormalDist().cdf(eps - distance / 2)
        for split in (True, False):
            results = []
            for seed in range(arguments.seeds):
                X, y = pair(arguments.rows, d, distance, seed)
                box = (-math.inf, math.inf)
                results.append(judged(X, y, eps=eps, norm="l2", box=box, split=split, seed=seed))
            show(f"d = {d}, D = {distance:g}, eps = {eps:g}", ceiling, results, split)
    from sklearn.datasets import load_digits

    pixels, y = load_digits(return_X_y=True)
    X = pixels / 16
    for split in (True, False):
        results = [judged(X, y, eps=16 / 255, norm="linf", box=(0, 1), split=split, seed=0)]
        show("digits, 16/255", 0.0, results, split)


if __name__ == "__main__":
    main()
