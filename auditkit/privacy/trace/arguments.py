"""What `auditkit.privacy.opacus.attach` is given and finds: refused in one line, or made plain."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from auditkit.errors import InputError, require_extra, show

Sampler = Literal["poisson", "shuffle", "unknown"]

_SUPPORTED = "opacus.optimizers.DPOptimizer or DPOptimizerFastGradientClipping, flat clipping, one process"
_REFUSED = {
    "AdaClipDPOptimizer": "adaptive clipping",
    "DPPerLayerOptimizer": "per-layer clipping",
    "DistributedPerLayerOptimizer": "per-layer clipping",
    "DistributedDPOptimizer": "distributed training",
    "DistributedDPOptimizerFastGradientClipping": "distributed training",
    "FSDPOptimizerFastGradientClipping": "sharded training",
}


def check_optimizer(optimizer: Any) -> None:
    """Refuse what cannot be attached to: other optimizers, other clipping, several processes; or AK-OP-001, 007."""
    optimizers = require_extra("opacus.optimizers", "torch", "opacus.attach")
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    refused = next((_REFUSED[kind] for kind in kinds if kind in _REFUSED), None)
    if refused is None and hasattr(optimizer, "_adjusted_noise_multiplier"):
        refused = "adaptive clipping"
    if refused is not None or not isinstance(optimizer, optimizers.DPOptimizer):
        what = f"{kinds[0]} ({refused})" if refused else kinds[0]
        raise InputError(
            f"optimizer: must be {_SUPPORTED}, not {show(what)}",
            id="AK-OP-001",
            hint=None if refused else "pass the optimizer that PrivacyEngine.make_private returned",
        )
    if hasattr(optimizer, "_auditkit_trace"):
        raise InputError(
            "optimizer: must have no trace attached, and has one",
            id="AK-OP-007",
            hint="call its detach() first",
        )
    if not optimizer.params:
        raise InputError("optimizer: must have trainable parameters, not none", id="AK-OP-001")
    noise_multiplier(optimizer)


def noise_multiplier(optimizer: Any) -> float:
    """The optimizer's noise multiplier as a positive number; or AK-OP-006."""
    sigma = float(optimizer.noise_multiplier)
    if not (0 < sigma < math.inf):
        raise InputError(
            f"optimizer.noise_multiplier: must be a number above 0, not {sigma:g}",
            id="AK-OP-006",
            hint="without noise there is no epsilon to audit; plant data canaries instead",
        )
    return sigma


def check_choices(
    *, canaries: Any, kind: Any, sampler: Any, steps: Any, probe_every: Any, weights: int
) -> None:
    """Refuse choices of `attach` that are unknown or out of range; or AK-OP-002, 006."""
    whole_number = isinstance(canaries, int | np.integer) and not isinstance(canaries, bool)
    if not whole_number or not 1 <= canaries <= weights:
        raise InputError(
            f"canaries: must be a whole number from 1 to the number of trainable weights, {weights:,}, "
            f"not {show(canaries)}",
            id="AK-OP-002",
        )
    if kind not in ("coordinate", "orthonormal"):
        raise InputError(
            f"kind: must be 'coordinate' or 'orthonormal', not {show(repr(kind))}", id="AK-OP-006"
        )
    if sampler not in (None, "poisson", "shuffle", "unknown"):
        raise InputError(
            f"sampler: must be 'poisson', 'shuffle' or 'unknown', not {show(repr(sampler))}", id="AK-OP-006"
        )
    whole("probe_every", probe_every, 1)
    if steps is not None:
        whole("steps", steps, 1)


def whole(name: str, value: Any, least: int) -> int:
    """A whole number of at least `least`; or AK-OP-006."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value < 2**63:
        raise InputError(f"{name}: must be a whole number from {least}, not {show(value)}", id="AK-OP-006")
    return int(value)


def accounting(hook: Any, accountant: Any, rate: float | None, data_loader: Any) -> tuple[Any, float]:
    """The accountant and its sampling rate, from the arguments or from the closure of the hook it installed."""
    code, cells = getattr(hook, "__code__", None), getattr(hook, "__closure__", None) or ()
    inside = dict(zip(getattr(code, "co_freevars", ()), (cell.cell_contents for cell in cells), strict=False))
    told = None
    if hasattr(inside.get("self"), "get_epsilon") and "sample_rate" in inside:
        told = float(inside["sample_rate"])
        accountant = inside["self"] if accountant is None else accountant
    if accountant is not None and not all(
        hasattr(accountant, name) for name in ("history", "mechanism", "get_epsilon")
    ):
        raise InputError(
            f"accountant: must be an accountant of Opacus, not {show(type(accountant).__name__)}",
            id="AK-OP-006",
            hint="of a PrivacyEngine, pass engine.accountant",
        )
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate <= 1):
        raise InputError(f"sampling_rate: must lie in (0, 1], not {show(rate)}", id="AK-OP-004")
    if rate is not None and told is not None and abs(rate - told) > 1e-9 * told:
        raise InputError(
            f"sampling_rate: must be what the accountant is told, {told:g}, not {rate:g}",
            id="AK-OP-004",
            hint="leave it out: it is read from the accountant's hook",
        )
    found = next((q for q in (rate, told, getattr(data_loader, "sample_rate", None)) if q is not None), None)
    if found is None:
        raise InputError(
            "sampling_rate: must be given where the optimizer carries no hook of an Opacus accountant",
            id="AK-OP-004",
            hint="attach after PrivacyEngine.make_private",
        )
    return accountant, float(found)


def sampler_of(sampler: Sampler | None, data_loader: Any) -> Sampler:
    """How batches are drawn: what was said, checked against what the loader shows."""
    if data_loader is None:
        return sampler or "poisson"
    uniform = require_extra("opacus.utils.uniform_sampler", "torch", "opacus.attach")
    batches = getattr(data_loader, "batch_sampler", None)
    batches = (
        getattr(batches, "sampler", batches) if type(batches).__name__ == "BatchSplittingSampler" else batches
    )
    if isinstance(batches, uniform.UniformWithReplacementSampler):
        return sampler or "poisson"
    if sampler in (None, "poisson"):
        raise InputError(
            f"data_loader: must draw Poisson batches, which accountants of Opacus assume, not those of "
            f"{type(batches).__name__}",
            id="AK-OP-005",
            hint="use the loader that make_private returned, with poisson_sampling=True; or say sampler='shuffle'",
        )
    return sampler


def records(data_loader: Any) -> int:
    """Records in the loader's data set; 0 where it does not tell."""
    try:
        return len(data_loader.dataset)
    except (AttributeError, TypeError, NotImplementedError):
        return 0


def layer_names(optimizer: Any, parameters: list[Any], model: Any) -> tuple[str, ...]:
    """A name for each parameter: the model's, the optimizer's own, or its number and shape."""
    known: dict[int, str] = {}
    for group in optimizer.param_groups:
        known |= {id(p): name for p, name in zip(group["params"], group.get("param_names", ()), strict=False)}
    if model is not None:
        known |= {id(p): name.removeprefix("_module.") for name, p in model.named_parameters()}
    return tuple(
        known.get(id(p), f"parameter {i} ({' x '.join(map(str, p.shape)) or 'scalar'})")
        for i, p in enumerate(parameters)
    )
