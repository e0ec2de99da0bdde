"""A training with Opacus on scikit-learn's digits that leaves its own audit beside the model.

Three lines are added to an ordinary script: the import, `attach` before the first step, `save_with_audit` at the end.
Then

    auditkit dp-estimate model.pt

answers without torch, the architecture or the data.

Usage: python examples/opacus_digits.py [--epsilon 4] [--folder .] [--seed 0]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from opacus import PrivacyEngine
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

from auditkit.privacy import opacus, save_with_audit  # added line 1

DELTA = 1e-5
EPOCHS = 10  # at rate 0.1: 100 steps


def digits() -> tuple[DataLoader[Any], torch.Tensor, torch.Tensor]:
    """1,437 digits to train on in batches of a tenth, and 360 to test."""
    x, y = load_digits(return_X_y=True)
    images = torch.tensor(x / 16.0, dtype=torch.float32)
    labels = torch.tensor(y, dtype=torch.int64)
    train = TensorDataset(images[360:], labels[360:])
    return DataLoader(train, batch_size=144), images[:360], labels[:360]


def network() -> torch.nn.Module:
    """64-128-10, 9,610 weights."""
    return torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))


class Trained(NamedTuple):
    """What a training left: the file of its weights, with the audit beside it, and the accuracy on new digits."""

    path: Path
    accuracy: float


def train(
    epsilon: float,
    folder: Path,
    seed: int,
    *,
    name: str = "model.pt",
    canaries: int = 1000,
    tamper: Callable[[Any], None] = lambda optimizer: None,
    read: Callable[[DataLoader[Any]], DataLoader[Any]] = lambda loader: loader,
) -> Trained:
    """Train at the claimed `epsilon`, and write the model and its audit.

    `tamper` and `read` are where opacus_broken.py puts its defects; here they change nothing.
    """
    torch.manual_seed(seed)
    loader, test_images, test_labels = digits()
    model = network()
    engine = PrivacyEngine()
    private, optimizer, private_loader = engine.make_private_with_epsilon(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=2.0),
        data_loader=loader,
        target_epsilon=epsilon,
        target_delta=DELTA,
        epochs=EPOCHS,
        max_grad_norm=1.0,
    )
    tamper(optimizer)
    trace = opacus.attach(  # added line 2
        optimizer, canaries=canaries, seed=seed, data_loader=private_loader, model=private
    )
    for _ in range(EPOCHS):
        for images, labels in read(private_loader):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(private(images), labels).backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (private(test_images).argmax(1) == test_labels).double().mean().item()
    path = folder / name
    save_with_audit(private, path, trace=trace, claimed_epsilon=epsilon, delta=DELTA)  # added line 3
    return Trained(path, accuracy)


def silence_known_warnings() -> None:
    """Opacus says so of its own defaults, torch of Opacus' hooks; neither concerns the numbers."""
    for message in (
        "Secure RNG turned off",
        "Full backward hook is firing",
        "Optimal order is the largest alpha",
    ):
        warnings.filterwarnings("ignore", message=message, category=UserWarning)


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epsilon", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    silence_known_warnings()
    path, accuracy = train(chosen.epsilon, chosen.folder, chosen.seed)
    print(f"trained at claimed epsilon {chosen.epsilon:g}: {accuracy:.1%} of new digits are read rightly")
    print(f"wrote {path} and {path}.audit; next: auditkit dp-estimate {path}")
    return path


if __name__ == "__main__":
    main()
