"""The tasks, as bayeslap does them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import bayeslap
import torch
from cases import labelled_rows


def describe() -> dict[str, Any]:
    return {"package": "bayeslap", "version": version("bayeslap"), "torch": torch.__version__}


def kernel_gradient(case: dict[str, Any]) -> Callable[[], Any]:
    """Value and gradient of its Bayes error, by its own backward pass."""
    torch.set_num_threads(case["threads"])
    X, y = (torch.as_tensor(array) for array in labelled_rows(case))
    X.requires_grad_()
    classes = int(y.max()) + 1

    def run() -> list[float]:
        X.grad = None
        value = bayeslap.BayesErrorRBF.apply(X, y, case["bandwidth"], classes)
        value.backward()
        assert X.grad is not None
        return [float(value), float(X.grad.abs().max())]

    return run
