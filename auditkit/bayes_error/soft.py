"""Bayes error from labels that carry a posterior: true probabilities, votes of annotators, or a distorted score."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.bayes_error._inputs import Labelled, as_array

RESAMPLES = 1000
ROUNDING = 1e-6
"""Probabilities may miss a sum of 1 by this: float32 and text."""


@dataclass(frozen=True)
class SoftError:
    """Bayes error that soft labels speak of.

    Attributes
    ----------
    value : float
    lower, upper : float
        Certified for true posteriors (L3, both ends together), a bootstrap interval otherwise.
    source : {"posteriors", "votes", "score"}
    n, k : int
    standard_error : float
    details : mapping
    """

    value: float
    lower: float
    upper: float
    source: Literal["posteriors", "votes", "score"]
    n: int
    k: int
    standard_error: float
    details: dict[str, Any] = field(default_factory=dict)


def soft_error(soft: Any, data: Labelled | None, alpha: float, rng: np.random.Generator) -> SoftError:
    """Bayes error from soft labels (n, K), votes (n, K) or, with hard labels of two classes, scores (n,)."""
    array = as_array(soft, "soft", "biuf", id="AK-BE-022").astype(np.float64)
    if array.ndim not in (1, 2) or array.size == 0:
        requirement = "(n, K) probabilities or votes, or (n,) scores"
        refuse("soft", requirement, f"of shape {array.shape}", id="AK-BE-022")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        refuse(f"soft[{bad[0][0]}]", "finite", f"{array[tuple(bad[0])]}", id="AK-BE-022")
    if array.ndim == 1:
        return from_score(array, data, alpha, rng)
    if array.shape[1] < 2:
        hint = "both probabilities of two classes, or a score of shape (n,)"
        refuse("soft", "of two columns or more", f"of shape {array.shape}", id="AK-BE-022", hint=hint)
    negative = np.flatnonzero((array < 0).any(axis=1))
    if negative.size:
        refuse(f"soft[{negative[0]}]", "at least 0", f"{array[negative[0]].min():g}", id="AK-BE-022")
    sums = array.sum(axis=1)
    probabilities = bool((np.abs(sums - 1) <= ROUNDING).all())
    whole = bool((array == np.floor(array)).all())
    if probabilities and whole:
        hint = "hard labels need X: estimate(X, y)"
        refuse(
            "soft", "probabilities, or two votes an item", "one-hot hard labels", id="AK-BE-023", hint=hint
        )
    if not probabilities and not (whole and (sums >= 1).all()):
        row = int(np.argmax(np.abs(sums - 1)))
        hint = "whole numbers are votes, rows that sum to 1 are probabilities"
        requirement = "probabilities that sum to 1, or votes"
        refuse(f"soft[{row}]", requirement, f"a sum of {sums[row]:g}", id="AK-BE-023", hint=hint)
    return from_posteriors(array / sums[:, None], alpha) if probabilities else from_votes(array, alpha, rng)


def from_posteriors(eta: NDArray[np.float64], alpha: float) -> SoftError:
    """Mean of 1 - max_c eta_c, with Hoeffding's half-width (1 - 1/K) sqrt(log(2/alpha) / (2 n)).

    References
    ----------
    Ishida, Yamane, Charoenphakdee, Niu, Sugiyama 2023, Is the Performance of My Deep Network Too Good to Be True?
    """
    n, k = eta.shape
    misses = np.maximum(0.0, 1 - eta.max(axis=1))
    value = float(misses.mean())
    half = (1 - 1 / k) * math.sqrt(math.log(2 / alpha) / (2 * n))
    # rows may have been renormalised by as much as ROUNDING: the ends give that much
    lower, upper = max(0.0, value - half - ROUNDING), min(1 - 1 / k, value + half + ROUNDING)
    return SoftError(
        value, lower, upper, "posteriors", n, k, float(misses.std() / math.sqrt(n)), {"half_width": half}
    )


def from_votes(votes: NDArray[np.float64], alpha: float, rng: np.random.Generator) -> SoftError:
    """The plug-in with shares of votes; biased low for few votes an item. Bootstrap over items."""
    n, k = votes.shape
    sums = votes.sum(axis=1)
    misses = 1 - votes.max(axis=1) / sums
    means = np.array([misses[rng.integers(0, n, n)].mean() for _ in range(RESAMPLES)])
    lower, upper = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    least, middle = int(sums.min()), float(np.median(sums))
    details = {"votes_least": least, "votes_median": middle}
    return SoftError(
        float(misses.mean()), float(lower), float(upper), "votes", n, k, float(means.std()), details
    )


def from_score(
    score: NDArray[np.float64], data: Labelled | None, alpha: float, rng: np.random.Generator
) -> SoftError:
    """Isotonic regression of one hard label on a score that rises with the posterior; then the plug-in.

    References
    ----------
    Ushio, Ishida, Sugiyama 2025, arXiv 2505.20761.
    """
    if data is None or data.n != score.size or data.k != 2:
        found = "no labels" if data is None else f"{data.n:,} labels of {data.k} classes"
        refuse("soft", "(n, K), or (n,) scores with n labels of two classes", found, id="AK-BE-024")
    n = score.size
    positive = data.codes.astype(np.float64)

    from sklearn.isotonic import IsotonicRegression

    def plug_in(rows: NDArray[np.int64]) -> float:
        fitted = IsotonicRegression().fit_transform(score[rows], positive[rows])
        return float(np.minimum(fitted, 1 - fitted).mean())

    everything = plug_in(np.arange(n))
    means = np.array([plug_in(rng.integers(0, n, n)) for _ in range(RESAMPLES // 5)])
    lower, upper = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return SoftError(everything, float(lower), float(upper), "score", n, 2, float(means.std()), {})
