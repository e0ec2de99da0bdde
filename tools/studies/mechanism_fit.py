"""How well the mechanism fit answers on simulated traces with known truth: the table of docs/studies.md.

Usage: python tools/studies/mechanism_fit.py [--runs 400]

Prints for each nominal epsilon and number of canaries the lower end of the fitted epsilon as a share of nominal, then
how often correct runs are called inconsistent, how often a shortfall of noise is found, and which cause is named first.
Seeds 0 to runs - 1.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from auditkit.privacy.epsilon.privacy_loss import sigma_for_epsilon, subsampled_gaussian_epsilon
from auditkit.privacy.trace import conformance

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from traces import simulate_summary

RATE, STEPS, DELTA, LEVEL = 0.1, 100, 1e-5, 0.95
CAUSES = {
    "noise halved": ("noise", {"sigma": 0.5}),
    "canary not clipped (norm 3 C)": ("clipping", {"clip": 3.0}),
    "no subsampling": ("sampling-rate", {"rate": 1.0, "batches": "all"}),
    "shuffled batches": ("sampler", {"batches": "fixed"}),
}


def lower_end(sigma: float) -> float:
    """Lower end of the accountant's enclosure."""
    return subsampled_gaussian_epsilon(sigma, sampling_rate=RATE, steps=STEPS, delta=DELTA)[0]


def shares_of_nominal(epsilon: float, canaries: int, runs: int) -> np.ndarray:
    """Lower end of the fitted epsilon over nominal, one a run. The accountant is asked on a grid of sigma and
    interpolated in logarithms: over 10 % of sigma in steps of 0.5 % the error is below 1e-5."""
    sigma = sigma_for_epsilon(epsilon, sampling_rate=RATE, steps=STEPS, delta=DELTA)
    grid = sigma * np.linspace(0.97, 1.05, 17)
    log_epsilon = np.log([lower_end(float(value)) for value in grid])
    uppers = []
    for seed in range(runs):
        rng = np.random.default_rng([seed, canaries, 33])
        # Only the sum of squares of the excluded canaries enters: a chi-square law.
        count = canaries // 2 * STEPS
        square = sigma**2 * rng.chisquare(count)
        uppers.append(np.sqrt(square / chi2.ppf((1 - LEVEL) / 2, count)))
    return np.exp(np.interp(np.log(uppers), np.log(grid), log_epsilon)) / epsilon


def failures(seed: int, canaries: int, **true: object) -> list[str]:
    """Tests that fail on one simulated run, first cause first."""
    trace = simulate_summary(seed, m=canaries, **true)
    tests = conformance.run_tests(conformance.moments_of(trace, LEVEL))
    return [test.id for test in conformance.ranked_failures(tests)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=400)
    runs, start = parser.parse_args().runs, time.perf_counter()
    print("| canaries | nominal epsilon | lower end / nominal, mean | runs with at least 0.98 |")
    print("|---|---|---|---|")
    for canaries in (1000, 5000):
        for epsilon in (1.0, 4.0, 10.0):
            found = shares_of_nominal(epsilon, canaries, runs)
            print(
                f"| {canaries:,} | {epsilon:g} | {found.mean():.4f} | {100 * (found >= 0.98).mean():.1f} % |"
            )
    alarms = sum(bool(failures(seed, 1000)) for seed in range(runs))
    print(
        f"\n| run, 1,000 canaries, {STEPS} steps | called inconsistent | right cause first |\n|---|---|---|"
    )
    print(f"| correct | {alarms} of {runs} | |")
    for shortfall in (0.99, 0.98, 0.97):
        found = sum("noise" in failures(seed, 1000, sigma=shortfall) for seed in range(runs))
        print(f"| noise {shortfall:g} of the declared | {found} of {runs} | |")
    few = max(1, runs // 4)
    for words, (cause, true) in CAUSES.items():
        named = [failures(seed, 1000, **true) for seed in range(few)]
        right = sum(found[:1] == [cause] for found in named)
        print(f"| {words} | {sum(map(bool, named))} of {few} | {right} of {few} |")
    print(f"\nPython {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}, ", end="")
    print(f"one core, {time.perf_counter() - start:.0f} s, delta {DELTA:g}, q {RATE}, T {STEPS}")


if __name__ == "__main__":
    main()
