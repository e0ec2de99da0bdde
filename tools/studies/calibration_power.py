"""Which calibration test finds which fault: the table of docs/explain/calibration.md.

Usage: python tools/studies/calibration_power.py [--trials 200] [--fault WORD]

For each fault and size, how many of the trials each test rejects at 0.05. True log-odds are normal with deviation 1.5
but for the rare outcomes (around -4, deviation 1). Seeded.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable

import numpy as np

from auditkit import uncertainty
from auditkit.results import Result

Array = np.ndarray
SIZES = (300, 1000, 5000)
REPLICATES = 39
"""Null replicates: p-values are multiples of 1/40, so that a test at 0.05 is exact."""


def rate(log_odds: Array) -> Array:
    """The probability that has these log-odds."""
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def waved(truth: Array) -> Array:
    """Predictions off by 0.08 up and down, 32 waves between 0 and 1; right where they are near the ends."""
    wave = 0.08 * np.sign(np.sin(64 * np.pi * truth))
    return np.where(np.abs(truth - 0.5) < 0.4, truth + wave, truth)


# the mean of the true log-odds, their deviation, and what is promised where they are z
FAULTS: dict[str, tuple[float, float, Callable[[Array], Array]]] = {
    "none (size)": (0.0, 1.5, rate),
    "overconfident: log-odds times 1.3": (0.0, 1.5, lambda z: rate(1.3 * z)),
    "underconfident: log-odds times 0.7": (0.0, 1.5, lambda z: rate(0.7 * z)),
    "too high throughout: log-odds plus 0.25": (0.0, 1.5, lambda z: rate(z + 0.25)),
    "rare outcomes, log-odds plus 0.5": (-4.0, 1.0, lambda z: rate(z + 0.5)),
    "a fine wave of 0.08 between 0.1 and 0.9": (0.0, 1.5, lambda z: waved(rate(z))),
}
TESTS: dict[str, Callable[[Array, Array, int], Result]] = {
    "binned": lambda p, y, s: uncertainty.calibration_error(p, y, replicates=REPLICATES, seed=s),
    "minimax": lambda p, y, s: uncertainty.minimax_calibration_test(p, y, replicates=REPLICATES, seed=s),
    "smooth": lambda p, y, s: uncertainty.smooth_calibration_error(p, y, replicates=REPLICATES, seed=s),
    "KS": lambda p, y, s: uncertainty.ks_calibration(p, y, seed=s),
    "Kuiper": lambda p, y, s: uncertainty.kuiper_calibration(p, y, seed=s),
    "Spiegelhalter": lambda p, y, s: uncertainty.spiegelhalter(p, y),
}


def rejected(fault: str, n: int, trials: int) -> dict[str, float]:
    """Share of trials that each test rejects, in percent."""
    centre, spread, promise = FAULTS[fault]
    counts = dict.fromkeys(TESTS, 0)
    for trial in range(trials):
        rng = np.random.default_rng([trial, n, list(FAULTS).index(fault)])
        z = rng.normal(centre, spread, n)
        p, y = promise(z), (rng.random(n) < rate(z)).astype(np.uint8)
        for name, test in TESTS.items():
            counts[name] += test(p, y, trial).p_value <= 0.05  # type: ignore[attr-defined]
    return {name: 100 * count / trials for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--fault", default="", metavar="WORD", help="only faults with this word")
    chosen, begun = parser.parse_args(), time.perf_counter()
    trials = chosen.trials
    print(f"| fault | rows | {' | '.join(TESTS)} |")
    print("|---|---|" + "---|" * len(TESTS))
    for fault in (name for name in FAULTS if chosen.fault in name):
        for n in SIZES:
            found = rejected(fault, n, trials)
            best = max(found.values())
            cells = (f"**{share:.0f}**" if share == best > 10 else f"{share:.0f}" for share in found.values())
            print(f"| {fault} | {n:,} | {' | '.join(cells)} |", flush=True)
    seconds = time.perf_counter() - begun
    print(f"{trials} trials, {platform.machine()}, {os.cpu_count()} cores, {seconds:.0f} s")


if __name__ == "__main__":
    main()
