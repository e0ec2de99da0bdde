"""Strict reading of score tables (``scores``, ``bits``, ``unit``) and of records (``X``, ``y``, ``unit``).

Files come from elsewhere, so nothing is unpickled, nothing is allocated before its size is checked, and
whatever does not fit is refused with its file, place and cure.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.archives import BYTE_LIMIT, Layout, check_names, read_npz
from auditkit.io.files import read_bytes

_NAN_HINT = "score such records with a constant, or leave them out by a rule that does not look at the bits"
_TRUTH = {"0": False, "1": True, "false": False, "true": True, "0.0": False, "1.0": True}

_SCORES = Layout(
    columns=("scores", "bits", "unit"),
    needed=("scores", "bits"),
    meaning="scores: larger means more likely a member; bits: 1 for members, 0 for non-members",
    cure="write it again with numpy.savez(file, scores=..., bits=...)",
)
_RECORDS = Layout(
    columns=("X", "y", "unit"),
    needed=("X", "y"),
    meaning="X: the records, one a row; y: their labels or targets",
    cure="write it again with numpy.savez(file, X=..., y=...)",
    any_shape=("X",),
)


@dataclass(frozen=True, eq=False)
class RecordTable:
    """The rows of a file of records.

    Attributes
    ----------
    X : array, shape (n, ...)
        In its own number type; NaN (missing) is kept.
    y : array, shape (n,)
        Labels or targets in their own number or text type; no NaN.
    unit : array, shape (n,), integers or text, or None
        Rows with equal values belong together.
    sha256 : str
        Hexadecimal digest of the very bytes that were read.
    bytes : int
        Their number.
    name : str
        The file's name without its folder.
    """

    X: NDArray[Any]
    y: NDArray[Any]
    unit: NDArray[Any] | None
    sha256: str
    bytes: int
    name: str

    @property
    def identity(self) -> dict[str, Any]:
        """Name, sha256 and bytes, as they stand in results."""
        return {"name": self.name, "sha256": self.sha256, "bytes": self.bytes}


def read_records(path: str | Path) -> RecordTable:
    """Read records from an .npz archive.

    Parameters
    ----------
    path : path
        An .npz with arrays ``X`` of shape (n, ...), ``y`` of shape (n,) and optionally ``unit`` of shape (n,).

    Returns
    -------
    RecordTable

    Raises
    ------
    InputError
        For anything else: another ending, unreadable, damaged or oversized files, unknown or missing arrays,
        pickled objects, unequal lengths, no rows, NaN labels.

    Notes
    -----
    Linear in the file; at most `BYTE_LIMIT` bytes before and after unpacking.
    """
    name = show(path)
    if Path(path).suffix.lower() != ".npz":
        raise InputError(
            f"{name}: must end in .npz, not {show(Path(path).suffix)!r}",
            id="AK-IO-020",
            path=str(path),
            hint="save the records with numpy.savez(file, X=..., y=...)",
        )
    data = read_bytes(path, limit=BYTE_LIMIT)
    columns = read_npz(data, name, str(path), _RECORDS)
    X, y, unit = columns["X"], columns["y"], columns.get("unit")
    check_records(X, y, unit, where=f"{name}: ", path=str(path))
    return RecordTable(
        X=X,
        y=y,
        unit=unit,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        name=show(Path(path).name),
    )


def check_records(
    X: NDArray[Any], y: NDArray[Any], unit: NDArray[Any] | None, *, where: str = "", path: str | None = None
) -> None:
    """Raise InputError unless X, y and unit are plain arrays with one entry a record, at least one."""
    if X.ndim == 0 or X.shape[0] == 0 or 0 in X.shape:
        raise InputError(
            f"{where}X: must hold at least one record with a value, not shape {X.shape}",
            id="AK-EV-005",
            path=path,
        )
    if X.dtype.kind not in "biufUS" or (X.dtype.itemsize > 8 and X.dtype.kind == "f"):
        _refuse_type(f"{where}X", X.dtype, "plain numbers or text", path)
    if y.dtype.kind not in "biufUS" or (y.dtype.itemsize > 8 and y.dtype.kind == "f"):
        _refuse_type(f"{where}y", y.dtype, "plain numbers or text", path)
    if y.shape != (X.shape[0],):
        raise InputError(
            f"{where}y: must have one entry a record, {X.shape[0]:,}, not shape {y.shape}",
            id="AK-EV-004",
            path=path,
        )
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        place = int(np.flatnonzero(~np.isfinite(y))[0])
        raise InputError(f"{where}y: must be finite: y[{place}] is {y[place]}", id="AK-EV-001", path=path)
    if unit is not None:
        check_unit(unit, X.shape[0], where=where, path=path)


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The rows of a score file.

    Attributes
    ----------
    scores : array, shape (n,), float64
        Larger means "more likely a member". Never NaN; may be infinite.
    bits : array, shape (n,), bool
        True where the record was in the training set.
    unit : array, shape (n,), int64, or None
        Rows with equal values were randomised together; None when the file has no such column.
    sha256 : str
        Hexadecimal digest of the very bytes that were read.
    bytes : int
        Their number.
    """

    scores: NDArray[np.float64]
    bits: NDArray[np.bool_]
    unit: NDArray[np.int64] | None
    sha256: str
    bytes: int


def read_scores(path: str | Path) -> ScoreTable:
    """Read membership scores from an .npz archive, a .csv file, or CSV text on standard input (``-``).

    Parameters
    ----------
    path : path
        An .npz with one-dimensional arrays ``scores`` (any real number type up to 64 bits), ``bits`` (0/1 or
        bool) and optionally ``unit`` (integers or text), or a CSV file whose first line names the same
        columns.

    Returns
    -------
    ScoreTable

    Raises
    ------
    InputError
        For anything else: unreadable, damaged or oversized files, unknown or missing columns, pickled
        objects, NaN, bits other than 0 and 1, unequal lengths, no rows, or only one class.

    Notes
    -----
    Linear in the file; about a second for a million CSV lines. At most `BYTE_LIMIT` bytes before and after
    unpacking.
    """
    name = show(path)
    if str(path) == "-":
        data = sys.stdin.buffer.read(BYTE_LIMIT + 1)
        if len(data) > BYTE_LIMIT:
            raise InputError(f"-: must have at most {BYTE_LIMIT:,} bytes", id="AK-IO-003", path="-")
        name, columns = "standard input", None
    else:
        suffix = Path(path).suffix.lower()
        if suffix not in (".npz", ".csv"):
            raise InputError(
                f"{name}: must end in .npz or .csv, not {show(suffix)!r}",
                id="AK-IO-020",
                path=str(path),
                hint="save the columns with numpy.savez(file, scores=..., bits=...)",
            )
        data = read_bytes(path, limit=BYTE_LIMIT)
        columns = read_npz(data, name, str(path), _SCORES) if suffix == ".npz" else None
    if columns is None:
        columns = _read_csv(data, name, str(path))
    scores, bits = check_scores(columns["scores"], columns["bits"], where=f"{name}: ", path=str(path))
    unit = columns.get("unit")
    return ScoreTable(
        scores=scores,
        bits=bits,
        unit=None if unit is None else check_unit(unit, scores.size, where=f"{name}: ", path=str(path)),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )


def check_scores(
    scores: Any, bits: Any, *, where: str = "", path: str | None = None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores as float64 and bits as bool, or an InputError that names the first fault.

    Parameters
    ----------
    scores : array-like, shape (n,)
        Real numbers of at most 64 bits (widened to float64) without NaN; infinities are ordered as usual.
    bits : array-like, shape (n,)
        0, 1 or bool; both classes present.
    where : str
        Put before the column's name in messages.
    path : str, optional
        The file at fault, for `InputError.path`.
    """
    score_array = plain_array(scores, f"{where}scores", path)
    bit_array = plain_array(bits, f"{where}bits", path)
    if score_array.dtype.kind not in "iuf" or score_array.dtype.itemsize > 8:
        _refuse_type(f"{where}scores", score_array.dtype, "real numbers of at most 64 bits", path)
    if bit_array.dtype.kind not in "biuf" or bit_array.dtype.itemsize > 8:
        _refuse_type(f"{where}bits", bit_array.dtype, "0 and 1", path)
    if score_array.size != bit_array.size:
        raise InputError(
            f"{where}bits: must have one entry a score, {score_array.size:,}, not {bit_array.size:,}",
            id="AK-EV-004",
            path=path,
        )
    if score_array.size == 0:
        raise InputError(
            f"{where}scores: must hold at least one row, not none",
            id="AK-EV-005",
            path=path,
            hint="give the attack's score of each record, members and non-members alike",
        )
    values = score_array.astype(np.float64)
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        raise InputError(
            f"{where}scores: must not be NaN: scores[{bad[0]}] is nan ({bad.size:,} such)",
            id="AK-EV-001",
            path=path,
            hint=_NAN_HINT,
        )
    bad = np.flatnonzero((bit_array != 0) & (bit_array != 1))
    if bad.size:
        raise InputError(
            f"{where}bits: must be 0 (non-member) or 1 (member): bits[{bad[0]}] is {show(bit_array[bad[0]])}",
            id="AK-EV-002",
            path=path,
        )
    members = bit_array != 0
    if members.all() or not members.any():
        raise InputError(
            f"{where}bits: must hold both members (1) and non-members (0), not {members.size:,} of one kind",
            id="AK-EV-003",
            path=path,
            hint="epsilon compares two error rates, so records that were left out of training are needed too",
        )
    return values, members


def check_unit(unit: Any, rows: int, *, where: str = "", path: str | None = None) -> NDArray[np.int64]:
    """Unit labels as int64: integers as they are, text numbered by its sorted order; or an InputError."""
    array = plain_array(unit, f"{where}unit", path)
    if array.dtype.kind not in "iuUS":
        _refuse_type(f"{where}unit", array.dtype, "whole numbers or text", path)
    if array.size != rows:
        raise InputError(
            f"{where}unit: must have one entry a score, {rows:,}, not {array.size:,}",
            id="AK-EV-004",
            path=path,
        )
    if array.dtype.kind in "US" or array.dtype == np.uint64:
        return np.unique(array, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return array.astype(np.int64)


def plain_array(value: Any, what: str, path: str | None = None) -> NDArray[Any]:
    """`value` as a one-dimensional NumPy array without Python objects (torch and CuPy arrays by DLPack)."""
    try:
        if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
            array = np.from_dlpack(value)
        else:
            array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise InputError(
            f"{what}: must be a one-dimensional array: {show(error)}",
            id="AK-EV-006",
            path=path,
            hint="move it to the CPU and detach it first",
        ) from None
    if array.ndim != 1:
        raise InputError(
            f"{what}: must be one-dimensional, not of shape {array.shape}",
            id="AK-EV-006",
            path=path,
            hint="one row a record; average or choose among several scores of a record first",
        )
    if array.dtype.kind == "O":
        _refuse_type(what, array.dtype, "plain numbers or text", path)
    return array


def _refuse_type(what: str, dtype: np.dtype[Any], wanted: str, path: str | None) -> NoReturn:
    raise InputError(f"{what}: must be {wanted}, not {dtype.name}", id="AK-EV-007", path=path)


def _read_csv(data: bytes, name: str, path: str) -> dict[str, NDArray[Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: must be UTF-8 text: byte {error.start:,} is not", id="AK-IO-024", path=path
        ) from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    scores: list[float] = []
    bits: list[bool] = []
    units: dict[str, int] = {}
    unit: list[int] = []
    try:
        names = [cell.strip() for cell in next(lines, [])]
        check_names(names, name, path, "column", _SCORES)
        place = {key: names.index(key) for key in names}
        for row in lines:
            if not row:
                continue
            at = f"{name}: line {lines.line_num:,}"
            if len(row) != len(names):
                raise InputError(
                    f"{at}: must have {len(names)} columns as the first line, not {len(row)}",
                    id="AK-IO-024",
                    path=path,
                )
            scores.append(_csv_number(row[place["scores"]], at, path))
            bits.append(_csv_bit(row[place["bits"]], at, path))
            if "unit" in place:
                label = row[place["unit"]].strip()
                if not label:
                    raise InputError(f"{at}, column unit: must not be empty", id="AK-IO-024", path=path)
                unit.append(units.setdefault(label, len(units)))
    except csv.Error as error:
        raise InputError(
            f"{name}: line {lines.line_num:,}: must be CSV: {show(error)}", id="AK-IO-024", path=path
        ) from None
    columns: dict[str, NDArray[Any]] = {
        "scores": np.array(scores, np.float64),
        "bits": np.array(bits, np.bool_),
    }
    if "unit" in place:
        columns["unit"] = np.array(unit, np.int64)
    return columns


def _csv_number(cell: str, at: str, path: str) -> float:
    try:
        value = math.nan if "_" in cell else float(cell)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(
            f"{at}, column scores: must be a number, not {show(cell)!r}",
            id="AK-EV-001",
            path=path,
            hint=_NAN_HINT,
        )
    return value


def _csv_bit(cell: str, at: str, path: str) -> bool:
    bit = _TRUTH.get(cell.strip().lower())
    if bit is None:
        raise InputError(
            f"{at}, column bits: must be 0 (non-member) or 1 (member), not {show(cell)!r}",
            id="AK-EV-002",
            path=path,
        )
    return bit
