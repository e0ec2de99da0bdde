"""What gradient canaries cost a training: time, and accuracy.

Digits of scikit-learn, a network of 64-128-10 units, DP-SGD by Opacus with q = 0.1. Time is processor time of one
thread from the first to the last step: the median over rounds of its ratio to a training without canaries that ran just
before or after. Accuracy is that of held-out digits; trainings with and without canaries share data, weights, batches
and noise, so that the difference is paired.

Usage: python tools/studies/opacus_overhead.py [--rounds 15] [--seeds 20]
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np
import torch
from opacus import PrivacyEngine
from sklearn.datasets import load_digits
from torch import nn

from auditkit.privacy import opacus

BATCHES_AN_EPOCH, CLIP, LEARNING_RATE, HELD_OUT = 10, 1.0, 1.0, 360
CASES: dict[str, dict[str, Any]] = {
    "1,000 coordinates": {"canaries": 1000},
    "1,000 coordinates, clipping probed at every step": {"canaries": 1000, "probe_every": 1},
    "5,000 coordinates": {"canaries": 5000},
    "1,000 orthonormal directions": {"canaries": 1000, "kind": "orthonormal"},
}


def digits(seed: int) -> tuple[torch.utils.data.TensorDataset, torch.Tensor, torch.Tensor]:
    """Training records, and held-out inputs and labels."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    inputs = torch.tensor(x[order] / 16, dtype=torch.float32)
    labels = torch.tensor(y[order])
    train = torch.utils.data.TensorDataset(inputs[HELD_OUT:], labels[HELD_OUT:])
    return train, inputs[:HELD_OUT], labels[:HELD_OUT]


def train(
    seed: int, *, steps: int, sigma: float, mode: str = "hooks", **canaries: Any
) -> tuple[float, float, float]:
    """Processor seconds of the steps, of making the directions, and accuracy."""
    records, inputs, labels = digits(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    criterion: Any = nn.CrossEntropyLoss()
    made = PrivacyEngine(accountant="rdp").make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=LEARNING_RATE),
        data_loader=torch.utils.data.DataLoader(
            records, batch_size=-(-len(records) // BATCHES_AN_EPOCH), shuffle=True
        ),
        noise_multiplier=sigma,
        max_grad_norm=CLIP,
        grad_sample_mode=mode,
        **({"criterion": criterion} if mode == "ghost" else {}),
    )
    private, optimizer, loader = made[0], made[1], made[-1]
    criterion = made[2] if mode == "ghost" else criterion
    start = time.process_time()
    if canaries:
        opacus.attach(optimizer, seed=seed, data_loader=loader, **canaries)
    attached = time.process_time()
    for _ in range(steps // BATCHES_AN_EPOCH):
        for x, y in loader:
            optimizer.zero_grad()
            criterion(private(x), y).backward()
            optimizer.step()
    end = time.process_time()
    with torch.no_grad():
        accuracy = (private(inputs).argmax(1) == labels).double().mean().item()
    return end - attached, attached - start, accuracy


def overhead(rounds: int, mode: str) -> None:
    """Print the ratios of processor time."""
    train(0, steps=20, sigma=1.0, mode=mode)
    for name, case in CASES.items():
        if mode == "ghost" and "probe_every" in case:
            continue
        ratios, making = [], []
        for i in range(rounds):
            order = [{}, case] if i % 2 else [case, {}]
            times = {bool(one): train(i, steps=100, sigma=1.0, mode=mode, **one) for one in order}
            ratios.append(times[True][0] / times[False][0])
            making.append(times[True][1])
        low, high = np.quantile(ratios, [0.25, 0.75])
        print(
            f"{mode}: {name}: {statistics.median(ratios):.3f} times the training without "
            f"(quartiles {low:.3f} to {high:.3f}), {statistics.median(making):.2f} s to make the directions",
            flush=True,
        )


def accuracy(seeds: int, sigma: float) -> None:
    """Print accuracies with and without canaries and their paired difference."""
    cases = {name: case for name, case in CASES.items() if "probe_every" not in case}
    found = np.array(
        [
            [train(seed, steps=100, sigma=sigma, **case)[2] for case in ({}, *cases.values())]
            for seed in range(seeds)
        ]
    )
    print(f"sigma {sigma}: accuracy {100 * found[:, 0].mean():.2f} % without canaries ({seeds} seeds)")
    for name, with_canaries in zip(cases, found[:, 1:].T, strict=True):
        difference = 100 * (with_canaries - found[:, 0])
        print(
            f"sigma {sigma}: {name}: {100 * with_canaries.mean():.2f} %, difference {difference.mean():+.2f} points, "
            f"standard error {difference.std(ddof=1) / np.sqrt(seeds):.2f}",
            flush=True,
        )


def main() -> None:
    """Run both parts."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--seeds", type=int, default=20)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    # Opacus says so of its own defaults, torch of Opacus' hooks; neither concerns the numbers
    warnings.filterwarnings("ignore", message="Secure RNG turned off|Full backward hook is firing")
    for mode in ("hooks", "ghost"):
        overhead(chosen.rounds, mode)
    for sigma in (1.0, 4.0):
        accuracy(chosen.seeds, sigma)


if __name__ == "__main__":
    main()
