"""Symmetric functions of a batch, non-decreasing in every score, and how large each can be under a total of ranks.

A functional knows its value for given batches, and its largest value when m sorted scores, each taken as often as
wanted, have indices that add up to a given total. Lower bounds come from the reflected functional on negated scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auditkit.batchpi.maximisation import max_composed, max_sum, max_weighted

Floats = NDArray[np.float64]
Step = Callable[[int, Floats, float], Floats]
"""G_k: (k, values of the first k-1 scores, the k-th score) -> values, non-decreasing in both."""


class Functional(Protocol):
    """What the orderings need of a function of a batch."""

    def of_batches(self, batches: Floats) -> Floats:
        """Upper ends of the values of batches, shape (..., m) to (...), rounded up."""
        ...

    def largest(self, values: Floats, m: int, total: int, *, exact: bool) -> Floats:
        """Upper end of the largest value under a total of indices; `values` (sets, N) sorted, maybe infinite."""
        ...

    def reflected(self) -> Functional:
        """The functional h with h(-s) = -g(s)."""
        ...


@dataclass(frozen=True)
class Sum:
    """s_1 + ... + s_m."""

    def of_batches(self, batches: Floats) -> Floats:
        """Exact sums, rounded up to the next double."""
        rows = batches.reshape(-1, batches.shape[-1])
        return np.array([_sum_up(row) for row in rows]).reshape(batches.shape[:-1])

    def largest(self, values: Floats, m: int, total: int, *, exact: bool) -> Floats:
        """All rows at once where scores are finite."""
        if np.isfinite(values).all():
            return np.asarray(max_sum(values, m, total, method="exact" if exact else "relaxed"))
        return np.array([self._largest_of_row(row, m, total, exact) for row in values])

    def _largest_of_row(self, row: Floats, m: int, total: int, exact: bool) -> float:
        """Infinite scores apart: one reachable +inf decides, and -inf is taken only when nothing else is left."""
        first, last = _finite_part(row)
        if last < len(row) and total >= last:
            return math.inf
        if total < m * first:
            return -math.inf
        kept = np.ascontiguousarray(row[first:last])
        rest = min(total - m * first, m * (len(kept) - 1))
        return float(max_sum(kept, m, rest, method="exact" if exact else "relaxed"))

    def reflected(self) -> Sum:
        """A sum is its own reflection."""
        return self


@dataclass(frozen=True)
class Weighted:
    """w_1 s_(1) + ... + w_m s_(m) of the sorted batch (an L-statistic), weights at least 0."""

    weights: tuple[float, ...]

    def of_batches(self, batches: Floats) -> Floats:
        """Weighted sums of sorted batches, widened by their rounding."""
        weights = np.array(self.weights)
        used = np.sort(batches, axis=-1)[..., weights > 0]
        terms = used * weights[weights > 0]
        # m rounded products summed in any order lose at most m eps of the sum of their sizes
        margin = len(weights) * np.finfo(np.float64).eps * np.abs(terms).sum(axis=-1)
        return np.asarray(terms.sum(axis=-1) + np.where(np.isfinite(margin), margin, 0.0))

    def largest(self, values: Floats, m: int, total: int, *, exact: bool) -> Floats:
        """Row by row."""
        return np.array([self._largest_of_row(row, m, total) for row in values])

    def _largest_of_row(self, row: Floats, m: int, total: int) -> float:
        """An infinite score in a place of weight 0 counts for nothing: only what can reach further decides."""
        first, last = _finite_part(row)
        weights = np.array(self.weights)
        idle_above = len(weights) - int(np.flatnonzero(weights)[-1]) - 1
        if last < len(row) and total >= (idle_above + 1) * last:
            return math.inf
        # -inf replaced by the least finite score only raises the bound; idle +inf counts for nothing.
        return float(max_weighted(np.clip(row, row[first], row[last - 1]), weights, total))

    def reflected(self) -> Weighted:
        """The weights from the other end."""
        return Weighted(self.weights[::-1])


@dataclass(frozen=True)
class Composed:
    """g_k(s_1..s_k) = G_k(g_(k-1)(s_1..s_(k-1)), s_k), with g_1(s) = G_1(start, s), as the caller's step rounds it."""

    step: Step
    start: float = 0.0

    def of_batches(self, batches: Floats) -> Floats:
        """Batch by batch, scores in ascending order."""
        rows = np.sort(batches, axis=-1).reshape(-1, batches.shape[-1])
        found = np.empty(len(rows))
        for i, row in enumerate(rows):
            value = np.array([self.start])
            for k, score in enumerate(row, 1):
                value = np.asarray(self.step(k, value, float(score)), dtype=np.float64)
            found[i] = value[0]
        return found.reshape(batches.shape[:-1])

    def largest(self, values: Floats, m: int, total: int, *, exact: bool) -> Floats:
        """Row by row."""
        return np.array([self._largest_of_row(row, m, total) for row in values])

    def _largest_of_row(self, row: Floats, m: int, total: int) -> float:
        first, last = _finite_part(row)
        if last < len(row) and total >= last:
            return math.inf
        kept = np.clip(row[:last], row[first], None)
        return float(max_composed(kept, m, min(total, m * (len(kept) - 1)), self.step, self.start))

    def reflected(self) -> Composed:
        """The step with signs changed on the way in and out."""
        forward = self.step

        def backward(k: int, values: Floats, score: float) -> Floats:
            return -np.asarray(forward(k, -values, -score))

        return Composed(backward, -self.start)


def _finite_part(row: Floats) -> tuple[int, int]:
    """First index of a finite score and the index after the last; (0, 0) where none is finite."""
    finite = np.flatnonzero(np.isfinite(row))
    return (int(finite[0]), int(finite[-1]) + 1) if finite.size else (0, 0)


def _sum_up(row: Floats) -> float:
    """The least double at or above the exact sum; +inf wins over -inf."""
    if np.isposinf(row).any():
        return math.inf
    if np.isneginf(row).any():
        return -math.inf
    numbers = row.tolist()
    try:
        nearest = math.fsum(numbers)
        return math.nextafter(nearest, math.inf) if math.fsum([*numbers, -nearest]) > 0 else nearest
    except OverflowError:  # of a partial sum: the total decides
        return _float_up(sum(map(Fraction, numbers), Fraction(0)))


def _float_up(exact: Fraction) -> float:
    largest = np.finfo(np.float64).max
    if abs(exact) > Fraction(float(largest)):
        return math.inf if exact > 0 else -float(largest)
    nearest = float(exact)
    return math.nextafter(nearest, math.inf) if Fraction(nearest) < exact else nearest
