"""What a canary is made of: arrays checked, copies found, records chosen or made, and their digests."""

from __future__ import annotations

import hashlib
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_DIRECTIONS = 64
_ROWS_FOR_SCALE = 10_000
_ROWS_AT_ONCE = 2048
_ROUNDS_OF_NOISE = 20


def record_arrays(X: Any, y: Any, what: tuple[str, str] = ("X", "y")) -> tuple[NDArray[Any], NDArray[Any]]:
    """Records of shape (n, ...) and labels of shape (n,) as plain NumPy arrays; or an InputError AK-CA-003."""
    records, labels = _plain(X, what[0]), _plain(y, what[1])
    if records.ndim == 0 or records.shape[0] == 0 or records.size == 0:
        _refuse(what[0], "hold at least one record", f"an array of shape {records.shape}")
    if records.dtype.kind not in "biuf" or records.dtype.itemsize > 8:
        _refuse(what[0], "be real numbers of at most 64 bits", records.dtype.name)
    if labels.ndim != 1 or labels.shape[0] != records.shape[0]:
        _refuse(what[1], f"have one label a record, {records.shape[0]:,}", f"shape {labels.shape}")
    if labels.dtype.kind not in "biufUS" or (labels.dtype.kind not in "US" and labels.dtype.itemsize > 8):
        _refuse(what[1], "be numbers or text", labels.dtype.name)
    for name, array in zip(what, (records, labels), strict=True):
        if array.dtype.kind == "f":
            bad = np.argwhere(~np.isfinite(array))
            if bad.size:
                place = ", ".join(map(str, bad[0]))
                _refuse(
                    name, "be finite", f"{array[tuple(bad[0])]} at [{place}]", "fill in missing values first"
                )
    return records, labels


def class_codes(y: NDArray[Any], kind: str) -> tuple[NDArray[Any], IntArray]:
    """The distinct labels and each record's place among them; or an InputError AK-CA-006."""
    whole = y.dtype.kind != "f" or bool((y == np.floor(y)).all())
    classes, codes = np.unique(y, return_inverse=True)
    if not whole or classes.size < 2:
        found = "numbers with fractions" if not whole else f"{classes.size} class"
        raise InputError(
            f"y: must hold the labels of at least two classes for {kind} canaries, not {found}",
            id="AK-CA-006",
            hint="kind='given' takes records with any labels",
        )
    return classes, codes.reshape(-1).astype(np.int64)


def row_digests(X: NDArray[Any]) -> list[bytes]:
    """A digest of each record without its label: equal exactly for records that are equal byte for byte."""
    rows = np.ascontiguousarray(X).reshape(X.shape[0], -1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def record_sha256(X: NDArray[Any], y: NDArray[Any]) -> tuple[str, ...]:
    """SHA-256 of each record with its label, in hexadecimal.

    Notes
    -----
    The bytes hashed are the type, the shape, the little-endian values in C order and the label. Labels that are
    equal as whole numbers are equal here, whatever their type.
    """
    little = np.ascontiguousarray(X, X.dtype.newbyteorder("<"))
    head = f"auditkit.record/1|{little.dtype.str}|{X.shape[1:]}|".encode("ascii")
    digests = []
    for row, label in zip(little.reshape(X.shape[0], -1), y.tolist(), strict=True):
        digest = hashlib.sha256(head)
        digest.update(row.tobytes())
        digest.update(_label_bytes(label))
        digests.append(digest.hexdigest())
    return tuple(digests)


def typical_distance(X: NDArray[Any]) -> float:
    """Root mean square of the Euclidean distance of two records drawn at random: sqrt(2 x total variance)."""
    part = X[:: max(1, X.shape[0] // _ROWS_FOR_SCALE)].reshape(-1, _width(X)).astype(np.float64)
    return float(np.sqrt(2.0 * np.var(part, axis=0).sum()))


def near_pairs(X: NDArray[Any], radius: float) -> IntArray:
    """All pairs (i < j) of records at a Euclidean distance of at most `radius`, shape (p, 2), in lexical order.

    Notes
    -----
    Distances never grow under projection onto orthonormal directions, so 64 of them find every candidate; each is
    then measured in full. O(n^2) products of 64 numbers.
    """
    pairs = _near(X, None, radius)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def near_others(X: NDArray[Any], others: NDArray[Any], radius: float) -> BoolArray:
    """Which records of X have one of `others` at a Euclidean distance of at most `radius`, shape (n,)."""
    near = np.zeros(X.shape[0], np.bool_)
    near[_near(X, others, radius)[:, 0]] = True
    return near


def merge_units(unit: IntArray, pairs: IntArray) -> IntArray:
    """Units after records that are near each other were put together; each is named by its smallest label."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels, index = np.unique(unit, return_inverse=True)
    index = index.reshape(-1)
    ends = index[pairs]
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(labels.size, labels.size))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    merged: IntArray = labels[first][component][index]
    return merged


def choose_units(
    X: NDArray[Any], unit: IntArray, m: int, radius: float, generator: np.random.Generator
) -> IntArray:
    """Rows of `m` random units, in ascending order, none of which repeats or nearly repeats another.

    Units with a record that occurs more than once in X are passed over, and of two units with records near each
    other the one drawn later.

    Raises
    ------
    InputError
        AK-CA-008 when fewer than `m` such units exist.
    """
    labels, index = np.unique(unit, return_inverse=True)
    index = index.reshape(-1)
    repeated = np.zeros(labels.size, np.bool_)
    repeated[index[_repeated(X)]] = True
    order = generator.permutation(labels.size)
    order = order[~repeated[order]]
    rows_of = _rows_by_unit(index)
    kept: list[int] = []
    place = 0
    while len(kept) < m and place < order.size:
        new = order[place : place + max(m - len(kept), m // 4 + 1)].tolist()
        place += len(new)
        both = [*kept, *new]
        stays = _apart(X, [rows_of[u] for u in both], radius)
        kept = [u for u, stay in zip(both, stays, strict=True) if stay][:m]
    if len(kept) < m:
        raise InputError(
            f"X: must hold {m:,} records that do not repeat one another, not {len(kept):,}",
            id="AK-CA-008",
            hint="plant fewer canaries, or lower near",
        )
    return np.sort(np.concatenate([rows_of[u] for u in kept]))


def make_noise(X: NDArray[Any], m: int, radius: float, generator: np.random.Generator) -> NDArray[Any]:
    """`m` records of uniform noise in the range of each feature of X, no two equal or near each other.

    Raises
    ------
    InputError
        AK-CA-008 when the range has no room for so many.
    """
    low, high = X.min(axis=0), X.max(axis=0)
    taken = set(row_digests(X))
    kept = np.empty((0, *X.shape[1:]), X.dtype)
    for _ in range(_ROUNDS_OF_NOISE):
        kept = np.concatenate([kept, _noise(low, high, m - kept.shape[0], X.dtype, generator)])
        first: dict[bytes, int] = {}
        for row, digest in enumerate(row_digests(kept)):
            if digest not in taken:
                first.setdefault(digest, row)
        kept = kept[sorted(first.values())]
        drop: set[int] = set()
        for earlier, later in near_pairs(kept, radius).tolist():
            if earlier not in drop:
                drop.add(later)
        kept = np.delete(kept, sorted(drop), axis=0)
        if kept.shape[0] == m:
            return kept
    raise InputError(
        f"X: must have a range with room for {m:,} records of noise, not {kept.shape[0]:,}",
        id="AK-CA-008",
        hint="plant fewer canaries, or records of your own with kind='given'",
    )


def wrong_labels(codes: IntArray, classes: int, generator: np.random.Generator) -> IntArray:
    """For each code another one, uniform among the others."""
    return (codes + generator.integers(1, classes, codes.size)) % classes


def label_pairs(codes: IntArray, classes: int, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
    """For each code two different labels: both wrong where there are three classes or more, else the two.

    A model that has learnt the task prefers neither of two wrong labels, so what it prefers tells the coin.
    """
    if classes == 2:
        swap = generator.integers(0, 2, codes.size)
        return (codes + swap) % 2, (codes + swap + 1) % 2
    first = generator.integers(1, classes, codes.size)
    second = generator.integers(1, classes - 1, codes.size)
    second = second + (second >= first)
    return (codes + first) % classes, (codes + second) % classes


def _plain(value: Any, what: str) -> NDArray[Any]:
    try:
        if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
            return np.from_dlpack(value)
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        _refuse(what, "be an array", show(error), "move it to the CPU and detach it first")


def _refuse(what: str, requirement: str, value: str, hint: str | None = None) -> NoReturn:
    raise InputError(f"{what}: must {requirement}, not {value}", id="AK-CA-003", hint=hint)


def _label_bytes(label: Any) -> bytes:
    if isinstance(label, bytes):
        return b"|b" + label
    if isinstance(label, str):
        return b"|s" + label.encode("utf-8", "surrogatepass")
    return f"|i{int(label)}".encode() if label == int(label) else f"|f{float(label).hex()}".encode()


def _width(X: NDArray[Any]) -> int:
    return int(np.prod(X.shape[1:], dtype=np.int64))


def _repeated(X: NDArray[Any]) -> BoolArray:
    _, index, sizes = np.unique(np.array(row_digests(X), "S16"), return_inverse=True, return_counts=True)
    repeated: BoolArray = (sizes > 1)[index.reshape(-1)]
    return repeated


def _rows_by_unit(index: IntArray) -> list[IntArray]:
    """The rows of each unit, of units numbered from 0."""
    order = np.argsort(index, kind="stable")
    return list(np.split(order, np.cumsum(np.bincount(index))[:-1]))


def _apart(X: NDArray[Any], units: list[IntArray], radius: float) -> list[bool]:
    """Which of the units, given by their rows, stay: those near none that stays before them."""
    place = np.repeat(np.arange(len(units)), [rows.size for rows in units])
    conflicts: dict[int, set[int]] = {}
    for pair in place[near_pairs(X[np.concatenate(units)], radius)].tolist():
        conflicts.setdefault(max(pair), set()).add(min(pair))
    dropped: set[int] = set()
    for later in sorted(conflicts):
        if conflicts[later] - dropped - {later}:
            dropped.add(later)
    return [i not in dropped for i in range(len(units))]


def _near(X: NDArray[Any], others: NDArray[Any] | None, radius: float) -> IntArray:
    """Pairs (row of X, row of others) within `radius`; without others, pairs (i < j) of rows of X."""
    found = [np.empty((0, 2), np.int64)]
    both = X if others is None else others
    if radius <= 0 or X.shape[0] == 0 or both.shape[0] == 0:
        return found[0]
    rows, columns = X.reshape(X.shape[0], -1), both.reshape(both.shape[0], -1)
    centre, directions = rows.mean(axis=0, dtype=np.float64), _orthonormal(rows.shape[1])
    left = _project(rows, centre, directions)
    left_square = np.einsum("ij,ij->i", left, left)
    left = np.column_stack([-2.0 * left, left_square, np.ones(len(left))])
    for start in range(0, columns.shape[0], _ROWS_AT_ONCE):
        part = columns[start : start + _ROWS_AT_ONCE]
        right = _project(part, centre, directions)
        square = np.einsum("ij,ij->i", right, right)
        # squares of distances as one product: off by some 1e-14 of the largest term, and nothing near may be missed
        limit = radius * radius * (1 + 1e-6) + 1e-12 * (left_square.max() + square.max())
        right = np.column_stack([right, np.ones(len(right)), square])
        last = rows.shape[0] if others is not None else min(rows.shape[0], start + _ROWS_AT_ONCE)
        for top in range(0, last, _ROWS_AT_ONCE // 4):
            block = slice(top, min(top + _ROWS_AT_ONCE // 4, last))
            candidates = np.argwhere(left[block] @ right.T <= limit)
            if others is None:
                candidates = candidates[candidates[:, 0] + top < candidates[:, 1] + start]
            near = _measured(rows[block], part, candidates, radius)
            found.append(near + np.array([top, start]))
    return np.concatenate(found)


def _measured(X: NDArray[Any], others: NDArray[Any], pairs: IntArray, radius: float) -> IntArray:
    """Those of the pairs that are within `radius`."""
    kept = [pairs[:0]]
    for start in range(0, pairs.shape[0], _ROWS_AT_ONCE):
        part = pairs[start : start + _ROWS_AT_ONCE]
        gap = X[part[:, 0]].astype(np.float64) - others[part[:, 1]].astype(np.float64)
        kept.append(part[np.einsum("ij,ij->i", gap, gap) <= radius * radius])
    return np.concatenate(kept)


def _orthonormal(width: int) -> NDArray[np.float64]:
    if width <= _DIRECTIONS:
        return np.eye(width)
    generator = np.random.default_rng([width, 0xD15])
    basis: NDArray[np.float64] = np.linalg.qr(generator.standard_normal((width, _DIRECTIONS)))[0]
    return basis


def _project(
    rows: NDArray[Any], centre: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    parts = [
        (rows[start : start + _ROWS_AT_ONCE] - centre) @ directions
        for start in range(0, rows.shape[0], _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def _noise(
    low: NDArray[Any], high: NDArray[Any], m: int, dtype: np.dtype[Any], generator: np.random.Generator
) -> NDArray[Any]:
    shape = (m, *low.shape)
    if dtype.kind == "f":
        u = generator.random(shape)
        made = low.astype(np.float64) * (1 - u) + high.astype(np.float64) * u
        inside: NDArray[Any] = np.clip(made.astype(dtype), low, high)
        return inside
    if dtype.kind == "b":
        return np.where(generator.integers(0, 2, shape).astype(np.bool_), high, low)
    return generator.integers(low, high, shape, dtype=dtype, endpoint=True)
