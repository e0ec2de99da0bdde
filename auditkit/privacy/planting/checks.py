"""Whether canaries are what they were when they were planted, and whether a training set follows their coins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.planting import records as make
from auditkit.privacy.planting.choosing import toss
from auditkit.results import Check, CheckStatus

if TYPE_CHECKING:
    from auditkit.privacy.canaries import Canaries

_UNFAIR = 1e-4
_ITEMS_AT_ONCE = 4096


def check_coins(canaries: Canaries, commitment: str | None) -> Check:
    """Whether the coins are those of the seed, and the commitment is the published one."""
    wrong = int(np.count_nonzero(canaries.member != toss(canaries.unit, canaries.kind, canaries.seed)))
    other = commitment is not None and commitment != canaries.commitment
    details = {
        "coins": canaries.n_units,
        "canaries_that_differ": wrong,
        "commitment": canaries.commitment,
        "commitment_compared": commitment is not None,
    }
    faults = [f"{wrong:,} coins are not those that the seed {canaries.seed} gives"] if wrong else []
    faults += ["the commitment is not the one that was published"] if other else []
    if faults:
        return Check("coins", "fail", " and ".join(faults), details)
    text = f"the coins are those of the recorded seed {canaries.seed}"
    if commitment is not None:
        text += ", and the commitment is the published one"
    return Check("coins", "pass", text, details)


def check_records(canaries: Canaries, train: Any) -> Check:
    """Whether the canaries are those of their digests, and where the training set holds them."""
    name = "canary-records"
    digests = make.record_sha256(canaries.X, canaries.y)
    altered = sum(a != b for a, b in zip(digests, canaries.record_sha256, strict=True))
    details = {
        "canaries": int(canaries.member.size),
        "canaries_altered": altered,
        "canaries_near_ordinary_records": canaries.near,
    }
    if altered:
        return Check(name, "fail", f"{altered:,} canaries are not those of their digests", details)
    text = "not compared with the training set, which was not given"
    if train is not None:
        found, told = _compare(canaries, train)
        details |= found
        if told:
            return Check(name, "fail", f"in the training set given, {told}", details)
        text = f"the training set given holds each of {int(canaries.in_training.sum()):,} canaries once and no other"
    if canaries.near:
        text += f"; {canaries.near:,} canaries are near an ordinary record, which hides what leaks of them"
    status: CheckStatus = "warn" if canaries.near else "pass" if train is not None else "not-run"
    return Check(name, status, text, details)


def check_blindness(canaries: Canaries) -> Check:
    """Whether the records alone tell the coins."""
    from auditkit.privacy.baseline import blind_baseline

    inside, outside = canaries.member, ~canaries.member
    if not inside.any() or inside.all():
        return Check("blind-baseline", "not-run", "all coins fell alike: there is nothing to tell apart")
    found = blind_baseline(
        (canaries.X[inside], canaries.y[inside]),
        (canaries.X[outside], canaries.y[outside]),
        units=(canaries.unit[inside], canaries.unit[outside]),
        seed=canaries.seed,
    )
    if found.status == "fail" and found.details["p_value"] >= _UNFAIR:
        text = (
            f"the records alone seem to tell which canaries are in (AUC {found.details['auc']:.3f}, "
            f"p = {found.details['p_value']:.2g}): unusual for fair coins"
        )
        return replace(found, status="warn", text=text)
    return found


def count_digests(train: Any) -> tuple[dict[str, int], np.dtype[Any]]:
    """How often each record occurs in a training set, and the type of its records."""
    counts: dict[str, int] = {}
    dtype: np.dtype[Any] | None = None
    for X, y in _blocks(train):
        dtype = X.dtype
        for digest in make.record_sha256(X, y):
            counts[digest] = counts.get(digest, 0) + 1
    return counts, np.dtype(np.float64) if dtype is None else dtype


def _blocks(train: Any) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """A training set as arrays, in blocks of rows where it gives one item at a time."""
    if isinstance(train, tuple):
        yield make.record_arrays(*pair(train), what=("train X", "train y"))
        return
    size = length(train)
    for start in range(0, size, _ITEMS_AT_ONCE):
        items = [pair(train[i]) for i in range(start, min(size, start + _ITEMS_AT_ONCE))]
        X = np.stack([np.asarray(x) for x, _ in items])
        yield make.record_arrays(X, np.array([np.asarray(y)[()] for _, y in items]).reshape(len(items)))


def pair(value: Any) -> tuple[Any, Any]:
    """A record and its label out of what a data set gives; or AK-CA-009."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise InputError(
            f"base: must be made of pairs (x, y), not {show(type(value).__name__)}", id="AK-CA-009"
        )
    return value[0], value[1]


def length(data: Any) -> int:
    """Records in a data set; or AK-CA-009."""
    try:
        return len(data)
    except TypeError:
        raise InputError(
            f"base: must be a pair (X, y) or a map-style data set, not {type(data).__name__}",
            id="AK-CA-009",
            hint="an iterable data set has no length: its records cannot be left out by their number",
        ) from None


def _compare(canaries: Canaries, train: Any) -> tuple[dict[str, int], str]:
    """What a training set holds of the canaries, and in words what it should not."""
    inside = canaries.in_training
    out_labels = (
        canaries.y if canaries.y_other is None else np.where(canaries.member, canaries.y_other, canaries.y)
    )
    counts, dtype = count_digests(train)
    X = canaries.X.astype(dtype)
    wanted = [counts.get(d, 0) for d in make.record_sha256(X[inside], canaries.labels_trained[inside])]
    out = inside if canaries.kind == "label" else ~inside
    intruding = sum(d in counts for d in make.record_sha256(X[out], out_labels[out]))
    missing, repeated = wanted.count(0), sum(n > 1 for n in wanted)
    faults = [
        f"{missing:,} of {len(wanted):,} canaries that should be there are not" if missing else "",
        f"{repeated:,} are there more than once" if repeated else "",
        f"{intruding:,} are there against their coin" if intruding else "",
    ]
    details = {
        "training_records": sum(counts.values()),
        "canaries_missing": missing,
        "canaries_repeated": repeated,
        "canaries_against_their_coin": intruding,
    }
    return details, ", ".join(fault for fault in faults if fault)
