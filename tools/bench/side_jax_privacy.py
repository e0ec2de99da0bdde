"""The tasks, as jax-privacy does them. Reading the scores into its auditor object is not timed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from jax_privacy import auditing

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {"package": "jax-privacy", "version": version("jax-privacy"), "scipy": version("scipy")}


def _auditor(case: dict[str, Any]) -> Any:
    with np.load(case["scores"]) as arrays:
        return auditing.CanaryScoreAuditor(arrays["inside"], arrays["outside"])


def fixed_threshold(case: dict[str, Any]) -> Task:
    auditor, strategy = _auditor(case), auditing.Explicit(case["threshold"])
    return lambda: float(
        auditor.epsilon_clopper_pearson(
            case["alpha"], case["delta"], one_sided=False, threshold_strategy=strategy
        )
    )


def all_thresholds(case: dict[str, Any]) -> Task:
    with np.load(case["scores"]) as arrays:
        inside, outside = arrays["inside"], arrays["outside"]
    # The auditor finds its thresholds when it is made: that is part of this task.
    return lambda: float(
        auditing.CanaryScoreAuditor(inside, outside).epsilon_clopper_pearson(
            case["alpha"], case["delta"], one_sided=False
        )
    )


def one_run(case: dict[str, Any]) -> Task:
    auditor, strategy = _auditor(case), auditing.Explicit(case["threshold"])
    return lambda: float(auditor.epsilon_one_run(case["alpha"], case["delta"], threshold_strategy=strategy))


def one_run_fdp(case: dict[str, Any]) -> Task:
    auditor, strategy = _auditor(case), auditing.Explicit(case["threshold"])

    def bound() -> float:
        auditing._gaussian_dp_blow_up_inverse.cache_clear()  # otherwise a repeat is not the same work
        return float(auditor.epsilon_one_run_fdp(case["alpha"], case["delta"], threshold_strategy=strategy))

    return bound


def one_run_split(case: dict[str, Any]) -> Task:
    auditor, strategy = _auditor(case), auditing.Split(threshold_estimation_frac=0.25, seed=1)
    return lambda: float(auditor.epsilon_one_run(case["alpha"], case["delta"], threshold_strategy=strategy))
