"""Adaptive sets of labels, as torchcp makes them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType
from typing import Any

import torch
from cases import class_tables, keep_sets

# The package imports all its rooms at once; those that are not measured ask for packages that are not installed.
for name in ("torchcp.graph", "torchcp.llm", "torchsort"):
    sys.modules[name] = ModuleType(name)
sys.modules["torchsort"].soft_rank = sys.modules["torchsort"].soft_sort = None  # type: ignore[attr-defined]

from torchcp.classification.predictor import SplitPredictor  # noqa: E402
from torchcp.classification.score import APS  # noqa: E402

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {"package": "torchcp", "version": version("torchcp"), "torch": torch.__version__}


def _prepared(case: dict[str, Any]) -> tuple[Callable[[], SplitPredictor], torch.Tensor]:
    torch.set_num_threads(case["threads"])
    P, y, Q = (torch.as_tensor(array) for array in class_tables(case))

    def calibrated() -> SplitPredictor:
        predictor = SplitPredictor(APS(score_type="identity", randomized=False), alpha=case["alpha"])
        predictor.calculate_threshold(P, y)
        return predictor

    return calibrated, Q


def adaptive_sets(case: dict[str, Any]) -> Task:
    """Calibration and sets."""
    calibrated, Q = _prepared(case)
    return lambda: keep_sets(case, calibrated().predict_with_logits(Q).numpy())


def adaptive_sets_alone(case: dict[str, Any]) -> Task:
    """Sets from a calibration that is done."""
    calibrated, Q = _prepared(case)
    predictor = calibrated()
    return lambda: keep_sets(case, predictor.predict_with_logits(Q).numpy())
