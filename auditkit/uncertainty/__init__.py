"""Calibration and coverage: do a model's probabilities and intervals mean what they say?

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.uncertainty.results import (
        CalibrationAudit,
        CalibrationError,
        CoverageAudit,
        CoverageResult,
        Decomposition,
        Reliability,
        Score,
        Test,
    )

_HOME = {
    "CalibrationAudit": "results",
    "CalibrationError": "results",
    "CoverageAudit": "results",
    "CoverageResult": "results",
    "Decomposition": "results",
    "Reliability": "results",
    "Score": "results",
    "Test": "results",
}

__all__ = [
    "CalibrationAudit",
    "CalibrationError",
    "CoverageAudit",
    "CoverageResult",
    "Decomposition",
    "Reliability",
    "Score",
    "Test",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"auditkit.uncertainty.{_HOME[name]}"), name)
    raise AttributeError(f"module 'auditkit.uncertainty' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
