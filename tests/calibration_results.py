"""Audits of probabilities and of coverage, built by hand: no function of the room makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from auditkit.results import Check, Note
from auditkit.uncertainty.audit_results import CalibrationAudit, CoverageAudit
from auditkit.uncertainty.results import (
    Bin,
    CalibrationError,
    CoverageResult,
    Decomposition,
    GroupCoverage,
    Reliability,
    Score,
    Test,
)

SEED = 11
HOLM = {"consistency": 0.003, "spiegelhalter": 4e-9, "kuiper": 0.04}


def interval(k: int, n: int, alpha: float) -> tuple[float, float]:
    """Clopper-Pearson."""
    lower = 0.0 if k == 0 else float(stats.beta.ppf(alpha / 2, k, n - k + 1))
    return lower, 1.0 if k == n else float(stats.beta.ppf(1 - alpha / 2, k + 1, n - k))


def bins_of(p: np.ndarray, y: np.ndarray, count: int = 15) -> tuple[Bin, ...]:
    place = np.minimum((p * count).astype(int), count - 1)
    held = np.unique(place)
    found = []
    for b in held:
        inside = place == b
        n, k, mean = int(inside.sum()), int(y[inside].sum()), float(p[inside].mean())
        ends = interval(k, n, 0.05), interval(k, n, 0.05 / held.size)
        null = (float(end) / n for end in stats.binom.ppf([0.025, 0.975], n, mean))
        found.append(Bin(b / count, (b + 1) / count, n, n / p.size, mean, k / n, *ends[0], *ends[1], *null))
    return tuple(found)


def error(name: str, **fields: Any) -> CalibrationError:
    given: dict[str, Any] = {
        "value": 0.0912345,
        "lower": 0.05123,
        "upper": 0.13,
        "level": 0.95,
        "kind": "confidence",
        "method": "simultaneous Clopper-Pearson",
        "p_value": 0.001,
        "null_value": 0.0254,
        "null_upper": 0.0412,
        "n": 1000,
        "norm": "l1",
        "seed": SEED,
        "replicates": 999,
    }
    return CalibrationError(name, **(given | fields))


def score(name: str, value: float, half: float = 0.01) -> Score:
    return Score(name, value, value - half, value + half, 0.95, "approximate", "t interval", 1000)


def a_test(name: str, p: float, **fields: Any) -> Test:
    given = {"exact": True, "replicates": 99, "direction": "overconfident"} | fields
    return Test(name, 2.5, p, 1000, "the model is calibrated", "null resampling", **given)


def reliability_of(p: np.ndarray, y: np.ndarray) -> Reliability:
    bins = bins_of(p, y)
    curve = tuple(
        {
            "prediction": one.mean_prediction,
            "rate": float(rate),
            "null_lower": max(one.mean_prediction - 0.1, 0.0),
            "null_upper": min(one.mean_prediction + 0.1, 1.0),
        }
        for one, rate in zip(bins, np.maximum.accumulate([one.mean_outcome for one in bins]), strict=True)
    )
    histogram = tuple(int(count) for count in np.histogram(p, 20, (0, 1))[0])
    return Reliability(bins, curve, histogram, p.size, 0.05, SEED, 999)


def calibration_group(label: str, n: int, value: float, holm: float) -> dict[str, Any]:
    ends = {"lower": value - 0.04, "upper": value + 0.05, "p_value": holm / 2}
    return {"label": label, "n": n, "value": value} | ends | {"holm": holm, "benjamini_hochberg": holm}


def calibration_audit_by_hand(**fields: Any) -> CalibrationAudit:
    """1,000 rows of an overconfident model of three classes."""
    rng = np.random.default_rng(SEED)
    logit = rng.normal(0, 1.5, 1000)
    y = (rng.random(1000) < 1 / (1 + np.exp(-logit))).astype(int)
    p = 1 / (1 + np.exp(-1.6 * logit))
    first = error(
        "calibration_error",
        bins=bins_of(p, y),
        binning="width",
        worst={"low": 0.8, "high": 0.87, "value": 0.2, "n": 51},
    )
    given: dict[str, Any] = {
        "alpha": 0.05,
        "n": 1000,
        "seed": SEED,
        "n_classes": 3,
        "about": "confidence",
        "accuracy": Score("accuracy", 0.734, 0.705, 0.761, 0.95, "confidence", "clopper-pearson", 1000),
        "errors": {
            "calibration_error": first,
            "equal_mass": error("calibration_error", value=0.0923, binning="mass"),
            "l2": error("calibration_error", value=0.11, binning="width", norm="l2", squared=0.0121),
            "smooth_calibration_error": error("smooth_calibration_error", value=0.07, lower=None, upper=None),
            "classwise": error(
                "classwise_calibration_error",
                parts=({"label": 0, "n": 340, "value": 0.05}, {"label": 1, "n": 660, "value": 0.09}),
            ),
        },
        "tests": {
            "spiegelhalter": a_test("spiegelhalter", 1e-9, exact=False, replicates=None),
            "kolmogorov_smirnov": a_test("kolmogorov_smirnov", 0.01),
            "kuiper": a_test("kuiper", 0.02),
            "minimax": a_test("minimax", 0.001, direction=None),
        },
        "scores": {
            "brier": score("brier", 0.41),
            "log_loss": score("log_loss", 0.6),
            "aurc": score("aurc", 0.12),
        },
        "decompositions": {"brier": Decomposition("brier", 0.19, 0.02, 0.08, 0.25, 1000)},
        "reliability": reliability_of(p, y),
        "groups": (
            calibration_group("<b>north</b>", 400, 0.05, 0.4),
            calibration_group("south", 600, 0.12, 0.002),
        ),
        "figures": {"risk_coverage": {"coverage": [0.1, 0.5, 1.0], "risk": [0.02, 0.1, 0.27]}},
        "checks": {
            "calibration-tests": Check("calibration-tests", "fail", "calibration is rejected", {"holm": HOLM})
        },
        "warnings": (Note("AK-UN-099", "<script>a warning</script>"),),
    }
    return CalibrationAudit(**(given | fields))


def group(label: str, n: int, covered: int, holm: float) -> GroupCoverage:
    ends = interval(covered, n, 0.05)
    return GroupCoverage(label, n, covered, covered / n, *ends, holm / 2, holm, holm, 0.8)


def coverage_by_hand(**fields: Any) -> CoverageResult:
    given: dict[str, Any] = {
        "value": 0.84,
        "lower": 0.7817,
        "upper": 0.8879,
        "level": 0.95,
        "n": 200,
        "covered": 168,
        "target": 0.9,
        "p_value": 0.00888,
        "p_under": 0.00535,
        "conformal": {
            "k": 200,
            "infinite": False,
            "mean": 0.9009,
            "coverage_lower": 0.86605,
            "coverage_upper": 0.93164,
            "count_lower": 170,
            "count_upper": 189,
            "p_value": 0.04,
            "p_under": 0.021,
        },
        "groups": (group("north", 120, 108, 0.7), group("<i>south</i>", 80, 60, 0.0008)),
        "found": (group("y[0] <= 0.5", 60, 45, 0.01),),
        "detectable": 0.83,
    }
    return CoverageResult(**(given | fields))


def coverage_audit_by_hand(**fields: Any) -> CoverageAudit:
    """200 Gaussian predictions with too small a spread: 168 of 200 covered at 0.9, as in the specification."""
    rng = np.random.default_rng(SEED)
    u = stats.norm.cdf(1.3 * rng.normal(size=200))
    counts = np.histogram(u, 20, (0, 1))[0]
    levels = np.linspace(0, 1, 34)
    band = [float(end) for end in stats.binom.ppf([0.00125, 0.99875], 200, 1 / 20)]
    observed = [float(np.mean(np.abs(2 * u - 1) <= level)) for level in levels]
    given: dict[str, Any] = {
        "alpha": 0.05,
        "n": 200,
        "seed": SEED,
        "target": 0.9,
        "about": "gaussian",
        "coverage": coverage_by_hand(),
        "sharpness": {"mean_width": 3.29, "median_width": 3.1, "infinite": 2},
        "tests": {"pit_kolmogorov_smirnov": a_test("pit_kolmogorov_smirnov", 0.03, direction=None)},
        "scores": {"crps": score("crps", 0.61, 0.05), "interval_score": score("interval_score", 5.2, 0.4)},
        "figures": {
            "pit": {"counts": counts.tolist(), "band": band},
            "quantile_calibration": {"level": levels.tolist(), "observed": observed},
            "sizes": {"edges": [1.0, 2.0, 3.0, 4.0], "counts": [20, 130, 48]},
        },
        "checks": {"calibration-size": Check("calibration-size", "pass", "k is at most n")},
    }
    return CoverageAudit(**(given | fields))
