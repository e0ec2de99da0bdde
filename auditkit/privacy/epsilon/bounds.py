"""Lower bounds on epsilon from the four counts of an attack whose rule was fixed beforehand.

With x the false negative rate and y the false positive rate, an (epsilon, delta)-DP mechanism allows no
attack with ``epsilon < log((1 - delta - y) / x)`` or ``epsilon < log((1 - delta - x) / y)`` (Kairouz, Oh,
Viswanath 2015). Every bound here puts upper limits on x and y in that formula, or tests the pair jointly
(`buehler`). Lower bounds are rounded down.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from auditkit.errors import InputError
from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.results import Assumption, Counts, EpsilonBound, Note
from auditkit.runtime import core

__all__ = ["buehler", "clopper_pearson", "epsilon_of_rate_limits", "gaussian_bound", "jeffreys", "katz_log"]

Region = Literal["below", "both"]
_REGIONS = ("below", "both")
_QUANTILE_ERROR = 1e-12

BUEHLER_LARGEST_COUNT = 200_000
"""`buehler` answers with `clopper_pearson` beyond this many units in both classes together."""
_BUEHLER_CELLS = 2_000_000


def epsilon_of_rate_limits(
    false_negative: tuple[float, float], false_positive: tuple[float, float], delta: float
) -> float:
    """The epsilon that upper limits of both error rates still show, rounded down.

    Parameters
    ----------
    false_negative, false_positive : tuple of float
        Upper limit and one minus it (given apart, so that limits near 1 keep their digits), in [0, 1].
    delta : float
        In [0, 1).

    Returns
    -------
    float
        ``max(0, log((1 - delta - y) / x), log((1 - delta - x) / y))``, less its rounding error.
    """
    (x, one_minus_x), (y, one_minus_y) = false_negative, false_positive
    return max(0.0, _log_ratio(one_minus_x, delta, y), _log_ratio(one_minus_y, delta, x))


def _log_ratio(gap: float, delta: float, denominator: float) -> float:
    """log((gap - delta) / denominator), rounded down.

    The subtraction rounds by half a unit of its terms, ratio and logarithm together by less than 4e-15.
    """
    numerator = (gap - delta) - 2.3e-16 * gap
    if numerator <= 0.0:
        return -math.inf
    if denominator <= 0.0:
        return math.inf
    value = math.log(numerator / denominator)
    return value - 4e-15 * max(1.0, abs(value))


def clopper_pearson(
    *,
    tp: int,
    fn: int,
    fp: int,
    tn: int,
    delta: float,
    alpha: float = 0.05,
    region: Region = "below",
    share: float = 0.5,
) -> EpsilonBound:
    """Confidence bound from exact limits on both error rates.

    Parameters
    ----------
    tp, fn : int
        Members guessed in and out; at least one member.
    fp, tn : int
        Non-members guessed in and out; at least one non-member.
    delta : float
        In [0, 1).
    alpha : float
        Probability, in (0, 1), that the bound exceeds the true epsilon, whatever the rates.
    region : {"below", "both"}
        ``below``: the attack's direction was fixed beforehand. ``both``: the reversed attack counts too, and
        each of the four limits gets half the share.
    share : float
        Part of alpha, in (0, 1), that the limit of the false negative rate may use; fixed before the counts
        are seen.

    Returns
    -------
    EpsilonBound
        kind ``"confidence"``.

    Raises
    ------
    InputError
        AK-DP-001 to 004, 023, 026.

    Notes
    -----
    Cost: two to four Beta quantiles, about 0.3 ms.

    References
    ----------
    Jagielski, Ullman, Oprea 2020, section 4; Nasr et al. 2021 (arXiv 2101.04535), section 4.

    Examples
    --------
    >>> from auditkit.privacy.epsilon.bounds import clopper_pearson
    >>> round(clopper_pearson(tp=90, fn=10, fp=5, tn=95, delta=1e-5).epsilon, 4)
    1.988
    """
    return _rectangle(
        "clopper-pearson",
        check.attack_counts(tp=tp, fn=fn, fp=fp, tn=tn),
        delta=delta,
        alpha=alpha,
        region=region,
        share=share,
    )


def jeffreys(
    *,
    tp: int,
    fn: int,
    fp: int,
    tn: int,
    delta: float,
    alpha: float = 0.05,
    region: Region = "below",
    share: float = 0.5,
) -> EpsilonBound:
    """Approximate bound: as `clopper_pearson`, with quantiles of Jeffreys' posterior of each rate.

    A rate whose every outcome was an error has the limit 1. Coverage is near 1 - alpha but not guaranteed, so
    the kind is ``"approximate"``. Parameters, errors and cost as there.

    References
    ----------
    Brown, Cai, DasGupta 2001, section 4.1.1.
    """
    return _rectangle(
        "jeffreys",
        check.attack_counts(tp=tp, fn=fn, fp=fp, tn=tn),
        delta=delta,
        alpha=alpha,
        region=region,
        share=share,
    )


def _rectangle(
    method: Literal["clopper-pearson", "jeffreys"],
    counts: Counts,
    *,
    delta: float,
    alpha: float,
    region: str,
    share: float,
) -> EpsilonBound:
    delta, alpha = check.delta(delta), check.alpha(alpha)
    region, share = check.choice("region", region, _REGIONS), check.open_unit("share", share)
    sides = 1.0 if region == "below" else 2.0
    miss_x, miss_y = alpha * share / sides, alpha * (1.0 - share) / sides
    approximate = method == "jeffreys"
    x = core.rate_upper(counts.fn, counts.tp, miss_x, approximate)
    y = core.rate_upper(counts.fp, counts.tn, miss_y, approximate)
    epsilon = epsilon_of_rate_limits(x, y, delta)
    if region == "both":
        reversed_x = core.rate_upper(counts.tp, counts.fn, miss_x, approximate)
        reversed_y = core.rate_upper(counts.tn, counts.fp, miss_y, approximate)
        epsilon = max(epsilon, epsilon_of_rate_limits(reversed_x, reversed_y, delta))
    assumptions: tuple[Assumption, ...] = (assume.INDEPENDENT_UNITS, assume.RULE_FIXED)
    if region == "below":
        assumptions += (assume.DIRECTION_FIXED,)
    return EpsilonBound(
        epsilon=epsilon,
        level=1.0 - alpha,
        kind="approximate" if approximate else "confidence",
        method=method,
        delta=delta,
        counts=counts,
        assumptions=(*assumptions, assume.ASYMPTOTIC) if approximate else assumptions,
        details={
            "region": region,
            "share": share,
            "false_negative_rate_upper": x[0],
            "false_positive_rate_upper": y[0],
        },
    )


def katz_log(*, tp: int, fn: int, fp: int, tn: int, delta: float = 0.0, alpha: float = 0.05) -> EpsilonBound:
    """Approximate bound from the normal limit of the two log rate ratios, for delta = 0 only.

    ``log(TPR / FPR)`` and ``log(TNR / FNR)``, each less ``z`` standard errors with z the 1 - alpha/2 quantile
    (alpha shared by the two); a table with an empty cell gets 1/2 added to all cells.

    Parameters
    ----------
    tp, fn, fp, tn : int
        As for `clopper_pearson`.
    delta : float
        Must be 0: the standard error knows no delta.
    alpha : float
        In (0, 1).

    Returns
    -------
    EpsilonBound
        kind ``"approximate"``.

    Raises
    ------
    InputError
        AK-DP-001 to 004; AK-DP-028 for a delta other than 0.

    References
    ----------
    Katz et al. 1978, method C.
    """
    counts = check.attack_counts(tp=tp, fn=fn, fp=fp, tn=tn)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    if delta != 0.0:
        raise InputError(
            f"delta: must be 0 for katz_log, not {delta!r}", id="AK-DP-028", hint="use clopper_pearson"
        )
    added = 0.5 if 0 in (counts.tp, counts.fn, counts.fp, counts.tn) else 0.0
    a, b, c, d = (cell + added for cell in (counts.tp, counts.fn, counts.fp, counts.tn))
    z = -float(core.normal_quantile(_one(alpha / 2))[0])

    def lower(hits: float, misses: float, false: float, true: float) -> float:
        members, others = hits + misses, false + true
        error = math.sqrt(misses / (members * hits) + true / (others * false))
        return math.log(hits * others / (members * false)) - z * error

    epsilon = max(0.0, lower(a, b, c, d), lower(d, c, b, a))
    return EpsilonBound(
        epsilon=epsilon,
        level=1.0 - alpha,
        kind="approximate",
        method="katz-log",
        delta=delta,
        counts=counts,
        assumptions=(assume.INDEPENDENT_UNITS, assume.RULE_FIXED, assume.DIRECTION_FIXED, assume.ASYMPTOTIC),
        details={"added_to_cells": added},
    )


def _one(value: float) -> Any:
    import numpy as np

    return np.array([value])


def gaussian_bound(
    *, tp: int, fn: int, fp: int, tn: int, delta: float, alpha: float = 0.05, share: float = 0.5
) -> EpsilonBound:
    """Confidence bound that assumes the mechanism's trade-off curve to be a Gaussian one.

    Clopper-Pearson limits x, y give ``mu = -Phi^-1(x) - Phi^-1(y)`` or more, and mu-Gaussian DP gives epsilon
    at delta. Not valid for other mechanisms: for randomised response with epsilon 1 it answers 5.57 (delta 1e-5).

    Parameters
    ----------
    tp, fn, fp, tn : int
        As for `clopper_pearson`.
    delta : float
        In [0, 1). At 0 the answer is infinite for every mu > 0.
    alpha, share : float
        As for `clopper_pearson`.

    Returns
    -------
    EpsilonBound
        kind ``"confidence"``, family ``"gaussian (assumed)"``; ``details["mu_lower"]`` holds the limit of mu.

    Raises
    ------
    InputError
        AK-DP-001 to 004, 026.

    References
    ----------
    Nasr et al. 2023 (arXiv 2302.07956), section 4; Dong, Roth, Su 2019 (arXiv 1905.02383), corollary 2.13.
    """
    counts = check.attack_counts(tp=tp, fn=fn, fp=fp, tn=tn)
    delta, alpha, share = check.delta(delta), check.alpha(alpha), check.open_unit("share", share)
    x = core.rate_upper(counts.fn, counts.tp, alpha * share, False)
    y = core.rate_upper(counts.fp, counts.tn, alpha * (1.0 - share), False)
    mu = max(0.0, -_normal_quantile(x) - _normal_quantile(y) - 1e-12)
    return EpsilonBound(
        epsilon=gaussian_epsilon(mu, delta),
        level=1.0 - alpha,
        kind="confidence",
        method="clopper-pearson",
        delta=delta,
        family="gaussian (assumed)",
        counts=counts,
        assumptions=(
            assume.INDEPENDENT_UNITS,
            assume.RULE_FIXED,
            assume.DIRECTION_FIXED,
            assume.GAUSSIAN_FAMILY,
        ),
        details={"mu_lower": mu, "share": share},
    )


def _normal_quantile(rate: tuple[float, float]) -> float:
    """Phi^-1 from whichever of the rate and its complement is the smaller."""
    value, complement = rate
    if value <= complement:
        return float(core.normal_quantile(_one(value))[0])
    return -float(core.normal_quantile(_one(complement))[0])


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon of a mu-Gaussian-DP mechanism at delta, rounded down.

    mu and delta are moved by more than their rounding and that of the logarithm of delta(epsilon).
    """
    return float(core.gaussian_epsilon(np.array([mu * (1.0 - 1e-13)]), np.array([delta * (1.0 + 1e-10)]))[0])


def buehler(*, tp: int, fn: int, fp: int, tn: int, delta: float, alpha: float = 0.05) -> EpsilonBound:
    """Exact joint confidence bound: the headline bound for counts.

    All outcomes are ordered by a fixed statistic (the larger log ratio less 1.645 of its delta-method
    deviations). The bound is the largest epsilon at which every pair of rates that (epsilon, delta)-DP allows
    gives the outcomes that are at least as extreme as the observed one a probability of at most alpha. It is
    valid at every sample size, and larger than `clopper_pearson` because the two rates are not limited one at
    a time.

    Parameters
    ----------
    tp, fn, fp, tn : int
        As for `clopper_pearson`.
    delta : float
        In [0, 1).
    alpha : float
        In (0, 1).

    Returns
    -------
    EpsilonBound
        kind ``"confidence"``, method ``"buehler"``; beyond 200,000 units in all it is the Clopper-Pearson
        bound with method ``"clopper-pearson"`` and a note that says so (valid, a few per cent lower).

    Raises
    ------
    InputError
        AK-DP-001 to 004.

    Notes
    -----
    The search over rates is certified by bounds on cells of the region's boundary, never a bare grid: the
    result is at most 1e-8 below the exact bound and never above it. Cost: 2 ms at 100 units a class, 20 ms at
    1,000, 0.15 s at 10,000.

    References
    ----------
    Buehler 1957; Kairouz, Oh, Viswanath 2015, theorem 2.1 (the region).

    Examples
    --------
    >>> from auditkit.privacy.epsilon.bounds import buehler
    >>> round(buehler(tp=90, fn=10, fp=10, tn=90, delta=1e-5).epsilon, 5)
    1.66359
    """
    counts = check.attack_counts(tp=tp, fn=fn, fp=fp, tn=tn)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    units = counts.tp + counts.fn + counts.fp + counts.tn
    if units > BUEHLER_LARGEST_COUNT:
        return _too_many_for_buehler(counts, delta, alpha)
    epsilon, certified, cells = core.buehler(
        counts.tp, counts.fn, counts.fp, counts.tn, delta, alpha, _BUEHLER_CELLS
    )
    stopped = Note(
        "AK-DP-102",
        "the search for the joint bound was stopped early: a larger bound is possible, this one is valid",
    )
    return EpsilonBound(
        epsilon=epsilon,
        level=1.0 - alpha,
        kind="confidence",
        method="buehler",
        delta=delta,
        counts=counts,
        assumptions=(assume.INDEPENDENT_UNITS, assume.RULE_FIXED, assume.DIRECTION_FIXED),
        warnings=() if certified else (stopped,),
        details={"cells": cells},
    )


def _too_many_for_buehler(counts: Counts, delta: float, alpha: float) -> EpsilonBound:
    """The Clopper-Pearson bound with a note. The number of units is fixed: this costs no coverage."""
    note = Note(
        "AK-DP-101",
        f"more than {BUEHLER_LARGEST_COUNT:,} units: the Clopper-Pearson bound stands in for the exact joint "
        "bound, valid and a little lower",
    )
    bound = clopper_pearson(tp=counts.tp, fn=counts.fn, fp=counts.fp, tn=counts.tn, delta=delta, alpha=alpha)
    return replace(bound, warnings=(note,))
