"""Writes the sample results in tests/data/results: plausible and awkward ones, for the tests of reports.

The numbers are drawn with numpy and scipy, not with auditkit: they only have to look like results. Run it
from the root of the project: ``python tests/data/make_sample_results.py``.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

FOLDER = Path(__file__).parent / "results"
TP, FN, FP, TN = 612, 1388, 31, 1969
DELTA = 1e-5
HASH = "3f9a41d07be2c88a5f0e6d19b7c43a52901ffbd6a8ce47213b5d90e48f6217c1"


def epsilon_draws(
    counts: tuple[int, int, int, int], delta: float, region: str, size: int = 400_000
) -> np.ndarray:
    """Draws from the posterior of epsilon: two Jeffreys Beta laws, the largest log of the region."""
    tp, fn, fp, tn = counts
    rng = np.random.default_rng(1)
    x, y = rng.beta(fn + 0.5, tp + 0.5, size), rng.beta(fp + 0.5, tn + 0.5, size)
    tiny = 1e-300
    logs = [np.log(np.maximum(1 - delta - y, tiny) / x), np.log(np.maximum(1 - delta - x, tiny) / y)]
    if region == "both":
        logs += [np.log(np.maximum(y - delta, tiny) / (1 - x)), np.log(np.maximum(x - delta, tiny) / (1 - y))]
    return np.maximum(0.0, np.max(logs, axis=0))


def posterior_figure(draws: np.ndarray, region: str, points: int = 240) -> dict[str, Any]:
    """A smoothed histogram of the draws above 0, and the mass at 0."""
    positive = draws[draws > 0]
    low, high = np.quantile(positive, [2e-4, 1 - 2e-4])
    low = 0.0 if low < 0.15 * high else low
    histogram, edges = np.histogram(positive, bins=160, range=(low, high))
    centres = (edges[1:] + edges[:-1]) / 2
    window = np.hanning(17)
    smooth = np.convolve(np.pad(histogram, 8, mode="edge"), window / window.sum(), mode="valid")
    grid = np.linspace(centres[0], centres[-1], points)
    density = np.interp(grid, centres, smooth / (draws.size * (edges[1] - edges[0])))
    lower, upper = np.quantile(draws, [0.025, 0.975])
    return {
        "epsilon": grid.round(9).tolist(),
        "density": density.round(12).tolist(),
        "atom_at_zero": float(np.mean(draws == 0)),
        "interval": [float(lower), float(upper)],
        "level": 0.95,
        "median": float(np.median(draws)),
        "region": region,
    }


def roc_of_scores(separation: float, n: int, points: int) -> dict[str, Any]:
    """A Gaussian attack: empirical curve, pointwise-wide band standing in for a simultaneous one."""
    rng = np.random.default_rng(5)
    members, others = np.sort(rng.normal(separation, 1, n)), np.sort(rng.normal(0, 1, n))
    thresholds = np.unique(np.concatenate([members, others]))[::-1]
    thresholds = thresholds[np.unique(np.linspace(0, thresholds.size - 1, points).astype(int))]
    hits = n - np.searchsorted(members, thresholds)
    alarms = n - np.searchsorted(others, thresholds)
    eta = 5.3e-4
    fpr_upper = np.where(alarms == n, 1.0, beta.isf(eta, alarms + 1, np.maximum(n - alarms, 1)))
    tpr_lower = np.where(hits == 0, 0.0, beta.ppf(eta, np.maximum(hits, 1), n - hits + 1))
    auc = float(np.searchsorted(others, members).mean() / n)
    return {
        "fpr": (alarms / n).tolist(),
        "tpr": (hits / n).tolist(),
        "fpr_upper": fpr_upper.tolist(),
        "tpr_lower": tpr_lower.tolist(),
        "band_level": 0.95,
        "band_kind": "simultaneous confidence",
        "point": None,
        "auc": auc,
        "min_fpr": 1 / n,
    }


def epsilon_delta(points: int, simultaneous: bool, headline: float, draws_at: Any) -> dict[str, Any]:
    deltas = np.logspace(-9, -1, points)
    low, middle, high = np.array([np.quantile(draws_at(d), [0.025, 0.5, 0.975]) for d in deltas]).T
    return {
        "delta": deltas.tolist(),
        "lower": np.maximum(0, low - low[points // 2] + headline).tolist(),
        "lower_kind": "confidence",
        "lower_method": "bands" if simultaneous else "buehler",
        "lower_simultaneous": simultaneous,
        "posterior_median": middle.tolist(),
        "posterior_low": low.tolist(),
        "posterior_high": high.tolist(),
    }


def estimate(name: str, lower: Any, kind: str, method: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "lower": lower,
        "upper": more.get("upper"),
        "median": more.get("median"),
        "level": more.get("level", 0.95),
        "side": more.get("side", "lower"),
        "kind": kind,
        "method": method,
        "family": more.get("family"),
        "rounding": "outward",
    }


def bound(lower: Any, kind: str, method: str, **more: Any) -> dict[str, Any]:
    return {
        "schema": "auditkit/result/1",
        "kind": "epsilon-bound",
        "estimates": [estimate("epsilon", lower, kind, method, **more)],
        "delta": DELTA,
        "threshold": more.get("threshold"),
        "counts": None,
        "assumptions": [],
        "warnings": [],
        "details": {},
    }


def counts_result() -> dict[str, Any]:
    """Counts of independent units, a claim that they contradict."""
    counts = (TP, FN, FP, TN)
    draws = epsilon_draws(counts, DELTA, "below")
    picture = posterior_figure(draws, "below")
    rectangle = {
        "fpr": [FP / (FP + TN)],
        "tpr": [TP / (TP + FN)],
        "fpr_upper": [float(beta.isf(0.025, FP + 1, TN))],
        "tpr_lower": [float(beta.ppf(0.025, TP, FN + 1))],
        "band_level": 0.95,
        "band_kind": "clopper-pearson rectangle",
        "point": {"fpr": FP / (FP + TN), "tpr": TP / (TP + FN)},
        "auc": None,
        "min_fpr": FP / (FP + TN),
    }
    return {
        "schema": "auditkit/result/1",
        "kind": "dp-estimate",
        "verdict": {
            "status": "fail",
            "sentence": "the claim epsilon <= 2 is contradicted: epsilon is at least 2.56 "
            "at delta 1e-5, with 95% confidence; epsilon_lower>2 is true",
            "conditions": [{"expr": "epsilon_lower>2", "value": True}],
        },
        "estimates": [
            estimate("epsilon", 2.5676124, "confidence", "buehler"),
            estimate(
                "epsilon_posterior",
                picture["interval"][0],
                "credible",
                "bayes-2206.05199",
                upper=picture["interval"][1],
                median=picture["median"],
                side="two",
            ),
        ],
        "delta": DELTA,
        "alpha": 0.05,
        "design": "independent",
        "claimed_epsilon": 2.0,
        "detectable_epsilon": 6.2883129,
        "counts": {"tp": TP, "fn": FN, "fp": FP, "tn": TN},
        "bounds": {
            "buehler": bound(2.5676124, "confidence", "buehler"),
            "clopper-pearson": bound(2.5489021, "confidence", "clopper-pearson"),
            "jeffreys": bound(2.5901777, "approximate", "jeffreys"),
            "gaussian": bound(4.8121, "confidence", "gaussian-dp", family="gaussian"),
        },
        "checks": [
            {
                "id": "counts",
                "status": "pass",
                "text": "both classes are present and the counts add up",
                "details": {},
            },
            {
                "id": "blind-baseline",
                "status": "not-run",
                "text": "needs the records; counts alone cannot show whether members and non-members differ",
                "details": {},
            },
            {
                "id": "delta-size",
                "status": "pass",
                "text": "delta 1e-5 is below one over the number of records",
                "details": {},
            },
        ],
        "inputs": {
            "model": {
                "name": "model.pt",
                "sha256": HASH,
                "bytes": 204800,
                "format": "torch-zip",
                "trusted_load": False,
            },
            "data": [],
        },
        "settings": {
            "counts": "612,1388,31,1969",
            "design": "independent",
            "delta": DELTA,
            "alpha": 0.05,
            "claimed_epsilon": 2.0,
            "fail_on": ["epsilon_lower>2"],
            "undecided": None,
        },
        "seed": 7,
        "figures": {
            "posterior": picture,
            "roc": rectangle,
            "epsilon_delta": epsilon_delta(
                41, False, 2.5676124, lambda d: epsilon_draws(counts, d, "below", 40_000)
            ),
            "summary": {
                "auc": None,
                "auc_interval": None,
                "tpr_at_fpr": [],
                "balanced_accuracy": 0.64525,
                "advantage_bound": 0.857518,
            },
        },
        "mechanism": None,
        "assumptions": [
            {
                "id": "independent-units",
                "text": "the units are independent: one training run, or one independent draw, each",
                "checked": False,
            },
            {
                "id": "rule-fixed",
                "text": "the attack and its threshold were fixed before these outcomes were seen",
                "checked": False,
            },
            {"id": "both-classes", "text": "members and non-members were both seen", "checked": True},
        ],
        "warnings": [],
        "environment": {
            "auditkit": "0.1.0",
            "python": "3.11.2",
            "numpy": "2.4.6",
            "isa": "avx512",
            "cpu": "x86-64, 2 cores",
            "threads": 2,
        },
        "timing": {"started": "2025-01-15T10:31:07Z", "seconds": 0.0931},
    }


def scores_result() -> dict[str, Any]:
    """Scores of 1000 members and 1000 others, 400 thresholds; a claim that is not contradicted."""
    result = counts_result()
    roc = roc_of_scores(1.5, 1000, 400)
    counts = (310, 690, 9, 991)
    picture = posterior_figure(epsilon_draws(counts, DELTA, "below"), "below")
    result["verdict"] = {
        "status": "pass",
        "sentence": "the claim epsilon <= 4 is not contradicted by this audit: conditional on exchangeable "
        "members and non-members: epsilon is at least 2.31 at delta 1e-5, with 95% confidence",
        "conditions": [{"expr": "epsilon_lower>4", "value": False}],
    }
    result["estimates"] = [
        estimate("epsilon", 2.3150449, "confidence", "bands"),
        estimate(
            "epsilon_posterior",
            picture["interval"][0],
            "credible",
            "bayes-2206.05199",
            upper=picture["interval"][1],
            median=picture["median"],
            side="two",
        ),
    ]
    result |= {"claimed_epsilon": 4.0, "detectable_epsilon": 4.9011, "design": "post-hoc"}
    result["counts"] = dict(zip(("tp", "fn", "fp", "tn"), counts, strict=True))
    result["bounds"] = {
        "bands": bound(2.3150449, "confidence", "bands", threshold=1.91827364),
        "split": bound(2.1017, "confidence", "split", threshold=2.0113),
        "gaussian": bound(5.72, "confidence", "gaussian-dp", family="gaussian"),
    }
    result["checks"] += [
        {
            "id": "overlap",
            "status": "warn",
            "text": "3 records occur among members and non-members; they were counted once",
            "details": {},
        },
    ]
    result["checks"][1] |= {
        "status": "pass",
        "text": "a classifier that never saw the model does no better than chance (AUC 0.503 [0.478, 0.528])",
    }
    result["assumptions"][0] = {
        "id": "exchangeable-members",
        "text": "members and non-members were drawn alike, so that nothing but training tells them apart",
        "checked": False,
    }
    result["inputs"]["data"] = [
        {"name": "scores.npz", "sha256": HASH[::-1], "bytes": 32768},
    ]
    result["settings"] |= {
        "counts": None,
        "scores": "scores.npz",
        "design": "post-hoc",
        "claimed_epsilon": 4.0,
    }
    result["warnings"] = [
        {"id": "AK-DP-004", "text": "the result is conditional on members and non-members drawn alike"}
    ]
    result["figures"] = {
        "posterior": picture,
        "roc": roc,
        "epsilon_delta": epsilon_delta(
            41, True, 2.3150449, lambda d: epsilon_draws(counts, d, "below", 40_000)
        ),
        "summary": {
            "auc": roc["auc"],
            "auc_interval": [roc["auc"] - 0.0181, roc["auc"] + 0.0176],
            "tpr_at_fpr": [
                {"fpr": 0.001, "tpr": 0.071, "lower": 0.0323, "upper": 0.112},
                {"fpr": 0.01, "tpr": 0.204, "lower": 0.151, "upper": 0.263},
            ],
            "balanced_accuracy": 0.774,
            "advantage_bound": 0.8203,
        },
    }
    return result


def nothing_found() -> dict[str, Any]:
    """No leak seen: bound 0, half of the posterior at 0, a design that could not have reached the claim."""
    result = counts_result()
    counts = (51, 49, 50, 50)
    picture = posterior_figure(epsilon_draws(counts, DELTA, "below"), "below")
    result["verdict"] = {
        "status": "undecided",
        "sentence": "the claim epsilon <= 8 cannot be decided with these units: epsilon not detected at this "
        "sample size, at delta 1e-5, with 95% confidence (one-run); a perfect attack would show at most 3.51",
        "conditions": [{"expr": "epsilon_lower>8", "value": None}],
    }
    result["estimates"] = [
        estimate("epsilon", 0.0, "one-run", "one-run-steinke"),
        estimate(
            "epsilon_posterior",
            0.0,
            "credible",
            "bayes-2206.05199",
            upper=picture["interval"][1],
            median=picture["median"],
            side="two",
        ),
    ]
    result |= {"claimed_epsilon": 8.0, "detectable_epsilon": 3.5064, "design": "one-run"}
    result["counts"] = dict(zip(("tp", "fn", "fp", "tn"), counts, strict=True))
    result["bounds"] = {
        "one-run": bound(0.0, "one-run", "one-run-steinke") | {"details": {"canaries": 600, "guesses": 200}},
        "one-run-fdp": bound(0.0, "one-run", "one-run-fdp", family="gaussian (assumed)"),
    }
    result["figures"] = {
        "posterior": picture,
        "roc": {"fpr": [0.5], "tpr": [0.51], "point": {"fpr": 0.5, "tpr": 0.51}, "min_fpr": 0.5},
        "epsilon_delta": None,
        "summary": None,
    }
    result["assumptions"][0] = {
        "id": "fair-coins",
        "text": "every canary was included by its own fair coin, tossed independently of everything else",
        "checked": False,
    }
    return result


def invalid_design() -> dict[str, Any]:
    """The blind baseline wins: no number, only the reason."""
    result = scores_result()
    result["verdict"] = {
        "status": "invalid-design",
        "sentence": "no epsilon is given, the design is invalid: "
        "a classifier that never saw the model finds the members (AUC 0.81 [0.79, 0.83])",
        "conditions": [{"expr": "epsilon_lower>4", "value": None}],
    }
    result["estimates"] = [estimate("epsilon", None, "confidence", "bands")]
    # the numbers that were computed before the check failed stay in the dictionary: no report may show them
    result["checks"][1] |= {
        "status": "fail",
        "text": "a classifier that never saw the model finds the members (AUC 0.81 [0.79, 0.83])",
    }
    return result


def far_off() -> dict[str, Any]:
    """Everything at the edges: a claim far outside, an infinite upper end, a posterior far from 0."""
    result = counts_result()
    counts = (999_990, 10, 3, 999_997)
    picture = posterior_figure(epsilon_draws(counts, 0.0, "both"), "both")
    picture["interval"][1] = "inf"
    result["verdict"] = {"status": "none", "sentence": "epsilon is at least 11.1", "conditions": []}
    result["estimates"] = [
        estimate("epsilon", 11.1357, "confidence", "buehler"),
        estimate(
            "epsilon_posterior",
            picture["interval"][0],
            "credible",
            "bayes-2206.05199",
            upper="inf",
            median=picture["median"],
            side="two",
        ),
    ]
    result |= {"claimed_epsilon": 1234.5, "detectable_epsilon": "inf", "delta": 0.0}
    result["counts"] = dict(zip(("tp", "fn", "fp", "tn"), counts, strict=True))
    result["bounds"] = {"buehler": bound(11.1357, "confidence", "buehler")}
    result["figures"] = {
        "posterior": picture,
        "roc": {
            "fpr": [3e-6],
            "tpr": [0.99999],
            "fpr_upper": [8.8e-6],
            "tpr_lower": [0.99998],
            "band_level": 0.95,
            "band_kind": "clopper-pearson rectangle",
            "point": {"fpr": 3e-6, "tpr": 0.99999},
            "auc": None,
            "min_fpr": 3e-6,
        },
        "epsilon_delta": {
            "delta": [1e-9, 1e-7, 1e-5, 1e-3],
            "lower": [11.2, 11.2, 11.1, 6.7],
            "lower_kind": "confidence",
            "lower_method": "buehler",
            "lower_simultaneous": False,
            "posterior_median": ["inf", 12.6, 12.5, 6.9],
            "posterior_low": [11.6, 11.6, 11.5, 6.8],
            "posterior_high": ["inf", "inf", 14.1, 7.0],
        },
        "summary": {},
    }
    return result


def bare_minimum() -> dict[str, Any]:
    """Only what the schema cannot do without."""
    return {
        "schema": "auditkit/result/1",
        "kind": "dp-estimate",
        "verdict": {"status": "none", "sentence": "epsilon is at least 0.734", "conditions": []},
        "estimates": [estimate("epsilon", 0.7341, "anytime", "betting")],
        "delta": 1e-6,
        "design": "independent",
    }


def hostile() -> dict[str, Any]:
    """Names and sentences that a stranger chose."""
    result = scores_result()
    script = "<script>alert(1)</script>"
    image = '"><img src="https://attacker.invalid/x.png" onerror="alert(2)">'
    strange = "model\u202e\u2066tp.\x1b[31m\x07\x00\r\nfake line .pt"
    result["inputs"]["model"]["name"] = script + strange
    result["inputs"]["data"] = [{"name": image, "sha256": "'/><svg onload=alert(3)>", "bytes": 1}]
    result["settings"] = {
        "scores": "</pre><iframe src=javascript:alert(4)>",
        "</dt><style>*{display:none}</style>": "]]>&lt;&#x3c;",
        "note": "</script><script>alert(5)</script><!--",
    }
    result["verdict"]["sentence"] = (
        f"x{script}</h1></title><meta http-equiv=refresh content='0;url=//attacker.invalid'>"
    )
    result["checks"] = [
        {"id": image, "status": 'pa"ss onload=alert(6) ', "text": f"{image}{strange}", "details": {}}
    ]
    result["assumptions"] = [
        {"id": "x' onclick='alert(7)", "text": "[a](javascript:alert(8)) | `b` " + script, "checked": False}
    ]
    result["warnings"] = [{"id": "AK-<b>", "text": "\u2028\u2029@everyone " + image}]
    result["bounds"] = {
        image: bound(1.0, "confi<dence>", "method" + image, family=script),
        "\u202ereversed": bound(2.3150449, "confidence", "bands"),
    }
    result["design"] = "post-hoc<!--"
    result["figures"]["roc"]["band_kind"] = "</text></svg>" + script
    result["figures"]["epsilon_delta"]["lower_kind"] = "<tspan>"
    result["figures"]["epsilon_delta"]["lower_method"] = image
    result["environment"] = {script: {image: [script, None, 1.5]}}
    return result


def widest() -> dict[str, Any]:
    """The largest curves that the schema allows, with noise that no simplification removes."""
    result = scores_result()
    result["figures"]["roc"] = roc_of_scores(1.0, 5000, 512)
    rng = np.random.default_rng(9)
    picture = result["figures"]["posterior"]
    picture["epsilon"] = np.linspace(0.5, 4, 300).tolist()
    picture["density"] = (
        np.exp(-((np.linspace(0.5, 4, 300) - 2.2) ** 2) * 4) * rng.uniform(0.8, 1.2, 300)
    ).tolist()
    return result


def plan() -> dict[str, Any]:
    """What an audit plan looks like."""
    return {
        "schema": "auditkit/result/1",
        "kind": "plan",
        "claimed_epsilon": 2.0,
        "true_epsilon": 4.0,
        "delta": DELTA,
        "design": "one-run",
        "alpha": 0.05,
        "power": 0.8,
        "units": 1300,
        "perfect_attack_units": 21,
        "expected": [
            {"units": 100, "bound": 0.618, "perfect_attack": 3.506, "power": 0.0},
            {"units": 300, "bound": 1.239, "perfect_attack": 4.604, "power": 0.01234},
            {"units": 1000, "bound": 1.888, "perfect_attack": 5.791, "power": 0.4567},
            {"units": 3000, "bound": 2.319, "perfect_attack": "inf", "power": 0.99999},
        ],
        "assumptions": [
            {"id": "fair-coins", "text": "every canary is included by its own fair coin", "checked": False}
        ],
        "warnings": [],
    }


def single_bound() -> dict[str, Any]:
    result = bound(2.5489021, "confidence", "clopper-pearson")
    result["counts"] = {"tp": TP, "fn": FN, "fp": FP, "tn": TN}
    result["assumptions"] = copy.deepcopy(counts_result()["assumptions"][:2])
    result["details"] = {"fpr_upper": 0.0219, "fnr_upper": 0.7142}
    return result


def batch() -> dict[str, Any]:
    """A two-sided set for the mean of 50, every way of getting one beside it; one of them infinite."""
    rng = np.random.default_rng(7)
    scores = np.sort(rng.gamma(6.0, 25.0, 442))
    at = np.linspace(0, scores.size - 1, 120).round().astype(int)
    cuts = np.arange(10_100, 14_900, 40)
    chance = 1 / (1 + np.exp(-(cuts - 12_450) / 210))
    sizes = np.unique(np.geomspace(1, 200, 24).round().astype(int))
    ways = [
        ("rank_sum", 128.4417, 173.9052, 0.90012, "", None),
        ("sum_max", 127.2093, 175.1118, 0.90044, "", None),
        ("band", 96.5127, 219.4431, 0.9021, "", None),
        ("partition", "-inf", "inf", 0.9, "8 groups of 50 are too few for this level", 950),
    ]
    names = ("ordering", "lower", "upper", "event_probability", "reason", "required_n")
    return {
        "schema": "auditkit/result/1",
        "kind": "batch-pi",
        "verdict": {
            "status": "undecided",
            "sentence": "value>150 is undecided",
            "conditions": [{"expr": "value>150", "value": None}],
        },
        "estimates": [
            estimate("mean", 128.4417, "prediction", "rank_sum", upper=173.9052, level=0.9, side="two")
        ],
        "alpha": 0.1,
        "n": 442,
        "m": 50,
        "function": "mean",
        "ordering": "rank_sum",
        "side": "two",
        "event_probability": 0.90012,
        "coverage_exact": None,
        "ranks": None,
        "finite": True,
        "reason": "",
        "required_n": None,
        "by_method": [dict(zip(names, way, strict=True)) for way in ways],
        "figures": {
            "scores": {"level": ((at + 0.5) / scores.size).tolist(), "score": scores[at].tolist()},
            "coverage": {
                "cut_name": "largest sum of ranks",
                "cut": cuts.tolist(),
                "probability": chance.tolist(),
                "level": 0.95,
                "chosen": 13_080,
                "chosen_probability": 0.95255,
            },
            "finite": {"m": sizes.tolist(), "required_n": (19 * sizes).tolist()},
        },
        "checks": [],
        "inputs": {"data": [{"name": "residuals.npy", "sha256": HASH, "bytes": 3664}]},
        "settings": {"m": 50, "statistic": "mean", "alpha": 0.1, "fail_on": ["value>150"]},
        "seed": None,
        "details": {"statistic": "mean", "chosen_by": "auto"},
        "assumptions": [
            {
                "id": "exchangeable",
                "text": "Calibration and batch scores are exchangeable: no drift, no selection, and the model saw "
                "neither.",
                "checked": False,
            }
        ],
        "warnings": [],
        "environment": {"auditkit": "0.1.0", "python": "3.11.2", "numpy": "2.4.6"},
        "timing": {"seconds": 0.0071},
    }


def batch_infinite() -> dict[str, Any]:
    """Too few scores for an upper end; the rank is the one after the last."""
    result = batch()
    result |= {
        "verdict": {"status": "none", "sentence": "", "conditions": []},
        "estimates": [
            estimate("largest of 50", None, "prediction", "rank", upper="inf", level=0.9, side="upper")
        ],
        "n": 120,
        "function": "largest of 50",
        "ordering": "rank",
        "side": "upper",
        "event_probability": 1.0,
        "coverage_exact": 1.0,
        "ranks": [1, 121],
        "finite": False,
        "reason": "it may lie above the largest of the 120 calibration scores, which nothing limits there",
        "required_n": 450,
        "by_method": [],
        "details": {"statistic": "order statistic", "zeta": 50},
        "settings": {"m": 50, "statistic": "quantile", "quantile": 1.0, "alpha": 0.1, "fail_on": []},
    }
    ranks = np.arange(1, 122)
    result["figures"]["coverage"] = {
        "cut_name": "rank of the calibration score",
        "cut": ranks.tolist(),
        "probability": [*np.linspace(0, 0.84, 120).tolist(), 1.0],
        "level": 0.9,
        "chosen": 121,
        "chosen_probability": 1.0,
    }
    return result


def batch_selection() -> dict[str, Any]:
    """A selection of candidates with at most two false claims, and what other thresholds would do."""
    result = batch()
    thresholds = np.linspace(2.4, -2.0, 90)
    selected = np.round(60 / (1 + np.exp(2.2 * thresholds))).astype(int)
    false = np.minimum(selected, np.round(selected**1.4 / 12).astype(int))
    result |= {
        "verdict": {
            "status": "pass",
            "sentence": "selected<10 is false",
            "conditions": [{"expr": "selected<10", "value": False}],
        },
        "estimates": [
            estimate(
                "false claims among the selected",
                None,
                "prediction",
                "rank",
                upper=2,
                level=0.9,
                side="upper",
            )
        ],
        "n": 500,
        "m": 60,
        "function": "selection",
        "ordering": "rank",
        "side": "upper",
        "event_probability": 0.9124,
        "ranks": [1, 488],
        "by_method": [],
        "details": {"statistic": "select", "eta": 2, "threshold": 0.81234567, "selected": 17},
        "figures": {
            "discoveries": {
                "threshold": thresholds.tolist(),
                "selected": selected.tolist(),
                "false_at_most": false.tolist(),
            }
        },
    }
    return result


def batch_sets() -> dict[str, Any]:
    """Several rows of scores, a set each, one of them far out; nothing else."""
    result = batch()
    ends = [(0.1, 0.4), (-1e9, 1e9), ("-inf", 3.25), (5.0, 5.0)]
    result["estimates"] = [
        estimate(f"mean [{i}]", low, "prediction", "sum_max", upper=high, level=0.9, side="two")
        for i, (low, high) in enumerate(ends)
    ]
    result |= {"figures": {}, "by_method": [], "ordering": "sum_max", "finite": False}
    result["reason"] = "calibration scores there are infinite"
    return result


def main() -> None:
    samples = {
        "counts": counts_result(),
        "scores": scores_result(),
        "nothing_found": nothing_found(),
        "invalid_design": invalid_design(),
        "far_off": far_off(),
        "bare_minimum": bare_minimum(),
        "hostile": hostile(),
        "widest": widest(),
        "plan": plan(),
        "single_bound": single_bound(),
        "batch": batch(),
        "batch_infinite": batch_infinite(),
        "batch_selection": batch_selection(),
        "batch_sets": batch_sets(),
    }
    FOLDER.mkdir(exist_ok=True)
    for name, result in samples.items():
        text = json.dumps(result, separators=(",", ":"), allow_nan=False)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
