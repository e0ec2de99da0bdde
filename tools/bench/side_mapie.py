"""Adaptive sets of labels, as MAPIE makes them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from cases import class_tables, keep_sets
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {"package": "mapie", "version": version("mapie")}


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose features are the probabilities."""

    def __init__(self, k: int = 2):
        self.k = k
        self.classes_ = np.arange(k)
        self.n_features_in_ = k

    def fit(self, X: Any, y: Any) -> Given:
        return self

    def predict_proba(self, X: Any) -> Any:
        return X

    def predict(self, X: Any) -> Any:
        return X.argmax(axis=1)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _prepared(case: dict[str, Any]) -> tuple[Callable[[], Any], Any]:
    P, y, Q = class_tables(case)

    def calibrated() -> Any:
        made = SplitConformalClassifier(
            Given(case["k"]), confidence_level=1 - case["alpha"], conformity_score="aps", random_state=1
        )
        return made.conformalize(P, y)

    return calibrated, Q


def adaptive_sets(case: dict[str, Any]) -> Task:
    """Calibration and sets, with its defaults."""
    calibrated, Q = _prepared(case)
    return lambda: keep_sets(case, calibrated().predict_set(Q)[1][:, :, 0])


def adaptive_sets_alone(case: dict[str, Any]) -> Task:
    """Sets from a calibration that is done."""
    calibrated, Q = _prepared(case)
    made = calibrated()
    return lambda: keep_sets(case, made.predict_set(Q)[1][:, :, 0])
