"""The smooth calibration error, as relplot does it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import relplot
from cases import predictions


def describe() -> dict[str, Any]:
    return {"package": "relplot", "version": version("relplot")}


def smooth_error(case: dict[str, Any]) -> Callable[[], float]:
    """Its smooth calibration error."""
    p, y = predictions(case)
    return lambda: float(relplot.smECE(p, y))
