"""What a training trace keeps of its observations: sums for each canary, sums for each step, and running scores.

Formulas: log-likelihood ratio of the subsampled Gaussian mechanism between a canary that takes part (rate q) and one
that does not, summed over steps (Neyman-Pearson; Steinke et al. 2023, arXiv 2305.08846, use the same observations).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]

SCORE_LIMIT = 50.0
"""Scores are cut off at plus and minus this: further evidence about one canary changes no guess."""

_EXPONENT_LIMIT = 700.0


class Step(NamedTuple):
    """What is known of one logical step besides the observations."""

    sigma: float
    rate: float
    clip: float
    batch_size: int
    clip_ratio: float
    accounted_sigma: float
    accounted_rate: float


def step_scores(x: Floats, *, sigma: float, rate: float) -> Floats:
    """Log-likelihood ratio of one observation a canary: ``log(1 - q + q exp((2 x - 1) / (2 sigma^2)))``.

    Parameters
    ----------
    x : float64, shape (m,)
        Noisy sum less real sum along the canary, in units of the clipping norm.
    sigma : float
        Declared noise multiplier, above 0.
    rate : float
        Declared sampling rate q, in (0, 1].

    Returns
    -------
    float64, shape (m,)
        Finite for finite `x`; relative accuracy near 0 is that of log1p and expm1.
    """
    exponent = np.minimum((x - 0.5) / (sigma * sigma), _EXPONENT_LIMIT)
    if rate == 1.0:  # log1p would be given -1
        return exponent
    return np.asarray(np.log1p(rate * np.expm1(exponent)), np.float64)


class TraceStatistics:
    """Sums over the steps of a trace; one `add` a logical step, O(m) time, no memory a step beyond eight numbers.

    Parameters
    ----------
    bits : bool, shape (m,)
        Which canaries take part.
    pairs : int64, shape (p, 2)
        Disjoint pairs of canaries that do not take part.
    keep : bool
        Keep every observation: 8 m bytes a step.
    """

    def __init__(self, bits: Bits, pairs: Ints, *, keep: bool):
        m = bits.size
        self.bits, self.pairs = bits, pairs
        self.draws: Ints = np.zeros(m, np.int64)
        self.llr: Floats = np.zeros(m)
        self._sums, self._terms = np.zeros((6, m)), np.empty((6, m))
        self.sum1, self.sum2, self.sum3, self.sum4, self.lag1, self.lag2 = self._sums
        self.pair_sum: Floats = np.zeros(len(pairs))
        self.step_sum2: list[float] = []
        self.steps: list[Step] = []
        self.kept: list[Floats] | None = [] if keep else None
        self.overflow: int | None = None
        """The first step whose observations were not all finite; nothing was taken in from there on."""

        self._excluded = (~bits).astype(np.float64)  # as weights: a dot product costs less than an index
        self._before: tuple[Floats, Floats] = (np.zeros(m), np.zeros(m))

    def add(self, x: Floats, drawn: Ints, step: Step) -> None:
        """Take in the observations of one logical step and the canaries that were added in it."""
        terms, square = self._terms, self._terms[1]
        terms[0] = x
        np.multiply(x, x, out=square)
        np.multiply(square, x, out=terms[2])
        np.multiply(square, square, out=terms[3])
        np.multiply(x, self._before[0], out=terms[4])
        np.multiply(x, self._before[1], out=terms[5])
        if self.overflow is not None or not math.isfinite(square.sum()):
            self.overflow = len(self.steps) if self.overflow is None else self.overflow
            return
        self._sums += terms
        self._before = (x, self._before[0])
        self.draws[drawn] += 1
        self.llr += step_scores(x, sigma=step.sigma, rate=step.rate)
        both = x[self.pairs]
        self.pair_sum += both[:, 0] * both[:, 1]
        self.step_sum2.append(float(square @ self._excluded))
        self.steps.append(step)
        if self.kept is not None:
            self.kept.append(x)

    def column(self, name: str) -> Floats:
        """One field of `Step` over the steps, float64."""
        return np.array([getattr(step, name) for step in self.steps], np.float64)


def draw_pairs(bits: Bits, rng: np.random.Generator) -> Ints:
    """All canaries that do not take part, paired at random; one is left over when their number is odd."""
    order = rng.permutation(np.flatnonzero(~bits)).astype(np.int64)
    return order[: order.size // 2 * 2].reshape(-1, 2)
