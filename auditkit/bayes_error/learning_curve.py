"""How the error of a rule falls with the number of rows, and where that would end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditkit.bayes_error.portfolio import Task, predict

SHARES = (0.125, 0.25, 0.5, 1.0)
POWERS = np.linspace(0.1, 1.0, 46)


def learning_curve(task: Task, member: int, folds: NDArray[np.int64]) -> tuple[dict[str, float], ...]:
    """Cross-fitted errors of one member that learns from 1/8, 1/4, 1/2 and all of the other folds' rows.

    Rows of a size are the first of one random order; no group is on both sides. ``n`` is how many rows were learned
    from, on average over the folds.
    """
    one = replace(task, members=(task.members[member],))
    weights = task.row_weights
    wrong = np.zeros((len(SHARES), task.data.n), dtype=bool)
    sizes = np.zeros(len(SHARES))
    count = int(folds.max()) + 1
    for fold in range(count):
        test = np.flatnonzero(folds == fold)
        train = task.rng(500 + fold).permutation(np.flatnonzero(folds != fold))
        for place, share in enumerate(SHARES):
            few = train[: max(1, round(share * train.size))]
            sizes[place] += few.size / count
            wrong[place, test] = predict(one, few, test, 600 + fold)[0] != task.data.codes[test]
    return tuple(
        {"n": round(size), "error": float(np.average(row, weights=weights))}
        for size, row in zip(sizes.tolist(), wrong, strict=True)
    )


def extrapolate(sizes: Sequence[float], errors: Sequence[float]) -> float:
    """The limit a of a + b n^-c by least squares, a and b at least 0, c in [0.1, 1]: an estimate."""
    n, e = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    best, limit = np.inf, float(e.mean())
    for power in POWERS:
        falling = (n / n.max()) ** -power
        for a, b in _candidates(falling, e):
            loss = float(((a + b * falling - e) ** 2).sum())
            if a >= 0 and b >= 0 and loss < best - 1e-15:
                best, limit = loss, a
    return limit


def _candidates(falling: NDArray[np.float64], e: NDArray[np.float64]) -> list[tuple[float, float]]:
    """The free optimum and those on the edges a = 0 and b = 0, of which one is the optimum."""
    spread = falling - falling.mean()
    slope = float(spread @ e / (spread @ spread)) if (spread**2).sum() > 0 else 0.0
    return [
        (float(e.mean() - slope * falling.mean()), slope),
        (0.0, float(falling @ e / (falling @ falling))),
        (float(e.mean()), 0.0),
    ]
