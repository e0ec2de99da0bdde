"""How large the bounds get on simulated gradient canaries of known epsilon, and how often they exceed it.

    python -P tools/studies/simulated_power.py [--seeds 20] [--canaries 5000] [--only Q,T,EPSILON]

Each canary has its own fair coin; when included it enters each of T steps with probability q. Observed is
x = B + N(0, sigma^2), the score is the clipped log-likelihood ratio, sigma is the noise that gives the nominal epsilon.
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.epsilon.families import SubsampledGaussianCurves, subsampled_gaussian_bound
from auditkit.privacy.epsilon.one_run import one_run_score_bound
from auditkit.privacy.epsilon.one_run_curves import one_run_subsampled_bound
from auditkit.privacy.epsilon.privacy_loss import sigma_for_epsilon

DELTA, ALPHA = 1e-5, 0.05
SETTINGS: tuple[tuple[float, int, float], ...] = (
    (0.1, 100, 4.0),
    (0.1, 100, 10.0),
    (1.0, 1, 4.0),
    (1.0, 1, 10.0),
)


def simulate(
    seed: int, canaries: int, rate: float, steps: int, sigma: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and coins of one audit."""
    random = np.random.default_rng([seed, 0x51])
    bits = random.integers(0, 2, canaries).astype(np.bool_)
    total = np.zeros(canaries)
    for _ in range(steps):
        drawn = bits & (random.random(canaries) < rate)
        ratio = (2.0 * (drawn + sigma * random.standard_normal(canaries)) - 1.0) / (2.0 * sigma**2)
        total += ratio if rate == 1.0 else np.log1p(rate * np.expm1(ratio))
    return np.clip(total, -50.0, 50.0), bits


def measure(rate: float, steps: int, nominal: float, seeds: int, canaries: int) -> str:
    """One line of the table."""
    curves = SubsampledGaussianCurves.tabulate(sampling_rate=rate, steps=steps, delta=DELTA)
    sigma = sigma_for_epsilon(nominal, sampling_rate=rate, steps=steps, delta=DELTA)
    rows, spent = [], 0.0
    for seed in range(seeds):
        scores, bits = simulate(seed, canaries, rate, steps, sigma)
        start = time.process_time()
        family = subsampled_gaussian_bound(
            scores[bits],
            scores[~bits],
            sampling_rate=rate,
            steps=steps,
            delta=DELTA,
            alpha=ALPHA,
            seed=seed,
            curves=curves,
        )
        spent += time.process_time() - start
        free = one_run_score_bound(scores, bits, delta=DELTA, alpha=ALPHA, seed=seed)
        fdp = one_run_score_bound(scores, bits, delta=DELTA, alpha=ALPHA, seed=seed, family="gaussian")
        curve = one_run_subsampled_bound(scores, bits, curves=curves, delta=DELTA, alpha=ALPHA, seed=seed)
        rows.append((family.epsilon, free.epsilon, fdp.epsilon, curve.epsilon))
    values = np.array(rows)
    family_mean, free_mean, fdp_mean, curve_mean = values.mean(axis=0)
    return (
        f"| {rate:g}, {steps} | {nominal:g} | {sigma:.3f} | {family_mean:.2f} ({family_mean / nominal:.2f}) "
        f"| {values[:, 0].std():.2f} | {np.count_nonzero(values[:, 0] > nominal)} of {seeds} "
        f"| {free_mean:.2f} | {fdp_mean:.2f} "
        f"| {curve_mean:.2f} ± {values[:, 3].std(ddof=1) / np.sqrt(seeds):.2f} "
        f"| {np.count_nonzero(values[:, 3] > nominal)} of {seeds} | {1e3 * spent / seeds:.0f} ms |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--canaries", type=int, default=5000)
    parser.add_argument("--only", help="one setting, for example 0.1,100,4")
    asked = parser.parse_args()
    settings = SETTINGS
    if asked.only:
        rate, steps, nominal = asked.only.split(",")
        settings = ((float(rate), int(steps), float(nominal)),)
    print(
        f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; {asked.canaries} canaries, "
        f"seeds 0 to {asked.seeds - 1}, delta {DELTA:g}, alpha {ALPHA:g}\n"
    )
    print(
        "| q, T | nominal | sigma | family (share) | sd | family above nominal | one-run | f-DP one-run, Gaussian "
        "| f-DP one-run, subsampled | it above nominal | family, CPU |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for rate, steps, nominal in settings:
        print(measure(rate, steps, nominal, asked.seeds, asked.canaries), flush=True)


if __name__ == "__main__":
    main()
