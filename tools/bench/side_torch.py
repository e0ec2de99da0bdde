"""The plain algorithms in torch: what anyone would write with a good matrix library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from cases import labelled_rows

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {"package": "torch", "version": torch.__version__}


def kernel_gradient(case: dict[str, Any]) -> Task:
    """Value and gradient of the leave-one-out kernel Bayes error, two passes over blocks of rows, float32."""
    check()
    torch.set_num_threads(case["threads"])
    X, y = (torch.as_tensor(array) for array in labelled_rows(case))
    classes = int(y.max()) + 1

    def run() -> list[float]:
        value, gradient = _two_pass(X, y, classes, case["bandwidth"], 0.05, case["block"])
        return [float(value), float(gradient.abs().max())]

    return run


def _two_pass(
    X: torch.Tensor, y: torch.Tensor, classes: int, h: float, tau: float, block: int
) -> tuple[torch.Tensor, torch.Tensor]:
    n = len(X)
    X = X - X.mean(dim=0)
    norms = (X * X).sum(dim=1)
    labels = torch.nn.functional.one_hot(y, classes).to(X.dtype)
    starts = range(0, n, block)

    def exponents(begin: int) -> torch.Tensor:
        rows = torch.arange(begin, min(n, begin + block))
        lengths = norms[None, :] + norms[rows, None]
        squared = torch.addmm(lengths, X[rows], X.T, alpha=-2).clamp_(min=0)
        squared[rows - begin, rows] = torch.inf
        return squared.mul_(-1 / (2 * h * h))

    log_z, p = torch.empty(n), torch.empty(n, classes)
    for begin in starts:
        rows = slice(begin, begin + block)
        values = exponents(begin)
        log_z[rows] = torch.logsumexp(values, dim=1)
        p[rows] = values.sub_(log_z[rows, None]).exp_() @ labels
    g = torch.softmax(p / tau, dim=1)
    value = 1 - (tau * torch.logsumexp(p / tau, dim=1)).mean()
    mean = (g * p).sum(dim=1)
    product, sums = torch.zeros_like(X), torch.zeros(n)
    for begin in starts:
        rows = slice(begin, begin + block)
        pairs = exponents(begin).sub_(log_z[rows, None]).exp_()
        pairs.mul_(g[rows][:, y].sub_(mean[rows, None]))
        sums[rows] += pairs.sum(dim=1)
        sums += pairs.sum(dim=0)
        product[rows] += pairs @ X
        product += pairs.T @ X[rows]
    return value, (sums[:, None] * X - product) / (n * h * h)


def check() -> None:
    """The peer computes the same numbers: against automatic differentiation of the whole matrix."""
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.normal(size=(50, 3)), requires_grad=True)
    y = torch.as_tensor(rng.integers(0, 3, 50))
    squared = ((X[:, None] - X[None]) ** 2).sum(dim=2).masked_fill(torch.eye(50, dtype=torch.bool), torch.inf)
    p = torch.softmax(-squared / 2, dim=1) @ torch.nn.functional.one_hot(y, 3).double()
    value = 1 - (0.05 * torch.logsumexp(p / 0.05, dim=1)).mean()
    value.backward()
    found, gradient = _two_pass(X.detach().float(), y, 3, 1.0, 0.05, 16)
    assert abs(float(found) - float(value)) < 1e-6
    assert float((gradient - X.grad).abs().max()) < 1e-6  # type: ignore[operator]
