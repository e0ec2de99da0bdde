"""How near the Bayes-error estimate comes to known Bayes errors, beside its peers.

Usage: python tools/studies/bayes_error_accuracy.py [--seeds 2] [--rows 1500] [--fresh]

The problems are the 30 of tests/bayes_truths.py and, with --fresh instead, ten more that a recipe draws: they were
looked at once, after everything had been chosen. Peers: least leave-one-out kNN error over k, kernel leave-one-out
error, middle of the Henze-Penrose band, Cover-Hart anchor, cross-fitted forest. Hold-out, for every third problem:
the rule that cross-fits best on 70% of the rows, bounded on the other 30%.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np

from auditkit.bayes_error import estimate
from auditkit.bayes_error._inputs import read_labelled
from auditkit.bayes_error.bounds import error_upper
from auditkit.bayes_error.members import family, fit_scaler
from auditkit.bayes_error.neighbours import knn_errors
from auditkit.bayes_error.portfolio import Task, cross_errors, predict, stratified_folds

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from bayes_truths import TRUTHS, Truth

ALPHA = 0.05
PEERS = ("kNN", "kernel", "GHP", "Cover-Hart", "forest")
MONTE_CARLO = 100_000


def fresh_problems() -> list[Truth]:
    """Ten mixtures of Gaussians: 2 to 5 classes, 1 to 12 dimensions, 1 to 3 centres a class, scales and shares drawn.

    Their Bayes error is the mean miss of the true posterior at 100,000 points: standard error below 0.0006.
    """
    found = []
    for number in range(10):
        rng = np.random.default_rng([20261124, number])
        k, d = int(rng.integers(2, 6)), int(rng.integers(1, 13))
        centres = [rng.normal(size=(int(rng.integers(1, 4)), d)) * rng.uniform(0.8, 2.0) for _ in range(k)]
        scales = rng.uniform(0.5, 1.5, size=(k, d))
        priors = rng.dirichlet(np.full(k, 4.0))

        def log_joint(X, centres=centres, scales=scales, priors=priors):
            columns = []
            for c, s, p in zip(centres, scales, priors, strict=True):
                logs = -0.5 * (((X[:, None] - c) / s) ** 2).sum(axis=2)
                top = logs.max(axis=1)
                columns.append(
                    np.log(p) - np.log(s).sum() + top + np.log(np.exp(logs - top[:, None]).mean(axis=1))
                )
            return np.stack(columns, axis=1)

        def sample(rng, n, centres=centres, scales=scales, priors=priors):
            y = rng.choice(len(priors), size=n, p=priors)
            X = np.stack(
                [
                    centres[c][rng.integers(len(centres[c]))] + scales[c] * rng.normal(size=scales.shape[1])
                    for c in y
                ]
            )
            return X, y

        X, _ = sample(np.random.default_rng([20261125, number]), MONTE_CARLO)
        joint = log_joint(X)
        p = np.exp(joint - joint.max(axis=1, keepdims=True))
        miss = 1 - (p / p.sum(axis=1, keepdims=True)).max(axis=1)
        found.append(
            Truth(f"fresh {number}: K = {k}, d = {d}", float(miss.mean()), sample, log_joint, frozenset())
        )
    return found


def holdout_upper(X: np.ndarray, y: np.ndarray, seed: int) -> float:
    """Fit and choose on 70%, bound on 30%."""
    data = read_labelled(X, y)
    members, _ = family(data.k)
    task = Task(data, np.arange(data.n), np.ones(data.k), members, seed)
    order = np.random.default_rng([seed, 70]).permutation(data.n)
    first, last = np.sort(order[: int(0.7 * data.n)]), order[int(0.7 * data.n) :]
    folds = stratified_folds(data.codes[first], first, 3, np.random.default_rng([seed, 71]))
    best = int(cross_errors(task, first, folds, 700).sum(axis=1).argmin())
    wrong = predict(task, first, last, 710)[best] != data.codes[last]
    return error_upper(int(wrong.sum()), last.size, ALPHA)


def one(truth: Truth, place: int, seed: int, rows: int, *, holdout: bool) -> dict[str, object]:
    """One data set: the estimate, its peers and the time."""
    X, y = truth.sample(np.random.default_rng([53, place, seed]), rows)
    start = time.perf_counter()
    found = estimate(X, y, alpha=ALPHA, seed=seed)
    seconds = time.perf_counter() - start
    data = read_labelled(fit_scaler(X)(X), y)
    ghp = found.by_method["ghp"]
    peers = {
        "kNN": min(knn_errors(data).values()),
        "kernel": found.by_method["kernel"].details["leave_one_out"],
        "GHP": (ghp.value + ghp.details["upper"]) / 2,
        "Cover-Hart": found.by_method["cover-hart"].value,
        "forest": found.by_method["forest"].value,
    }
    names = [m for m in found.by_method.values() if m.role == "classifier"]
    return {
        "value": found.value,
        "least": min(m.value for m in names),
        "upper": found.upper,
        "anchor": found.anchor,
        "selected": found.selected,
        "seconds": seconds,
        "holdout": holdout_upper(X, y, seed) if holdout else None,
        **peers,
    }


def table(truths: list[Truth], seeds: int, rows: int, offset: int) -> None:
    """Print a line a problem, and the summary."""
    found = []
    print(f"{'problem':32s} truth  values by seed; upper, hold-out upper, selected, seconds")
    for place, truth in enumerate(truths):
        runs = [one(truth, offset + place, s, rows, holdout=s == 0 and place % 3 == 0) for s in range(seeds)]
        found += [(truth.bayes_error, run) for run in runs]
        values = " ".join(f"{run['value']:.3f}" for run in runs)
        uppers = " ".join(f"{run['upper']:.3f}" for run in runs)
        chosen = ", ".join(str(run["selected"]) for run in runs)
        ends = (
            f"{uppers}, {runs[0]['holdout'] or math.nan:.3f}, {chosen}, "
            f"{np.mean([run['seconds'] for run in runs]):.1f}"
        )
        print(f"{truth.name:32s} {truth.bayes_error:.3f}  {values}; {ends}", flush=True)
    for name in ("value", "least", *PEERS):
        gaps = np.array([run[name] - truth for truth, run in found])
        size = np.abs(gaps)
        print(
            f"{name:12s} mean absolute error {size.mean():.4f}, largest {size.max():.3f}, bias {gaps.mean():+.4f}"
        )
    held = [run["upper"] >= truth for truth, run in found]
    above = [run["anchor"] > truth for truth, run in found]
    print(f"upper holds in {sum(held)} of {len(held)}; anchor above the truth in {sum(above)}")
    both = [
        (run["upper"] - truth, run["holdout"] - truth) for truth, run in found if run["holdout"] is not None
    ]
    print("upper minus truth: forwards {:.4f}, hold-out {:.4f}".format(*np.mean(both, axis=0)))


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--fresh", action="store_true", help="the ten further problems instead of the thirty")
    arguments = parser.parse_args()
    truths, offset = (fresh_problems(), 100) if arguments.fresh else (list(TRUTHS), 0)
    table(truths, arguments.seeds, arguments.rows, offset)


if __name__ == "__main__":
    main()
