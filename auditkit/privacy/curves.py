"""What the pictures of a report are drawn from: a fixed number of points, whatever the size of the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.epsilon.roc import roc_posterior
from auditkit.results import BoundKind, Counts
from auditkit.runtime import core

if TYPE_CHECKING:
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior
    from auditkit.privacy.methods import LowerCurve

_DENSITY_POINTS = 241
_ROC_POINTS = 512
_CREDIBLE_POINTS = 97
_TAIL = 5e-4
_RATES = (0.001, 0.01)


def posterior_figure(posterior: EpsilonPosterior, *, alpha: float, region: str) -> dict[str, Any]:
    """Density of the posterior between its extreme quantiles, its mass at zero, and its interval."""
    low, high = (float(posterior.ppf(q)) for q in (_TAIL, 1.0 - _TAIL))
    lower, upper = posterior.interval(alpha)
    margin = max(0.02 * (high - low), 1e-3)  # all mass may be at zero
    grid = np.linspace(max(0.0, low - margin), high + margin, _DENSITY_POINTS)
    if grid[0] == 0.0:
        grid[0] = min(1e-9, grid[1] / 2)  # the density at 0+, not the mass at 0
    return {
        "epsilon": grid.tolist(),
        "density": np.asarray(posterior.pdf(grid)).tolist(),
        "atom_at_zero": float(posterior.cdf(0.0)),
        "interval": [float(lower), float(upper)],
        "level": 1.0 - alpha,
        "median": float(posterior.median()),
        "region": region,
    }


def roc_figure_from_counts(counts: Counts, *, alpha: float) -> dict[str, Any]:
    """The one operating point that counts show, with its Clopper-Pearson rectangle (alpha/2 a rate)."""
    positives, negatives = counts.tp + counts.fn, counts.fp + counts.tn
    fpr, tpr = counts.fp / negatives, counts.tp / positives
    return {
        "fpr": [0.0, fpr, 1.0],
        "tpr": [0.0, tpr, 1.0],
        "fpr_upper": [0.0, clopper_pearson_upper(counts.fp, negatives, alpha / 2), 1.0],
        "tpr_lower": [0.0, 1.0 - clopper_pearson_upper(counts.fn, positives, alpha / 2), 1.0],
        "band_level": 1.0 - alpha,
        "band_kind": "clopper-pearson rectangle",
        "point": {"fpr": fpr, "tpr": tpr},
        "auc": None,
        "min_fpr": fpr if fpr > 0 else None,
    }


def roc_figure_from_scores(
    scores: NDArray[np.float64],
    bits: NDArray[np.bool_],
    *,
    alpha: float,
    band: bool,
    point: Counts | None,
    seed: int,
) -> dict[str, Any]:
    """The ROC curve thinned to at most 512 points, dense at small false positive rates.

    Parameters
    ----------
    scores, bits : array, shape (n,)
    alpha : float
        Error level of the band.
    band : bool
        Whether the simultaneous band may be drawn: its proof needs independent units.
    point : Counts or None
        Outcomes at the operating point.
    seed : int
        Of the draws of the posterior of the curve.
    """
    false, true = operating_curve(scores, bits)
    n_out, n_in = int(false[-1]), int(true[-1])
    kept = _thin(false, true)
    false_kept, true_kept = false[kept], true[kept]
    fpr_upper = tpr_lower = None
    if band:
        from auditkit.privacy.epsilon.bands import band_upper_limits

        fpr_upper = band_upper_limits(n_out, alpha / 2)[false_kept].tolist()
        tpr_lower = (1.0 - band_upper_limits(n_in, alpha / 2)[n_in - true_kept]).tolist()
    fpr = false_kept / n_out
    positive = fpr[fpr > 0]
    return {
        "fpr": fpr.tolist(),
        "tpr": (true_kept / n_in).tolist(),
        "fpr_upper": fpr_upper,
        "tpr_lower": tpr_lower,
        "band_level": 1.0 - alpha,
        "band_kind": "simultaneous confidence",
        "point": None if point is None else _rates(point),
        "auc": area_under(false, true),
        "min_fpr": float(positive[0]) if positive.size else None,
        "posterior": _credible_curve(false_kept, true_kept, alpha=alpha, seed=seed),
    }


def _credible_curve(
    false: NDArray[np.int64], true: NDArray[np.int64], *, alpha: float, seed: int
) -> dict[str, Any]:
    """Posterior of the curve at rates even on a logarithmic axis, from a tenth of what one unit is worth."""
    rates = np.geomspace(0.1 / int(false[-1]), 1.0, _CREDIBLE_POINTS)
    band = roc_posterior(false, true, rates, alpha=alpha, seed=seed)
    columns = {"fpr": band.fpr, "low": band.low, "median": band.median, "high": band.high}
    return {
        **{name: values.tolist() for name, values in columns.items()},
        "level": band.level,
        "kind": "credible",
    }


def summary_figure(
    scores: NDArray[np.float64] | None,
    bits: NDArray[np.bool_] | None,
    *,
    alpha: float,
    delta: float,
    epsilon: float | None,
    accuracy_counts: Counts | None,
) -> dict[str, Any]:
    """Figures of the attack: area under the curve, true positives at small false positive rates, accuracy.

    ``balanced_accuracy`` is that of `accuracy_counts`: a threshold chosen for it on other units, or the
    given counts.

    ``auc_interval`` is approximate (see `area_interval`); the intervals in ``tpr_at_fpr`` are
    Clopper-Pearson, given the threshold, which the non-members alone decide. ``advantage_bound`` is the
    largest TPR - FPR that a mechanism with this epsilon and delta allows.
    """
    summary: dict[str, Any] = {
        "auc": None,
        "auc_interval": None,
        "auc_interval_kind": "approximate",
        "tpr_at_fpr": None,
        "balanced_accuracy": None,
        "advantage_bound": None,
        "advantage_bound_epsilon": epsilon,
        "level": 1.0 - alpha,
    }
    if scores is not None and bits is not None:
        false, true = operating_curve(scores, bits)
        summary["auc"] = area_under(false, true)
        summary["auc_interval"] = list(area_interval(scores, bits, alpha=alpha))
        summary["tpr_at_fpr"] = [true_rate_at(false, true, rate, alpha=alpha) for rate in _RATES]
    if accuracy_counts is not None:
        rates = _rates(accuracy_counts)
        summary["balanced_accuracy"] = (rates["tpr"] + 1.0 - rates["fpr"]) / 2.0
    if epsilon is not None:
        summary["advantage_bound"] = min(
            1.0, math.tanh(epsilon / 2) + 2 * delta / (math.exp(min(epsilon, 700)) + 1)
        )
    return summary


def delta_grid(delta: float) -> NDArray[np.float64]:
    """Deltas from 1e-10 to 1e-1, four a decade, with the given one among them (unless it is 0)."""
    grid = np.logspace(-10, -1, 37)
    return np.unique(np.append(grid, delta)) if delta > 0 else grid


def operating_curve(
    scores: NDArray[np.float64], bits: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """False and true positives at every threshold, strictest (0, 0) first; ties move together."""
    order = np.argsort(-scores, kind="stable")
    ordered, labels = scores[order], bits[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), ordered.size - 1)
    true = np.cumsum(labels)[ends]
    false = ends + 1 - true
    return np.concatenate(([0], false)), np.concatenate(([0], true))


def area_under(false: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """P(member's score > non-member's) + P(equal)/2, from the counts of `operating_curve`."""
    area = np.sum(np.diff(false) * (true[1:] + true[:-1]).astype(np.float64)) / 2.0
    return float(area / (float(false[-1]) * float(true[-1])))


def area_interval(
    scores: NDArray[np.float64], bits: NDArray[np.bool_], *, alpha: float
) -> tuple[float, float]:
    """Approximate 1 - alpha interval for the area under the curve, never of width zero.

    A Wilson interval whose number of trials gives the variance of DeLong et al. (1988), kept between the
    size of the smaller class, where the variance is the largest possible (Birnbaum and Klose 1957), and the
    number of units.
    """
    inside, outside = np.sort(scores[bits]), np.sort(scores[~bits])
    n_in, n_out = inside.size, outside.size
    won = _half_rank(outside, inside) / n_out
    lost = 1.0 - _half_rank(inside, outside) / n_in
    area = float(np.mean(won))
    variance = sum(float(np.var(part, ddof=1)) / part.size for part in (won, lost) if part.size > 1)
    trials = area * (1.0 - area) / variance if variance > 0 else 0.0
    trials = min(max(trials, min(n_in, n_out)), n_in + n_out)
    z = float(core.normal_quantile(np.array([1.0 - alpha / 2]))[0])
    centre = (area + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(area * (1 - area) / trials + (z / (2 * trials)) ** 2) / (1 + z * z / trials)
    return max(0.0, centre - half), min(1.0, centre + half)


def true_rate_at(
    false: NDArray[np.int64], true: NDArray[np.int64], rate: float, *, alpha: float
) -> dict[str, float]:
    """True positive rate at the loosest threshold whose observed FPR is at most `rate`."""
    n_out, n_in = int(false[-1]), int(true[-1])
    last = int(np.searchsorted(false, math.floor(rate * n_out * (1 + 1e-12)), side="right")) - 1
    hits = int(true[last])
    return {
        "fpr": rate,
        "tpr": hits / n_in,
        "lower": 1.0 - clopper_pearson_upper(n_in - hits, n_in, alpha / 2),
        "upper": clopper_pearson_upper(hits, n_in, alpha / 2),
        "observed_fpr": int(false[last]) / n_out,
    }


def clopper_pearson_upper(k: int, n: int, alpha: float) -> float:
    """Upper 1 - alpha confidence limit of a probability after `k` events in `n` trials (1 when k = n)."""
    if k >= n:
        return 1.0
    log_p, log_q = math.log1p(-alpha), math.log(alpha)
    one = core.beta_quantile(
        np.array([k + 1.0]), np.array([float(n - k)]), np.array([log_p]), np.array([log_q])
    )
    return float(one[0, 0])


def epsilon_delta_figure(
    deltas: NDArray[np.float64],
    lower: LowerCurve,
    *,
    kind: BoundKind,
    posterior: EpsilonPosterior | None,
    alpha: float,
) -> dict[str, Any]:
    """Lower bound and posterior of epsilon against delta; `posterior` has `deltas` as its batch."""
    figure: dict[str, Any] = {
        "delta": deltas.tolist(),
        "lower": lower.epsilon.tolist(),
        "lower_kind": kind,
        "lower_method": lower.method,
        "lower_simultaneous": lower.simultaneous,
        "posterior_median": None,
        "posterior_low": None,
        "posterior_high": None,
    }
    if posterior is not None:
        low, high = posterior.interval(alpha)
        figure["posterior_low"] = np.asarray(low).tolist()
        figure["posterior_high"] = np.asarray(high).tolist()
        figure["posterior_median"] = np.asarray(posterior.median()).tolist()
    return figure


def _rates(counts: Counts) -> Mapping[str, float]:
    return {"fpr": counts.fp / (counts.fp + counts.tn), "tpr": counts.tp / (counts.tp + counts.fn)}


def _half_rank(base: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of sorted `base` lie below each value, equal ones counting half."""
    return (np.searchsorted(base, values, side="left") + np.searchsorted(base, values, side="right")) / 2.0


def _thin(false: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of at most 512 points: evenly in log FPR, in FPR and in TPR, with both ends."""
    if false.size <= _ROC_POINTS:
        return np.arange(false.size)
    n_out, n_in = int(false[-1]), int(true[-1])
    by_decade = np.searchsorted(false, np.geomspace(1, max(n_out, 1), 200), side="left")
    by_false = np.searchsorted(false, np.linspace(0, n_out, 150), side="right") - 1
    by_true = np.searchsorted(true, np.linspace(0, n_in, 150), side="left")
    kept = np.unique(np.concatenate((by_decade, by_false, by_true, [0, false.size - 1])))
    return kept.astype(np.int64)
