"""Posterior of a whole ROC curve: for pictures, never for certification.

Each class's score distribution gets a Dirichlet-process posterior (a Bayesian bootstrap with weight `prior` beyond
either end), so that the distribution function after k of n scores is Beta(k + prior, n - k + prior), jointly over all
thresholds. The largest epsilon over the thresholds of such draws is biased upwards: show the curve, certify with bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.epsilon._inputs import check_alpha, check_whole_seed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 400


@dataclass(frozen=True)
class RocPosterior:
    """Pointwise credible band of the true positive rate at fixed false positive rates.

    Attributes
    ----------
    fpr : ndarray, shape (m,)
    low, median, high : ndarray, shape (m,)
        Quantiles alpha/2, 1/2 and 1 - alpha/2 of the true positive rate.
    level : float
        1 - alpha, credible, for each rate by itself.
    """

    fpr: Floats
    low: Floats
    median: Floats
    high: Floats
    level: float


def roc_posterior(
    false_positives: Ints,
    true_positives: Ints,
    rates: Floats,
    *,
    alpha: float = 0.05,
    prior: float = 0.5,
    seed: int = 0,
    draws: int = DRAWS,
) -> RocPosterior:
    """Credible band of a ROC curve.

    Parameters
    ----------
    false_positives, true_positives : array, shape (t,), int64
        Counts at thresholds from strict to lax, non-decreasing, from 0 to the size of the class. Thresholds may be left
        out: the law of the rest is unchanged.
    rates : array, shape (m,)
        False positive rates in [0, 1] at which the band is wanted.
    alpha : float
        In (0, 1).
    prior : float
        Weight beyond either end, > 0.
    seed : int
        At least 0; the same seed gives the same band.
    draws : int
        Curves drawn; the cost is ``draws * t``.

    Returns
    -------
    RocPosterior

    References
    ----------
    Rubin, "The Bayesian Bootstrap", Annals of Statistics 9 (1981).
    """
    level = check_alpha(alpha)
    generator = np.random.Generator(np.random.Philox(key=check_whole_seed(seed)))
    fpr = _drawn_rates(false_positives, prior, draws, generator)
    tpr = _drawn_rates(true_positives, prior, draws, generator)
    at_rates = np.array([np.interp(rates, f, t) for f, t in zip(fpr, tpr, strict=True)])
    low, median, high = np.quantile(at_rates, [level / 2, 0.5, 1 - level / 2], axis=0)
    return RocPosterior(np.asarray(rates), low, median, high, 1.0 - level)


def _drawn_rates(counts: Ints, prior: float, draws: int, generator: np.random.Generator) -> Floats:
    """Draws of the rate at each threshold, from 0 to 1, shape (draws, t + 2): cumulated Dirichlet weights."""
    shapes = np.concatenate(([prior], np.diff(counts).astype(np.float64), [prior]))
    weights = generator.standard_gamma(shapes, (draws, shapes.size))
    cumulated = np.cumsum(weights, axis=1)
    return np.concatenate((np.zeros((draws, 1)), cumulated / cumulated[:, -1:]), axis=1)
