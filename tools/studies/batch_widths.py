"""How wide upper bounds for a batch mean are, by ordering and law of the scores: the table of docs/explain/batches.md.

Usage: python tools/studies/batch_widths.py [--sets 60]

For each law and size: the true 90% quantile of the batch mean, then the average upper end of each ordering over many
calibration samples with its simulated coverage. Shape is told one of six reference samples of 300 scores. Then band
against shape for scores with few values: Binomial(k, 0.3) / k has k + 1 of them. Seeded.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from collections.abc import Callable

import numpy as np

from auditkit import batchpi

ALPHA, REFERENCE = 0.1, 300
REFERENCES = 6
"""Reference samples a row: one would stand for its own luck."""
FRESH = 4_000
"""Batches that measure coverage, the same for all calibration samples of a row."""
TRUTH_DRAWS = 2_000_000
"""Single scores drawn for the true quantile of the mean."""
ORDERINGS = ("rank_sum", "band", "shape", "sum_max", "partition")
SIZES = ((40, 10), (100, 50), (1000, 150), (100, 10), (500, 10), (500, 50))
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
LAWS: dict[str, tuple[float, Draw]] = {
    "uniform": (1.0, lambda rng, shape: rng.random(shape)),
    "Beta(2, 5)": (1.0, lambda rng, shape: rng.beta(2, 5, shape)),
    "Beta(5, 2)": (1.0, lambda rng, shape: rng.beta(5, 2, shape)),
    "normal(0.5, 0.15), clipped": (1.0, lambda rng, shape: np.clip(rng.normal(0.5, 0.15, shape), 0, 1)),
    "Exp / 20, cut at 1": (1.0, lambda rng, shape: np.minimum(rng.exponential(0.05, shape), 1)),
    "Bernoulli(0.3)": (1.0, lambda rng, shape: (rng.random(shape) < 0.3).astype(np.float64)),
    "half-normal, no limit": (math.inf, lambda rng, shape: np.abs(rng.standard_normal(shape))),
}


FEW_VALUES = (1, 2, 4, 8, 16, 32, 64, 128)
FEW_SIZES = ((40, 10), (100, 50), (1000, 150))


def binomial_shares(values: int) -> tuple[float, Draw]:
    """Upper limit and draw of Binomial(values, 0.3) / values."""
    return 1.0, lambda rng, shape: rng.binomial(values, 0.3, shape) / values


def measured(
    law: tuple[float, Draw],
    size: tuple[int, int],
    *,
    sets: int,
    tag: int,
    orderings: tuple[str, ...] = ORDERINGS,
) -> tuple[float, dict[str, tuple[float, float]]]:
    """The true quantile of the mean, and for each ordering the average upper end and its coverage."""
    high, draw = law
    n, m = size
    rng = np.random.default_rng([47, tag, n, m])
    batches = np.sort(draw(rng, (TRUTH_DRAWS // m, m)).mean(axis=1))
    true = float(batches[math.ceil((1 - ALPHA) * len(batches)) - 1])
    fresh = np.sort(batches[rng.permutation(len(batches))[:FRESH]])
    scores = draw(rng, (sets, n))
    found = {}
    for ordering in orderings:
        upper = upper_ends(scores, m, ordering, high=high, draw=lambda shape: draw(rng, shape))
        covered = np.searchsorted(fresh, upper, side="right") / len(fresh)
        found[ordering] = (float(np.mean(upper)), float(np.mean(covered)))
    return true, found


def upper_ends(
    scores: np.ndarray,
    m: int,
    ordering: str,
    *,
    high: float,
    draw: Callable[[tuple[int, ...]], np.ndarray],
) -> np.ndarray:
    """Upper ends of all calibration samples: partition with a seed for each, shape with several references."""
    parts = {"partition": len(scores), "shape": min(REFERENCES, len(scores))}.get(ordering, 1)
    ends = []
    for seed, part in enumerate(np.array_split(scores, parts)):
        reference = draw((REFERENCE,)) if ordering == "shape" else None
        answer = batchpi.mean(
            part,
            m,
            ALPHA,
            limits=(0, high),
            ordering=ordering,
            reference=reference,
            side="upper",
            seed=seed,
        )
        ends.append(np.atleast_1d(answer.upper))
    return np.concatenate(ends)


def cell(end: float, coverage: float, best: bool) -> str:
    """One ordering's average upper end and coverage, the least of the row in bold."""
    if math.isinf(end):
        return "infinite"
    return f"{f'**{end:.3f}**' if best else f'{end:.3f}'} ({coverage:.2f})"


def print_few_values(sets: int) -> None:
    """Print how band and shape compare where scores have few values."""
    print("\n| values | " + " | ".join(f"{n}, {m}: true, band, shape" for n, m in FEW_SIZES) + " |")
    print("|---" * (len(FEW_SIZES) + 1) + "|")
    for values in FEW_VALUES:
        cells = []
        for size in FEW_SIZES:
            true, found = measured(
                binomial_shares(values), size, sets=sets, tag=100 + values, orderings=("band", "shape")
            )
            cells.append(f"{true:.3f}, {found['band'][0]:.3f}, {found['shape'][0]:.3f}")
        print(f"| {values + 1} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=60)
    sets, started = parser.parse_args().sets, time.perf_counter()
    print("| scores | n, m | true | " + " | ".join(ORDERINGS) + " |")
    print("|---" * (len(ORDERINGS) + 3) + "|")
    for tag, (name, law) in enumerate(LAWS.items()):
        for n, m in SIZES:
            true, found = measured(law, (n, m), sets=sets, tag=tag)
            least = min(end for end, _ in found.values())
            cells = [cell(end, coverage, end == least) for end, coverage in found.values()]
            print(f"| {name} | {n}, {m} | {true:.3f} | {' | '.join(cells)} |", flush=True)
    print_few_values(sets)
    print(
        f"\nalpha {ALPHA:g}, upper side, {sets} calibration samples a row, {FRESH:,} fresh batches, ", end=""
    )
    print(
        f"{REFERENCES} references of {REFERENCE}. {platform.machine()}, {os.cpu_count()} processors, ", end=""
    )
    print(f"Python {platform.python_version()}, {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
