"""Saving a model together with the evidence of its audit: ``model.pt`` and ``model.pt.audit``."""

from __future__ import annotations

import datetime
import hashlib
import io
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, require_extra, show
from auditkit.io.files import write_atomically
from auditkit.io.manifest import SUFFIX, Attack, Group, Manifest, write_manifest
from auditkit.privacy.coins import commit
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.numbers import one_epsilon

if TYPE_CHECKING:
    from auditkit.privacy.canaries import Canaries
    from auditkit.privacy.opacus import Trace

RECORDS_SUFFIX = ".canaries.npz"
"""What follows the model's name in the name of the file of canary records."""

CALIBRATED = "calibrated-"
INITIAL = "initial-"
"""What precedes an attack's name in scores less those of the initial model, and in those of the initial model."""

FloatArray = NDArray[np.float64]

_WRAPPER = "_module."
"""What Opacus puts before every name of a wrapped module's state dict."""


def save_with_audit(
    model: Any,
    path: str | Path,
    *,
    canaries: Canaries | None = None,
    trace: Trace | None = None,
    initial: Any = None,
    claimed_epsilon: float | None = None,
    delta: float | None = None,
    keep_records: bool = False,
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
    initial : torch.nn.Module, optional
        The model before training (a deep copy): its scores of the canaries are subtracted, which takes out how hard
        each record is.
    claimed_epsilon : float, optional
        The epsilon that is claimed, >= 0; None: what the accountant of the trace says at `delta`, if there is one.
    delta : float, optional
        The delta of the claim, in [0, 1); required where the claim comes from an accountant.
    keep_records : bool
        Also write the canary records to ``path.canaries.npz``, from which ``--arch`` scores them anew. They may be real
        records.

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
    Tabulating the trade-off curves of a declared mechanism takes seconds, up to a minute at rates below 0.01. The
    weights are written before the manifest, each whole or not at all: after a stop in between, the old manifest is
    refused because it names other weights.
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
    groups, adjacency = _groups(model, initial, canaries, trace)
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
        mechanism=_mechanism(trace, claimed),
        curves=_curves(claimed),
    )
    write_atomically(path, weights)
    target = Path(f"{path}{SUFFIX}")
    if canaries is not None and keep_records:
        canaries.save(f"{path}{RECORDS_SUFFIX}")
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


def _groups(
    model: Any, initial: Any, canaries: Canaries | None, trace: Trace | None
) -> tuple[tuple[Group, ...], str]:
    groups = [] if trace is None else [trace.group()]
    if canaries is None:
        return tuple(groups), "add-remove"
    groups.append(canaries.group(_canary_scores(model, initial, canaries)))
    return tuple(groups), canaries.adjacency if trace is None else "add-remove"


def _canary_scores(model: Any, initial: Any, canaries: Canaries) -> dict[str, FloatArray]:
    """Scores of the finished model; with an initial one calibrated by it, and its own beside them."""
    final = canaries.score(model)
    if initial is None:
        return final
    reference = canaries.score(initial)
    calibrated = {f"{CALIBRATED}{name}": values - reference[name] for name, values in final.items()}
    return {**calibrated, **{f"{INITIAL}{name}": values for name, values in reference.items()}}


def _claimed(trace: Trace | None, claim: float | None, delta: float | None) -> dict[str, Any]:
    declared = {} if trace is None else trace.declared(delta)
    return {
        **{key: declared.get(key) for key in ("sigma", "sampling_rate", "steps", "clip", "sampler")},
        "epsilon": declared.get("epsilon") if claim is None else claim,
        "delta": delta,
    }


def _mechanism(trace: Trace | None, claimed: dict[str, Any]) -> dict[str, Any] | None:
    """The statistics of the trace; None where a parameter changed over the steps, so that none can be fitted."""
    if trace is None or None in (claimed["sigma"], claimed["sampling_rate"], claimed["clip"]):
        return None
    return trace.summary().to_dict()


def _commitment(group: Group, trace: Trace | None, canaries: Canaries | None) -> str | None:
    """What fixed the coins before training: of the group that gives the headline."""
    if trace is not None:
        return commit(trace.seed, group.kind, group.bits.size)
    return None if canaries is None else canaries.commitment


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
