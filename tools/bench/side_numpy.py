"""The calibration error and adaptive sets as one writes them in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import class_tables, keep_sets, predictions


def describe() -> dict[str, Any]:
    return {"package": "numpy", "version": np.__version__}


def binned_error(case: dict[str, Any]) -> Callable[[], float]:
    """Bins by multiplication, sums by bincount."""
    p, y = predictions(case)
    bins = case["bins"]

    def run() -> float:
        b = np.minimum((p * bins).astype(np.int64), bins - 1)
        gaps = np.bincount(b, weights=p, minlength=bins) - np.bincount(b, weights=y, minlength=bins)
        return float(np.abs(gaps).sum() / p.size)

    return run


def _ranked(P: Any) -> tuple[Any, Any]:
    """Columns by falling probability, and the sums up to each."""
    order = np.argsort(-P, axis=1, kind="stable")
    return order, np.cumsum(np.take_along_axis(P, order, axis=1), axis=1, dtype=np.float64)


def _threshold(P: Any, y: Any, alpha: float) -> float:
    order, sums = _ranked(P)
    scores = sums[order == y[:, None]]
    place = int(np.ceil((len(y) + 1) * (1 - alpha)))
    return float(np.partition(scores, place - 1)[place - 1])


def _sets(Q: Any, threshold: float) -> Any:
    order, sums = _ranked(Q)
    sets = np.zeros(Q.shape, dtype=bool)
    np.put_along_axis(sets, order, sums <= threshold, axis=1)
    return sets


def adaptive_sets(case: dict[str, Any]) -> Callable[[], float]:
    """Calibration and sets by sorting each row."""
    P, y, Q = class_tables(case)
    return lambda: keep_sets(case, _sets(Q, _threshold(P, y, case["alpha"])))


def adaptive_sets_alone(case: dict[str, Any]) -> Callable[[], float]:
    """Sets from a threshold that is known."""
    P, y, Q = class_tables(case)
    threshold = _threshold(P, y, case["alpha"])
    return lambda: keep_sets(case, _sets(Q, threshold))
