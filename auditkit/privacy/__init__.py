"""Privacy audits: how much of its training data does a model leak?

Names are loaded when they are first used (PEP 562): importing this package imports neither scikit-learn nor
scipy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.privacy import opacus
    from auditkit.privacy.audit import dp_estimate
    from auditkit.privacy.canaries import Canaries
    from auditkit.privacy.epsilon.bands import score_bound
    from auditkit.privacy.epsilon.bounds import buehler, clopper_pearson, jeffreys, katz_log
    from auditkit.privacy.epsilon.families import subsampled_gaussian_bound
    from auditkit.privacy.epsilon.one_run import one_run_bound, one_run_fdp_bound
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior, MuPosterior
    from auditkit.privacy.epsilon.sequential import anytime_bound
    from auditkit.privacy.evidence import Evidence
    from auditkit.privacy.plan import plan_audit
    from auditkit.privacy.saving import save_with_audit
    from auditkit.results import AnytimeBound, AuditPlan, DPEstimate, EpsilonBound

__all__ = [
    "AnytimeBound",
    "AuditPlan",
    "Canaries",
    "DPEstimate",
    "EpsilonBound",
    "EpsilonPosterior",
    "Evidence",
    "MuPosterior",
    "anytime_bound",
    "attacks",
    "buehler",
    "clopper_pearson",
    "dp_estimate",
    "jeffreys",
    "katz_log",
    "one_run_bound",
    "one_run_fdp_bound",
    "opacus",
    "plan_audit",
    "save_with_audit",
    "score_bound",
    "subsampled_gaussian_bound",
]

_HOME = {
    "AnytimeBound": "auditkit.results",
    "AuditPlan": "auditkit.results",
    "Canaries": "auditkit.privacy.canaries",
    "DPEstimate": "auditkit.results",
    "EpsilonBound": "auditkit.results",
    "EpsilonPosterior": "auditkit.privacy.epsilon.posterior",
    "Evidence": "auditkit.privacy.evidence",
    "MuPosterior": "auditkit.privacy.epsilon.posterior",
    "anytime_bound": "auditkit.privacy.epsilon.sequential",
    "buehler": "auditkit.privacy.epsilon.bounds",
    "clopper_pearson": "auditkit.privacy.epsilon.bounds",
    "dp_estimate": "auditkit.privacy.audit",
    "jeffreys": "auditkit.privacy.epsilon.bounds",
    "katz_log": "auditkit.privacy.epsilon.bounds",
    "one_run_bound": "auditkit.privacy.epsilon.one_run",
    "one_run_fdp_bound": "auditkit.privacy.epsilon.one_run",
    "plan_audit": "auditkit.privacy.plan",
    "save_with_audit": "auditkit.privacy.saving",
    "score_bound": "auditkit.privacy.epsilon.bands",
    "subsampled_gaussian_bound": "auditkit.privacy.epsilon.families",
}


_MODULES = ("attacks", "opacus")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"auditkit.privacy.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'auditkit.privacy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
