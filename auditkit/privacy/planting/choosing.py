"""Choosing canaries and tossing their coins."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import AuditWarning, InputError, show
from auditkit.privacy.coins import toss_coins
from auditkit.privacy.planting import records as make

Kind = Literal["mislabel", "blank", "given", "label"]

KINDS = ("mislabel", "blank", "given", "label")

_CHOICE, _LABEL, _NOISE = 0xC402, 0x1ABE, 0x4015
_FEW_UNITS = 50


@dataclass(frozen=True, eq=False)
class Parts:
    """Canaries before their coins are tossed."""

    X: NDArray[Any]
    y: NDArray[Any]
    y_other: NDArray[Any] | None
    unit: NDArray[np.int64]
    source: NDArray[np.int64]


def check_choices(kind: Any, p: Any, near: Any, keep_originals: bool, unit: Any) -> float:
    """The radius of near copies, after every choice of `Canaries.plant` was checked; or AK-CA-001, 002, 007."""
    if kind not in KINDS:
        raise InputError(f"kind: must be one of {', '.join(KINDS)}, not {show(repr(kind))}", id="AK-CA-001")
    if not (isinstance(p, int | float) and p == 0.5):
        raise InputError(
            f"p: must be 0.5, not {show(repr(p))}: the one-run bound holds for fair coins only",
            id="AK-CA-002",
        )
    if isinstance(near, bool) or not isinstance(near, int | float) or not 0 <= near < 1:
        raise InputError(f"near: must be a number from 0 to below 1, not {show(repr(near))}", id="AK-CA-001")
    if keep_originals and kind != "mislabel":
        raise InputError(
            f"keep_originals: must be left out for {kind} canaries, which would be trained on twice",
            id="AK-CA-007",
        )
    if unit is not None and kind == "blank":
        raise InputError("unit: must be left out for blank canaries, which belong to nobody", id="AK-CA-007")
    return float(near)


def check_m(m: Any, kind: Kind, units: int) -> int:
    """The number of coins, at most as many as there are units; or AK-CA-004."""
    if m is None and kind == "given":
        m = units
    most = 10_000_000 if kind == "blank" else units
    whole = isinstance(m, int | np.integer) and not isinstance(m, bool)
    if not whole or not 2 <= m <= most:
        what = "records" if kind != "blank" else "limit"
        raise InputError(
            f"m: must be a whole number from 2 to {most:,} ({what}), not {show(repr(m))}", id="AK-CA-004"
        )
    return int(m)


def make_canaries(
    kind: Kind,
    X: NDArray[Any],
    y: NDArray[Any],
    unit: NDArray[np.int64],
    *,
    m: int,
    radius: float,
    seed: int,
) -> Parts:
    """The canaries of one kind."""
    choice, drawn = np.random.default_rng([seed, _CHOICE]), np.random.default_rng([seed, _LABEL])
    if kind == "blank":
        classes, _ = make.class_codes(y, kind)
        noise = make.make_noise(X, m, radius, np.random.default_rng([seed, _NOISE]))
        labels = classes[drawn.integers(0, classes.size, m)]
        return Parts(noise, labels, None, np.arange(m), np.full(m, -1, np.int64))
    if kind == "given" and m == np.unique(unit).size:
        return _all_records(X, y, unit, radius)
    rows = make.choose_units(X, unit, m, radius, choice)
    if kind == "given":
        return Parts(X[rows], y[rows], None, unit[rows], rows)
    classes, codes = make.class_codes(y, kind)
    if kind == "mislabel":
        wrong = classes[make.wrong_labels(codes[rows], classes.size, drawn)]
        return Parts(X[rows], wrong, None, unit[rows], rows)
    first, second = make.label_pairs(codes[rows], classes.size, drawn)
    return Parts(X[rows], classes[first], classes[second], unit[rows], rows)


def _all_records(X: NDArray[Any], y: NDArray[Any], unit: NDArray[np.int64], radius: float) -> Parts:
    """Every record as a canary; those that are near each other share a coin."""
    digests = make.record_sha256(X, y)
    copies = len(digests) - len(set(digests))
    if copies:
        raise InputError(
            f"X: must hold each canary once: {copies:,} of {len(digests):,} records repeat an earlier one",
            id="AK-CA-005",
            hint="remove the copies",
        )
    merged = make.merge_units(unit, make.near_pairs(X, radius))
    if np.unique(merged).size < 2:
        raise InputError(
            "X: must hold at least two units that are not near each other, not one",
            id="AK-CA-008",
            hint="near=0 gives every record its own coin",
        )
    return Parts(X.copy(), y.copy(), None, merged, np.arange(X.shape[0]))


def toss(unit: NDArray[np.int64], kind: str, seed: int) -> NDArray[np.bool_]:
    """A fair coin for each unit, in the order of the units' first canaries, spread over its canaries."""
    _, first, index = np.unique(unit, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    coins: NDArray[np.bool_] = toss_coins(seed, kind, first.size)[rank[index.reshape(-1)]]
    return coins


def count_near(X: NDArray[Any], ordinary: NDArray[Any], radius: float) -> int:
    """Canaries that have an ordinary record within `radius`."""
    return int(np.count_nonzero(make.near_others(X, ordinary, radius)))


def warn_if_few(units: int) -> None:
    """An `AuditWarning` where the coins are too few to show more than a gross leak."""
    if units < _FEW_UNITS:
        share = 0.05 ** (1 / units)
        most = math.log(share / (1 - share))
        text = (
            f"m: with {units} coins even a perfect attack could show an epsilon of at most {max(0.0, most):.2g} at 95% "
            "confidence"
        )
        warnings.warn(text, AuditWarning, stacklevel=3)
