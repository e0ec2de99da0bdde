"""Membership attacks: arrays in, one score a record out; a larger score means "more likely a member".

Names are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.privacy.attacks.quantile import QuantileScores, quantile_regression
    from auditkit.privacy.attacks.scores import (
        calibrated_score,
        confidence_score,
        gaussian_score,
        logit_score,
        loss_score,
        squared_error_score,
    )

__all__ = [
    "QuantileScores",
    "calibrated_score",
    "confidence_score",
    "gaussian_score",
    "lira",
    "logit_score",
    "loss_score",
    "quantile_regression",
    "rmia",
    "squared_error_score",
]

_HOME = {
    "QuantileScores": "auditkit.privacy.attacks.quantile",
    "calibrated_score": "auditkit.privacy.attacks.scores",
    "confidence_score": "auditkit.privacy.attacks.scores",
    "gaussian_score": "auditkit.privacy.attacks.scores",
    "lira": "auditkit.privacy.attacks.lira",
    "logit_score": "auditkit.privacy.attacks.scores",
    "loss_score": "auditkit.privacy.attacks.scores",
    "quantile_regression": "auditkit.privacy.attacks.quantile",
    "rmia": "auditkit.privacy.attacks.rmia",
    "squared_error_score": "auditkit.privacy.attacks.scores",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'auditkit.privacy.attacks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps the modules ``lira`` and ``rmia``, once imported, from hiding the functions of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
