"""Coverage against its promise: exact tests, declared groups, and what these rows could have shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import decimal_number
from auditkit.results import Assumption, Note
from auditkit.uncertainty._inputs import read_alpha, read_count, read_groups, read_outcomes
from auditkit.uncertainty.adjustments import benjamini_hochberg, holm
from auditkit.uncertainty.intervals import clopper_pearson
from auditkit.uncertainty.results import EXCHANGEABLE, INDEPENDENT, CoverageResult, GroupCoverage

Floats = NDArray[np.float64]

POWER = 0.8


def coverage(
    covered: Any,
    *,
    target: float,
    n_calibration: int | None = None,
    groups: Any = None,
    alpha: float = 0.05,
) -> CoverageResult:
    """How often the truth was covered, against what was promised.

    Parameters
    ----------
    covered : array_like, shape (n,)
        1 where the set or interval held the truth.
    target : float
        The coverage that was promised, strictly between 0 and 1.
    n_calibration : int, optional
        Rows that split conformal sets were calibrated on. Their coverage, given the calibration rows, is itself random:
        with it the claim "valid split conformal sets" is tested too, by the beta-binomial law.
    groups : array_like, shape (n,), optional
        Declared groups, each tested one-sided and adjusted over all by Holm.
    alpha : float
        Of the interval and of what is called detectable.

    Returns
    -------
    CoverageResult

    Raises
    ------
    InputError
        AK-UN-002, AK-UN-006, AK-UN-007, AK-UN-008.

    Notes
    -----
    Cost O(n). Source: Clopper, Pearson (1934); Vovk, Conditional validity of inductive conformal predictors (2012),
    proposition 2b.
    """
    hits = read_outcomes(covered, np.size(covered), "covered")
    target, alpha = read_alpha(target, "target"), read_alpha(alpha)
    n, k = hits.size, int(hits.sum())
    if n == 0:
        read_count(0, "rows of covered")
    low, high = _interval(k, n, alpha)
    conformal: Mapping[str, Any] | None = None
    notes: tuple[Note, ...] = ()
    if n_calibration is not None:
        size = read_count(n_calibration, "n_calibration")
        conformal, notes = _conformal_claim(k, n, size, target)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,) if conformal is None else (INDEPENDENT, EXCHANGEABLE)
    return CoverageResult(
        value=k / n,
        lower=low,
        upper=high,
        level=1 - alpha,
        n=n,
        covered=k,
        target=target,
        p_value=binomial_p_value(k, n, target),
        p_under=_binomial_cdf(k, n, target),
        conformal=conformal,
        groups=()
        if groups is None
        else group_coverages(hits, *read_groups(groups, n), target=target, alpha=alpha),
        detectable=detectable_coverage(n, target, alpha),
        assumptions=assumptions,
        warnings=notes,
    )


def group_coverages(
    hits: NDArray[np.uint8], codes: NDArray[np.int64], labels: list[str], *, target: float, alpha: float
) -> tuple[GroupCoverage, ...]:
    """Coverage of each group, its one-sided p-values adjusted over all."""
    rows = np.bincount(codes, minlength=len(labels))
    inside = np.bincount(codes, hits, len(labels)).astype(np.int64)
    p = [_binomial_cdf(int(k), int(m), target) for k, m in zip(inside, rows, strict=True)]
    found = []
    for label, k, m, p_one, family, share in zip(
        labels, inside.tolist(), rows.tolist(), p, holm(p), benjamini_hochberg(p), strict=True
    ):
        low, high = _interval(k, m, alpha)
        found.append(
            GroupCoverage(
                label=label,
                n=m,
                covered=k,
                value=k / m,
                lower=low,
                upper=high,
                p_value=p_one,
                holm=float(family),
                benjamini_hochberg=float(share),
                detectable=detectable_coverage(m, target, alpha),
            )
        )
    return tuple(found)


def detectable_coverage(n: int, target: float, alpha: float) -> float | None:
    """The largest true coverage that the one-sided test at `alpha` would have noticed with power 0.8.

    None where no coverage would be noticed so surely, or only 0 would.
    """
    from scipy.stats import binom

    # the test rejects k <= most, the largest count with P(K <= most) <= alpha
    most = int(binom.ppf(alpha, n, target))
    if binom.cdf(most, n, target) > alpha:
        most -= 1
    if most < 0:
        return None
    low, high = 0.0, target
    for _ in range(60):  # the power falls with the coverage
        middle = (low + high) / 2
        low, high = (middle, high) if binom.cdf(most, n, middle) >= POWER else (low, middle)
    return low


def binomial_p_value(k: int, n: int, target: float) -> float:
    """Two-sided by minimum likelihood: the probability of all counts that are at most as likely as k."""
    from scipy.stats import binomtest

    return min(float(binomtest(k, n, target).pvalue), 1.0)


def conformal_rank(n_calibration: int, target: Any) -> int:
    """k* = ceil((n + 1) target), of the target as it was typed: 0.9 is nine tenths."""
    exact = decimal_number(target)
    assert exact is not None
    return math.ceil((n_calibration + 1) * exact)


def _conformal_claim(k: int, m: int, size: int, target: float) -> tuple[Mapping[str, Any], tuple[Note, ...]]:
    """What valid split conformal sets would do: coverage Beta(k*, n + 1 - k*), counts beta-binomial."""
    from scipy.special import betaln, gammaln
    from scipy.stats import beta

    rank = conformal_rank(size, target)
    if rank > size:
        text = (
            f"with {size:,} calibration rows no finite set has coverage {target:g}: valid sets are infinite and cover "
            "everything"
        )
        p_under = 1.0 if k == m else 0.0
        return {"k": rank, "infinite": True, "p_value": p_under, "p_under": p_under}, (
            Note("AK-UN-031", text),
        )
    a, b = float(rank), float(size + 1 - rank)
    counts = np.arange(m + 1.0)
    log_pmf = gammaln(m + 1) - gammaln(counts + 1) - gammaln(m - counts + 1)
    log_pmf += betaln(counts + a, m - counts + b) - betaln(a, b)
    pmf = np.exp(log_pmf)
    cdf = np.cumsum(pmf)
    tails = beta.ppf([0.05, 0.95], a, b)
    likely = pmf <= pmf[k] * (1 + 1e-7)  # rounding must not part counts that are equally likely
    return {
        "k": rank,
        "infinite": False,
        "mean": a / (a + b),
        "coverage_lower": float(tails[0]),
        "coverage_upper": float(tails[1]),
        "count_lower": int(np.searchsorted(cdf, 0.05)),
        "count_upper": int(np.searchsorted(cdf, 0.95)),
        "p_value": min(float(pmf[likely].sum()), 1.0),
        "p_under": min(float(cdf[k]), 1.0),
    }, ()


def _interval(k: int, n: int, alpha: float) -> tuple[float, float]:
    low, high = clopper_pearson(np.array([float(k)]), np.array([float(n)]), alpha)
    return float(low[0]), float(high[0])


def _binomial_cdf(k: int, n: int, p: float) -> float:
    from scipy.special import bdtr

    return float(bdtr(k, n, p))
