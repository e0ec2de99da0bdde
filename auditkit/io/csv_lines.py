"""Strict reading of CSV text: a heading, lines of one length, cells that are numbers or words."""

from __future__ import annotations

import csv
import io
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show


def read_lines(data: bytes, name: str, path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The heading and the lines of a CSV file with their numbers, all of one length; empty lines are passed over.

    Raises
    ------
    InputError
        If the bytes are not UTF-8 or not CSV, or a line has another length (AK-IO-024), or a column is there twice
        (AK-IO-022).
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse_csv(f"{name}: must be UTF-8 text: byte {error.start:,} is not", path)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    found = []
    try:
        heading = [cell.strip() for cell in next(lines, [])]
        for row in lines:
            if not row:
                continue
            if len(row) != len(heading):
                place = f"{name}: line {lines.line_num:,}"
                _refuse_csv(
                    f"{place}: must have {len(heading)} columns as the first line, not {len(row)}", path
                )
            found.append((lines.line_num, row))
    except csv.Error as error:
        _refuse_csv(f"{name}: line {lines.line_num:,}: must be CSV: {show(error)}", path)
    if len(set(heading)) != len(heading):
        twice = next(key for key in heading if heading.count(key) > 1)
        raise InputError(f"{name}: column {show(twice)!r} is there twice", id="AK-IO-022", path=path)
    return heading, found


def _refuse_csv(message: str, path: str) -> NoReturn:
    raise InputError(message, id="AK-IO-024", path=path) from None


def number_in(cell: str) -> float | None:
    """The number in a cell; None where it holds something else."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def values_of(cells: list[str]) -> NDArray[Any]:
    """Whole numbers where all cells are such, else text."""
    stripped = [cell.strip() for cell in cells]
    try:
        if any("_" in cell for cell in stripped):
            raise ValueError
        return np.array([int(cell) for cell in stripped], dtype=np.int64)
    except (ValueError, OverflowError):
        return np.array(stripped, dtype=np.str_)
