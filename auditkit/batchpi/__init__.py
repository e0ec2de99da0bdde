"""Batch predictive inference: what can be said of a whole batch of unseen points?

Prediction sets for functions of m unobserved scores from n exchangeable calibration scores: order statistics, the mean
and other compositions, shares covered, selections with few false claims. Source: Lee, Tchetgen Tchetgen, Dobriban,
Batch Predictive Inference (arXiv 2409.13990).

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.batchpi.estimators import BatchPredictor
    from auditkit.batchpi.functions import compose, mean, required_n
    from auditkit.batchpi.quantiles import Band, band, order_statistic, order_statistics
    from auditkit.batchpi.ranks import rank_bounds
    from auditkit.batchpi.results import BatchSet, RankBounds
    from auditkit.batchpi.selection import (
        Selection,
        SelectionReport,
        accept_reject,
        benjamini_hochberg,
        count,
        p_value,
        pac_threshold,
        select,
        selection_report,
    )

_HOME = {
    "BatchPredictor": "estimators",
    "BatchSet": "results",
    "RankBounds": "results",
    "Band": "quantiles",
    "Selection": "selection",
    "SelectionReport": "selection",
    "accept_reject": "selection",
    "band": "quantiles",
    "benjamini_hochberg": "selection",
    "compose": "functions",
    "count": "selection",
    "mean": "functions",
    "order_statistic": "quantiles",
    "order_statistics": "quantiles",
    "p_value": "selection",
    "pac_threshold": "selection",
    "rank_bounds": "ranks",
    "required_n": "functions",
    "select": "selection",
    "selection_report": "selection",
}

__all__ = [
    "Band",
    "BatchPredictor",
    "BatchSet",
    "RankBounds",
    "Selection",
    "SelectionReport",
    "accept_reject",
    "band",
    "benjamini_hochberg",
    "compose",
    "count",
    "mean",
    "order_statistic",
    "order_statistics",
    "p_value",
    "pac_threshold",
    "rank_bounds",
    "required_n",
    "select",
    "selection_report",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"auditkit.batchpi.{_HOME[name]}"), name)
    raise AttributeError(f"module 'auditkit.batchpi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
