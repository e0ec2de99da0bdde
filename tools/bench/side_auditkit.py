"""The tasks, as auditkit does them. Each function prepares outside the clock and returns what is timed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cases import class_tables, keep_sets, labelled_rows, predictions, residual_rows

import auditkit

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {
        "package": "auditkit",
        "version": auditkit.__version__,
        "numpy": np.__version__,
        "instruction set": auditkit.active_isa(),
        "build": auditkit.build_config(),
    }


def _posterior(case: dict[str, Any]) -> Any:
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior

    return EpsilonPosterior(**case["counts"], delta=case["delta"], region=case.get("region", "both"))


def construct(case: dict[str, Any]) -> Task:
    return lambda: _posterior(case) and None


def quantiles(case: dict[str, Any]) -> Task:
    posterior = _posterior(case)
    return lambda: [float(posterior.ppf(level)) for level in case["levels"]]


def cdf(case: dict[str, Any]) -> Task:
    """One value through the public method of a posterior that exists."""
    posterior, eps = _posterior(case), case["eps"]
    return lambda: posterior.cdf(eps)


def cdf_values(case: dict[str, Any]) -> Task:
    """Many values in one call: the clock is divided by their number in the report."""
    posterior, eps = _posterior(case), np.array(case["eps_values"])
    return lambda: float(posterior.cdf(eps)[-1])


def interval(case: dict[str, Any]) -> Task:
    """From counts to the interval, construction included."""
    return lambda: list(_posterior(case).interval(case["alpha"]))


def density(case: dict[str, Any]) -> Task:
    posterior = _posterior(case)
    return lambda: [float(posterior.pdf(eps)) for eps in case["eps_values"]]


def sweep(case: dict[str, Any]) -> Task:
    """Intervals at every (threshold, delta), from the scores on."""
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior

    auditkit.set_num_threads(case["threads"])
    inside, outside = _scores(case)
    deltas = np.array(case["deltas"])

    def intervals() -> float:
        merged = np.sort(np.concatenate([inside, outside]))
        thresholds = merged[np.linspace(0, merged.size - 1, case["thresholds"]).astype(np.int64)]
        fn = np.searchsorted(np.sort(inside), thresholds)
        tn = np.searchsorted(np.sort(outside), thresholds)
        posterior = EpsilonPosterior(
            tp=(inside.size - fn)[:, None],
            fn=fn[:, None],
            fp=(outside.size - tn)[:, None],
            tn=tn[:, None],
            delta=deltas,
            region="below",
        )
        lower, upper = posterior.interval(case["alpha"])
        return float(np.sum(np.asarray(lower)) + np.asarray(upper).size)

    return intervals


def _scores(case: dict[str, Any]) -> tuple[Any, Any]:
    with np.load(case["scores"]) as arrays:
        return arrays["inside"], arrays["outside"]


def fixed_threshold(case: dict[str, Any]) -> Task:
    """Clopper-Pearson at one threshold, counting included."""
    from auditkit.privacy.epsilon.bounds import clopper_pearson

    inside, outside = _scores(case)

    def bound() -> float:
        tp, fp = int(np.sum(inside >= case["threshold"])), int(np.sum(outside >= case["threshold"]))
        return clopper_pearson(
            tp=tp,
            fn=inside.size - tp,
            fp=fp,
            tn=outside.size - fp,
            delta=case["delta"],
            alpha=case["alpha"],
        ).epsilon

    return bound


def all_thresholds(case: dict[str, Any]) -> Task:
    from auditkit.privacy.epsilon.bands import score_bound

    inside, outside = _scores(case)
    return lambda: score_bound(inside, outside, delta=case["delta"], alpha=case["alpha"]).epsilon


def one_run(case: dict[str, Any]) -> Task:
    """Steinke's bound at one threshold, counting included; the attack guesses only "in"."""
    from auditkit.privacy.epsilon.one_run import one_run_bound

    return _one_run(case, one_run_bound)


def one_run_fdp(case: dict[str, Any]) -> Task:
    from auditkit.privacy.epsilon.one_run import one_run_fdp_bound

    return _one_run(case, one_run_fdp_bound)


def _one_run(case: dict[str, Any], bound_of: Callable[..., Any]) -> Task:
    inside, outside = _scores(case)

    def bound() -> float:
        tp, fp = int(np.sum(inside >= case["threshold"])), int(np.sum(outside >= case["threshold"]))
        canaries = inside.size + outside.size
        return bound_of(
            canaries=canaries, guesses=tp + fp, correct=tp, delta=case["delta"], alpha=case["alpha"]
        ).epsilon

    return bound


def one_run_split(case: dict[str, Any]) -> Task:
    """Thresholds chosen on a quarter of the canaries, certified on the rest."""
    from auditkit.privacy.epsilon.one_run import one_run_score_bound

    inside, outside = _scores(case)
    scores = np.concatenate([inside, outside])
    bits = np.concatenate([np.ones(inside.size, dtype=np.bool_), np.zeros(outside.size, dtype=np.bool_)])
    return lambda: one_run_score_bound(scores, bits, delta=case["delta"], alpha=case["alpha"], seed=1).epsilon


def bands_cold(case: dict[str, Any]) -> Task:
    from auditkit.privacy.epsilon import bands

    def limits() -> float:
        bands._upper_limits.cache_clear()
        return float(bands.band_upper_limits(case["n"], case["alpha"])[0])

    return limits


def bands_cached(case: dict[str, Any]) -> Task:
    from auditkit.privacy.epsilon import bands

    return lambda: float(bands.band_upper_limits(case["n"], case["alpha"])[0])


def rank_sum_quantile(case: dict[str, Any]) -> Task:
    """From (n, m, level) to the quantile, nothing kept."""
    from fractions import Fraction

    from auditkit.batchpi import rank_sums

    level = Fraction(case["level"])

    def cold() -> int:
        rank_sums._law.cache_clear()
        rank_sums._quantile.cache_clear()
        return rank_sums.rank_sum_quantile(case["n"], case["m"], level)[0]

    return cold


def _batch_scores(case: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Calibration scores of a shape, and a limit that none comes near."""
    rng = np.random.default_rng([case["n"], 11])
    laws = {
        "uniform": lambda: (rng.random(case["n"]), 1.5),
        "beta": lambda: (rng.beta(2, 5, case["n"]), 1.0),
        "half-normal": lambda: (np.abs(rng.normal(size=case["n"])), 6.0),
        "exponential": lambda: (np.minimum(rng.exponential(size=case["n"]) / 20, 1.0), 1.0),
        "whole": lambda: (rng.integers(0, 50, case["n"]).astype(np.float64), 60.0),
    }
    return laws[case["shape"]]()


def batch_mean(case: dict[str, Any]) -> Task:
    """The upper mean from unsorted scores on, the law of the rank sum not kept."""
    from auditkit import batchpi
    from auditkit.batchpi import rank_sums

    auditkit.set_num_threads(case["threads"])
    scores, high = _batch_scores(case)

    def mean() -> float:
        rank_sums._law.cache_clear()
        rank_sums._quantile.cache_clear()
        limits = (-np.inf, high)
        found = batchpi.mean(scores, case["m"], 0.1, limits=limits, ordering="rank_sum", side="upper")
        return float(found.upper)

    return mean


def largest_sum(case: dict[str, Any]) -> Task:
    """The maximisation alone: exact, the compiled recurrence, or the recurrence in plain Python."""
    from fractions import Fraction

    from auditkit.batchpi.maximisation import max_sum
    from auditkit.batchpi.rank_sums import rank_sum_quantile

    auditkit.set_num_threads(case["threads"])
    scores, high = _batch_scores(case)
    values = np.append(np.sort(scores), high)
    total = rank_sum_quantile(case["n"], case["m"], Fraction(9, 10))[0] - case["m"]
    if case["method"] == "python":
        listed = values.tolist()
        return lambda: _recurrence(listed, case["m"], total)
    return lambda: float(max_sum(values, case["m"], total, method=case["method"]))


def _recurrence(values: list[float], m: int, total: int) -> float:
    """f_k(j) = max_i f_(k-1)(j - i) + values[i], as one would write it down."""
    best = [0.0] + [-np.inf] * total
    for _ in range(m):
        best = [
            max(best[j - i] + values[i] for i in range(min(j + 1, len(values)))) for j in range(total + 1)
        ]
    return best[total]


def upper_rank(case: dict[str, Any]) -> Task:
    """The rank of a PAC threshold or a selection, without the cache."""
    from fractions import Fraction

    from auditkit.batchpi import ranks

    level = 1 - Fraction(str(case["alpha"]))

    def rank() -> int:
        ranks.upper_rank.cache_clear()
        return ranks.upper_rank(case["n"], case["m"], case["zeta"], level)[0]

    return rank


def rank_band(case: dict[str, Any]) -> Task:
    """The probability of one band, its limits as wide as `slack` standard deviations of a uniform order statistic."""
    from auditkit.batchpi import ranks

    n, m = case["n"], case["m"]
    share = np.arange(1, m + 1) / (m + 1)
    width = case["slack"] * n * np.sqrt(share * (1 - share) / m)
    lower = np.maximum.accumulate(np.clip(n * share - width, 1, n + 1).astype(np.int64))
    upper = np.maximum.accumulate(np.clip(n * share + width, 1, n + 1).astype(np.int64))
    return lambda: ranks.band_probability(n, m, lower, upper)


def buehler(case: dict[str, Any]) -> Task:
    from auditkit.privacy.epsilon.bounds import buehler as joint_bound

    def bound() -> list[Any]:
        result = joint_bound(**case["counts"], delta=case["delta"], alpha=case["alpha"])
        certified = result.method == "buehler" and not any(note.id == "AK-EP-102" for note in result.warnings)
        return [result.epsilon, certified]

    return bound


def kernel_gradient(case: dict[str, Any]) -> Task:
    """Value and gradient of the leave-one-out kernel Bayes error."""
    from auditkit.bayes_error import objective

    auditkit.set_num_threads(case["threads"])
    X, y = labelled_rows(case)

    def run() -> list[float]:
        value, gradient = objective(X, y, bandwidth=case["bandwidth"], dtype=case["dtype"])
        return [value, float(np.abs(gradient).max())]

    return run


def all_neighbours(case: dict[str, Any]) -> Task:
    """The sum of the distances of all rows to their k nearest others."""
    from auditkit.bayes_error.neighbours import nearest

    auditkit.set_num_threads(case["threads"])
    X = labelled_rows(case)[0].astype(case["dtype"])
    return lambda: float(np.sqrt(nearest(X, X, case["k"], exclude_self=True)[1]).sum())


def tree_length(case: dict[str, Any]) -> Task:
    """The length of the Euclidean minimum spanning tree."""
    from auditkit.bayes_error.neighbours import spanning_tree

    auditkit.set_num_threads(case["threads"])
    X = labelled_rows(case)[0].astype(case["dtype"])
    return lambda: float(np.sqrt(spanning_tree(X)[1]).sum())


def binned_error(case: dict[str, Any]) -> Task:
    """The plug-in calibration error alone: rows are checked, no interval, no test."""
    from auditkit.uncertainty._inputs import read_binary
    from auditkit.uncertainty.bins import cut

    auditkit.set_num_threads(case["threads"])
    p, y = predictions(case)

    def run() -> float:
        cells = cut(read_binary(p, y), case["bins"])
        return float(cells.norm(cells.gaps(), "l1"))

    return run


def calibration_error(case: dict[str, Any]) -> Task:
    """The same with its interval and a consistency test of 999 replicates."""
    from auditkit.uncertainty import calibration_error

    auditkit.set_num_threads(case["threads"])
    p, y = predictions(case)
    calibration_error(p[:100], y[:100], seed=1)  # libraries are loaded
    return lambda: calibration_error(p, y, bins=case["bins"], seed=1).value


def calibration_report(case: dict[str, Any]) -> Task:
    """The whole audit with 1,000 null replicates: seconds without and of the bin-free statistics, and peak memory."""
    from auditkit.uncertainty import calibration_audit

    auditkit.set_num_threads(case["threads"])
    p, y = predictions(case)
    calibration_audit(p[:1000], y[:1000], seed=1)  # libraries are loaded before memory is measured

    def memory(key: str) -> float:
        """In MB, of this process (Linux)."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return float(next(line for line in lines if line.startswith(key)).split()[1]) * 1024 / 1e6

    def run() -> list[float]:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts from here
        before = memory("VmRSS")
        found = calibration_audit(p, y, replicates=1000, seed=1)
        parts = found.timing["parts"]
        apart = parts["smooth error"] + parts["minimax test"]
        return [found.timing["seconds"] - apart, apart, memory("VmHWM") - before]

    def least() -> list[float]:
        runs = np.array([run() for _ in range(5)])
        return [*runs[:, :2].min(axis=0).tolist(), float(runs[:, 2].max())]

    return least


def smooth_error(case: dict[str, Any]) -> Task:
    """The smooth calibration error alone: rows are checked, no test."""
    from auditkit.uncertainty import smooth
    from auditkit.uncertainty._inputs import read_binary

    p, y = predictions(case)
    return lambda: smooth.smooth_error(read_binary(p, y))


def adaptive_sets(case: dict[str, Any]) -> Task:
    """Calibration and sets, rows of both tables checked."""
    from auditkit.uncertainty import conformal_sets

    auditkit.set_num_threads(case["threads"])
    P, y, Q = class_tables(case)
    return lambda: keep_sets(case, conformal_sets(P, y, Q, alpha=case["alpha"], method="aps")[0])


def adaptive_sets_alone(case: dict[str, Any]) -> Task:
    """Sets from a threshold that is known, rows checked."""
    from auditkit import _core
    from auditkit.uncertainty import conformal_sets
    from auditkit.uncertainty._inputs import read_multiclass

    auditkit.set_num_threads(case["threads"])
    P, y, Q = class_tables(case)
    threshold = conformal_sets(P, y, Q[:1], alpha=case["alpha"], method="aps")[1]
    no_labels, none = np.zeros(len(Q), dtype=np.int64), np.empty(0)

    def run() -> float:
        table = read_multiclass(Q, no_labels).P
        return keep_sets(
            case, _core.adaptive_sets(table, np.full(len(Q), threshold), none, 0.0, 0, case["threads"])
        )

    return run


def law_score(case: dict[str, Any]) -> Task:
    """The score of conformal predictive laws with its t interval, from residuals on."""
    from auditkit.uncertainty.predictive import conformal_predictive

    auditkit.set_num_threads(case["threads"])
    residuals, predicted, y = residual_rows(case)
    conformal_predictive(predicted, residuals).crps(y)  # libraries are loaded before the clock runs
    return lambda: conformal_predictive(predicted, residuals).crps(y).value


law_score_alone = law_score
