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
        How many rows lie on it, and their outcomes in sum.
    """

    level: Floats
    height: Floats
    rows: Floats
    outcomes: Floats

    def at(self, p: NDArray[Any]) -> Floats:
        """The heights at predictions that are not below the first level."""
        return np.asarray(self.height[np.searchsorted(self.level, p, side="right") - 1])


@dataclass(frozen=True)
class Ordered:
    """Predictions with their outcomes, sorted by prediction; of equal predictions outcome 0 comes first.

    Attributes
    ----------
    p : ndarray, shape (n,), float64 or float32
        Rising.
    y : ndarray, shape (n,), uint8
    """

    p: NDArray[Any]
    y: NDArray[np.uint8]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where runs of equal predictions begin."""
        return np.concatenate([[0], np.flatnonzero(self.p[1:] != self.p[:-1]) + 1])

    @cached_property
    def ends(self) -> NDArray[np.uint8]:
        """1 for the last row of each run, else 0."""
        return np.concatenate([self.p[1:] != self.p[:-1], [True]]).view(np.uint8)

    def runs(self) -> tuple[Floats, Floats, Floats]:
        """Distinct predictions, with the rows and the outcomes of each."""
        rows = np.diff(self.starts, append=self.p.size).astype(np.float64)
        outcomes = np.add.reduceat(self.y, self.starts, dtype=np.float64)
        return self.p[self.starts].astype(np.float64), rows, outcomes

    @cached_property
    def isotonic(self) -> Steps:
        """The isotonic fit of the outcomes."""
        from scipy.optimize import isotonic_regression

        levels, rows, outcomes = self.runs()
        fitted = isotonic_regression(outcomes / rows, weights=rows).x
        first = np.concatenate([[0], np.flatnonzero(fitted[1:] != fitted[:-1]) + 1])
        sums = (np.add.reduceat(column, first) for column in (rows, outcomes))
        return Steps(levels[first], np.clip(fitted[first], 0, 1), *sums)


def rising(values: NDArray[Any], outcomes: NDArray[np.uint8]) -> Ordered:
    """Rows sorted by finite values, float64 or float32.

    Numbers of one sign are ordered as their bits are, and the place of the sign holds the outcome: one sort of whole
    numbers, several times faster than an argsort.
    """
    if values.min() < 0:
        order = np.argsort(values)
        return Ordered(values[order], outcomes[order])
    whole: Any = np.uint32 if values.dtype == np.float32 else np.uint64
    keys = values.view(whole) << whole(1)
    keys |= outcomes
    keys.sort()
    y = (keys & whole(1)).astype(np.uint8)
    keys >>= whole(1)
    return Ordered(keys.view(values.dtype), y)
