"""Rows by rising prediction: one sort feeds isotonic regression, equal-mass bins, walks and selective prediction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Steps:
    """A rising function of the prediction that is constant between few levels.

    Attributes
    ----------
    level, height : ndarray, shape (k,), float64
        Where each step begins, rising, and its value.
    rows, outcomes : ndarray, shape (k,), float64
        How many rows lie on it, and their outcomes in sum, by weight.
    """

    level: Floats
    height: Floats
    rows: Floats
    outcomes: Floats

    def at(self, p: NDArray[Any]) -> Floats:
        """The heights at predictions; below the first level that of the first step."""
        return np.asarray(self.height[np.maximum(np.searchsorted(self.level, p, side="right") - 1, 0)])


@dataclass(frozen=True)
class Ordered:
    """Predictions with their outcomes, sorted by prediction; of equal predictions outcome 0 comes first.

    Attributes
    ----------
    p : ndarray, shape (n,), float64 or float32
        Rising.
    y : ndarray, shape (n,), uint8
    weights : ndarray, shape (n,) or (0,), float64
        Of rows, above 0; empty where each counts as 1.
    """

    p: NDArray[Any]
    y: NDArray[np.uint8]
    weights: Floats

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where runs of equal predictions begin."""
        return np.concatenate([[0], np.flatnonzero(self.p[1:] != self.p[:-1]) + 1])

    @cached_property
    def ends(self) -> NDArray[np.uint8]:
        """1 for the last row of each run, else 0."""
        return np.concatenate([self.p[1:] != self.p[:-1], [True]]).view(np.uint8)

    def runs(self) -> tuple[Floats, Floats, Floats]:
        """Distinct predictions, with the rows and the outcomes of each, by weight."""
        levels = self.p[self.starts].astype(np.float64)
        if self.weights.size:
            rows = np.add.reduceat(self.weights, self.starts)
            return levels, rows, np.add.reduceat(self.weights * self.y, self.starts)
        rows = np.diff(self.starts, append=self.p.size).astype(np.float64)
        return levels, rows, np.add.reduceat(self.y, self.starts, dtype=np.float64)

    @cached_property
    def isotonic(self) -> Steps:
        """The isotonic fit of the outcomes."""
        from scipy.optimize import isotonic_regression

        levels, rows, outcomes = self.runs()
        fitted = isotonic_regression(outcomes / rows, weights=rows).x
        first = np.concatenate([[0], np.flatnonzero(fitted[1:] != fitted[:-1]) + 1])
        sums = (np.add.reduceat(column, first) for column in (rows, outcomes))
        return Steps(levels[first], np.clip(fitted[first], 0, 1), *sums)


def rising(values: NDArray[Any], outcomes: NDArray[np.uint8], weights: Floats | None = None) -> Ordered:
    """Rows sorted by finite values, float64 or float32; rows of weight 0 are left out.

    Numbers of one sign are ordered as their bits are, and the place of the sign holds the outcome: one sort of whole
    numbers, several times faster than an argsort.
    """
    if weights is not None:
        used = np.flatnonzero(weights > 0)
        order = used[np.lexsort((outcomes[used], values[used]))]
        return Ordered(values[order], outcomes[order], weights[order])
    if values.min() < 0:
        order = np.argsort(values)
        return Ordered(values[order], outcomes[order], np.empty(0))
    whole: Any = np.uint32 if values.dtype == np.float32 else np.uint64
    keys = values.view(whole) << whole(1)
    keys |= outcomes
    keys.sort()
    y = (keys & whole(1)).astype(np.uint8)
    keys >>= whole(1)
    return Ordered(keys.view(values.dtype), y, np.empty(0))
