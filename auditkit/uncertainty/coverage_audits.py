"""The audit of intervals, sets and normal predictive laws: coverage, sharpness and scores in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import decimal_number, refuse
from auditkit.errors import InputError
from auditkit.results import Check
from auditkit.uncertainty._inputs import as_numbers, read_alpha, read_finite, read_labels, read_seed
from auditkit.uncertainty.audit_results import CoverageAudit
from auditkit.uncertainty.covering import coverage
from auditkit.uncertainty.crps import crps_gaussian, read_gaussian
from auditkit.uncertainty.found_groups import found_groups
from auditkit.uncertainty.pit import pit_test, quantile_calibration
from auditkit.uncertainty.predictive import ConformalPredictive
from auditkit.uncertainty.results import CoverageResult, Score, Test
from auditkit.uncertainty.scores import interval_score, pinball, read_ends
from auditkit.uncertainty.shared_calibration import shared_histogram

Floats = NDArray[np.float64]

SIZE_BINS = 40


def coverage_audit(
    y: Any,
    *,
    lower: Any = None,
    upper: Any = None,
    mean: Any = None,
    sd: Any = None,
    sets: Any = None,
    law: ConformalPredictive | None = None,
    target: float = 0.9,
    n_calibration: int | None = None,
    groups: Any = None,
    features: Any = None,
    alpha: float = 0.05,
    seed: int | None = None,
) -> CoverageAudit:
    """Do intervals, sets or normal laws cover as promised?

    Parameters
    ----------
    y : array_like, shape (n,)
        What happened; with `sets` labels, the columns of the sets.
    lower, upper : array_like, shape (n,), optional
        Ends of intervals; infinite ends are allowed.
    mean, sd : array_like, shape (n,), optional
        Of normal predictive laws, judged by their central intervals of coverage `target`, by where the truth falls in
        them and by their CRPS.
    sets : array_like of bool, shape (n, K), optional
        The labels in the set of each row.
    law : ConformalPredictive, optional
        Conformal predictive laws without groups, judged by their central intervals, by where the truth falls and by
        their CRPS, as laws that share their calibration rows. Where alpha (n + 1) / 2 of alpha = 1 - target is no whole
        number, valid central intervals cover up to two steps in n + 1 more than `target`, and the test of too little
        coverage is conservative.
    target : float
        Coverage that was promised.
    n_calibration : int, optional
        Rows that split conformal sets were calibrated on: then valid ones are the claim. A `law` knows them.
    groups : array_like, shape (n,), optional
        Declared groups.
    features : array_like, shape (n,) or (n, d), optional
        What undeclared groups may differ by: a shallow tree finds them on one half of the rows, the other half tests
        them. From 200 rows on.
    alpha : float
        Of intervals, tests and bands.
    seed : int, optional
        Of the halves.

    Returns
    -------
    CoverageAudit

    Raises
    ------
    InputError
        AK-UN-002, AK-UN-005 to AK-UN-008, AK-UN-021, AK-UN-023, AK-UN-033, AK-UN-037, AK-UN-041, AK-UN-044; AK-UN-032
        unless exactly one of intervals, normal laws, sets and conformal laws is given.
    """
    target, alpha, seed = read_alpha(target, "target"), read_alpha(alpha), read_seed(seed)
    started = time.perf_counter()
    given = {"intervals": (lower, upper), "gaussian": (mean, sd), "sets": (sets,), "conformal": (law,)}
    about = _question(given)
    if law is not None:
        n_calibration = _calibration_rows(law, n_calibration)
    readers: dict[str, Callable[..., _Parts]] = {
        "intervals": _of_intervals,
        "gaussian": _of_laws,
        "sets": _of_sets,
        "conformal": partial(_of_conformal_laws, seed=seed),
    }
    hits, sharpness, scores, tests, figures = readers[about](y, given[about], target, alpha)
    held = coverage(hits, target=target, n_calibration=n_calibration, groups=groups, alpha=alpha)
    if features is not None:
        codes = np.asarray(hits).astype(np.uint8)
        held = replace(held, found=found_groups(codes, features, target=target, alpha=alpha, seed=seed))
    return CoverageAudit(
        alpha=alpha,
        n=held.n,
        seed=seed,
        tests=tests,
        scores=scores,
        coverage=held,
        checks=_checks(held, alpha),
        settings={"target": target, "n_calibration": n_calibration, "alpha": alpha, "seed": seed},
        figures=figures,
        assumptions=held.assumptions,
        warnings=held.warnings,
        timing={"seconds": time.perf_counter() - started},
        target=target,
        about=about,
        sharpness=sharpness,
    )


_Parts = tuple[Any, dict[str, Any], dict[str, Score], dict[str, Test], dict[str, Any]]


def _question(parts: Mapping[str, tuple[Any, ...]]) -> str:
    """The one that all arguments belong to."""
    asked = [name for name, values in parts.items() if any(value is not None for value in values)]
    if len(asked) != 1 or any(value is None for value in parts[asked[0]]):
        raise InputError(
            "coverage_audit: must be given lower and upper, or mean and sd, or sets, or law",
            id="AK-UN-032",
            hint="coverage_audit(y, lower=..., upper=...)",
        )
    return asked[0]


def _of_intervals(y: Any, given: tuple[Any, ...], target: float, alpha: float) -> _Parts:
    low, high = (
        as_numbers(end, name).astype(np.float64) for end, name in zip(given, ("lower", "upper"), strict=True)
    )
    y = read_finite(y, "y")
    unbounded = (
        np.isinf(low) | np.isinf(high) if low.shape == high.shape == y.shape else np.zeros(0, dtype=bool)
    )
    # ends at infinity are checked as if they were at y; those that are no numbers stay and are refused
    shown = [np.where(np.isinf(end), y, end) if end.shape == y.shape else end for end in (low, high)]
    read_ends(*shown)
    read_finite(shown[0], "lower", y.size)
    width = np.where(unbounded, np.inf, shown[1] - shown[0])
    finite = width[~unbounded]
    scores = {}
    if finite.size:
        scores["interval_score"] = interval_score(
            y[~unbounded], low[~unbounded], high[~unbounded], 1 - target, interval_alpha=alpha
        )
    sharpness = {
        "mean_width": float(finite.mean()) if finite.size == y.size else float("inf"),
        "median_width": float(np.median(width)),
        "infinite": int(unbounded.sum()),
    }
    figures = {"sizes": _histogram(finite)} if finite.size else {}
    return (low <= y) & (y <= high), sharpness, scores, {}, figures


def _of_laws(y: Any, given: tuple[Any, ...], target: float, alpha: float) -> _Parts:
    from scipy.special import ndtr, ndtri

    mean, sd = read_gaussian(*given)
    y = read_finite(y, "y", mean.size)
    z = (y - mean) / sd
    u, reach = ndtr(z), float(ndtri((1 + target) / 2))
    low, high = mean - reach * sd, mean + reach * sd
    tails = ((1 - target) / 2, (1 + target) / 2)
    scores = {
        "crps": crps_gaussian(y, mean, sd, alpha=alpha),
        "interval_score": interval_score(y, low, high, 1 - target, interval_alpha=alpha),
        **{
            f"pinball_{level:.6g}": pinball(y, q, level, alpha=alpha)
            for level, q in zip(tails, (low, high), strict=True)
        },
    }
    uniform, levels = pit_test(u, alpha=alpha), quantile_calibration(u)
    figures = {
        "pit": uniform.details["histogram"],
        "quantile_calibration": {"level": list(levels.levels), "observed": list(levels.observed)},
        "sizes": _histogram(high - low),
    }
    width = high - low
    sharpness = {
        "mean_width": float(width.mean()),
        "median_width": float(np.median(width)),
        "rms_sd": float(np.sqrt(np.square(sd).mean())),
        "quantile_rms": levels.rms,
    }
    return np.abs(z) <= reach, sharpness, scores, {uniform.name: uniform}, figures


def _calibration_rows(law: Any, given: int | None) -> int:
    """Calibration rows of conformal laws; one law for all rows is needed, and no other number."""
    if not isinstance(law, ConformalPredictive):
        refuse("law", "made by conformal_predictive", type(law).__name__, id="AK-UN-044")
    rows = law.n_calibration
    if not isinstance(rows, int):
        hint = "audit the rows of each group by themselves, with a law of their own"
        refuse("law", "without groups", f"of {len(law.groups)} groups", id="AK-UN-044", hint=hint)
    if given is not None and given != rows:
        refuse("n_calibration", f"that of the law, {rows:,}, or left out", given, id="AK-UN-044")
    return rows


def _of_conformal_laws(y: Any, given: tuple[Any, ...], target: float, alpha: float, *, seed: int) -> _Parts:
    law = given[0]
    exact = decimal_number(target)
    assert exact is not None
    score, test = law.crps(y, alpha=alpha), law.rank_test(y)
    u, _ = law.pit(y, seed=seed)
    levels = quantile_calibration(u)
    hits, sharpness, scores, _, figures = _of_intervals(y, law.interval(1 - exact), target, alpha)
    figures = {
        "pit": shared_histogram(u, law.n_calibration, alpha),
        "quantile_calibration": {"level": list(levels.levels), "observed": list(levels.observed)},
        **figures,
    }
    return (
        hits,
        sharpness | {"quantile_rms": levels.rms},
        {"crps": score, **scores},
        {test.name: test},
        figures,
    )


def _of_sets(y: Any, given: tuple[Any, ...], target: float, alpha: float) -> _Parts:
    table = as_numbers(given[0], "sets")
    if table.ndim != 2 or table.shape[0] == 0 or not np.isin(table, (0, 1)).all():
        raise InputError(
            f"sets: must be rows of true and false, one column a label, not of shape {table.shape}",
            id="AK-UN-033",
            hint="sets[i, k] says whether label k is in the set of row i",
        )
    labels = read_labels(y, *table.shape)
    size = table.sum(axis=1)
    sharpness = {"mean_size": float(size.mean()), "empty": int(np.count_nonzero(size == 0))}
    counts = np.bincount(size.astype(np.int64), minlength=table.shape[1] + 1)
    figures = {"sizes": {"edges": (np.arange(counts.size + 1) - 0.5).tolist(), "counts": counts.tolist()}}
    return (
        table[np.arange(labels.size), labels] == 1,
        sharpness,
        {},
        {},
        figures if counts.size <= SIZE_BINS else {},
    )


def _histogram(values: Floats) -> dict[str, Any]:
    """Counts between the least and the largest value; one bin where they are equal."""
    spread = float(values.max() - values.min())
    bins = SIZE_BINS if spread > 1e-9 * max(1.0, float(np.abs(values).max())) else 1
    counts, edges = np.histogram(values, bins)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _checks(held: CoverageResult, alpha: float) -> dict[str, Check]:
    """Whether coverage, and that of each group, is what was promised, as far as these rows can say."""
    claim = held.conformal or {"p_under": held.p_under}
    p = float(claim["p_under"])
    seen = (
        ""
        if held.detectable is None
        else f"; a true coverage of {held.detectable:.3g} would have been noticed"
    )
    text = f"{held.covered:,} of {held.n:,} covered, p = {p:.3g} of so few{seen}"
    checks = {"coverage": Check("coverage", "fail" if p <= alpha else "pass", text)}
    for name, groups in (("groups", held.groups), ("found-groups", held.found)):
        if groups:
            worst = min(groups, key=lambda group: group.holm)
            words = f"the least p-value of {len(groups)} groups, adjusted by Holm, is {worst.holm:.3g} ({worst.label})"
            checks[name] = Check(name, "fail" if worst.holm <= alpha else "pass", words)
    return checks
