"""Bayes error: how low can anyone's error go, is data protected, and did a model learn it?

Source: Zhang, Sun, Lim, Zhang, Towards Provably Unlearnable Examples via Bayes Error Optimisation (arXiv 2511.08191).

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.bayes_error.kernel import objective, posterior
    from auditkit.bayes_error.protection import protect
    from auditkit.bayes_error.results import Protection

_HOME = {
    "Protection": "results",
    "objective": "kernel",
    "posterior": "kernel",
    "protect": "protection",
}

__all__ = ["Protection", "objective", "posterior", "protect"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"auditkit.bayes_error.{_HOME[name]}"), name)
    raise AttributeError(f"module 'auditkit.bayes_error' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
