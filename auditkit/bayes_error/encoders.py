"""A torch encoder between rows and the features on which classes overlap: forward, and slopes pulled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.errors import require_extra

BATCH = 256
"""Rows that an encoder sees at once."""


@dataclass(frozen=True)
class Encoder:
    """Features of rows, and the gradient by rows from the gradient by features.

    Attributes
    ----------
    call : callable
        A torch module or function from a tensor (b, *shape) to (b, ...), differentiable.
    shape : tuple of int
        Of one row.
    batch : int
    """

    call: Callable[[Any], Any]
    shape: tuple[int, ...]
    batch: int = BATCH

    def features(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Features (n, q) of rows (n, d); finite (AK-BE-040)."""
        torch = require_extra("torch", "torch", "encoder")
        with _evaluating(self.call), torch.no_grad():
            parts = [self._forward(self._tensor(X[rows]), rows) for rows in self._batches(len(X))]
            found = torch.cat([part.detach().cpu().double() for part in parts]).numpy()
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if bad.size:
            refuse(f"encoder(X[{bad[0]}])", "finite", "NaN or infinite", id="AK-BE-040")
        return np.ascontiguousarray(found)

    def pull_back(self, X: NDArray[Any], slopes: NDArray[Any]) -> NDArray[np.float64]:
        """Slopes by rows (n, d) from slopes by features (n, q): one vector-Jacobian product a batch (AK-BE-041)."""
        torch = require_extra("torch", "torch", "encoder")
        parts = []
        with _evaluating(self.call):
            for rows in self._batches(len(X)):
                inputs = self._tensor(X[rows]).requires_grad_(True)
                outputs = self._forward(inputs, rows)
                weights = torch.from_numpy(np.ascontiguousarray(slopes[rows])).to(outputs)
                try:
                    (found,) = torch.autograd.grad(outputs, inputs, weights)
                except RuntimeError:
                    cure = "remove detach, no_grad and steps outside torch from it"
                    refuse("encoder", "differentiable", "cut off from its input", id="AK-BE-041", hint=cure)
                parts.append(found.detach().cpu().double().reshape(len(found), -1).numpy())
        gradient = np.concatenate(parts)
        if not np.isfinite(gradient).all():
            refuse("encoder", "of finite slopes", "one with NaN or infinite slopes", id="AK-BE-041")
        return gradient

    def _batches(self, n: int) -> Iterator[slice]:
        return (slice(first, first + self.batch) for first in range(0, n, self.batch))

    def _tensor(self, X: NDArray[Any]) -> Any:
        torch = require_extra("torch", "torch", "encoder")
        like = next(iter(self.call.parameters()), None) if hasattr(self.call, "parameters") else None
        rows = torch.from_numpy(np.array(X).reshape(len(X), *self.shape))
        return rows if like is None else rows.to(device=like.device, dtype=like.dtype)

    def _forward(self, inputs: Any, rows: slice) -> Any:
        torch = require_extra("torch", "torch", "encoder")
        outputs = self.call(inputs)
        if not isinstance(outputs, torch.Tensor) or outputs.ndim < 2 or len(outputs) != len(inputs):
            shown = f"of shape {tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else type(outputs)
            refuse("encoder(X)", f"a tensor of {len(inputs):,} rows of features", shown, id="AK-BE-040")
        return outputs.reshape(len(outputs), -1)


def read_encoder(encoder: Any, shape: tuple[int, ...]) -> Encoder | None:
    """A callable, or None for the rows themselves (AK-BE-040)."""
    if encoder is None:
        return None
    if not callable(encoder):
        refuse("encoder", "a torch module or function of a tensor", repr(encoder), id="AK-BE-040")
    require_extra("torch", "torch", "encoder")
    return Encoder(encoder, shape)


@contextmanager
def _evaluating(call: Any) -> Iterator[None]:
    """A module acts as it would on new data meanwhile: no dropout, batch statistics held."""
    trains = [m for m in call.modules() if m.training] if hasattr(call, "modules") else []
    for module in trains:
        module.training = False
    try:
        yield
    finally:
        for module in trains:
            module.training = True
