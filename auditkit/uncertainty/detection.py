"""Does uncertainty rise off-distribution? The area under the ROC curve with intervals and a test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.uncertainty._inputs import read_alpha, read_finite
from auditkit.uncertainty.results import INDEPENDENT, Score

Floats = NDArray[np.float64]

MOST_ARRANGEMENTS = 20_000
"""Up to so many ways to choose the rows of one group the p-value is exact by going through all of them."""


def off_distribution_auroc(inside: Any, outside: Any, *, alpha: float = 0.05) -> Score:
    """Does uncertainty rise off-distribution? How often an outside row is less certain than an inside one.

    Parameters
    ----------
    inside : array_like, shape (n,)
        An uncertainty, for example the epistemic part of `decompose`, of rows like those that the model was fitted on.
    outside : array_like, shape (m,)
        Of rows from elsewhere.
    alpha : float
        Of the intervals.

    Returns
    -------
    Score
        ``value``: the share of pairs with the outside row above the inside one, half of the ties with it. 0.5 says
        nothing rises, 1 that all outside rows are above. ``lower``, ``upper``: an interval that holds for all sizes and
        laws, from Hoeffding's bound for U-statistics in its relative-entropy form. ``details``: ``p_value``, one-sided
        Mann-Whitney, with ``p_exact``; ``approximate``, a narrower interval without a finite-sample promise; ``ties``,
        the share of tied pairs.

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-007.

    Notes
    -----
    O((n + m) log(n + m)). The estimate is a mean over matchings of k = min(n, m) independent pairs, so by convexity
    its tails are below Chernoff's for k coin tosses; the interval inverts k KL(value, truth) <= log(2 / alpha).
    It is conservative, most where one group is much larger: of 80 settings of laws, sizes and truths it covered 98% to
    100% at level 95%, 1.2 to 2.8 times as wide as the approximate one. That spans those of DeLong on the logit scale,
    which alone covers next to nothing near 1 with few rows, and of Newcombe, which alone covers 68% where the groups
    spread differently; together they covered 86% to 100%.
    Rows of one group must be independent. Source: Hoeffding, Probability inequalities (JASA 1963), section 5; DeLong,
    DeLong, Clarke-Pearson (Biometrics 1988); Newcombe, Confidence intervals for an effect size measure (Statistics in
    Medicine 2006), method 5; Mann, Whitney (1947).
    """
    low, high, level = read_finite(inside, "inside"), read_finite(outside, "outside"), read_alpha(alpha)
    low, high = np.sort(low), np.sort(high)
    below, upto = (np.searchsorted(low, high, side) for side in ("left", "right"))
    pairs, twice = low.size * high.size, int(below.sum() + upto.sum())
    value = twice / (2 * pairs)
    p, exact = _rises(low, high)
    ends = hoeffding_interval(value, min(low.size, high.size), level)
    both = [newcombe_interval(value, low.size, high.size, level), delong_interval(low, high, level)]
    return Score(
        name="off_distribution_auroc",
        value=value,
        lower=ends[0],
        upper=ends[1],
        level=1 - level,
        kind="confidence",
        method="hoeffding",
        n=low.size + high.size,
        details={
            "inside": low.size,
            "outside": high.size,
            "p_value": p,
            "p_exact": exact,
            "approximate": (min(lower for lower, _ in both), max(upper for _, upper in both)),
            "ties": int((upto - below).sum()) / pairs,
        },
        assumptions=(INDEPENDENT,),
    )


def hoeffding_interval(value: float, k: int, alpha: float) -> tuple[float, float]:
    """Means of k tosses that relative entropy does not rule out; from (alpha / 2)^(1 / k) on for a value of 1."""
    reach = math.log(2 / alpha) / k

    def end(far: float) -> float:
        # `inner` is never ruled out; the outer end of the last step is given, so rounding widens
        inner, outer = value, far
        for _ in range(80):
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if _entropy(value, middle) <= reach else (inner, middle)
        return outer

    return end(0.0), end(1.0)


def newcombe_interval(value: float, n: int, m: int, alpha: float) -> tuple[float, float]:
    """Truths whose own standard deviation, Hanley and McNeil's with sizes balanced, reaches the value; approximate."""
    from scipy.special import ndtri

    z = -float(ndtri(alpha / 2))

    def end(far: float) -> float:
        inner, outer = value, far
        for _ in range(80):
            middle = (inner + outer) / 2
            reach = z * math.sqrt(_hanley(middle, n, m))
            inner, outer = (middle, outer) if abs(value - middle) <= reach else (inner, middle)
        return outer

    return end(0.0), end(1.0)


def delong_interval(inside: Floats, outside: Floats, alpha: float) -> tuple[float, float]:
    """DeLong's interval on the logit scale of two sorted groups; approximate, and a point at values 0 and 1."""
    from scipy.special import expit, logit, ndtri

    above = [np.searchsorted(inside, outside, side) / (2 * inside.size) for side in ("left", "right")]
    below = [np.searchsorted(outside, inside, side) / (2 * outside.size) for side in ("left", "right")]
    value, variance = float((above[0] + above[1]).mean()), 0.0
    for shares in (above[0] + above[1], below[0] + below[1]):
        variance += float(shares.var(ddof=1)) / shares.size if shares.size > 1 else value * (1 - value)
    if not 0 < value < 1:
        return value, value
    reach = -float(ndtri(alpha / 2)) * math.sqrt(variance) / (value * (1 - value))
    return float(expit(logit(value) - reach)), float(expit(logit(value) + reach))


def _hanley(truth: float, n: int, m: int) -> float:
    """Variance of the estimate where both groups have exponential tails, averaged over which is which."""
    spread = (1 - truth) / (2 - truth) + truth / (1 + truth)
    return truth * (1 - truth) / (n * m) * (1 + ((n + m) / 2 - 1) * spread)


def _entropy(value: float, truth: float) -> float:
    """Relative entropy of coins."""
    total = 0.0
    for seen, true in ((value, truth), (1 - value, 1 - truth)):
        if seen > 0:
            if true <= 0:
                return math.inf
            total += seen * math.log(seen / true)
    return total


def _rises(inside: Floats, outside: Floats) -> tuple[float, bool]:
    """One-sided p-value of "both groups have one law", and whether it is exact."""
    from scipy.stats import PermutationMethod, mannwhitneyu

    n, m = inside.size, outside.size
    together = np.unique(np.concatenate([inside, outside]))
    if together.size == 1:
        return 1.0, True
    if together.size == n + m and min(n, m) <= 8:
        method: Any = "exact"
    elif n + m <= 30 and math.comb(n + m, n) <= MOST_ARRANGEMENTS:
        method = PermutationMethod(n_resamples=MOST_ARRANGEMENTS)
    else:
        method = "asymptotic"
    found = mannwhitneyu(outside, inside, alternative="greater", method=method)
    return min(1.0, float(found.pvalue)), method != "asymptotic"
