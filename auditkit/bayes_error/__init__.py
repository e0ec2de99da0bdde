"""Bayes error: how low can anyone's error go, is data protected, and did a model learn it?

Source: Zhang, Sun, Lim, Zhang, Towards Provably Unlearnable Examples via Bayes Error Optimisation (arXiv 2511.08191).

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.bayes_error.ceilings import ceiling, sample_ceiling
    from auditkit.bayes_error.estimators import estimate
    from auditkit.bayes_error.kernel import objective, posterior
    from auditkit.bayes_error.protection import protect
    from auditkit.bayes_error.results import BayesErrorEstimate, Protection
    from auditkit.bayes_error.unlearnable import unlearnability
    from auditkit.bayes_error.verdicts import paired_test, too_good
    from auditkit.bayes_error.versions import trained_on

_HOME = {
    "BayesErrorEstimate": "results",
    "Protection": "results",
    "ceiling": "ceilings",
    "estimate": "estimators",
    "objective": "kernel",
    "paired_test": "verdicts",
    "posterior": "kernel",
    "protect": "protection",
    "sample_ceiling": "ceilings",
    "too_good": "verdicts",
    "trained_on": "versions",
    "unlearnability": "unlearnable",
}

__all__ = [
    "BayesErrorEstimate",
    "Protection",
    "ceiling",
    "estimate",
    "objective",
    "paired_test",
    "posterior",
    "protect",
    "sample_ceiling",
    "too_good",
    "trained_on",
    "unlearnability",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"auditkit.bayes_error.{_HOME[name]}"), name)
    raise AttributeError(f"module 'auditkit.bayes_error' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
