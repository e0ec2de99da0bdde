"""What a training trace cannot see: the divisor that Opacus takes from the number of records.

The noise of DP-SGD is accounted for before the noisy sum is divided by the expected batch size. Opacus 1.0 to 1.6
computes that size as ``int(len(dataset) / len(loader))``, so that one record more or less can change the scale of what
is published, noise included (open reports 571 and 819 of Opacus). Retraining shows it: the very same step is run
hundreds of times, with and without one record, and the attack looks at nothing but the size of the weights.

Usage: python examples/opacus_normalisation.py
"""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import numpy as np

from auditkit.privacy import DPEstimate, Evidence, dp_estimate

if TYPE_CHECKING:
    from opacus import PrivacyEngine

DELTA = 1e-5
NOISE = 4.0
WEIGHTS = 256
RUNS = 300

CASES = {
    "three records against two, all in one batch (report 571)": (2, None, -1),
    "129 records against 128, batches of 128 (report 819)": (128, 128, 1),
}
"""Name of a case: records without the challenge; the loader's batch size (None: all); whether one record more makes the
weights larger (1) or smaller (-1), which follows from the divisor: 2 becomes 3, and 128 becomes int(129 / 2)."""


def train(records: int, batch_size: int | None, seed: int) -> tuple[float, PrivacyEngine]:
    """One epoch of DP-SGD on records without signal: the size of the weights, and the engine with its accountant."""
    import torch
    from opacus import PrivacyEngine
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(seed)
    model = torch.nn.Linear(WEIGHTS, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    data = TensorDataset(torch.zeros(records, WEIGHTS), torch.zeros(records, 1))
    engine = PrivacyEngine(accountant="prv")
    private, optimizer, loader = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        data_loader=DataLoader(data, batch_size=batch_size or records),
        noise_multiplier=NOISE,
        max_grad_norm=1.0,
    )
    for x, y in loader:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(private(x), y).backward()
        optimizer.step()
    return float(model.weight.detach().square().mean()), engine


def audit(records: int, batch_size: int | None, direction: int, seed: int = 0) -> tuple[DPEstimate, float]:
    """Retrain `RUNS` times, the challenge record in by a fair coin, and bound epsilon from what the weights show."""
    member = np.random.default_rng(seed).integers(0, 2, RUNS).astype(bool)
    engines = [train(records + more, batch_size, seed=0)[1] for more in (0, 1)]
    with np.errstate(divide="ignore"):  # the accountant takes log(1 - rate) at rate 1
        claimed = max(engine.get_epsilon(DELTA) for engine in engines)
    sizes = [train(records + int(member[run]), batch_size, seed=run)[0] for run in range(RUNS)]
    scores = direction * np.array(sizes)
    evidence = Evidence.from_scores(scores, member, design="independent")
    return dp_estimate(evidence, delta=DELTA, claimed_epsilon=claimed, seed=seed), claimed


def main() -> dict[str, DPEstimate]:
    warnings.filterwarnings("ignore", message="Secure RNG turned off", category=UserWarning)
    warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
    logging.getLogger("opacus.data_loader").setLevel(logging.ERROR)  # empty batches are expected here
    results = {}
    for name, case in CASES.items():
        results[name], claimed = audit(*case)
        print(f"{name}: Opacus accounts for epsilon {claimed:.2f} at delta {DELTA:g}")
        print(f"  {results[name].verdict.sentence}")
    return results


if __name__ == "__main__":
    main()
