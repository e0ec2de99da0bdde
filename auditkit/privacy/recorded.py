"""Evidence that was recorded beside a model while it was trained: the manifest, bound to the weights by SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.fingerprint import fingerprint
from auditkit.io.manifest import DAMAGED_HINT, GRADIENT, SUFFIX, Attack, Group, Manifest, read_manifest
from auditkit.privacy.coins import toss_coins
from auditkit.privacy.evidence import Evidence
from auditkit.results import Assumption, Check

if TYPE_CHECKING:
    from auditkit.privacy.epsilon.families import SubsampledGaussianCurves
    from auditkit.privacy.mechanism import TraceSummary

Part = TypeVar("Part")

_RECORDED = Assumption(
    "recorded-scores",
    "the manifest holds what the attack saw while the model was trained; nobody altered it before the weights were "
    "bound to it",
)
_RESCORED = Assumption(
    "rescored",
    "the canaries were scored anew by the weights, in the network that --arch makes; coins, records and the initial "
    "model's scores are those of the manifest",
)
_LABEL_DP = Assumption(
    "label-adjacency",
    "the coins chose between two labels of records that were always present: epsilon is that of label privacy",
)


def evidence_from_manifest(
    path: str | Path, *, model: str | Path | None = None, arch: str | None = None
) -> Evidence:
    """What `Evidence.from_manifest` returns.

    Parameters
    ----------
    path : path
        The manifest, ``MODEL.audit``.
    model : path, optional
        The weights; None: the manifest's name without ``.audit``.
    arch : str, optional
        ``module:function`` that makes the network; the canary records in ``MODEL.canaries.npz`` are then scored anew.

    Returns
    -------
    Evidence

    Raises
    ------
    InputError
        If the manifest is malformed, or the weights are missing or not those that it belongs to.

    Notes
    -----
    The attack that gives the headline is the first that the manifest names: fixed when training began.
    """
    weights = _weights_of(path, model)
    manifest = read_manifest(path)
    _require_same_weights(weights, manifest)
    attack = manifest.attacks[0]
    group = manifest.groups[attack.group]
    scores, source = group.scores[attack.score], _RECORDED
    if arch is not None:
        scores, source = rescore(weights, arch, group, attack.score), _RESCORED
    shared = np.unique(group.unit).size < group.unit.size
    evidence = Evidence.from_scores(
        scores,
        group.bits,
        unit=group.unit if shared else None,
        design=manifest.design,  # type: ignore[arg-type]
        origin={"name": Path(path).name, "sha256": manifest.sha256, "bytes": manifest.bytes},
    )
    extra = (source, _LABEL_DP) if manifest.adjacency == "label" else (source,)
    name = Path(weights).name
    return replace(
        evidence,
        assumptions=(*evidence.assumptions, *extra),
        checks=(_model_identity(name, manifest), _coins(manifest, attack, group), _blind_baseline(group)),
        declared={
            **manifest.claimed,
            "adjacency": manifest.adjacency,
            "canaries": group.kind,
            "attack": attack.score,
        },
        trace=_trace(manifest, str(path)),
        curves=_curves(manifest, str(path)),
        model={"name": name, "sha256": manifest.model_sha256, "bytes": manifest.model_bytes},
    )


def rescore(weights: Path, arch: str, group: Group, attack: str) -> NDArray[np.float64]:
    """The scores of `attack` computed anew from the weights and the kept canary records.

    Raises
    ------
    InputError
        If the scores are those of a training trace, the canary records were not kept or are not those of the manifest,
        or the network does not fit the weights.
    """
    from auditkit.io.models import read_model
    from auditkit.privacy.architecture import build_module, load_architecture
    from auditkit.privacy.canaries import Canaries
    from auditkit.privacy.saving import CALIBRATED, INITIAL, RECORDS_SUFFIX

    if group.kind.startswith(GRADIENT):
        raise InputError(
            "arch: must be left out for a training trace: its scores are not a function of the final weights",
            id="AK-MA-007",
            hint="without --arch the recorded scores are used",
        )
    path = f"{weights}{RECORDS_SUFFIX}"
    if not Path(path).exists():
        raise InputError(
            f"arch: needs the canary records, {show(Path(path).name)}, beside the weights",
            id="AK-MA-009",
            path=path,
            hint="save_with_audit(..., keep_records=True) writes them; without --arch the recorded scores are used",
        )
    canaries = Canaries.load(path)
    name = attack.removeprefix(CALIBRATED)
    final = canaries.group(canaries.score(build_module(load_architecture(arch), read_model(weights))))
    if final.record_sha256 != group.record_sha256 or not np.array_equal(final.bits, group.bits):
        raise InputError(
            f"{show(path)}: must hold the canaries of the manifest: their records or coins differ",
            id="AK-MA-008",
            path=path,
            hint="keep the file that save_with_audit(..., keep_records=True) wrote beside the weights",
        )
    if name not in final.scores:
        raise InputError(
            f"arch: must be left out for scores of the caller's own, {show(repr(attack))}", id="AK-MA-007"
        )
    return final.scores[name] - (group.scores[INITIAL + name] if attack != name else 0.0)


def _weights_of(path: str | Path, model: str | Path | None) -> Path:
    if model is not None:
        return Path(model)
    if not str(path).endswith(SUFFIX):
        raise InputError(
            f"{show(path)}: must end in {SUFFIX} unless the model is named",
            id="AK-MA-004",
            path=str(path),
            hint="Evidence.from_manifest(path, model=...)",
        )
    return Path(str(path)[: -len(SUFFIX)])


def _require_same_weights(weights: Path, manifest: Manifest) -> None:
    found = fingerprint(weights)
    if found.sha256 != manifest.model_sha256:
        raise InputError(
            f"{show(weights)}: must be the weights that the manifest was written for: their sha256 is {found.sha256}, "
            f"the manifest's {manifest.model_sha256}",
            id="AK-MA-003",
            path=str(weights),
            hint="evidence belongs to one set of weights: audit the training again after any change",
        )


def _model_identity(name: str, manifest: Manifest) -> Check:
    text = f"the weights are those of the manifest (sha256 {manifest.model_sha256[:12]}...)"
    return Check("model-identity", "pass", text, {"model": name, "sha256": manifest.model_sha256})


def _blind_baseline(group: Group) -> Check:
    """Why the records are not judged here: there are none, or only their digests."""
    text = "not tested whether the records alone tell the coins: the manifest holds their digests only"
    if group.kind.startswith(GRADIENT):
        text = "does not apply: gradient canaries are no records, and nothing but the coins tells them apart"
    return Check("blind-baseline", "not-run", text)


def _coins(manifest: Manifest, attack: Attack, group: Group) -> Check:
    """Whether the coins are those of the seed, tossed again."""
    name = "coins"
    if manifest.seed is None:
        return Check(name, "not-run", "the manifest names no seed: the coins cannot be tossed again")
    again = toss_coins(manifest.seed, group.kind, np.unique(group.unit).size)
    _, first, index = np.unique(group.unit, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    if np.array_equal(again[order[index.reshape(-1)]], group.bits):
        return Check(name, "pass", f"the coins are those of the recorded seed {manifest.seed}")
    return Check(name, "fail", f"the coins are not those that the recorded seed {manifest.seed} gives")


def _trace(manifest: Manifest, path: str) -> TraceSummary | None:
    if manifest.mechanism is None:
        return None
    from auditkit.privacy.mechanism import TraceSummary

    return _read_part(TraceSummary.from_dict, manifest.mechanism, path, "mechanism")


def _curves(manifest: Manifest, path: str) -> SubsampledGaussianCurves | None:
    if manifest.curves is None:
        return None
    from auditkit.privacy.epsilon.families import SubsampledGaussianCurves

    return _read_part(SubsampledGaussianCurves.from_dict, manifest.curves, path, "curves")


def _read_part(read: Callable[[Any], Part], value: Mapping[str, Any], path: str, place: str) -> Part:
    """A part of the manifest that has a reader of its own; its errors name file and place."""
    try:
        return read(value)
    except InputError as error:
        raise InputError(
            f"{show(path)}: {place}: {error}", id="AK-MA-002", path=path, hint=DAMAGED_HINT
        ) from None
