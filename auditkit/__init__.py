"""auditkit: audits of trained models. How much of its training data does a model leak, and how far can it be trusted?

Names are loaded when they are first used, so that ``import auditkit`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from auditkit.errors import AuditWarning, InputError, InternalError, UndecidedError

if TYPE_CHECKING:
    from auditkit.privacy.audit import dp_estimate
    from auditkit.results import load_result
    from auditkit.runtime import active_isa, build_config, get_num_threads, set_num_threads

__version__ = "0.1.0"

__all__ = [
    "AuditWarning",
    "InputError",
    "InternalError",
    "UndecidedError",
    "__version__",
    "active_isa",
    "batchpi",
    "bayes_error",
    "build_config",
    "dp_estimate",
    "get_num_threads",
    "load_result",
    "privacy",
    "set_num_threads",
    "testing",
    "uncertainty",
]

_HOME = {
    "active_isa": "auditkit.runtime",
    "build_config": "auditkit.runtime",
    "get_num_threads": "auditkit.runtime",
    "set_num_threads": "auditkit.runtime",
    "load_result": "auditkit.results",
    "dp_estimate": "auditkit.privacy.audit",
}


def __getattr__(name: str) -> Any:
    if name in ("batchpi", "bayes_error", "privacy", "testing", "uncertainty"):
        return importlib.import_module(f"auditkit.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'auditkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
