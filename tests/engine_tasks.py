"""Functions for the engine's tests: worker processes import them by name."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import numpy as np


def draw(task):
    """All that a run may depend on: its argument, its seed, and the global generators."""
    own = np.random.default_rng(task.seed).normal(size=3)
    shared = np.array([random.random(), np.random.random()])  # noqa: NPY002
    return {"own": own * (task.argument or 1), "shared": shared}


def draw_with_torch(task):
    import torch

    return {"noise": torch.randn(4).numpy(), "sum": (torch.randn(300_000) * 1e3).sum().numpy()}


def fail_on_odd(task):
    if task.argument % 2:
        raise ValueError(f"number {task.argument}\nis odd")
    return {"value": np.array(task.argument)}


def leave(task):
    raise SystemExit(3)


def die_once(task):
    """Kill the worker the first time that this task is seen; the argument names a folder of marks."""
    mark = Path(task.argument) / task.id
    if task.id == "run-2" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return draw(type(task)(task.id, task.seed))


def die_always(task):
    if task.id == "run-1":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": np.array(task.seed)}


def interrupt(task):
    if task.id == "run-2":
        raise KeyboardInterrupt
    return draw(task)


def slow(task):
    time.sleep(0.03)
    return draw(task)


class NotLoadable:
    def __reduce__(self):
        return (Path, (1,))  # a TypeError when it is loaded

    def __call__(self, task):
        return {}


# Training functions


def train_mlp(X, y, seed):
    """A small network that memorises: seconds matter more than accuracy here."""
    import torch

    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(X.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
    return net


def train_noisy_sum(X, y, seed):
    """The Gaussian mechanism with sensitivity 1 and noise 1/2 on records that are unit vectors."""
    return X.sum(axis=0) + np.random.default_rng(seed).normal(0, 0.5, X.shape[1])


def projection(model, X, y):
    return X @ model
