"""Saving a model together with the evidence of its audit: ``model.pt`` and ``model.pt.audit``."""

from __future__ import annotations

import datetime
import hashlib
import io
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auditkit.errors import InputError, require_extra, show
from auditkit.io.files import write_atomically
from auditkit.io.manifest import SUFFIX, Attack, Group, Manifest, write_manifest
from auditkit.privacy.coins import commit
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.numbers import one_epsilon

if TYPE_CHECKING:
    from auditkit.privacy.canaries import Canaries
    from auditkit.privacy.opacus import Trace

_WRAPPER = "_module."
"""What Opacus puts before every name of a wrapped module's state dict."""


def save_with_audit(
    model: Any,
    path: str | Path,
    *,
    canaries: Canaries | None = None,
    trace: Trace | None = None,
    claimed_epsilon: float | None = None,
    delta: float | None = None,
) -> Path:
    """Write the weights to `path` and what the attack saw to ``path.audit``, bound to the weights by SHA-256.

    Parameters
    ----------
    model : torch.nn.Module
        The trained model; Opacus' wrapper is taken off the names of its state dict.
    path : path
        Where the weights go: a state dict as `torch.save` writes it.
    canaries : Canaries, optional
        Planted records; they are scored here by the final weights.
    trace : Trace, optional
        Of `auditkit.privacy.opacus.attach`. With both, the trace gives the headline and the canaries are recorded.
    claimed_epsilon : float, optional
        The epsilon that is claimed, >= 0; None: what the accountant of the trace says at `delta`, if there is one.
    delta : float, optional
        The delta of the claim, in [0, 1); required where the claim comes from an accountant.

    Returns
    -------
    Path
        Of the manifest.

    Raises
    ------
    InputError
        If there is neither trace nor canaries, a number is out of range, or a file cannot be written.

    Notes
    -----
    Tabulating the trade-off curves of a declared mechanism takes a few seconds. The weights are written before the
    manifest, each whole or not at all: after a stop in between, the old manifest is refused because it names other
    weights.
    """
    torch = require_extra("torch", "torch", "save_with_audit")
    if canaries is None and trace is None:
        raise InputError(
            "canaries, trace: at least one must be given, else there is nothing to record",
            id="AK-MA-005",
            hint="trace = auditkit.privacy.opacus.attach(optimizer) before training",
        )
    delta = None if delta is None else check.delta(delta)
    claim = None if claimed_epsilon is None else one_epsilon(claimed_epsilon, "claimed_epsilon")
    weights = _state_dict_bytes(torch, model)
    groups, adjacency = _groups(model, canaries, trace)
    claimed = _claimed(trace, claim, delta)
    manifest = Manifest(
        model_sha256=hashlib.sha256(weights).hexdigest(),
        model_bytes=len(weights),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        groups=groups,
        attacks=tuple(Attack(i, next(iter(group.scores))) for i, group in enumerate(groups)),
        adjacency=adjacency,
        seed=trace.seed if trace is not None else canaries.seed if canaries is not None else None,
        commitment=_commitment(groups[0], trace, canaries),
        claimed=claimed,
        versions=_versions(),
        mechanism=None if trace is None else trace.summary().to_dict(),
        curves=_curves(claimed),
    )
    write_atomically(path, weights)
    target = Path(f"{path}{SUFFIX}")
    write_manifest(manifest, target)
    return target


def _state_dict_bytes(torch: Any, model: Any) -> bytes:
    if not hasattr(model, "state_dict"):
        raise InputError(f"model: must be a torch module, not {show(type(model).__name__)}", id="AK-MA-006")
    state = model.state_dict()
    plain = {name.removeprefix(_WRAPPER): value.detach().cpu() for name, value in state.items()}
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    return buffer.getvalue()


def _groups(model: Any, canaries: Canaries | None, trace: Trace | None) -> tuple[tuple[Group, ...], str]:
    groups = []
    adjacency = "add-remove"
    if trace is not None:
        groups.append(trace.group())
    if canaries is not None:
        groups.append(canaries.group(canaries.score(model)))
        if canaries.kind == "label" and trace is None:
            adjacency = "label"
    return tuple(groups), adjacency


def _claimed(trace: Trace | None, claim: float | None, delta: float | None) -> dict[str, Any]:
    declared = {} if trace is None else trace.declared(delta)
    return {
        **{key: declared.get(key) for key in ("sigma", "sampling_rate", "steps", "clip", "sampler")},
        "epsilon": declared.get("epsilon") if claim is None else claim,
        "delta": delta,
    }


def _commitment(group: Group, trace: Trace | None, canaries: Canaries | None) -> str | None:
    seed = trace.seed if trace is not None else canaries.seed if canaries is not None else None
    units = np.unique(group.unit).size
    return None if seed is None else commit(seed, group.kind, units, group.record_sha256)


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    from auditkit import __version__

    found = {"auditkit": __version__, "python": platform.python_version(), "numpy": np.__version__}
    for name in ("torch", "opacus"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _curves(claimed: dict[str, Any]) -> dict[str, Any] | None:
    """The table of trade-off curves of the declared mechanism, where it is one that they describe."""
    needed = [claimed[key] for key in ("sigma", "sampling_rate", "steps", "delta")]
    if any(value is None or value <= 0 for value in needed) or claimed["sampler"] != "poisson":
        return None
    from auditkit.privacy.epsilon.families import SubsampledGaussianCurves

    table = SubsampledGaussianCurves.tabulate(
        sampling_rate=claimed["sampling_rate"], steps=claimed["steps"], delta=claimed["delta"]
    )
    return table.to_dict()
