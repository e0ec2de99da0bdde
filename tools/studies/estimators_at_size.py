"""Processor time of every estimator on one audit's scores, one thread, and of those on the counts of one threshold.

    AUDITKIT_NUM_THREADS=1 python -P tools/studies/estimators_at_size.py [--scores 100000] [--bar 1.0]

Half of the units are members, scores are Gaussian. Constants of the bands and the table of trade-off curves are made
beforehand, as they are kept between audits. Ends with 1 when all that take scores together exceed the bar; those that
take counts answer for other evidence and are added up apart.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable

import numpy as np

from auditkit.privacy import (
    EpsilonPosterior,
    MuPosterior,
    anytime_bound,
    buehler,
    clopper_pearson,
    score_bound,
)
from auditkit.privacy.epsilon.families import SubsampledGaussianCurves, subsampled_gaussian_bound
from auditkit.privacy.epsilon.one_run import one_run_score_bound
from auditkit.privacy.epsilon.one_run_curves import one_run_subsampled_bound

DELTA = 1e-5


Calls = dict[str, Callable[[], object]]


def estimators(n: int) -> tuple[Calls, Calls]:
    """Names and calls of those that take scores, and of those that take counts."""
    random = np.random.default_rng(0)
    bits = random.integers(0, 2, n).astype(np.bool_)
    scores = random.normal(size=n) + 2.0 * bits
    inside, outside = scores[bits], scores[~bits]
    guess = scores >= 1.0
    counts = {
        "tp": int(np.count_nonzero(guess & bits)),
        "fn": int(np.count_nonzero(~guess & bits)),
        "fp": int(np.count_nonzero(guess & ~bits)),
        "tn": int(np.count_nonzero(~guess & ~bits)),
    }
    curves = SubsampledGaussianCurves.tabulate(sampling_rate=1.0, steps=1, delta=DELTA)
    family = {"sampling_rate": 1.0, "steps": 1, "delta": DELTA, "seed": 0, "curves": curves}
    named: Calls = {
        method: lambda m=method: score_bound(inside, outside, delta=DELTA, method=m, seed=0)
        for method in ("bands", "split", "multisplit", "bonferroni")
    }
    return {
        **named,
        "one-run": lambda: one_run_score_bound(scores, bits, delta=DELTA, seed=0),
        "f-DP one-run, Gaussian": lambda: one_run_score_bound(
            scores, bits, delta=DELTA, seed=0, family="gaussian"
        ),
        "f-DP one-run, declared curve": lambda: one_run_subsampled_bound(
            scores, bits, curves=curves, delta=DELTA, seed=0
        ),
        "subsampled Gaussian": lambda: subsampled_gaussian_bound(inside, outside, **family),
        "anytime": lambda: anytime_bound(guess, bits, delta=DELTA),
    }, {
        "Clopper-Pearson": lambda: clopper_pearson(**counts, delta=DELTA),
        "Buehler": lambda: buehler(**counts, delta=DELTA),
        "posterior interval": lambda: EpsilonPosterior(**counts, delta=DELTA).interval(),
        "mu posterior interval": lambda: MuPosterior(**counts).interval(),
    }


def measure(calls: Calls) -> float:
    """Seconds of all calls; a line is printed for each."""
    total = 0.0
    for name, call in calls.items():
        start = time.process_time()
        call()
        spent = time.process_time() - start
        total += spent
        print(f"{name:30s} {1e3 * spent:8.1f} ms", flush=True)
    return total


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scores", type=int, default=100_000)
    parser.add_argument("--bar", type=float, default=1.0, help="seconds that all may take together")
    asked = parser.parse_args()
    print(
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; {asked.scores:,} scores\n"
    )
    of_scores, of_counts = estimators(asked.scores)
    of_scores["bands"]()  # finds the constants that are cached
    total = measure(of_scores)
    print(f"{'together':30s} {1e3 * total:8.1f} ms, bar {1e3 * asked.bar:.0f} ms\n")
    print(f"{'together, on counts':30s} {1e3 * measure(of_counts):8.1f} ms")
    return int(total > asked.bar)


if __name__ == "__main__":
    sys.exit(main())
