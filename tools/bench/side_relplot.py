"""The calibration errors, as relplot does them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import relplot
from cases import predictions


def describe() -> dict[str, Any]:
    return {"package": "relplot", "version": version("relplot")}


def binned_error(case: dict[str, Any]) -> Callable[[], float]:
    """Its binned error; the number of bins that it makes is its own affair."""
    p, y = predictions(case)
    return lambda: float(relplot.metrics.ece(f=p, y=y, nbins=case["bins"]))


def smooth_error(case: dict[str, Any]) -> Callable[[], float]:
    """Its smooth calibration error."""
    p, y = predictions(case)
    return lambda: float(relplot.smECE(p, y))
