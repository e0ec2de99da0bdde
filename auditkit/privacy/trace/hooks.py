"""The two places where `auditkit.privacy.opacus` touches a training: after clipping, and when the noise is in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, require_extra
from auditkit.privacy.trace.arguments import noise_multiplier
from auditkit.privacy.trace.directions import Coordinates, Orthonormal, probe_value
from auditkit.privacy.trace.statistics import Step, TraceStatistics

PROBE = 10.0
"""Norm of the gradient that tests the optimizer's clipping, in units of the clipping norm."""


class Plan(NamedTuple):
    """What is decided before the first step: who takes part and where, at which rate, and what is taken off."""

    statistics: TraceStatistics
    directions: Coordinates | Orthonormal
    rate: float
    subtract: bool
    probe_every: int
    accountant: Any
    rng: np.random.Generator


class Attachment:
    """Canaries on one optimizer, from its making until `remove`."""

    def __init__(self, optimizer: Any, plan: Plan):
        optimizers = require_extra("opacus.optimizers", "torch", "opacus.attach")
        self._torch = require_extra("torch", "torch", "opacus.attach")
        self._optimizer, self._plan, self.accountant = optimizer, plan, plan.accountant
        self._ghost = isinstance(optimizer, optimizers.DPOptimizerFastGradientClipping)
        self._name = "accumulate" if self._ghost else "clip_and_accumulate"
        self._parameters: list[Any] = optimizer.params
        self._taking_part = np.flatnonzero(plan.statistics.bits)
        self._batch, self._clip_ratio, self._removed = 0, math.nan, False
        self._pending: tuple[Any, NDArray[np.int64], Step] | None = None
        self._own = optimizer.__dict__.get(self._name)
        self._original: Callable[[], None] = getattr(optimizer, self._name)
        self._earlier_hook = optimizer.step_hook
        self._hooks = (self._after_clipping, self._after_noise)  # bound once: remove() compares identities
        setattr(optimizer, self._name, self._hooks[0])
        optimizer.step_hook = self._hooks[1]
        optimizer._auditkit_trace = self

    def remove(self) -> None:
        """Put the optimizer back as it was. What others have put on top since stays, and passes through here unseen."""
        optimizer, self._removed = self._optimizer, True
        if optimizer.__dict__.get(self._name) is self._hooks[0]:
            if self._own is None:
                delattr(optimizer, self._name)
            else:
                setattr(optimizer, self._name, self._own)
        if optimizer.step_hook is self._hooks[1]:
            optimizer.step_hook = self._earlier_hook
        del optimizer._auditkit_trace

    def _after_clipping(self) -> None:
        """Runs in place of the optimizer's clipping: once a physical batch, and acts once a logical step."""
        rows = self._rows()
        self._original()
        self._batch = -1 if rows < 0 or self._batch < 0 else self._batch + rows
        if self._removed or self._optimizer._check_skip_next_step(pop_next=False):
            return
        if self._pending is not None:
            raise InputError(
                "optimizer: must keep the step_hook that attach set, and it was replaced",
                id="AK-OP-012",
                hint="set hooks before attach, or call the earlier hook from yours",
            )
        if any(p.summed_grad is None or not p.requires_grad for p in self._parameters):
            raise InputError(
                "optimizer: must go on training the parameters that it had at attach, and some are frozen",
                id="AK-OP-012",
                hint="detach, freeze, and attach again",
            )
        with self._torch.no_grad():
            self._inject()

    def _inject(self) -> None:
        optimizer = self._optimizer
        clip, rate = float(optimizer.max_grad_norm), self._rate()
        ratio = self._measured_clip_ratio(clip)
        captured = self._plan.directions.capture() if self._plan.subtract else None
        drawn = self._taking_part[self._plan.rng.random(self._taking_part.size) < rate]
        # where clipping cannot be probed, or breaks down altogether, the canary has the declared size
        self._plan.directions.inject(drawn, clip * (ratio if math.isfinite(ratio) else 1.0))
        step = Step(noise_multiplier(optimizer), rate, clip, self._batch, ratio, math.nan, math.nan)
        self._pending, self._batch = (captured, drawn, step), 0

    def _after_noise(self, optimizer: Any) -> None:
        told = self._told()
        if self._earlier_hook is not None:
            self._earlier_hook(optimizer)
        if self._removed or self._pending is None:
            return
        captured, drawn, step = self._pending
        self._pending = None
        scale = 1.0
        if optimizer.loss_reduction == "mean":
            scale = float(optimizer.expected_batch_size * optimizer.accumulated_iterations)
        x = self._plan.directions.observe(captured, scale) / step.clip
        now = self._told()
        if now is not None and now != told:
            step = step._replace(accounted_sigma=float(now[-1][0]), accounted_rate=float(now[-1][1]))
        self._plan.statistics.add(x, drawn, step)

    def _told(self) -> tuple[int, Any] | None:
        """Length and last entry of the accountant's history, which changes when the accountant is told of a step."""
        history = getattr(self.accountant, "history", None)
        return (len(history), tuple(history[-1])) if history else None

    def _rate(self) -> float:
        """The declared rate of this step, which Opacus multiplies by the batches accumulated for it."""
        return min(1.0, self._plan.rate * int(self._optimizer.accumulated_iterations))

    def _rows(self) -> int:
        """Records in this physical batch; -1 where nothing tells."""
        found = getattr(self._parameters[0], "_norm_sample" if self._ghost else "grad_sample", None)
        if found is None:
            return -1
        return sum(len(one) for one in found) if isinstance(found, list) else len(found)

    def _measured_clip_ratio(self, clip: float) -> float:
        """Norm that the optimizer's own clipping gives to a gradient of norm 10 C, over C; NaN where it has none."""
        if self._ghost:
            return math.nan
        if len(self._plan.statistics.steps) % self._plan.probe_every:
            return self._clip_ratio
        parameters = self._optimizer.params
        kept = [(p, p.grad_sample, p.summed_grad) for p in parameters]
        value = probe_value(parameters, PROBE * clip)
        try:
            for p in parameters:
                p.grad_sample = p.new_full((1, *p.shape), value)
                p.summed_grad = None
            self._original()
            norms = [self._torch.linalg.vector_norm(p.summed_grad.float()).cpu() for p in parameters]
            self._clip_ratio = float(self._torch.linalg.vector_norm(self._torch.stack(norms))) / clip
        finally:
            for p, grad_sample, summed_grad in kept:
                p.grad_sample, p.summed_grad = grad_sample, summed_grad
        return self._clip_ratio
