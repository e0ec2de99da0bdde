"""The sidecar manifest ``MODEL.audit``: what an attack saw while a model was trained, bound to the weights by SHA-256.

A manifest is JSON (schema ``auditkit.audit/1``), so that it can be read without the library that trained the model,
without its architecture and without its data. Reading is strict: unknown keys and versions are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io import encoding
from auditkit.io.encoding import StrictReader
from auditkit.io.files import read_bytes, write_atomically

SCHEMA = "auditkit.audit/1"
SUFFIX = ".audit"
BYTE_LIMIT = 2**28
"""Largest manifest in bytes."""

GRADIENT = "gradient-"
"""What the kind of canaries in gradients starts with; the kinds of canary records have other names."""

DAMAGED_HINT = "train again and write it with save_with_audit: a manifest is not meant to be edited"

_ADJACENCIES = ("add-remove", "replace", "label")
_DESIGNS = ("one-run", "independent", "post-hoc")
_SAMPLERS = ("poisson", "shuffle", "unknown")
_UNITS = 10_000_000
_GROUPS = 64
_REQUIRED = (
    "schema",
    "model",
    "created",
    "versions",
    "adjacency",
    "claimed",
    "design",
    "seed",
    "commitment",
    "inclusion_probability",
    "attacks",
    "groups",
    "mechanism",
    "curves",
)


@dataclass(frozen=True, eq=False)
class Group:
    """Canaries of one kind: their coins, and what each attack scored.

    Attributes
    ----------
    kind : str
        For example ``"mislabel"`` or ``"gradient-coordinate"``.
    bits : array, shape (m,), bool
        True where the canary was included.
    unit : array, shape (m,), int64
        Canaries with equal values shared a coin.
    scores : mapping of str to array, shape (m,), float64
        One array an attack; larger means "more likely a member".
    record_sha256 : tuple of str
        Digests of the canary records, or empty for canaries that are no records.
    """

    kind: str
    bits: NDArray[np.bool_]
    unit: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float64]]
    record_sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attack:
    """An attack that was fixed before training: scores of one group, and a threshold where one was fixed too."""

    group: int
    score: str
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Manifest:
    """The content of a manifest.

    Attributes
    ----------
    model_sha256, model_bytes
        The weights that the manifest belongs to.
    created : str
        Date and time, ISO 8601.
    versions : mapping of str to str
    adjacency : {"add-remove", "replace", "label"}
    claimed : mapping
        What the training declared: epsilon, delta, sigma, sampling_rate, steps, clip, sampler; None where it did not.
    design : {"one-run", "independent", "post-hoc"}
    seed : int or None
        Of the coins.
    commitment : str or None
        SHA-256 that fixed the coins before training.
    inclusion_probability : float
    attacks : tuple of Attack
        In the order in which they were fixed; the first gives the headline.
    groups : tuple of Group
    mechanism : mapping or None
        Summary statistics of the training trace, as `auditkit.privacy.mechanism.TraceSummary.to_dict` gives them.
    curves : mapping or None
        Tabulated trade-off curves, as `auditkit.privacy.epsilon.families.SubsampledGaussianCurves.to_dict` gives them.
    sha256, bytes
        Of the manifest itself; empty before it is written.
    """

    model_sha256: str
    model_bytes: int
    created: str
    groups: tuple[Group, ...]
    attacks: tuple[Attack, ...]
    design: str = "one-run"
    adjacency: str = "add-remove"
    seed: int | None = None
    commitment: str | None = None
    inclusion_probability: float = 0.5
    claimed: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    mechanism: Mapping[str, Any] | None = None
    curves: Mapping[str, Any] | None = None
    sha256: str = ""
    bytes: int = 0


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest, whole or not at all.

    Raises
    ------
    InputError
        If the folder is missing or not writable, or the disk is full.
    """
    write_atomically(path, json.dumps(_to_json(manifest), indent=1, allow_nan=False) + "\n")


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest strictly.

    Parameters
    ----------
    path : path
        A file that `write_manifest` wrote.

    Returns
    -------
    Manifest

    Raises
    ------
    InputError
        If the file cannot be read, is not JSON, carries another schema, holds unknown or misses needed keys, or holds a
        value out of range; the message names the place.

    Notes
    -----
    At most `BYTE_LIMIT` bytes; linear in the file.
    """
    import hashlib

    data = read_bytes(path, limit=BYTE_LIMIT)
    reader = StrictReader(show(path), id="AK-MA-002", path=str(path), hint=DAMAGED_HINT)
    loaded = reader.parse(data)
    if loaded.get("schema") != SCHEMA:
        found = show(repr(loaded.get("schema")), 40)
        raise InputError(
            f"{reader.name}: schema: must be {SCHEMA!r}, not {found}",
            id="AK-MA-001",
            path=str(path),
            hint="read it with the version of auditkit that wrote it",
        )
    fields = reader.fields(loaded, "manifest", _REQUIRED)
    return _from_json(reader, fields, hashlib.sha256(data).hexdigest(), len(data))


def _to_json(manifest: Manifest) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "model": {"sha256": manifest.model_sha256, "bytes": manifest.model_bytes},
        "created": manifest.created,
        "versions": dict(manifest.versions),
        "adjacency": manifest.adjacency,
        "claimed": dict(manifest.claimed),
        "design": manifest.design,
        "seed": manifest.seed,
        "commitment": manifest.commitment,
        "inclusion_probability": manifest.inclusion_probability,
        "attacks": [{"group": a.group, "score": a.score, "threshold": a.threshold} for a in manifest.attacks],
        "groups": [_group_to_json(group) for group in manifest.groups],
        "mechanism": None if manifest.mechanism is None else dict(manifest.mechanism),
        "curves": None if manifest.curves is None else dict(manifest.curves),
    }


def _group_to_json(group: Group) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "canaries": int(group.bits.size),
        "bits": encoding.encode_bits(group.bits),
        "unit": encoding.encode_integers(group.unit),
        "scores": {name: encoding.encode_floats(values) for name, values in group.scores.items()},
        "record_sha256": encoding.encode_hashes(group.record_sha256),
    }


def _from_json(reader: StrictReader, fields: dict[str, Any], sha256: str, size: int) -> Manifest:
    model = reader.fields(fields["model"], "model", ("sha256", "bytes"))
    groups = _list(reader, fields["groups"], "groups")
    read_groups = tuple(_read_group(reader, group, f"groups[{i}]") for i, group in enumerate(groups))
    attacks = _list(reader, fields["attacks"], "attacks")
    versions = reader.fields(fields["versions"], "versions", (), tuple(_keys(fields["versions"])))
    return Manifest(
        model_sha256=reader.sha256(model["sha256"], "model.sha256"),
        model_bytes=reader.integer(model["bytes"], "model.bytes", low=1),
        created=reader.text(fields["created"], "created", limit=40),
        versions={
            reader.text(k, "versions", limit=40): reader.text(v, f"versions.{show(k, 40)}", limit=80)
            for k, v in versions.items()
        },
        adjacency=reader.choice(fields["adjacency"], "adjacency", _ADJACENCIES),
        claimed=_read_claimed(reader, fields["claimed"]),
        design=reader.choice(fields["design"], "design", _DESIGNS),
        seed=reader.optional(fields["seed"], "seed", reader.integer),
        commitment=reader.optional(fields["commitment"], "commitment", reader.sha256),
        inclusion_probability=reader.number(
            fields["inclusion_probability"], "inclusion_probability", low=0.0, high=1.0
        ),
        attacks=tuple(_read_attack(reader, a, f"attacks[{i}]", read_groups) for i, a in enumerate(attacks)),
        groups=read_groups,
        mechanism=_object_or_none(reader, fields["mechanism"], "mechanism"),
        curves=_object_or_none(reader, fields["curves"], "curves"),
        sha256=sha256,
        bytes=size,
    )


def _read_group(reader: StrictReader, value: Any, place: str) -> Group:
    needed = ("kind", "canaries", "bits", "unit", "scores", "record_sha256")
    fields = reader.fields(value, place, needed)
    m = reader.integer(fields["canaries"], f"{place}.canaries", low=1, high=_UNITS)
    scores = reader.fields(fields["scores"], f"{place}.scores", (), tuple(_keys(fields["scores"])))
    if not scores:
        reader.refuse(f"{place}.scores", "hold at least one attack's scores")
    return Group(
        kind=reader.text(fields["kind"], f"{place}.kind", limit=40),
        bits=reader.bits(fields["bits"], f"{place}.bits", m),
        unit=reader.integers(fields["unit"], f"{place}.unit", m, low=-(2**62)),
        scores={
            reader.text(name, f"{place}.scores", limit=40): reader.floats(
                values, f"{place}.scores.{show(name, 40)}", m, finite=False
            )
            for name, values in scores.items()
        },
        record_sha256=reader.hashes(fields["record_sha256"], f"{place}.record_sha256", m),
    )


def _read_attack(reader: StrictReader, value: Any, place: str, groups: tuple[Group, ...]) -> Attack:
    fields = reader.fields(value, place, ("group", "score", "threshold"))
    group = reader.integer(fields["group"], f"{place}.group", high=len(groups) - 1)
    score = reader.choice(fields["score"], f"{place}.score", tuple(groups[group].scores))
    threshold = reader.optional(fields["threshold"], f"{place}.threshold", reader.number)
    return Attack(group, score, threshold)


def _read_claimed(reader: StrictReader, value: Any) -> dict[str, Any]:
    keys = ("epsilon", "delta", "sigma", "sampling_rate", "steps", "clip", "sampler")
    fields = reader.fields(value, "claimed", (), keys)
    number, whole = reader.number, reader.integer
    checks: dict[str, Any] = {
        "epsilon": lambda v, p: number(v, p, low=0.0),
        "delta": lambda v, p: number(v, p, low=0.0, high=1.0),
        "sigma": lambda v, p: number(v, p, low=0.0),
        "sampling_rate": lambda v, p: number(v, p, low=0.0, high=1.0),
        "steps": lambda v, p: whole(v, p, low=0),
        "clip": lambda v, p: number(v, p, low=0.0),
        "sampler": lambda v, p: reader.choice(v, p, _SAMPLERS),
    }
    return {key: reader.optional(fields.get(key), f"claimed.{key}", checks[key]) for key in keys}


def _list(reader: StrictReader, value: Any, place: str) -> list[Any]:
    if not isinstance(value, list) or not 1 <= len(value) <= _GROUPS:
        reader.refuse(place, f"be a list of 1 to {_GROUPS} entries")
    return value


def _keys(value: Any) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _object_or_none(reader: StrictReader, value: Any, place: str) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        reader.refuse(place, "be an object or null", type(value).__name__)
    return value
