"""The calibration error as one writes it in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import predictions


def describe() -> dict[str, Any]:
    return {"package": "numpy", "version": np.__version__}


def binned_error(case: dict[str, Any]) -> Callable[[], float]:
    """Bins by multiplication, sums by bincount."""
    p, y = predictions(case)
    bins = case["bins"]

    def run() -> float:
        b = np.minimum((p * bins).astype(np.int64), bins - 1)
        gaps = np.bincount(b, weights=p, minlength=bins) - np.bincount(b, weights=y, minlength=bins)
        return float(np.abs(gaps).sum() / p.size)

    return run
