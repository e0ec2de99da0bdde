"""The tasks, as privacy-estimates does them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import privacy_estimates

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {
        "package": "privacy-estimates",
        "version": version("privacy-estimates"),
        "scipy": version("scipy"),
    }


def interval(case: dict[str, Any]) -> Task:
    counts = {name.upper(): value for name, value in case["counts"].items()}
    results = privacy_estimates.AttackResults(**counts)
    return lambda: [
        float(end)
        for end in privacy_estimates.compute_eps_lo_hi(results, case["delta"], case["alpha"], "joint-beta")
    ]
