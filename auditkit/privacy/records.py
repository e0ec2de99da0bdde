"""Evidence from records: a model is asked about members and non-members that nobody drew by coins.

What comes out is conditional: "if the two sets were drawn alike". The blind baseline is run here, because only
here are the records at hand; when it fails, no epsilon is given.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.io.arrays import RecordTable, check_records, read_records
from auditkit.io.models import read_model
from auditkit.privacy.architecture import (
    Outputs,
    Progress,
    build_module,
    call_user_code,
    load_architecture,
    predict_outputs,
)
from auditkit.privacy.attacks.quantile import quantile_regression
from auditkit.privacy.attacks.scores import (
    check_labels,
    confidence_score,
    logit_score,
    loss_score,
    squared_error_score,
)
from auditkit.privacy.baseline import area_under_roc, blind_baseline, mid_ranks, record_columns
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.evidence import Evidence
from auditkit.results import Assumption, Check

FloatArray = NDArray[np.float64]
Attack = str | Callable[[FloatArray, NDArray[Any]], ArrayLike]
Kind = Literal["logits", "probabilities", "values"]

DEFAULT_ATTACKS: tuple[Attack, ...] = ("loss", "logit")
"""Attacks among which one is chosen, unless others are named."""

CHOOSE_SHARE = 0.25
"""Share of each class's units on which the attack is chosen; they are not audited."""

FIT_SHARE = 1 / 3
"""Share of the non-member units that the quantile regression is fitted on; they are not audited."""

_CLASSIFICATION = {"loss": loss_score, "confidence": confidence_score, "logit": logit_score}
_REGRESSION = {"loss": squared_error_score}
_SAME_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class _Rows:
    """Both sets as one table, members first."""

    X: NDArray[Any]
    y: NDArray[Any]
    bits: NDArray[np.bool_]
    unit: NDArray[np.int64]  # numbered over both sets
    unit_given: bool

    @property
    def halves(self) -> tuple[slice, slice]:
        n_in = int(self.bits.sum())
        return slice(0, n_in), slice(n_in, None)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """The attack that audits, its scores, and the rows that it may audit."""

    name: str
    names: tuple[str, ...]
    scores: FloatArray
    audited: NDArray[np.bool_]
    areas: dict[str, float]  # on the units that chose; empty when nothing had to be chosen


def evidence_from_records(
    model: Any,
    members: tuple[ArrayLike, ArrayLike],
    nonmembers: tuple[ArrayLike, ArrayLike],
    *,
    attack: Attack | Sequence[Attack] = DEFAULT_ATTACKS,
    unit: tuple[ArrayLike, ArrayLike] | None = None,
    outputs: Kind | None = None,
    batch_size: int = 1024,
    device: str = "cpu",
    seed: int | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """What `Evidence.from_records` does; see there."""
    rows = _gather(members, nonmembers, unit)
    attacks = _check_attacks(attack)
    seed = secrets.randbelow(2**31) if seed is None else check.seed(seed)
    overlap = _record_overlap(rows)
    found = _predict(model, rows, outputs, batch_size=batch_size, device=device, progress=progress)
    target = rows.y.astype(np.float64) if found.kind == "values" else _labels(rows.y, found)
    chosen = _choose(rows, found, target, attacks, seed)
    inside, outside = rows.halves
    baseline = blind_baseline(
        (rows.X[inside], rows.y[inside]),
        (rows.X[outside], rows.y[outside]),
        units=(rows.unit[inside], rows.unit[outside]) if rows.unit_given else None,
        seed=seed,
    )
    kept = chosen.audited
    evidence = Evidence.from_scores(
        chosen.scores[kept],
        rows.bits[kept],
        unit=rows.unit[kept] if rows.unit_given else None,
        design="post-hoc",
        origin={"name": "records in memory", **_account(rows, found, target, chosen, seed)},
    )
    identity = Check(
        "model-identity",
        "pass",
        "the scores were computed here, by the model that was given (no file, no hash)",
    )
    return replace(
        evidence,
        assumptions=(*evidence.assumptions, *_assumptions(found, chosen, outputs)),
        checks=(baseline, overlap, _class_balance(rows, found), identity),
    )


def evidence_from_files(
    model: str | Path,
    members: str | Path,
    nonmembers: str | Path,
    architecture: str,
    *,
    base: str | Path | None = None,
    attack: Attack | Sequence[Attack] = DEFAULT_ATTACKS,
    outputs: Kind | None = None,
    batch_size: int = 1024,
    device: str = "cpu",
    seed: int | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """Evidence from a model file, two files of records, and the user's architecture.

    Parameters
    ----------
    model : path
        Weights, as `auditkit.io.read_model` reads them.
    members, nonmembers : path
        .npz files with X, y and optionally unit (in both or neither).
    architecture : str
        ``module:function``; the function takes nothing and returns the nn.Module.
    base : path, optional
        Where the architecture's module is looked up; the working directory by default.
    attack, outputs, batch_size, device, seed, progress
        As for `Evidence.from_records`.

    Returns
    -------
    Evidence
        Design ``post-hoc``; its `model` names the file that was read, its `origin` the other files, each with
        SHA-256.

    Raises
    ------
    InputError
        What `read_records`, `load_architecture`, `read_model`, `build_module` and `Evidence.from_records` raise.
    """
    tables = read_records(members), read_records(nonmembers)
    arch = load_architecture(architecture, base=base)
    weights = read_model(model)
    evidence = evidence_from_records(
        build_module(arch, weights),
        *((table.X, table.y) for table in tables),
        attack=attack,
        unit=_unit_columns(tables),
        outputs=outputs,
        batch_size=batch_size,
        device=device,
        seed=seed,
        progress=progress,
    )
    origin = dict(evidence.origin)
    origin["name"] = ", ".join(table.name for table in tables)
    origin["files"] = {"members": tables[0].identity, "nonmembers": tables[1].identity}
    origin["architecture"] = arch.identity
    identity = Check(
        "model-identity",
        "pass",
        f"the scores were computed here from {weights.name} (sha256 {weights.sha256[:16]})",
        {"sha256": weights.sha256},
    )
    code = Assumption(
        "architecture-code",
        f"the architecture {show(arch.spec)} is the user's own code (sha256 {arch.sha256[:16]}): run, not checked",
    )
    return replace(
        evidence,
        origin=origin,
        model=weights.identity,
        assumptions=(*evidence.assumptions, code, *_widening(weights.widened)),
        checks=(*(c for c in evidence.checks if c.id != identity.id), identity),
    )


def _widening(names: tuple[str, ...]) -> tuple[Assumption, ...]:
    if not names:
        return ()
    text = f"{len(names):,} tensors of 16 bits were widened to float32, which changes no weight"
    return (Assumption("weights-widened", text, checked=True),)


# --- what was given


def _unit_columns(tables: tuple[RecordTable, RecordTable]) -> tuple[ArrayLike, ArrayLike] | None:
    first, second = tables[0].unit, tables[1].unit
    if first is not None and second is not None:
        return first, second
    if first is None and second is None:
        return None
    table = tables[0] if first is None else tables[1]
    raise InputError(
        f"{table.name}: must hold unit, as the other file does",
        id="AK-RC-002",
        path=table.name,
        hint="number each record's own unit where none belong together",
    )


def _gather(
    members: tuple[ArrayLike, ArrayLike],
    nonmembers: tuple[ArrayLike, ArrayLike],
    unit: tuple[ArrayLike, ArrayLike] | None,
) -> _Rows:
    sets = [_pair(value, name) for name, value in (("members", members), ("nonmembers", nonmembers))]
    (X_in, y_in), (X_out, y_out) = sets
    text = [X.dtype.kind in "US" for X, _ in sets]
    if X_in.shape[1:] != X_out.shape[1:] or text[0] != text[1]:
        raise InputError(
            f"nonmembers: records must have the members' shape {X_in.shape[1:]} and type, "
            f"not {X_out.shape[1:]} and {X_out.dtype.name}",
            id="AK-RC-003",
        )
    if (y_in.dtype.kind in "US") != (y_out.dtype.kind in "US"):
        raise InputError("nonmembers: y must be of the members' type", id="AK-RC-003")
    rows = len(X_in) + len(X_out)
    return _Rows(
        X=np.concatenate([X_in, X_out]),
        y=np.concatenate([y_in, y_out]),
        bits=np.arange(rows) < len(X_in),
        unit=np.arange(rows) if unit is None else _units(unit, len(X_in), len(X_out)),
        unit_given=unit is not None,
    )


def _pair(value: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise InputError(
            f"{name}: must be a pair (X, y), not {show(type(value).__name__)}",
            id="AK-RC-001",
            hint=f"{name}=(X, y): records and their labels or targets",
        )
    try:
        X, y = (np.asarray(part) for part in value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name}: must be a pair of arrays: {show(error)}",
            id="AK-RC-001",
            hint="move tensors to the CPU and detach them; make rows of one length",
        ) from None
    check_records(X, y, None, where=f"{name}: ")
    return X, y


def _units(unit: Any, n_in: int, n_out: int) -> NDArray[np.int64]:
    if not isinstance(unit, tuple | list) or len(unit) != 2:
        raise InputError(
            "unit: must be a pair (units of the members, units of the non-members)", id="AK-RC-002"
        )
    labels = [np.asarray(part) for part in unit]
    for name, part, rows in zip(("members", "nonmembers"), labels, (n_in, n_out), strict=True):
        if part.shape != (rows,) or part.dtype.kind not in "iuUS":
            raise InputError(
                f"unit: must be {rows:,} whole numbers or texts for the {name}, "
                f"not shape {part.shape} of {part.dtype.name}",
                id="AK-RC-002",
            )
    if len({part.dtype.kind in "US" for part in labels}) == 2:
        raise InputError("unit: must be of one type for both sets", id="AK-RC-002")
    both = np.intersect1d(labels[0], labels[1])
    if both.size:
        raise InputError(
            f"unit: must not be in both sets: {show(both[0])} is ({both.size:,} such)",
            id="AK-RC-005",
            hint="a person with a record in training is a member with all records: put them in one set",
        )
    index = np.unique(np.concatenate(labels), return_inverse=True)[1]
    return np.asarray(index.reshape(-1), np.int64)


def _check_attacks(attack: Attack | Sequence[Attack]) -> tuple[tuple[str, Attack], ...]:
    """Names (made different where they repeat) and attacks."""
    known = (*_CLASSIFICATION, "quantile")
    single = isinstance(attack, str) or callable(attack)
    listed: tuple[Any, ...] = (attack,) if single else tuple(attack) if isinstance(attack, Iterable) else ()
    if not listed:
        raise InputError(f"attack: must name at least one of {', '.join(known)}", id="AK-RC-006")
    named: dict[str, Attack] = {}
    for one in listed:
        if not callable(one) and one not in known:
            raise InputError(
                f"attack: must be among {', '.join(known)}, or a function of (logits, y), not {show(repr(one))}",
                id="AK-RC-006",
            )
        name = show(getattr(one, "__name__", "function"), 40) if callable(one) else str(one)
        named[name if name not in named else f"{name}-{len(named) + 1}"] = one
    return tuple(named.items())


# --- what the model says


def _predict(model: Any, rows: _Rows, kind: Kind | None, **how: Any) -> Outputs:
    if kind is None and not hasattr(model, "predict_proba"):
        numbers = rows.y.dtype.kind == "f" and bool((rows.y != np.floor(rows.y)).any())
        if numbers or (hasattr(model, "predict") and not callable(model)):
            kind = "values"
    return predict_outputs(model, rows.X, kind=kind, **how)


def _labels(y: NDArray[Any], outputs: Outputs) -> NDArray[np.int64]:
    """Column of each label."""
    width = outputs.values.shape[1]
    if outputs.classes is None:
        if y.dtype.kind in "US":
            raise InputError(
                f"y: must be whole numbers from 0 to {width - 1}, not text",
                id="AK-AT-003",
                hint="number the classes in the order of the model's outputs",
            )
        return check_labels(y, len(y), width)
    place = {value: index for index, value in enumerate(outputs.classes.tolist())}
    unknown = next((value for value in y.tolist() if value not in place), None)
    if unknown is not None:
        raise InputError(
            f"y: must be a class that the model knows, not {show(repr(unknown))}",
            id="AK-AT-003",
            hint=f"it knows {show(', '.join(map(str, place)))}",
        )
    return np.array([place[value] for value in y.tolist()], np.int64)


# --- attacks


def _choose(
    rows: _Rows,
    outputs: Outputs,
    target: NDArray[Any],
    attacks: tuple[tuple[str, Attack], ...],
    seed: int,
) -> _Chosen:
    """Score by every attack; with several, choose by AUC on units that are then left out of the audit.

    Which attack audits is so independent of the units that are audited, however many were tried. Where all
    attacks order the units alike (loss and logit of one query do) there is nothing to choose, and no unit is
    left out: every bound depends on the order alone.
    """
    if outputs.kind == "values" and tuple(a for _, a in attacks) == DEFAULT_ATTACKS:
        attacks = (("loss", "loss"),)
    usable = np.ones(rows.bits.size, np.bool_)
    scores: dict[str, FloatArray] = {}
    for name, attack in attacks:
        if attack == "quantile":
            scores[name], usable = _quantile(rows, outputs, target, seed)
        else:
            scores[name] = _score(attack, name, outputs, target)
    names = tuple(scores)
    if len(names) == 1 or _order_alike(rows, scores, usable):
        _check_units(rows, usable, 1)
        return _Chosen(names[0], names, scores[names[0]], usable, {})
    _check_units(rows, usable, 2)
    choosing = _choosing_rows(rows, usable, np.random.default_rng([seed, 0xC405]))
    areas = {name: area_under_roc(*_unit_scores(rows, values, choosing)) for name, values in scores.items()}
    best = max(names, key=lambda name: areas[name])
    return _Chosen(best, names, scores[best], usable & ~choosing, areas)


def _score(attack: Attack, name: str, outputs: Outputs, target: NDArray[Any]) -> FloatArray:
    if callable(attack):
        given = call_user_code(partial(attack, outputs.values, target), f"attack {name}", "AK-RC-006")
        found = np.asarray(given)
        if found.shape != target.shape or found.dtype.kind not in "iuf" or np.isnan(found).any():
            raise InputError(
                f"attack {name}: must give {target.size:,} numbers without NaN, "
                f"not shape {found.shape} of {found.dtype.name}",
                id="AK-RC-006",
            )
        return found.astype(np.float64)
    table: dict[str, Callable[..., FloatArray]] = _REGRESSION if outputs.kind == "values" else _CLASSIFICATION
    if attack not in table:
        raise InputError(
            f"attack: must be loss, quantile or a function for a regression, not {show(attack)}",
            id="AK-RC-006",
        )
    return table[attack](outputs.values, target)


def _quantile(
    rows: _Rows, outputs: Outputs, target: NDArray[Any], seed: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Scores less their usual value for such records; the rows that were not used to learn it."""
    base = _score("loss" if outputs.kind == "values" else "logit", "quantile", outputs, target)
    columns, summary = record_columns(rows.X, np.random.default_rng([seed, 0xC01]))
    width = 1 if outputs.kind == "values" else outputs.values.shape[1]
    label = target[:, None] if width == 1 else target[:, None] == np.arange(min(width, 64))
    found = quantile_regression(
        base,
        np.hstack([columns, summary, label]),
        rows.bits,
        fit_share=FIT_SHARE,
        unit=rows.unit,
        seed=seed,
    )
    scores = base.copy()
    scores[found.audited] = found.scores
    return scores, found.audited


def _check_units(rows: _Rows, usable: NDArray[np.bool_], needed: int) -> None:
    for name, half in zip(("members", "nonmembers"), (rows.bits, ~rows.bits), strict=True):
        count = np.unique(rows.unit[half & usable]).size
        if count < needed:
            raise InputError(
                f"{name}: must hold at least {needed} units, not {count}: one to choose the attack, one to audit",
                id="AK-RC-004",
                hint="name a single attack, or give more records: hundreds are needed to learn something",
            )


def _choosing_rows(
    rows: _Rows, usable: NDArray[np.bool_], generator: np.random.Generator
) -> NDArray[np.bool_]:
    chosen = []
    for half in (rows.bits, ~rows.bits):
        units = np.unique(rows.unit[half & usable])
        chosen.append(generator.permutation(units)[: max(1, round(CHOOSE_SHARE * units.size))])
    return np.isin(rows.unit, np.concatenate(chosen)) & usable


def _unit_scores(
    rows: _Rows, scores: FloatArray, part: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Score and bit of each unit of a part of the rows, reduced as the audit reduces them."""
    units = Evidence.from_scores(scores[part], rows.bits[part], unit=rows.unit[part], design="post-hoc")
    return np.asarray(units.scores), np.asarray(units.bits)


def _order_alike(rows: _Rows, scores: dict[str, FloatArray], part: NDArray[np.bool_]) -> bool:
    ranks = [mid_ranks(_unit_scores(rows, values, part)[0]) for values in scores.values()]
    return all(np.array_equal(ranks[0], other) for other in ranks[1:])


# --- what else is told


def _record_overlap(rows: _Rows) -> Check:
    """Whether the very same record is in both sets, or several times in one without a unit column."""
    name = "record-overlap"
    digests = _digests(rows)
    sets = [set(digests[half]) for half in rows.halves]
    sizes = [len(digests[half]) for half in rows.halves]
    both = sets[0] & sets[1]
    shared = [sum(d in both for d in digests[half]) for half in rows.halves]
    distinct = min(len(s) / n for s, n in zip(sets, sizes, strict=True))
    if max(s / n for s, n in zip(shared, sizes, strict=True)) > _SAME_SHARE and distinct > _SAME_SHARE:
        raise InputError(
            f"nonmembers: must be other records than the members: {shared[1]:,} of {sizes[1]:,} are members too",
            id="AK-RC-007",
            hint="non-members are records that the model was not trained on",
        )
    repeats = sum(sizes) - len(sets[0]) - len(sets[1])
    details = {"in_both": shared[1], "repeats": repeats}
    if shared[1]:
        text = (
            f"{shared[1]:,} of {sizes[1]:,} non-members are also among the members, label and all: "
            "if they are copies they are no non-members; leave them out"
        )
        return Check(name, "warn", text, details)
    if repeats and not rows.unit_given:
        text = f"{repeats:,} records are copies of another in their set: say so by units, or they count twice"
        return Check(name, "warn", text, details)
    return Check(name, "pass", "no record is in both sets", details)


def _digests(rows: _Rows) -> list[bytes]:
    flat = np.ascontiguousarray(rows.X).reshape(len(rows.X), -1)
    return [
        hashlib.blake2b(record.tobytes() + label.tobytes(), digest_size=16).digest()
        for record, label in zip(flat, rows.y, strict=True)
    ]


def _class_balance(rows: _Rows, outputs: Outputs) -> Check:
    """Whether the labels occur alike in both sets (chi-square test over rows; it warns and decides nothing)."""
    from scipy.stats import chi2_contingency

    name = "class-balance"
    if outputs.kind == "values":
        return Check(name, "not-run", "a regression has no classes")
    values, index = np.unique(rows.y, return_inverse=True)
    counts = np.stack([np.bincount(index.reshape(-1)[half], minlength=values.size) for half in rows.halves])
    if values.size == 1:
        return Check(name, "pass", "all records have one label")
    p_value = float(chi2_contingency(counts).pvalue)
    share = counts / counts.sum(axis=1, keepdims=True)
    gap = float(np.abs(share[0] - share[1]).max())
    details = {"p_value": p_value, "largest_gap": gap, "classes": int(values.size)}
    if p_value < 0.01:
        text = (
            f"labels occur differently in the two sets (by up to {100 * gap:.1f} points, p = {p_value:.2g})"
        )
        return Check(name, "warn", text, details)
    text = f"labels occur alike in both sets (within {100 * gap:.1f} points, p = {p_value:.2g})"
    return Check(name, "pass", text, details)


def _account(
    rows: _Rows, outputs: Outputs, target: NDArray[Any], chosen: _Chosen, seed: int
) -> dict[str, Any]:
    """How the scores came about, for the result's inputs."""
    found: dict[str, Any] = {
        "members": int(rows.bits.sum()),
        "nonmembers": int((~rows.bits).sum()),
        "outputs": outputs.kind,
        "attack": chosen.name,
        "attacks_tried": list(chosen.names),
        "attack_auc_on_choosing_units": chosen.areas,
        "rows_audited": int(chosen.audited.sum()),
        "seed": seed,
    }
    if outputs.clipped:
        found["probabilities_clipped"] = outputs.clipped
    if outputs.kind != "values":
        right = outputs.values.argmax(axis=1) == target
        found["accuracy"] = {
            name: float(right[half].mean())
            for name, half in zip(("members", "nonmembers"), rows.halves, strict=True)
        }
    return found


def _assumptions(outputs: Outputs, chosen: _Chosen, kind: Kind | None) -> tuple[Assumption, ...]:
    found = []
    if chosen.areas:
        text = (
            f"the attack {chosen.name} was chosen among {len(chosen.names):,} on a random quarter of the units, "
            "which were not audited"
        )
        found.append(Assumption("attack-chosen", text, checked=True))
    if "quantile" in chosen.names:
        text = "the non-members on which the quantile regression was fitted were not audited"
        found.append(Assumption("quantile-fitted", text, checked=True))
    if kind is None and outputs.kind == "probabilities" and outputs.classes is None:
        text = "the model's outputs were read as probabilities, because every row of them sums to 1"
        found.append(Assumption("outputs-probabilities", text))
    return tuple(found)
