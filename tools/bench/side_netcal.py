"""The calibration error, as netcal does it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from cases import predictions
from netcal.metrics import ECE


def describe() -> dict[str, Any]:
    return {"package": "netcal", "version": version("netcal")}


def binned_error(case: dict[str, Any]) -> Callable[[], float]:
    """Its ECE of binary predictions."""
    p, y = predictions(case)
    measure = ECE(case["bins"])
    return lambda: float(measure.measure(p, y))
