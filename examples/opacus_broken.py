"""Three trainings that do not do what they account for, and what their audits say.

Each is the training of opacus_digits.py with one defect that Opacus' accountant cannot notice:

* noise: half of the declared noise is added,
* clipping: gradients are not clipped,
* sampling: every step reads all records instead of a random tenth.

Usage: python examples/opacus_broken.py [--defect noise] [--folder .]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import opacus_digits
import torch
from torch.utils.data import DataLoader

from auditkit.privacy import DPEstimate, Evidence, dp_estimate

CLAIM = 4.0


def halve_noise(optimizer: Any) -> None:
    """Add half of the noise that the accountant is told of."""
    add_noise = optimizer.add_noise

    def add_half() -> None:
        optimizer.noise_multiplier /= 2
        add_noise()
        optimizer.noise_multiplier *= 2

    optimizer.add_noise = add_half


def stop_clipping(optimizer: Any) -> None:
    """Let gradients of any size through."""
    clip = optimizer.clip_and_accumulate

    def accumulate() -> None:
        norm, optimizer.max_grad_norm = optimizer.max_grad_norm, 1e9
        clip()
        optimizer.max_grad_norm = norm

    optimizer.clip_and_accumulate = accumulate


def everything(loader: DataLoader[Any]) -> DataLoader[Any]:
    """All records in every batch, as many batches as the private loader has."""
    records = loader.dataset
    sampler = [list(range(len(records)))] * len(loader)  # type: ignore[arg-type]
    return DataLoader(records, batch_sampler=sampler)


DEFECTS: dict[str, dict[str, Any]] = {
    "noise": {"tamper": halve_noise},
    "clipping": {"tamper": stop_clipping},
    "sampling": {"read": everything},
}


def audit(defect: str, folder: Path, seed: int = 0) -> DPEstimate:
    """Train with the defect, and audit what the training left."""
    torch.manual_seed(seed)
    path, _ = opacus_digits.train(CLAIM, folder, seed, name=f"{defect}.pt", **DEFECTS[defect])
    return dp_estimate(Evidence.from_manifest(f"{path}.audit"), seed=seed)


def main(arguments: list[str] | None = None) -> dict[str, DPEstimate]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--defect", choices=DEFECTS, help="only this one")
    parser.add_argument("--folder", type=Path, default=Path())
    chosen = parser.parse_args(arguments)
    opacus_digits.silence_known_warnings()
    results = {}
    for defect in [chosen.defect] if chosen.defect else DEFECTS:
        print(f"defect: {defect}")
        results[defect] = audit(defect, chosen.folder)
        print(f"  {results[defect].verdict.sentence}")
        print(f"  mechanism fit: {results[defect].checks['mechanism-fit'].text}")
    return results


if __name__ == "__main__":
    main()
