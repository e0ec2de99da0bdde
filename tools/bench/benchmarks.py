"""The benchmarks. Each measures auditkit, compares with a peer where there is one, and sets its bars."""

from __future__ import annotations

import contextlib
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cases
import numpy as np
from peers import Side, TooLong, interpreter
from report import Report, duration

PEER_CAP = 60.0
"""Seconds of CPU time that a peer may take for one task."""


@dataclass
class Bench:
    """What a benchmark works with."""

    report: Report
    ours: Side
    core: int
    folder: Path
    peers: Path | None  # cache of the peers' environments; None: without peers

    def ask(self, task: str, case: cases.Case, **limits: Any) -> dict[str, Any]:
        answer = self.ours.ask(task, case, **limits)
        if "error" in answer:
            raise RuntimeError(f"{task}: {answer['error']}")
        return answer

    def peer(self, name: str) -> Side | None:
        return None if self.peers is None else Side(name, interpreter(name, self.peers), core=self.core)


def _described(case: cases.Case) -> str:
    c = case["counts"]
    return (
        f"{case['name']} (tp {c['tp']}, fn {c['fn']}, fp {c['fp']}, tn {c['tn']}, delta {case['delta']:g}, "
        f"alpha {case['alpha']:g}, {case['region']})"
    )


def _worst(bench: Bench, task: str, candidates: list[cases.Case], name: str) -> float:
    """The slowest of many cases: a short look at each, then a long one at the ten slowest."""
    looks = [
        (min(bench.ask(task, case, seconds=0.02, repeats=6)["cpu"]), i) for i, case in enumerate(candidates)
    ]
    slowest = [candidates[i] for _, i in sorted(looks, reverse=True)[:10]]
    again = [(bench.ask(task, case), case) for case in slowest]
    answer, case = max(again, key=lambda pair: min(pair[0]["cpu"]))
    middle = statistics.median(look for look, _ in looks)
    at = f", eps {case['eps']:.6g}" if task == "cdf" else ""
    note = f"of {len(candidates)}; median case {duration(middle)}; worst: {_described(case)}{at}"
    return bench.report.row(name, answer, note=note)


def _with_eps(bench: Bench, case: cases.Case, levels: list[float]) -> list[cases.Case]:
    values = bench.ask("quantiles", case | {"levels": levels}, seconds=0, repeats=1)["value"]
    return [case | {"eps": eps} for eps in values]


def cdf(bench: Bench) -> None:
    """One value of the posterior's distribution function."""
    report = bench.report
    worst = 0.0
    for case in cases.ORDINARY + cases.LARGE:
        at_median = _with_eps(bench, case, [0.5])[0]
        least = report.row(case["name"], bench.ask("cdf", at_median), note="at the median")
        values = [at_median["eps"] * (0.5 + i / 256) for i in range(256)]
        batch = bench.ask("cdf_values", case | {"eps_values": values}, repeats=20)
        report.row(case["name"], batch, note="a value in an array of 256", divide=256)
        worst = max(worst, least) if case in cases.ORDINARY else worst
    ordinary = [at for case in cases.ORDINARY for at in _with_eps(bench, case, [0.025, 0.5, 0.975])]
    worst = max(worst, _worst(bench, "cdf", ordinary, "worst ordinary"))
    report.bar("cdf, ordinary counts", worst, 50e-6)
    spread = [
        at for case in cases.SPREAD for at in _with_eps(bench, case, [1e-6, 0.025, 0.5, 0.975, 1 - 1e-6])
    ]
    spread += [at for case in cases.random_counts(150) for at in _with_eps(bench, case, [0.025, 0.975])]
    report.bar("cdf, any counts", _worst(bench, "cdf", spread, "worst of all"), 150e-6)
    made = bench.ask("construct", cases.ORDINARY[1])
    report.row("making the posterior object", made, note="counts checked; not part of the rows above")


def interval(bench: Bench) -> None:
    """Two-sided intervals, from counts to end points; against privacy-estimates."""
    report = bench.report
    for case in cases.SPREAD:
        report.row(case["name"], bench.ask("interval", case))
    everything = cases.SPREAD + cases.random_counts(300)
    report.bar(
        "interval, any counts", _worst(bench, "interval", everything, "worst of all"), 1.5e-3, goal=0.25e-3
    )
    peer = bench.peer("privacy-estimates")
    if peer is None:
        return
    with peer:
        for case in [
            cases.ORDINARY[1],
            cases.ORDINARY[2],
            cases.ORDINARY[4],
            cases.ORDINARY[0],
            cases.LARGE[0],
        ]:
            pair = _compare(bench, peer, "interval", case, case["name"])
            if pair is not None:
                _interval_difference(bench, case, *pair)


def _interval_difference(bench: Bench, case: cases.Case, ours: list[float], theirs: list[float]) -> None:
    """The peer stops at 0.01 in epsilon and 0.005 in probability, which moves an end by 0.005 / density."""
    densities = bench.ask("density", case | {"eps_values": ours}, seconds=0, repeats=1)["value"]
    for end, a, b, density in zip(("lower", "upper"), ours, theirs, densities, strict=True):
        allowed = 0.01 + 0.005 / density if density > 0 else float("inf")
        inside = "within" if abs(a - b) <= allowed else "OUTSIDE"
        bench.report.line(
            f"{case['name']}, {end} end",
            f"auditkit {a:.6f}  privacy-estimates {b:.6f}  difference {b - a:+.4f}, "
            f"{'within' if abs(a - b) <= 0.01 else 'beyond'} 0.01, "
            f"{inside} 0.01 + 0.005/density = {allowed:.4f}",
            ours=a,
            theirs=b,
        )


def _compare(bench: Bench, peer: Side, task: str, case: cases.Case, name: str) -> tuple[Any, Any] | None:
    """Both sides in turns (A B A B) with their ratio; returns both values, None if the peer gave none."""
    runs: dict[str, dict[str, list[float]]] = {side: {"times": [], "cpu": []} for side in ("ours", "theirs")}
    values: dict[str, Any] = {}
    begin, rounds = time.perf_counter(), 0
    while rounds < 4 and (rounds == 0 or time.perf_counter() - begin < 15.0):
        rounds += 1
        answer = bench.ask(task, case, seconds=0.2, repeats=50)
        _extend(runs["ours"], answer)
        values["ours"] = answer["value"]
        try:
            answer = peer.ask(task, case, seconds=0.5, repeats=10, cap=PEER_CAP)
        except TooLong as late:
            answer = {"error": str(late)}
        if "error" in answer:
            bench.report.row(name, runs["ours"])
            bench.report.line(
                name, f"{peer.name}: {answer['error']}; auditkit: {values['ours']}", ours=values["ours"]
            )
            return None
        _extend(runs["theirs"], answer)
        values["theirs"] = answer["value"]
    ours = bench.report.row(name, runs["ours"])
    theirs = bench.report.row(name, runs["theirs"], side=peer.name, note=f"{rounds} rounds")
    bench.report.line(
        name, f"{peer.name} / auditkit = {theirs / ours:.3g} (least CPU times)", ratio=theirs / ours
    )
    return values["ours"], values["theirs"]


def _extend(runs: dict[str, list[float]], answer: dict[str, Any]) -> None:
    for clock in runs:
        runs[clock] += answer[clock]


def _compare_numbers(bench: Bench, peer: Side, task: str, case: cases.Case, name: str) -> float:
    """Times and one number of both sides; our shortest time."""
    pair = _compare(bench, peer, task, case, name)
    if pair is not None:
        ours, theirs = pair
        text = f"auditkit {ours:.8g}  {peer.name} {theirs:.8g}  difference {theirs - ours:+.2g}"
        bench.report.line(name, text, ours=ours, theirs=theirs)
    mine = [
        row["min cpu"] for row in bench.report.rows if row["name"] == name and row.get("side") == "auditkit"
    ]
    return float(min(mine))


def scaling(bench: Bench) -> None:
    """Time at 1e9 units a class over time at 100, same rates."""
    worst = 0.0
    for rates in cases.SCALED:
        least: dict[str, dict[int, float]] = {"interval": {}, "cdf_values": {}}
        for units in (100, 10**9):
            case = cases.scaled(rates, units)
            at = _with_eps(bench, case, [0.025, 0.975])
            low, high = at[0]["eps"], at[1]["eps"]
            case["eps_values"] = [low + (high - low) * i / 63 for i in range(64)]
            name = f"{case['name']}, {units:,} a class"
            for task, note, divide in (("interval", "interval", 1), ("cdf_values", "cdf, a value of 64", 64)):
                answer = bench.ask(task, case)
                least[task][units] = bench.report.row(name, answer, note=note, divide=divide)
        for ends in least.values():
            worst = max(worst, ends[10**9] / ends[100])
    bench.report.bar("time at 1e9 units over time at 100", worst, 2.0, unit="x")


def sweep(bench: Bench) -> None:
    """10,000 intervals of one score set: 100 thresholds by 100 deltas, two threads."""
    scores = cases.write_scores(bench.folder, 1_000)
    case = {
        "scores": str(scores),
        "threads": 2,
        "thresholds": 100,
        "deltas": [10.0 ** (-8 + 6 * i / 99) for i in range(100)],
        "alpha": 0.05,
    }
    with Side("auditkit", sys.executable, core=None) as ours:
        answer = ours.ask("sweep", case, seconds=20, repeats=5)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    least = bench.report.row("10,000 intervals, 2 threads, 1,000 a class", answer, clock="wall")
    bench.report.bar("10,000 intervals of one score set, 2 threads", least, 5.0, goal=2.0)


def rates(bench: Bench) -> None:
    """Clopper-Pearson at a fixed threshold, and a bound over all thresholds; against jax-privacy."""
    peer = bench.peer("jax-privacy")
    for units in (1_000, 100_000):
        case = _score_case(bench, units, threshold=1.0)
        for task, label in (("fixed_threshold", "one threshold"), ("all_thresholds", "all thresholds")):
            name = f"{label}, {units:,} a class"
            if peer is None:
                bench.report.row(name, bench.ask(task, case))
                continue
            with peer:
                _compare_numbers(bench, peer, task, case, name)


def _score_case(bench: Bench, units: int, threshold: float) -> cases.Case:
    scores = cases.write_scores(bench.folder, units)
    return {"scores": str(scores), "threshold": threshold, "delta": 1e-5, "alpha": 0.05}


def _one_run_rows(
    bench: Bench, tasks: list[tuple[str, str]], sizes: tuple[int, ...]
) -> dict[tuple[str, int], float]:
    peer = bench.peer("jax-privacy")
    least = {}
    for units in sizes:
        case = _score_case(bench, units, threshold=2.5)
        for task, label in tasks:
            name = f"{label}, {units:,} a class"
            if peer is None:
                least[task, units] = bench.report.row(name, bench.ask(task, case))
                continue
            with peer:
                least[task, units] = _compare_numbers(bench, peer, task, case, name)
    return least


def one_run(bench: Bench) -> None:
    """The bound from one training run at a fixed threshold and with a chosen one; against jax-privacy."""
    tasks = [("one_run", "one run, one threshold"), ("one_run_split", "one run, threshold chosen on 1/4")]
    least = _one_run_rows(bench, tasks, (1_000, 10_000, 100_000))
    bench.report.bar("one-run bound, 1e5 a class", least["one_run", 100_000], 10e-3)


def one_run_fdp(bench: Bench) -> None:
    """The one-run bound under a Gaussian trade-off curve, fixed threshold; against jax-privacy."""
    _one_run_rows(bench, [("one_run_fdp", "one run, Gaussian family")], (1_000, 10_000))


def bands(bench: Bench) -> None:
    """Constants of the simultaneous bands: computed, and from the cache."""
    cold = cached = 0.0
    for alpha in (0.025, 0.005, 0.05):
        case = {"n": 1_000, "alpha": alpha}
        cold = max(
            cold,
            bench.report.row(f"n = 1,000, alpha {alpha:g}, cold", bench.ask("bands_cold", case)),
        )
        answer = bench.ask("bands_cached", case)
        cached = max(cached, bench.report.row(f"n = 1,000, alpha {alpha:g}, cached", answer))
    bench.report.bar("band constants, n = 1,000, cold", cold, 50e-3)
    bench.report.bar("band constants, n = 1,000, cached", cached, 1e-3)


def buehler(bench: Bench) -> None:
    """The exact joint bound."""
    for units, limit in ((100, 20e-3), (1_000, 200e-3)):
        slowest, uncertified = 0.0, 0
        for case in cases.joint_bound_cases(units):
            answer = bench.ask("buehler", case)
            epsilon, certified = answer["value"]
            uncertified += not certified
            note = f"epsilon {epsilon:.6f}, {'certified' if certified else 'NOT certified'}"
            name = f"{units:,} a class, {case['name']}"
            slowest = max(slowest, bench.report.row(name, answer, note=note))
        measured = None if uncertified else slowest
        bench.report.bar(f"joint bound, {units:,} a class, certified", measured, limit)


def rank_sums(bench: Bench) -> None:
    """Quantile of the rank sum of a batch, nothing kept between calls."""
    for n, m in ((200, 40), (1_000, 100), (100_000, 1_000), (10_000_000, 10_000), (10_000_000, 5)):
        answer = bench.ask("rank_sum_quantile", {"n": n, "m": m, "level": "9/10"})
        least = bench.report.row(f"n = {n:,}, m = {m:,}", answer, note=f"q = {answer['value']:,}")
        if m == 1_000:
            bench.report.bar("rank-sum quantile, n = 100,000, m = 1,000, cold", least, 10e-3)


def batch_ranks(bench: Bench) -> None:
    """Ranks of sorted batch scores: one that reaches a level, and the probability of a band over all of them."""
    slowest = 0.0
    for m in (100, 10_000, 10_000_000):
        for share in (0.5, 0.9, 1.0):
            case = {"n": 10**7, "m": m, "zeta": round(share * m), "alpha": 0.1}
            name = f"rank, n = 1e7, m = {m:,}, share {share:g}"
            slowest = max(slowest, bench.report.row(name, bench.ask("upper_rank", case)))
    bench.report.bar("one rank, n = 1e7, not cached", slowest, 1e-3)
    slowest = 0.0
    for slack in (3.0, 1e9):
        case = {"n": 100_000, "m": 1_000, "slack": slack}
        answer = bench.ask("rank_band", case, repeats=5)
        slowest = max(slowest, bench.report.row(f"band, n = 1e5, m = 1,000, slack {slack:g}", answer))
    bench.report.bar("probability of a band, n = 1e5, m = 1,000", slowest, 2.0)


SHAPES = ("uniform", "beta", "half-normal", "exponential", "whole")


def batch_mean(bench: Bench) -> None:
    """The exact upper mean of a batch by rank sums, from unsorted scores on; against the plain recurrence."""
    small = {"n": 1_000, "m": 100, "threads": 1}
    slowest = 0.0
    for shape in SHAPES:
        answer = bench.ask("batch_mean", small | {"shape": shape})
        slowest = max(slowest, bench.report.row(f"mean, n = 1,000, m = 100, {shape}", answer))
    bench.report.bar("exact mean, n = 1,000, m = 100, slowest shape", slowest, 5e-3)
    ours = bench.ask("largest_sum", small | {"shape": "beta", "method": "exact"})
    plain = bench.ask("largest_sum", small | {"shape": "beta", "method": "reference"}, seconds=0, repeats=1)
    least = bench.report.row("maximisation alone, beta", ours)
    reference = bench.report.row("the same by the recurrence, same compiler", plain)
    bench.report.bar(
        "exact over recurrence, C++, n = 1,000, m = 100", least / reference, 1 / 200, unit="x", goal=1e-3
    )
    tiny = {"n": 100, "m": 20, "threads": 1, "shape": "beta"}
    least = bench.report.row(
        "maximisation, n = 100, m = 20", bench.ask("largest_sum", tiny | {"method": "exact"})
    )
    slow = bench.ask("largest_sum", tiny | {"method": "python"}, seconds=0, repeats=1)
    plain_python = bench.report.row("the same by the recurrence in Python", slow)
    bench.report.line("recurrence in Python over exact", f"{plain_python / least:,.0f}x")
    slowest = 0.0
    with Side("auditkit", sys.executable, core=None) as both_cores:
        for shape in SHAPES:
            case = {"n": 20_000, "m": 200, "threads": 2, "shape": shape}
            answer = both_cores.ask("batch_mean", case, repeats=3)
            name = f"mean, n = 20,000, m = 200, {shape}, 2 threads"
            slowest = max(slowest, bench.report.row(name, answer, clock="wall"))
    bench.report.bar("exact mean, n = 20,000, m = 200, slowest shape", slowest, 2.0, goal=0.5)


def kernel_gradient(bench: Bench) -> None:
    """The kernel Bayes error and its gradient on 2 threads, against torch in two passes and bayeslap."""
    case = {"n": 20_000, "d": 128, "classes": 10, "threads": 2, "dtype": "float32"}
    limits = {"seconds": 20.0, "repeats": 4, "cap": 300.0}
    with (
        Side("auditkit", sys.executable, core=None) as ours,
        Side("torch", sys.executable, core=None) as plain,
    ):
        for bandwidth in (3.0, 6.0):
            at = case | {"bandwidth": bandwidth}
            name = f"n = 20,000, d = 128, h = {bandwidth:g}"
            least = bench.report.row(name, _asked(ours, at, limits), clock="wall")
            runs = [_asked(plain, at | {"block": block}, limits) for block in (256, 512, 1024)]
            fastest = min(runs, key=lambda run: min(run["times"]))
            other = bench.report.row(name, fastest, side="torch", note="the best of 3 blocks", clock="wall")
            bench.report.bar(f"gradient over torch two-pass, {name}", least / other, 1 / 3, unit="x")
        small = {"n": 1000, "d": 512, "classes": 10, "threads": 2, "dtype": "float32", "bandwidth": 8.0}
        name = "n = 1,000, d = 512"
        least = bench.report.row(name, _asked(ours, small, limits), clock="wall")
    if bench.peers is not None:
        with Side("bayeslap", interpreter("bayeslap", bench.peers), core=None) as peer:
            other = bench.report.row(name, _asked(peer, small, limits), side="bayeslap", clock="wall")
        bench.report.bar(f"gradient over bayeslap, {name}", least / other, 1 / 50, unit="x")


def _asked(side: Side, case: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    answer = side.ask("kernel_gradient", case, **limits)
    if "error" in answer:
        raise RuntimeError(f"{side.name}: {answer['error']}")
    return answer


def neighbours(bench: Bench) -> None:
    """Nearest neighbours of all rows and the spanning tree on one core, against scikit-learn and SciPy."""
    cases_of = [
        ("all_neighbours", {"n": 10_000, "d": 128, "k": 1, "dtype": "float32"}, 0.7),
        ("all_neighbours", {"n": 10_000, "d": 128, "k": 10, "dtype": "float64"}, 0.8),
        ("all_neighbours", {"n": 10_000, "d": 16, "k": 10, "dtype": "float64"}, 0.7),
        ("tree_length", {"n": 4_000, "d": 64, "dtype": "float64"}, 0.05),
    ]
    with Side("sklearn", sys.executable, core=bench.core) as peer:
        for task, case, limit in cases_of:
            name = f"{task.replace('_', ' ')}, " + ", ".join(f"{key} {value}" for key, value in case.items())
            at = case | {"classes": 2, "threads": 1}
            pair = _compare(bench, peer, task, at, name)
            if pair is None or abs(pair[0] - pair[1]) > 1e-5 * abs(pair[1]):
                raise RuntimeError(f"{name}: the two sides differ")
            least = {
                row["side"]: row["min cpu"]
                for row in bench.report.rows
                if row["name"] == name and "min cpu" in row
            }
            bench.report.bar(name, least["auditkit"] / least["sklearn"], limit, unit="x")


def calibration(bench: Bench) -> None:
    """The calibration error of a million rows in 15 bins on one core, against NumPy and other packages."""
    case = {"n": 10**6, "slope": 1.3, "bins": 15, "threads": 1}
    name = "calibration error, 1,000,000 rows"
    with Side("numpy", sys.executable, core=bench.core) as plain:
        least = _compare_numbers(bench, plain, "binned_error", case, name)
    bench.report.bar(name, least, 3e-3)
    bench.report.row(f"{name}, with interval and test", bench.ask("calibration_error", case))
    for package in ("torchmetrics", "netcal"):
        peer = bench.peer(package)
        if peer is not None:
            with peer:
                _compare_numbers(bench, peer, "binned_error", case, f"{name}, {package}")
    _calibration_report(bench, case)
    name = "smooth calibration error, 1,000,000 rows"
    peer = bench.peer("relplot")
    if peer is None:
        bench.report.bar(name, bench.report.row(name, bench.ask("smooth_error", case)), 0.1)
        return
    with peer:
        bench.report.bar(name, _compare_numbers(bench, peer, "smooth_error", case, name), 0.1)


def adaptive_sets(bench: Bench) -> None:
    """Adaptive sets of 100,000 rows of 100 labels on one core, against torchcp, MAPIE and a sort of each row."""
    peers = [peer for peer in map(bench.peer, ("torchcp", "mapie")) if peer is not None]
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(side) for side in (Side("numpy", sys.executable, core=bench.core), *peers)
        ]
        for scale, size in ((3.5, "small"), (1.7, "large")):
            for dtype in ("float32", "float64"):
                case = {"n": 10**5, "k": 100, "scale": scale, "dtype": dtype, "alpha": 0.1, "threads": 1}
                for task, what in (("adaptive_sets", "all"), ("adaptive_sets_alone", "threshold known")):
                    _adaptive_pairs(bench, sides, task, case, f"{size} sets, {dtype}, {what}")


def _adaptive_pairs(bench: Bench, sides: list[Side], task: str, case: cases.Case, name: str) -> None:
    """One task on all sides, in turns: the bar over the fastest peer, and how many rows have the same set."""
    ours: dict[str, list[float]] = {"times": [], "cpu": []}
    theirs: dict[str, dict[str, list[float]]] = {side.name: {"times": [], "cpu": []} for side in sides}
    for _ in range(2):
        for side in sides:
            _extend(ours, bench.ask(task, case, seconds=0.5))
            answer = side.ask(task, case, seconds=3.0, repeats=2)
            if "error" in answer:
                raise RuntimeError(f"{side.name}: {answer['error']}")
            _extend(theirs[side.name], answer)
    least, fastest = bench.report.row(name, ours), math.inf
    for side in sides:
        other = bench.report.row(name, theirs[side.name], side=side.name)
        fastest = fastest if side.name == "numpy" else min(fastest, other)
        size, equal = _equal_sets(bench, side, task, case)
        text = f"{side.name} / auditkit = {other / least:.3g}; {equal:.4%} of the sets equal, mean size {size:.4g}"
        bench.report.line(name, text, ratio=other / least, equal=equal)
    if fastest < math.inf:
        bench.report.bar(f"over the fastest peer, {name}", least / fastest, 1 / 3, unit="x")


def _equal_sets(bench: Bench, side: Side, task: str, case: cases.Case) -> tuple[float, float]:
    """The mean size of the other side's sets, and the share of rows whose set is the same on both sides."""
    paths = [str(bench.folder / f"{name}.npy") for name in ("ours", "theirs")]
    bench.ask(task, case | {"sets": paths[0]}, seconds=0, repeats=1)
    size = side.ask(task, case | {"sets": paths[1]}, seconds=0, repeats=1)["value"]
    ours, theirs = (np.load(path) for path in paths)
    return size, float((ours == theirs).all(axis=1).mean())


def crps(bench: Bench) -> None:
    """The score of 10,000 conformal predictive laws on one core, against crepes: its evaluation, and its sums alone."""
    peer = bench.peer("crepes")
    for calibration_rows in (2_000, 10_000):
        case = {"calibration": calibration_rows, "test": 10_000, "threads": 1}
        name = f"conformal CRPS, {calibration_rows:,} and 10,000 rows"
        if peer is None:
            bench.report.row(name, bench.ask("law_score", case))
            continue
        for task, part in (("law_score", "evaluation"), ("law_score_alone", "laws and sums alone")):
            with peer:
                least = _compare_numbers(bench, peer, task, case, f"{name}, {part}")
            theirs = [row["min cpu"] for row in bench.report.rows if row.get("side") == peer.name][-1]
            bench.report.bar(f"{name}, {part}", least / theirs, 1e-3, unit="x")


def _calibration_report(bench: Bench, case: cases.Case) -> None:
    """All metrics at once: time without and of the statistics that draw every row 99 times, and memory."""
    name = "calibration report, 1,000,000 rows, 1,000 null replicates"
    binned, apart, megabytes = bench.ask("calibration_report", case, seconds=0)["value"]
    print(
        f"{name}: {binned:.3f} s; bin-free statistics with 99 replicates {apart:.3f} s; {megabytes:.0f} MB at most"
    )
    bench.report.bar(name, binned, 1.0)
    bench.report.bar(f"{name}: memory over 150 MB", megabytes / 150, 1.0, unit="x")


def startup(bench: Bench) -> None:
    """CPU time of `auditkit --help` over that of bare Python."""
    command = Path(sys.executable).parent / "auditkit"
    if not command.exists():
        raise RuntimeError(f"no command {command.name} beside {Path(sys.executable).name}")
    commands = {"auditkit --help": [str(command), "--help"], "python -c pass": [sys.executable, "-c", "pass"]}
    runs: dict[str, dict[str, list[float]]] = {name: {"times": [], "cpu": []} for name in commands}
    for _ in range(40):
        for name, line in commands.items():
            _extend(runs[name], _process_times(line))
    helped, bare = (bench.report.row(name, runs[name], side="") for name in commands)
    bench.report.bar("auditkit --help over bare Python, CPU time", helped / bare, 6.0, unit="x")


def _process_times(command: list[str]) -> dict[str, list[float]]:
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return {"times": [wall], "cpu": [usage.ru_utime + usage.ru_stime]}


BENCHMARKS: dict[str, Callable[[Bench], None]] = {
    "cdf": cdf,
    "interval": interval,
    "scaling": scaling,
    "sweep": sweep,
    "rates": rates,
    "one-run": one_run,
    "one-run-fdp": one_run_fdp,
    "bands": bands,
    "buehler": buehler,
    "rank-sums": rank_sums,
    "batch-ranks": batch_ranks,
    "batch-mean": batch_mean,
    "kernel-gradient": kernel_gradient,
    "neighbours": neighbours,
    "calibration": calibration,
    "adaptive-sets": adaptive_sets,
    "crps": crps,
    "startup": startup,
}
