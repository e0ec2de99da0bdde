"""How long 64 shadow models of the digits network take, and what they show: prints a row for docs/studies.md.

    python tools/studies/shadow_models.py [--models 64] [--engine processes] [--workers 2] [--seeds 3]

A network 64-128-10 is trained by Adam on scikit-learn's digits; challenges are mislabelled digits.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np


def train(X, y, seed):
    """20 passes over the digits in batches of 64."""
    import torch

    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    for _ in range(20):
        for batch in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    return network


def cpu_seconds() -> float:
    """Of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def main() -> None:
    """Run both designs with the given engine and print seconds and bounds."""
    from sklearn.datasets import load_digits

    from auditkit.privacy import Evidence, dp_estimate

    options = argparse.ArgumentParser()
    options.add_argument("--models", type=int, default=64)
    options.add_argument("--engine", default="processes")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--attack", default="lira")
    options.add_argument("--designs", default="independent,one-run")
    given = options.parse_args()
    X, y = load_digits(return_X_y=True)
    X = X / 16
    for design in given.designs.split(","):
        bounds, seconds, cpu = [], [], []
        for seed in range(given.seeds):
            start, before = time.perf_counter(), cpu_seconds()
            evidence = Evidence.from_training(
                train, X, y, models=given.models, attack=given.attack.split(","), design=design,
                engine=given.engine, workers=given.workers, seed=seed,
            )  # fmt: skip
            seconds.append(time.perf_counter() - start)
            cpu.append(cpu_seconds() - before)
            answer = dp_estimate(evidence, delta=1e-5, seed=seed, inference=())
            bounds.append((answer.epsilon_lower, answer.detectable_epsilon))
            print(
                design,
                seed,
                f"{seconds[-1]:.1f} s ({cpu[-1]:.1f} of CPU)",
                bounds[-1],
                evidence.counts,
                flush=True,
            )
        shown = np.array(bounds)
        print(
            f"| {design} | {given.attack} | {given.engine}, {given.workers} | "
            f"{np.mean(seconds):.1f} | {np.mean(cpu):.1f} | "
            f"{shown[:, 0].mean():.2f} ({shown[:, 0].min():.2f} to {shown[:, 0].max():.2f}) | {shown[0, 1]:.2f} |"
        )


if __name__ == "__main__":
    main()
