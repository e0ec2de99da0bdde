"""Strict reading of plain scores: one column of numbers, or the named arrays that a selection needs."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.archives import BYTE_LIMIT, ArrayFile, Layout, array_file, check_names, read_npy, read_npz
from auditkit.io.files import read_bytes

Array = NDArray[np.generic]

_SCORES = Layout(
    columns=("scores",),
    needed=("scores",),
    meaning="scores: one a calibration point, or one row a set of them",
    cure="write it again with numpy.save(file, scores) or numpy.savez(file, scores=...)",
    any_shape=("scores",),
    container="NumPy file",
)
_CANDIDATES = Layout(
    columns=("mu", "null", "test"),
    needed=("mu", "null", "test"),
    meaning="mu, null: predicted merit of the calibration points, and 1 where the known outcome fails the wish; "
    "test: predicted merit of the candidates",
    cure="write it again with numpy.savez(file, mu=..., null=..., test=...)",
)


def read_score_file(path: str | Path) -> ArrayFile:
    """Read ``scores`` from a .npy or .npz file, a .csv file, or CSV text on standard input (``-``).

    Parameters
    ----------
    path : path
        An array of one or two dimensions; an archive that holds it as ``scores``; or lines of one number each below
        the heading ``scores``.

    Raises
    ------
    InputError
        For anything else: other endings, unreadable, damaged or oversized files, unknown or missing columns, pickled
        objects, lines that are no number (AK-IO-040). NaN and shapes are left to who uses the scores.
    """
    name, suffix = show(path), Path(path).suffix.lower()
    if str(path) == "-":
        data = _standard_input()
        return array_file(data, _column(data, "standard input", "-"), "-")
    if suffix not in (".npy", ".npz", ".csv"):
        raise InputError(
            f"{name}: must end in .npy, .npz or .csv, not {show(suffix)!r}",
            id="AK-IO-020",
            path=str(path),
            hint="save the scores with numpy.save(file, scores)",
        )
    data = read_bytes(path, limit=BYTE_LIMIT)
    if suffix == ".csv":
        return array_file(data, _column(data, name, str(path)), path)
    if suffix == ".npy":
        return array_file(data, {"scores": read_npy(data, name, str(path), _SCORES, True)}, path)
    return array_file(data, read_npz(data, name, str(path), _SCORES), path)


def read_candidates(path: str | Path) -> ArrayFile:
    """Read ``mu``, ``null`` and ``test`` from an .npz archive, for a selection.

    Raises
    ------
    InputError
        As `read_score_file`.
    """
    name = show(path)
    if Path(path).suffix.lower() != ".npz":
        raise InputError(
            f"{name}: must end in .npz for a selection, not {show(Path(path).suffix)!r}",
            id="AK-IO-020",
            path=str(path),
            hint="save the arrays with numpy.savez(file, mu=..., null=..., test=...)",
        )
    data = read_bytes(path, limit=BYTE_LIMIT)
    return array_file(data, read_npz(data, name, str(path), _CANDIDATES), path)


def _standard_input() -> bytes:
    data = sys.stdin.buffer.read(BYTE_LIMIT + 1)
    if len(data) > BYTE_LIMIT:
        raise InputError(f"-: must have at most {BYTE_LIMIT:,} bytes", id="AK-IO-003", path="-")
    return data


def _column(data: bytes, name: str, path: str) -> Mapping[str, Array]:
    """The numbers below the heading ``scores``; empty lines are passed over."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name}: must be UTF-8 text: byte {error.start:,} is not", id="AK-IO-024", path=path
        ) from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    scores: list[float] = []
    try:
        check_names([cell.strip() for cell in next(lines, [])], name, path, "column", _SCORES)
        for row in lines:
            if row:
                scores.append(_number(row, f"{name}: line {lines.line_num:,}", path))
    except csv.Error as error:
        raise InputError(
            f"{name}: line {lines.line_num:,}: must be CSV: {show(error)}", id="AK-IO-024", path=path
        ) from None
    return {"scores": np.array(scores, np.float64)}


def _number(row: list[str], at: str, path: str) -> float:
    """One number a line, inf and -inf among them; NaN is none."""
    try:
        value = float(row[0]) if len(row) == 1 and "_" not in row[0] else math.nan
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(f"{at}: must be one number, not {show(','.join(row))!r}", id="AK-IO-040", path=path)
    return value
