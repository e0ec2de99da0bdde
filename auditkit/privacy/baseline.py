"""The blind baseline: can members be told from non-members without asking the model?

If classifiers that see the records alone do it, the two sets were not drawn alike, and whatever an attack
finds may be that difference rather than a leak. The test is exact: the units are put in random order, the
classifiers learn from an earlier part and are judged on the next one, and under exchangeability the labels of
that part are, given everything before it, in uniformly random order. Ordinary cross-validation would let
every fold depend on every other and has no such law.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.results import Check, CheckStatus

FloatArray = NDArray[np.float64]
Records = tuple[NDArray[Any], NDArray[Any]]

LEVEL = 0.01
"""p-values below it fail."""

LARGEST_AUC = 0.55
"""An interval of the AUC that lies above it fails."""

UNITS_A_CLASS = 5_000
"""At most so many units of each class are used, a random part of larger sets."""

FEWEST_UNITS = 12
"""With fewer units of a class nothing can be tested."""

_ROWS_A_UNIT = 10
_STAGES = 4  # the first quarter is only learned from, each later one is judged by all before it
_SHUFFLES = 1_999
_MOST_COLUMNS = 2_048
_KEPT_COLUMNS = 1_024
_PROJECTIONS = 512
_SELECTED_COLUMNS = 512
_NEIGHBOUR_COLUMNS = 256
_MOST_LABELS = 64
_LARGEST = 1e15  # of a feature: squares and sums of such stay finite in float32
_HASHED_WORDS = 1_024


@dataclass(frozen=True, eq=False)
class _Table:
    """Features of the rows used, and the units that they belong to."""

    columns: NDArray[np.float32]  # (rows, d); NaN where missing
    summary: NDArray[np.float32]  # (rows, s): norms, spread, missingness, size of the unit
    labels: NDArray[np.float32]  # (rows, l)
    unit: NDArray[np.int64]  # (rows,), index into bits
    bits: NDArray[np.bool_]  # (units,)
    whole: bool  # whether all units are here


@dataclass(frozen=True)
class _Judged:
    """How one classifier did on units that it had not seen."""

    name: str
    auc: float
    p_value: float


def blind_baseline(
    members: Records,
    nonmembers: Records,
    *,
    units: tuple[NDArray[Any], NDArray[Any]] | None = None,
    seed: int,
) -> Check:
    """Whether the records alone tell members from non-members.

    Parameters
    ----------
    members, nonmembers : (X, y)
        Records, shape (n, ...) of numbers (NaN: missing) or (n,) of text, and labels or targets, shape (n,).
    units : (array, array), optional
        Which rows of each set belong together; units of the two sets are different ones.
    seed : int
        Order of the units, and the part that is used of large sets.

    Returns
    -------
    Check
        ``blind-baseline``: ``fail`` when p < 0.01 or the 95% interval of the best classifier's AUC lies above
        0.55, ``not-run`` with fewer than 12 units in a class, else ``pass``. Details: auc, auc_lower,
        auc_upper, p_value, classifiers, units used, and the AUC that would have been noticed.

    Notes
    -----
    Four classifiers: logistic regression, boosted trees, a quadratic of summary features (norm, spread,
    missingness, labels), and nearest neighbours. The p-values of the stages are exact permutation p-values
    given the past, so their weighted normal sum is exact too (Stouffer); over the classifiers Bonferroni. The
    interval is Newcombe's (2006, method 5), Bonferroni-adjusted. A few seconds for 4,000 records of 64
    numbers.

    References
    ----------
    Das, Zhang, Tramer 2024 and Meeus et al. 2024 (blind attacks); Newcombe 2006, Statistics in Medicine 25.
    """
    name = "blind-baseline"
    table = _table(members, nonmembers, units, np.random.default_rng([seed, 0xB11D]))
    n_in = int(table.bits.sum())
    n_out = table.bits.size - n_in
    if min(n_in, n_out) < FEWEST_UNITS:
        text = (
            f"{n_in:,} members and {n_out:,} non-members: fewer than {FEWEST_UNITS} of a class are too few "
            "to test whether the records alone tell them apart"
        )
        return Check(name, "not-run", text, {"members_used": n_in, "nonmembers_used": n_out})
    judged, tested_in, tested_out = _judge(table, seed)
    best = min(judged, key=lambda j: (j.p_value, -j.auc))
    p_value = min(1.0, len(judged) * best.p_value)
    lower, upper = auc_interval(best.auc, tested_in, tested_out, alpha=0.05 / len(judged))
    failed = p_value < LEVEL or lower > LARGEST_AUC
    details = {
        "auc": best.auc,
        "auc_lower": lower,
        "auc_upper": upper,
        "p_value": p_value,
        "classifier": best.name,
        "classifiers": {j.name: {"auc": j.auc, "p_value": j.p_value} for j in judged},
        "members_used": n_in,
        "nonmembers_used": n_out,
        "members_judged": tested_in,
        "nonmembers_judged": tested_out,
        "noticeable_auc": _noticeable(tested_in, tested_out, len(judged)),
        "seed": seed,
    }
    status: CheckStatus = "fail" if failed else "pass"
    return Check(name, status, _sentence(failed, details, whole=table.whole), details)


def _sentence(failed: bool, found: dict[str, Any], *, whole: bool) -> str:
    used = (
        "" if whole else f" (a random part: {found['members_used']:,} + {found['nonmembers_used']:,} units)"
    )
    measured = (
        f"AUC {found['auc']:.3f} [{found['auc_lower']:.3f}, {found['auc_upper']:.3f}] on unseen units{used}, "
        f"p = {found['p_value']:.2g}"
    )
    if failed:
        return (
            f"the records alone tell members from non-members ({found['classifier']}: {measured}): "
            "the sets were not drawn alike, and what an attack finds may be that difference rather than a leak"
        )
    return (
        f"the records alone do not tell members from non-members ({measured}): at chance, which is no proof of "
        f"exchangeability; an AUC of {found['noticeable_auc']:.2f} would mostly have been noticed"
    )


def auc_interval(auc: float, n_in: int, n_out: int, *, alpha: float) -> tuple[float, float]:
    """Two-sided interval of an area under the ROC curve.

    Parameters
    ----------
    auc : float
        In [0, 1].
    n_in, n_out : int
        Units of each class, at least 1.
    alpha : float
        In (0, 1).

    Returns
    -------
    lower, upper : float
        The areas A with ``|auc - A| <= z sd(A)``, sd that of Hanley and McNeil's exponential model: Newcombe
        2006, method 5. Approximate.
    """
    z = NormalDist().inv_cdf(1 - alpha / 2)
    return _lower_area(auc, n_in, n_out, z), 1 - _lower_area(1 - auc, n_in, n_out, z)


def _lower_area(auc: float, n_in: int, n_out: int, z: float) -> float:
    """The smallest A with auc - A <= z sd(A); sd is symmetric about one half."""
    low, high = 0.0, auc
    for _ in range(60):
        middle = (low + high) / 2
        above = auc - middle > z * _sd(middle, n_in, n_out)
        low, high = (middle, high) if above else (low, middle)
    return low


def _sd(area: float, n_in: int, n_out: int) -> float:
    mean = (n_in + n_out) / 2 - 1
    spread = 1 + mean * (1 - area) / (2 - area) + mean * area / (1 + area)
    return math.sqrt(max(0.0, area * (1 - area)) * spread / (n_in * n_out))


def _noticeable(n_in: int, n_out: int, classifiers: int) -> float:
    """The AUC that fails with probability of about 0.8."""
    normal = NormalDist()
    z = normal.inv_cdf(1 - LEVEL / classifiers) + normal.inv_cdf(0.8)
    return min(1.0, 0.5 + z * _sd(0.5, n_in, n_out))


# --- features


def _table(
    members: Records,
    nonmembers: Records,
    units: tuple[NDArray[Any], NDArray[Any]] | None,
    generator: np.random.Generator,
) -> _Table:
    kept_rows, kept_units, sizes, whole = [], [], [], True
    start = 0
    for index, (X, _) in enumerate((members, nonmembers)):
        given = np.arange(len(X)) if units is None else units[index]
        rows, unit, size = _part(np.unique(given, return_inverse=True)[1].reshape(-1), generator)
        whole = whole and rows.size == len(X)
        kept_rows.append(rows)
        kept_units.append(unit + start)
        sizes.append(size)
        start += int(unit.max()) + 1 if unit.size else 0
    X, y = (
        np.concatenate([s[i][rows] for s, rows in zip((members, nonmembers), kept_rows, strict=True)])
        for i in (0, 1)
    )
    columns, summary = record_columns(X, generator)
    largeness = np.log(np.concatenate(sizes)).astype(np.float32)[:, None]
    n_in = int(kept_units[0].max()) + 1 if kept_units[0].size else 0
    return _Table(
        columns=columns,
        summary=np.concatenate([summary, largeness], axis=1),
        labels=_label_columns(y),
        unit=np.concatenate(kept_units),
        bits=np.arange(start) < n_in,
        whole=whole,
    )


def _part(
    unit: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of a random part of the units, the units renumbered, and the sizes of the rows' units.

    Of a unit with many rows a few random ones stand for all.
    """
    sizes = np.bincount(unit)
    number = np.full(sizes.size, -1)
    chosen = generator.permutation(sizes.size)[:UNITS_A_CLASS]
    number[chosen] = np.arange(chosen.size)
    order = generator.permutation(unit.size)
    order = order[np.argsort(unit[order], kind="stable")]
    within = np.arange(unit.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = order[(within < _ROWS_A_UNIT) & (number[unit[order]] >= 0)]
    return rows, number[unit[rows]], sizes[unit[rows]]


def record_columns(
    X: NDArray[Any], generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns that a classifier can learn from and a summary of each record, both made without the bits.

    Parameters
    ----------
    X : array, shape (n, ...) of numbers or (n,) of text
        More than 2,048 columns are represented by 1,024 random ones and 512 random sums; text by hashed words.
    generator : numpy.random.Generator

    Returns
    -------
    columns, summary : array, shape (n, d) and (n, s), float32
        NaN where a value is missing.
    """
    if X.dtype.kind in "US":
        return _text_features(X)
    flat = X.reshape(len(X), -1)
    wide = flat.shape[1] > _MOST_COLUMNS
    kept = np.sort(generator.permutation(flat.shape[1])[:_KEPT_COLUMNS]) if wide else None
    seeds = generator.integers(2**31)
    columns, summary = [], []
    for start in range(0, len(flat), 256):
        block = flat[start : start + 256].astype(np.float64)
        block[~np.isfinite(block)] = np.nan
        block = np.clip(block, -_LARGEST, _LARGEST)
        summary.append(_summary(block))
        columns.append(block if kept is None else np.hstack([block[:, kept], _project(block, int(seeds))]))
    return np.concatenate(columns).astype(np.float32), np.concatenate(summary).astype(np.float32)


def _project(block: FloatArray, seed: int) -> FloatArray:
    """Random signed sums of the columns of a wide table: together they keep distances."""
    generator = np.random.default_rng(seed)
    d = block.shape[1]
    place = generator.integers(0, _PROJECTIONS, (d,))
    sign = generator.choice([-1.0, 1.0], d)
    order = np.argsort(place, kind="stable")
    used, first = np.unique(place[order], return_index=True)
    out: FloatArray = np.zeros((len(block), _PROJECTIONS))
    known = np.where(np.isnan(block), 0.0, block)
    out[:, used] = np.add.reduceat((known * sign)[:, order], first, axis=1)
    return out


def _summary(block: FloatArray) -> FloatArray:
    missing = np.isnan(block)
    filled = np.where(missing, 0.0, block)
    there = np.maximum((~missing).sum(axis=1), 1)
    mean = filled.sum(axis=1) / there
    spread = np.sqrt((np.where(missing, 0.0, block - mean[:, None]) ** 2).sum(axis=1) / there)
    norm = np.log1p(np.sqrt((filled**2).sum(axis=1)))
    return np.stack(
        [
            mean,
            spread,
            norm,
            filled.min(axis=1),
            filled.max(axis=1),
            missing.mean(axis=1),
            (filled == 0).mean(axis=1),
        ],
        axis=1,
    )


def _text_features(X: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bags of hashed words (dates among them), and lengths."""
    from sklearn.feature_extraction.text import HashingVectorizer

    texts = [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in X.ravel()
    ]
    hashing = HashingVectorizer(n_features=_HASHED_WORDS, alternate_sign=False, norm=None)
    bag = np.log1p(hashing.transform(texts).toarray())
    lengths = [[len(text), len(text.split()), sum(map(str.isdigit, text))] for text in texts]
    return np.asarray(bag, np.float32), np.log1p(np.array(lengths, np.float32))


def _label_columns(y: NDArray[Any]) -> NDArray[np.float32]:
    values, index, counts = np.unique(y, return_inverse=True, return_counts=True)
    if values.size <= _MOST_LABELS or y.dtype.kind not in "fiu":
        common = np.argsort(-counts, kind="stable")[:_MOST_LABELS]
        return np.asarray(index.reshape(-1, 1) == common[None, :], np.float32)
    number = y.astype(np.float64)
    spread = number.std() or 1.0
    scaled = np.clip((number - number.mean()) / spread, -1e3, 1e3)
    return np.stack([scaled, scaled**2], axis=1).astype(np.float32)


# --- the test


def _judge(table: _Table, seed: int) -> tuple[list[_Judged], int, int]:
    """All classifiers on every part but the first, and how many units of each class were judged."""
    stage = _stages(table.bits, np.random.default_rng([seed, 0x57A6]))
    areas = np.zeros((_STAGES - 1, len(_CLASSIFIERS)))
    scores = np.zeros_like(areas)
    weights = np.zeros(_STAGES - 1)
    for k in range(1, _STAGES):
        judged = stage == k
        labels = table.bits[judged]
        values = _unit_scores(table, stage[table.unit] < k, stage[table.unit] == k, judged, seed)
        areas[k - 1], p_values = _areas(values, labels, np.random.default_rng([seed, 0x57A7, k]))
        # a p-value of 1 stands for one just below: a change of probability 1e-15 at most
        scores[k - 1] = [max(-8.0, NormalDist().inv_cdf(1 - p)) if p < 1 else -8.0 for p in p_values]
        weights[k - 1] = math.sqrt(labels.size)
    z = weights @ scores / math.sqrt(float(weights @ weights))
    share = weights**2 / float(weights @ weights)
    found = [
        _Judged(name, float(share @ areas[:, c]), 1 - NormalDist().cdf(float(z[c])))
        for c, name in enumerate(_CLASSIFIERS)
    ]
    tested = table.bits[stage > 0]
    return found, int(tested.sum()), int((~tested).sum())


def _stages(bits: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
    """The part that each unit falls into, the same share of each class in every part."""
    stage = np.empty(bits.size, np.int64)
    for value in (True, False):
        place = np.flatnonzero(bits == value)
        stage[generator.permutation(place)] = np.arange(place.size) * _STAGES // place.size
    return stage


def _areas(
    values: FloatArray, labels: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """AUC and one-sided permutation p-value of each row of `values`, shape (classifiers, units)."""
    n_in = int(labels.sum())
    n_out = labels.size - n_in
    ranks = np.stack([mid_ranks(row) for row in values])
    places = generator.permuted(np.tile(np.arange(labels.size), (_SHUFFLES, 1)), axis=1)[:, :n_in]
    observed = ranks[:, labels].sum(axis=1)
    shuffled = np.stack([row[places].sum(axis=1) for row in ranks])
    p_values = (1 + (shuffled >= observed[:, None] - 1e-9).sum(axis=1)) / (_SHUFFLES + 1)
    return (observed - n_in * (n_in + 1) / 2) / (n_in * n_out), p_values


def area_under_roc(values: FloatArray, labels: NDArray[np.bool_]) -> float:
    """How often a labelled unit has the larger value than an unlabelled one, ties counting half."""
    n_in = int(labels.sum())
    above = float(mid_ranks(values)[labels].sum()) - n_in * (n_in + 1) / 2
    return above / (n_in * (labels.size - n_in))


def mid_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1; tied values share their mean rank."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[index.reshape(-1)]


def _unit_scores(
    table: _Table,
    learn: NDArray[np.bool_],
    judge: NDArray[np.bool_],
    judged_units: NDArray[np.bool_],
    seed: int,
) -> FloatArray:
    """The score of each judged unit (the mean over its rows) by each classifier, shape (classifiers, units)."""
    bits = table.bits[table.unit]
    columns, others = _standardised(table.columns, learn)
    chosen = _strongest(columns[learn], bits[learn])
    summary, _ = _standardised(table.summary, learn)
    features = np.hstack([columns[:, chosen], others, summary, table.labels])
    number = np.full(table.bits.size, -1)
    number[judged_units] = np.arange(int(judged_units.sum()))
    index = number[table.unit[judge]]
    out = []
    for classify in _CLASSIFIERS.values():
        data = (features, summary, table.labels)
        rows = classify(tuple(a[learn] for a in data), bits[learn], tuple(a[judge] for a in data), seed)
        out.append(np.bincount(index, weights=rows) / np.bincount(index))
    return np.stack(out)


def _standardised(
    columns: NDArray[np.float32], learn: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns scaled by the rows to learn from, 0 where missing; and which values are missing, where any is."""
    missing = np.isnan(columns)
    there = ~missing[learn]
    count = np.maximum(there.sum(axis=0), 1)
    known = np.where(there, columns[learn], 0.0).astype(np.float64)
    mean = known.sum(axis=0) / count
    spread = np.sqrt((np.where(there, known - mean, 0.0) ** 2).sum(axis=0) / count)
    scaled = (columns - mean) / np.where(spread > 0, spread, 1.0)
    filled = np.clip(np.where(missing, 0.0, scaled), -1e3, 1e3).astype(np.float32)
    some = missing.any(axis=0)
    return filled, missing[:, some].astype(np.float32)[:, :_MOST_LABELS]


def _strongest(columns: NDArray[np.float32], bits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The columns in which the classes to learn from differ most."""
    gap = np.abs(columns[bits].mean(axis=0) - columns[~bits].mean(axis=0))
    return np.sort(np.argsort(-gap, kind="stable")[:_SELECTED_COLUMNS])


Parts = tuple[NDArray[np.float32], ...]
Classifier = Callable[[Parts, NDArray[np.bool_], Parts, int], FloatArray]


def _linear(X: NDArray[Any], bits: NDArray[np.bool_], new: NDArray[Any]) -> FloatArray:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.05, max_iter=100, class_weight="balanced")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an early stop of the optimiser makes no p-value wrong
        found: FloatArray = model.fit(X, bits).decision_function(new)
    return found


def _logistic(learn: Parts, bits: NDArray[np.bool_], judge: Parts, seed: int) -> FloatArray:
    return _linear(learn[0], bits, judge[0])


def _quadratic(learn: Parts, bits: NDArray[np.bool_], judge: Parts, seed: int) -> FloatArray:
    def expand(parts: Parts) -> NDArray[np.float32]:
        summary, labels = np.clip(parts[1], -10, 10), parts[2]
        i, j = np.triu_indices(summary.shape[1])
        return np.hstack([summary, summary[:, i] * summary[:, j], labels])

    return _linear(expand(learn), bits, expand(judge))


def _boosting(learn: Parts, bits: NDArray[np.bool_], judge: Parts, seed: int) -> FloatArray:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(
        n_estimators=60,
        max_depth=4,
        learning_rate=0.15,
        max_features="sqrt",
        min_samples_leaf=3 if len(bits) < 200 else 5,
        random_state=seed % 2**32,
    )
    found: FloatArray = model.fit(learn[0], bits).decision_function(judge[0])
    return found


def _neighbours(learn: Parts, bits: NDArray[np.bool_], judge: Parts, seed: int) -> FloatArray:
    """How much nearer the nearest member is than the nearest non-member: copies of records show here."""
    from sklearn.neighbors import NearestNeighbors

    X, new = learn[0].astype(np.float64), judge[0].astype(np.float64)
    if X.shape[1] > _NEIGHBOUR_COLUMNS:
        turn = np.random.default_rng([seed, 0x9E16]).normal(size=(X.shape[1], _NEIGHBOUR_COLUMNS))
        X, new = X @ turn, new @ turn
    near = [
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(X[bits == value]).kneighbors(new)[0][:, 0]
        for value in (True, False)
    ]
    floor = 1e-6 * math.sqrt(X.shape[1])
    difference: FloatArray = np.log(near[1] + floor) - np.log(near[0] + floor)
    return difference


_CLASSIFIERS: dict[str, Classifier] = {
    "logistic regression": _logistic,
    "boosted trees": _boosting,
    "summary features": _quadratic,
    "nearest neighbours": _neighbours,
}
