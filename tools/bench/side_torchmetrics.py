"""The calibration error, as torchmetrics does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torchmetrics
from cases import predictions
from torchmetrics.functional.classification import binary_calibration_error


def describe() -> dict[str, Any]:
    return {"package": "torchmetrics", "version": torchmetrics.__version__, "torch": torch.__version__}


def binned_error(case: dict[str, Any]) -> Callable[[], float]:
    """Its binary calibration error, l1."""
    torch.set_num_threads(case["threads"])
    p, y = (torch.as_tensor(array) for array in predictions(case))
    return lambda: float(binary_calibration_error(p, y, n_bins=case["bins"], norm="l1"))
