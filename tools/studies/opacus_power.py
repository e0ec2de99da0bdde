"""How large the bounds get in real trainings with Opacus at a known noise.

    python -P tools/studies/opacus_power.py [--seeds 20] [--canaries 5000]

The network of examples/opacus_digits.py (64-128-10, 1,437 digits) with gradient canaries, at the noise that gives the
nominal epsilon: 100 steps at sampling rate 0.1, and one step that reads everything.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from opacus import PrivacyEngine
from torch.utils.data import DataLoader

from auditkit.privacy import opacus
from auditkit.privacy.epsilon.families import SubsampledGaussianCurves, subsampled_gaussian_bound
from auditkit.privacy.epsilon.one_run import one_run_score_bound
from auditkit.privacy.epsilon.one_run_curves import one_run_subsampled_bound
from auditkit.privacy.epsilon.privacy_loss import sigma_for_epsilon

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import opacus_digits

DELTA, ALPHA = 1e-5, 0.05
SETTINGS = ((10, 10, 4.0), (10, 10, 10.0), (1, 1, 4.0), (1, 1, 10.0))
"""Batches an epoch, epochs, nominal epsilon: the rate is one over the batches."""


def train(batches: int, epochs: int, sigma: float, canaries: int, seed: int) -> opacus.Trace:
    """One training with canaries."""
    torch.manual_seed(seed)
    loader, _, _ = opacus_digits.digits()
    data: Any = loader.dataset
    model = opacus_digits.network()
    private, optimizer, private_loader = PrivacyEngine().make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=2.0),
        data_loader=DataLoader(data, batch_size=-(-len(data) // batches)),
        noise_multiplier=sigma,
        max_grad_norm=1.0,
    )
    trace = opacus.attach(optimizer, canaries=canaries, seed=seed, data_loader=private_loader)
    for _ in range(epochs):
        for images, labels in private_loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(private(images), labels).backward()
            optimizer.step()
    trace.detach()
    return trace


def measure(batches: int, epochs: int, nominal: float, canaries: int, seeds: int) -> str:
    """One line of the table."""
    rate, steps = 1.0 / batches, batches * epochs
    sigma = sigma_for_epsilon(nominal, sampling_rate=rate, steps=steps, delta=DELTA)
    curves = SubsampledGaussianCurves.tabulate(sampling_rate=rate, steps=steps, delta=DELTA)
    rows, started = [], time.process_time()
    for seed in range(seeds):
        trace = train(batches, epochs, sigma, canaries, seed)
        scores, bits = trace.scores["llr"], trace.member
        how: dict[str, Any] = {"delta": DELTA, "alpha": ALPHA, "seed": seed}
        family = subsampled_gaussian_bound(
            scores[bits], scores[~bits], sampling_rate=rate, steps=steps, curves=curves, **how
        )
        free = one_run_score_bound(scores, bits, **how)
        fdp = one_run_score_bound(scores, bits, family="gaussian", **how)
        curve = one_run_subsampled_bound(scores, bits, curves=curves, **how)
        rows.append((free.epsilon, fdp.epsilon, family.epsilon, curve.epsilon))
    values = np.array(rows)
    free_mean, fdp_mean, family_mean, curve_mean = values.mean(axis=0)
    error = values.std(axis=0, ddof=1) / np.sqrt(seeds)
    return (
        f"| {rate:g}, {steps} | {nominal:g} | {free_mean:.2f} ± {error[0]:.2f} | {fdp_mean:.2f} ± {error[1]:.2f} "
        f"| {curve_mean:.2f} ± {error[3]:.2f} "
        f"| {family_mean:.2f} ± {error[2]:.2f} ({family_mean / nominal:.3f}) "
        f"| {np.count_nonzero(values.max(axis=1) > nominal)} of {seeds} "
        f"| {(time.process_time() - started) / seeds:.1f} s |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--canaries", type=int, default=5000)
    asked = parser.parse_args()
    opacus_digits.silence_known_warnings()
    print(
        f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}; {asked.canaries} "
        f"canaries, seeds 0 to {asked.seeds - 1}, delta {DELTA:g}, alpha {ALPHA:g}; means with standard errors\n"
    )
    print(
        "| q, T | nominal | one-run | f-DP one-run, Gaussian | f-DP one-run, subsampled "
        "| subsampled Gaussian (share) | above nominal | CPU a run |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for batches, epochs, nominal in SETTINGS:
        print(measure(batches, epochs, nominal, asked.canaries, asked.seeds), flush=True)


if __name__ == "__main__":
    main()
