"""Assertions on audits for a test suite: each raises an AssertionError of one sentence with its numbers.

Nothing here needs pytest; names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.testing.calibration import assert_calibrated
    from auditkit.testing.epsilon import assert_epsilon

_HOME = {"assert_calibrated": "calibration", "assert_epsilon": "epsilon"}

__all__ = ["assert_calibrated", "assert_epsilon"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"auditkit.testing.{_HOME[name]}"), name)
    raise AttributeError(f"module 'auditkit.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
