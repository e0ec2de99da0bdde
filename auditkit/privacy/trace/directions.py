"""Directions of gradient canaries: single coordinates, or random orthonormal vectors, of a model's parameters.

Both kinds do three things, always on the device and in the precision of the parameters: `inject` adds canaries to the
sum of clipped gradients, `capture` remembers that sum before, and `observe` reads the noisy sum along the directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, require_extra

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_MATRIX = 2**27
"""Entries of the largest matrix of orthonormal directions; 512 MiB in float32."""


class _Part(NamedTuple):
    """The canaries that lie in one parameter: their positions in it, on its device and on the host."""

    parameter: Any
    positions: Any
    on_host: Ints
    start: int


class Coordinates:
    """Canary j is a coordinate of its own among all trainable parameters.

    Parameters
    ----------
    parameters : sequence of torch.nn.Parameter
        The trainable parameters, in the optimizer's order.
    canaries : int
        At most the number of weights.
    rng : numpy.random.Generator
        Draws the coordinates; canaries are numbered in their order.
    """

    def __init__(self, parameters: Sequence[Any], canaries: int, rng: np.random.Generator):
        torch = require_extra("torch", "torch", "gradient canaries")
        ends = np.cumsum([p.numel() for p in parameters])
        place = np.sort(rng.choice(int(ends[-1]), canaries, replace=False, shuffle=False))
        self.layer: Ints = np.searchsorted(ends, place, side="right").astype(np.int64)
        self._torch = torch
        self._parts: list[_Part] = []
        for index in np.unique(self.layer):
            start, stop = (int(np.searchsorted(self.layer, index, side)) for side in ("left", "right"))
            parameter = parameters[int(index)]
            on_host = place[start:stop] - (ends[index] - parameter.numel())
            positions = torch.as_tensor(on_host, device=parameter.device)
            self._parts.append(_Part(parameter, positions, on_host, start))
        self._bounds = np.array([*(part.start for part in self._parts), canaries])
        devices = {part.parameter.device.type for part in self._parts}
        self._one_device = len({part.parameter.device for part in self._parts}) == 1
        # NumPy's indexing costs less than torch's, but knows no bfloat16
        narrow = any(part.parameter.element_size() < 4 for part in self._parts)
        self._by_numpy = devices == {"cpu"} and not narrow

    def capture(self) -> Floats:
        """The clean sum along the directions."""
        return self._gather([part.parameter.summed_grad for part in self._parts])

    def inject(self, drawn: Ints, size: float) -> None:
        """Add `size` along each direction in `drawn` (sorted) to the sums of clipped gradients, in place."""
        cuts = np.searchsorted(drawn, self._bounds).tolist()
        for part, first, last in zip(self._parts, cuts[:-1], cuts[1:], strict=True):
            if first == last:
                continue
            sums = part.parameter.summed_grad
            chosen = part.on_host[drawn[first:last] - part.start]
            if self._by_numpy:
                sums.detach().numpy().flat[chosen] += size  # the coordinates are distinct
            else:  # put_, like flat, counts in row-major order whatever the strides
                positions = self._torch.from_numpy(chosen).to(sums.device)
                sums.put_(positions, sums.new_full((last - first,), size), accumulate=True)

    def observe(self, captured: Floats | None, scale: float) -> Floats:
        """The noisy sum, ``scale * p.grad``, along the directions, less `captured` (None: nothing is taken off)."""
        noisy = scale * self._gather([part.parameter.grad for part in self._parts])
        return noisy if captured is None else noisy - captured

    def _gather(self, tensors: list[Any]) -> Floats:
        if self._by_numpy:
            found = [
                t.detach().numpy().take(part.on_host) for t, part in zip(tensors, self._parts, strict=True)
            ]
            return np.concatenate(found, dtype=np.float64)
        taken = [self._torch.take(t, part.positions) for t, part in zip(tensors, self._parts, strict=True)]
        whole = self._torch.cat(taken if self._one_device else [t.cpu() for t in taken])
        return np.asarray(whole.to("cpu", self._torch.float64).numpy())


class Orthonormal:
    """Canary j is row j of a random matrix with orthonormal rows that span all trainable parameters.

    Parameters
    ----------
    parameters : sequence of torch.nn.Parameter
        The trainable parameters, d weights in all.
    canaries : int
        m <= d, with m d at most `LARGEST_MATRIX`.
    rng : numpy.random.Generator
        Draws the Gaussian matrix that is made orthonormal.

    Raises
    ------
    InputError
        AK-OP-003 when the matrix would be too large.

    Notes
    -----
    O(d m^2) once and O(d m) a step; m d float32 numbers of memory (float64 for float64 parameters).
    """

    def __init__(self, parameters: Sequence[Any], canaries: int, rng: np.random.Generator):
        torch = require_extra("torch", "torch", "gradient canaries")
        sizes = [p.numel() for p in parameters]
        if sum(sizes) * canaries > LARGEST_MATRIX:
            raise InputError(
                f"canaries: must be at most {LARGEST_MATRIX // sum(sizes):,} for kind 'orthonormal' and "
                f"{sum(sizes):,} weights, not {canaries:,}: the matrix would have {sum(sizes) * canaries:,} entries",
                id="AK-OP-003",
                hint="kind='coordinate' has no such limit",
            )
        exact = any(p.dtype == torch.float64 for p in parameters)
        gaussian = rng.standard_normal((sum(sizes), canaries), dtype=np.float64 if exact else np.float32)
        rows = np.linalg.qr(gaussian)[0].T
        self.layer: Ints = np.zeros(canaries, np.int64)
        self._torch = torch
        self._parameters = list(parameters)
        starts = np.concatenate(([0], np.cumsum(sizes)))
        self._blocks = [
            torch.as_tensor(np.ascontiguousarray(rows[:, start:stop]), device=p.device)
            for p, start, stop in zip(parameters, starts[:-1], starts[1:], strict=True)
        ]

    def capture(self) -> Any:
        """A copy of the clean sum."""
        return [p.summed_grad.clone() for p in self._parameters]

    def inject(self, drawn: Ints, size: float) -> None:
        """Add `size` along each direction in `drawn` to the sums of clipped gradients, in place."""
        if drawn.size == 0:
            return
        for parameter, block in zip(self._parameters, self._blocks, strict=True):
            total = block[self._torch.as_tensor(drawn).to(block.device)].sum(dim=0).mul_(size)
            parameter.summed_grad += total.to(parameter.summed_grad.dtype).view_as(parameter.summed_grad)

    def observe(self, captured: Any, scale: float) -> Floats:
        """The noisy sum, ``scale * p.grad``, along the directions, less `captured` (None: nothing is taken off)."""
        total = np.zeros(self.layer.size)
        for index, (parameter, block) in enumerate(zip(self._parameters, self._blocks, strict=True)):
            noisy = parameter.grad.detach().reshape(-1).to(block.dtype) * scale
            if captured is not None:
                noisy -= captured[index].reshape(-1)
            total += (block @ noisy).to("cpu", self._torch.float64).numpy()
        return total


def probe_value(parameters: Sequence[Any], norm: float) -> float:
    """The entry of the constant vector over all `parameters` that has Euclidean norm `norm`."""
    return norm / math.sqrt(sum(p.numel() for p in parameters))
