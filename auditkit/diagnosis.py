"""What works on this machine: versions, build, resources, and a self-test of the kernels."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import auditkit
from auditkit.errors import show

SCHEMA = "auditkit/doctor/1"
DISTRIBUTION = "auditkit-ml"
REQUIRED = ("numpy", "scipy", "scikit-learn", "click", "rich")
EXTRAS = ("torch", "opacus", "safetensors")


class SelfTest(NamedTuple):
    """One value that the installation must reproduce."""

    name: str
    compute: Callable[[], float]
    expected: float
    tolerance: float


def diagnose() -> dict[str, Any]:
    """Facts about this installation and the outcome of its self-test.

    Returns
    -------
    dict
        Schema ``auditkit/doctor/1``: ``versions``, ``platform``, ``build`` (None without a compiled core),
        ``packages`` and ``extras`` (version or None), ``threads``, ``memory_bytes``, ``warnings`` and
        ``self_test``.

    Notes
    -----
    Takes about a second; imports neither torch nor scikit-learn.
    """
    try:
        build, threads = auditkit.build_config(), auditkit.get_num_threads()
    except (ImportError, ValueError):
        build, threads = None, None
    return {
        "schema": SCHEMA,
        "versions": {"auditkit": auditkit.__version__, "python": platform.python_version()},
        "platform": platform.platform(),
        "build": build,
        "packages": {name: _version(name) for name in REQUIRED},
        "extras": {name: _version(name) for name in EXTRAS},
        "threads": threads,
        "memory_bytes": available_memory(),
        "warnings": name_conflicts(),
        "self_test": run_self_test(),
    }


def run_self_test() -> dict[str, Any]:
    """Compute every reference value; ``status`` is ``pass`` only if all agree within their tolerance."""
    started = time.perf_counter()
    tests = [_outcome(test) for test in SELF_TESTS]
    passed = all(test["status"] == "pass" for test in tests)
    return {"status": "pass" if passed else "fail", "seconds": time.perf_counter() - started, "tests": tests}


def name_conflicts() -> list[str]:
    """Warnings about other distributions that install a package called ``auditkit`` into this environment."""
    owners = sorted(set(importlib.metadata.packages_distributions().get("auditkit", [])) - {DISTRIBUTION})
    return [
        f"{show(owner)} {_version(owner) or ''} also installs a package and command named auditkit; the two "
        f"overwrite each other's files: keep {DISTRIBUTION} in an environment without it"
        for owner in owners
    ]


def available_memory() -> int | None:
    """Bytes of memory that can be had without swapping, or None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _outcome(test: SelfTest) -> dict[str, Any]:
    try:
        found = float(test.compute())
    except Exception as error:  # whatever is broken, the other tests shall still run
        return {"name": test.name, "status": "fail", "text": f"{type(error).__name__}: {show(error, 160)}"}
    passed = abs(found - test.expected) <= test.tolerance
    text = f"{found!r}, reference {test.expected!r}, tolerance {test.tolerance:g}"
    return {"name": test.name, "status": "pass" if passed else "fail", "text": text}


def _special(function: str, x: float) -> Callable[[], float]:
    def compute() -> float:
        import numpy as np

        from auditkit.runtime import core

        return float(getattr(core, function)(np.array([x]))[0])

    return compute


def _posterior(kind: str, method: str, argument: float, **arguments: float) -> Callable[[], float]:
    def compute() -> float:
        from auditkit import privacy

        posterior = getattr(privacy, kind)(**arguments)
        return float(getattr(posterior, method)(argument))

    return compute


def _bound(function: str, **arguments: float) -> Callable[[], float]:
    def compute() -> float:
        from auditkit import privacy

        return float(getattr(privacy, function)(delta=1e-5, alpha=0.05, **arguments).epsilon)

    return compute


def _separated_scores(n: int) -> Callable[[], float]:
    def compute() -> float:
        import numpy as np

        from auditkit import privacy

        scores = np.arange(2.0 * n)
        return float(
            privacy.score_bound(scores[n:], scores[:n], delta=1e-5, alpha=0.05, method="bands").epsilon
        )

    return compute


def _rank(n: int, m: int, zeta: int, k: int) -> Callable[[], float]:
    def compute() -> float:
        from auditkit.batchpi.ranks import rank_cdf

        return rank_cdf(n, m, zeta, k)

    return compute


def _rank_sum(n: int, m: int, total: int) -> Callable[[], float]:
    def compute() -> float:
        from auditkit.batchpi.rank_sums import rank_sum_cdf

        return rank_sum_cdf(n, m, total)[0]

    return compute


def _band(n: int, lower: list[int], upper: list[int]) -> Callable[[], float]:
    def compute() -> float:
        import numpy as np

        from auditkit.batchpi.ranks import band_probability

        return band_probability(n, len(lower), np.array(lower), np.array(upper))

    return compute


def _batch_mean(scores: list[float], m: int, high: float) -> Callable[[], float]:
    def compute() -> float:
        from auditkit import batchpi

        limits = (-math.inf, high)
        found = batchpi.mean(scores, m, 0.2, limits=limits, ordering="rank_sum", side="upper")
        return float(found.upper)

    return compute


def _three_points(gradient: bool) -> Callable[[], float]:
    """Rows 0, 1, 3 of classes 0, 1, 0 at bandwidth 1: the Bayes error of the kernel posterior, or its slope at 0."""

    def compute() -> float:
        from auditkit.bayes_error import objective

        value, slope = objective([[0.0], [1.0], [3.0]], [0, 1, 0], bandwidth=1.0, tau=0)
        return float(slope[0, 0]) if gradient else value

    return compute


def _tree_length() -> float:
    import numpy as np

    from auditkit.bayes_error.neighbours import spanning_tree

    return float(spanning_tree(np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0], [3.0, 4.5]]))[1].sum())


def _no_error_in_600() -> float:
    from auditkit.bayes_error.bounds import error_upper

    return error_upper(0, 600, 0.05)


def _calibration(name: str) -> Callable[[], float]:
    """Ten rows: the binned error in five bins, or the statistic of a test."""

    def compute() -> float:
        from auditkit import uncertainty

        p = (0.05, 0.15, 0.22, 0.35, 0.41, 0.55, 0.62, 0.73, 0.88, 0.94)
        y = (0, 0, 1, 0, 1, 0, 1, 1, 1, 1)
        if name == "binned":
            return float(uncertainty.calibration_error(p, y, bins=5, replicates=1, seed=0).value)
        return float(uncertainty.ks_calibration(p, y, method="asymptotic").statistic)

    return compute


def _adaptive_score() -> float:
    """Of the label of rank four; the tie with rank three is broken by the column."""
    import numpy as np

    from auditkit import _core

    rows, label = np.array([[0.5, 0.125, 0.25, 0.125]]), np.array([3])
    return float(_core.adaptive_scores(rows, label, np.array([0.5]), 0.25, 2, 1)[0])


def _step_law_score() -> float:
    """Atoms -1, 1/2 and 2, the value 3/4 and the scale 2."""
    import numpy as np

    from auditkit import _core

    atoms, starts, code = np.array([-1.0, 0.5, 2.0]), np.array([0, 3]), np.array([0])
    tables = _core.law_tables(atoms, starts)
    return float(_core.law_scores(atoms, starts, *tables, code, np.array([0.75]), np.array([2.0]), 1)[0])


_BALANCED = {"tp": 90, "fn": 10, "fp": 5, "tn": 95}
_RARE = {"tp": 100, "fn": 400, "fp": 2, "tn": 498}
_PERFECT = {"tp": 50, "fn": 0, "fp": 0, "tn": 50}
_MILLIONS = {"tp": 600_000, "fn": 400_000, "fp": 10_000, "tn": 990_000}

SELF_TESTS = (
    SelfTest("log gamma", _special("log_gamma", 0.5), 0.5723649429247001, 1e-15),
    SelfTest("normal quantile", _special("normal_quantile", 0.975), 1.9599639845400542, 1e-14),
    SelfTest(
        "epsilon posterior, quantile",
        _posterior("EpsilonPosterior", "ppf", 0.05, **_BALANCED, delta=1e-5),
        2.290464084831177,
        1e-9,
    ),
    SelfTest(
        "epsilon posterior, probability",
        _posterior("EpsilonPosterior", "cdf", 4.0, **_RARE, delta=1e-5),
        0.5977881849466471,
        1e-12,
    ),
    SelfTest(
        "epsilon posterior, density",
        _posterior("EpsilonPosterior", "pdf", 2.0, **_BALANCED, delta=1e-5),
        0.04212699981872151,
        1e-11,
    ),
    SelfTest(
        "epsilon posterior, millions of units",
        _posterior("EpsilonPosterior", "ppf", 0.025, **_MILLIONS, delta=1e-6),
        4.074823459335447,
        1e-9,
    ),
    SelfTest(
        "Gaussian posterior, quantile",
        _posterior("MuPosterior", "ppf", 0.05, **_BALANCED),
        2.4812542297416889,
        1e-8,
    ),
    SelfTest("Clopper-Pearson bound", _bound("clopper_pearson", **_BALANCED), 1.9879624244547273, 1e-9),
    SelfTest("Buehler bound, perfect attack", _bound("buehler", **_PERFECT), 3.4929551269936266, 1e-6),
    SelfTest("score bands, separated scores", _separated_scores(20), 1.04224746438882, 1e-6),
    SelfTest(
        "one-run bound",
        _bound("one_run_bound", canaries=1000, guesses=100, correct=90),
        1.6261434806957262,
        1e-7,
    ),
    SelfTest(
        "one-run bound, Gaussian family",
        _bound("one_run_fdp_bound", canaries=1000, guesses=100, correct=90),
        2.456405,
        5e-6,
    ),
    SelfTest("rank of an order statistic", _rank(12, 6, 5, 12), 46 / 51, 1e-13),
    SelfTest("sum of ranks", _rank_sum(40, 10, 263), 0.9011581521453288, 1e-13),
    SelfTest("band of ranks", _band(4, [1, 1, 1], [2, 4, 5]), 23 / 35, 1e-13),
    SelfTest("kernel posterior", _three_points(False), 0.03128146332777837, 1e-14),
    SelfTest("its gradient", _three_points(True), 0.081878854020635568, 1e-14),
    SelfTest("spanning tree", _tree_length, 9.0 + 9.25 + 16.0, 1e-14),
    SelfTest("certified error rate", _no_error_in_600, 0.0049804433803612990, 1e-13),
    SelfTest("calibration error", _calibration("binned"), 0.15, 1e-14),
    SelfTest("walk over predictions", _calibration("walk"), 0.85422884001210761, 1e-14),
    SelfTest("score of a label", _adaptive_score, 0.5 + 0.25 + 0.125 + 0.5 * 0.125 + 0.25 * 2, 1e-14),
    SelfTest("score of a step law", _step_law_score, 2 * (1.5 / 9 + 0.25 * 4 / 9 + 1.25 / 9), 1e-14),
    SelfTest("mean of a batch", _batch_mean([1, 1, 4, 6, 7], 3, 10), 7.0, 1e-14),
)
"""References: high-precision evaluations of the integrals and sums, exact counts of ranks, made independently of the
kernels."""
