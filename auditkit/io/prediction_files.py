"""Strict reading of saved predictions with what came true: which columns a file holds decides the question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.archives import BYTE_LIMIT, ArrayFile, Layout, array_file, read_npz
from auditkit.io.csv_lines import number_in, read_lines, values_of
from auditkit.io.files import read_bytes

Question = Literal["probabilities", "gaussian", "intervals"]
PARTS: dict[Question, tuple[str, ...]] = {
    "probabilities": ("probabilities",),
    "gaussian": ("mean", "sd"),
    "intervals": ("lower", "upper"),
}
"""Questions, and the predictions that each of them is about."""

_LAYOUT = Layout(
    columns=("probabilities", "labels", "mean", "sd", "lower", "upper", "y", "groups", "weights"),
    needed=(),
    meaning="probabilities with labels, or mean and sd with y, or lower and upper with y",
    cure="write it again with numpy.savez(file, probabilities=..., labels=...)",
    any_shape=("probabilities",),
)
_CLASS_COLUMN = re.compile(r"probabilities_(0|[1-9][0-9]{0,3})")


@dataclass(frozen=True, eq=False)
class PredictionFile:
    """Predictions and outcomes of one file.

    Attributes
    ----------
    question : {"probabilities", "gaussian", "intervals"}
        Which of `PARTS` the file holds.
    columns : dict of str to array
        The arrays of the question; ``labels`` (of probabilities) or ``y`` (otherwise); ``groups`` and ``weights``
        where the file holds them. What the rows must be is left to who uses them.
    file : ArrayFile
        Which file it was.
    """

    question: Question
    columns: dict[str, NDArray[Any]]
    file: ArrayFile


def read_prediction_file(path: str | Path) -> PredictionFile:
    """Read predictions and outcomes from an .npz archive or a .csv file.

    Parameters
    ----------
    path : path
        ``probabilities``, of shape (n,) or (n, K), with ``labels`` (or ``y``); or ``mean``, ``sd`` and ``y``; or
        ``lower``, ``upper`` and ``y``; optionally ``groups``, and ``weights`` of probabilities. In a .csv file
        probabilities of K classes are the columns ``probabilities_0`` to ``probabilities_{K-1}``.

    Raises
    ------
    InputError
        For other endings, unreadable, damaged or oversized files, unknown columns and pickled objects (AK-IO-...,
        AK-EV-...); for columns that belong to different questions (AK-UN-060) or lack a partner (AK-UN-061); for cells
        of a .csv file that are no number (AK-UN-062).
    """
    name, suffix = show(path), Path(path).suffix.lower()
    if suffix not in (".npz", ".csv"):
        raise InputError(
            f"{name}: must end in .npz or .csv, not {show(suffix)!r}",
            id="AK-IO-020",
            path=str(path),
            hint="save the predictions with numpy.savez(file, probabilities=..., labels=...)",
        )
    data = read_bytes(path, limit=BYTE_LIMIT)
    where = (name, str(path))
    columns = _read_csv(data, *where) if suffix == ".csv" else read_npz(data, *where, _LAYOUT)
    question = _question(columns, *where)
    if question == "probabilities" and "y" in columns:
        columns["labels"] = columns.pop("y")
    return PredictionFile(question, columns, array_file(data, columns, path))


def _question(columns: dict[str, NDArray[Any]], name: str, path: str) -> Question:
    """The one question that the columns are about (AK-UN-060, AK-UN-061)."""
    asked: list[Question] = [
        question for question, parts in PARTS.items() if any(p in columns for p in parts)
    ]
    if len(asked) > 1:
        _mixed(name, path, [part for question in asked for part in PARTS[question] if part in columns])
    if not asked:
        _lacks(name, path, "probabilities, or mean and sd, or lower and upper", columns)
    question = asked[0]
    missing = [part for part in PARTS[question] if part not in columns]
    if missing:
        _lacks(
            name, path, f"{missing[0]} beside {PARTS[question][missing[0] == PARTS[question][0]]}", columns
        )
    if question != "probabilities":
        strange = [key for key in ("labels", "weights") if key in columns]
        if strange:
            _mixed(name, path, [*PARTS[question], *strange])
        if "y" not in columns:
            _lacks(name, path, "y, the values that came true", columns)
    elif ("labels" in columns) == ("y" in columns):
        if "y" in columns:
            _mixed(name, path, ["labels", "y"])
        _lacks(name, path, "labels, the classes that came true", columns)
    return question


def _mixed(name: str, path: str, keys: list[str]) -> NoReturn:
    listed = ", ".join(keys[:-1]) + f" and {keys[-1]}"
    raise InputError(
        f"{name}: must hold one kind of predictions, not {listed} together",
        id="AK-UN-060",
        path=path,
        hint=_LAYOUT.meaning,
    )


def _lacks(name: str, path: str, what: str, columns: dict[str, NDArray[Any]]) -> NoReturn:
    raise InputError(
        f"{name}: must hold {what}; it holds {', '.join(columns) or 'nothing'}",
        id="AK-UN-061",
        path=path,
        hint=_LAYOUT.meaning,
    )


def _read_csv(data: bytes, name: str, path: str) -> dict[str, NDArray[Any]]:
    heading, rows = read_lines(data, name, path)
    classes = _class_columns(heading, name, path)
    columns: dict[str, NDArray[Any]] = {}
    if classes:
        table = [_numbers(rows, heading.index(key), f"{name}: column {key}", path) for key in classes]
        columns["probabilities"] = np.column_stack(table)
    for place, key in enumerate(heading):
        if key == "groups":
            columns[key] = values_of([row[place] for _, row in rows])
        elif key not in classes:
            columns[key] = _numbers(rows, place, f"{name}: column {key}", path)
    return columns


def _class_columns(heading: list[str], name: str, path: str) -> list[str]:
    """The columns of class probabilities in the order of the classes; other names must be known (AK-IO-022)."""
    found = sorted(int(match[1]) for key in heading if (match := _CLASS_COLUMN.fullmatch(key)))
    classes = [f"probabilities_{k}" for k in found]
    for key in heading:
        if key not in (*_LAYOUT.columns, *classes):
            raise InputError(
                f"{name}: must hold columns {', '.join(_LAYOUT.columns)} or probabilities_0, probabilities_1, ...: "
                f"{show(key)!r} is unknown",
                id="AK-IO-022",
                path=path,
                hint="remove or rename it: nothing is read that was not asked for",
            )
    if classes and "probabilities" in heading:
        _mixed(name, path, ["probabilities", classes[0]])
    if found != list(range(len(found))):
        missing = next(k for k in range(len(found)) if k not in found)
        _lacks(
            name, path, f"probabilities_{missing} beside {classes[-1]}", dict.fromkeys(heading, np.empty(0))
        )
    return classes


def _numbers(rows: list[tuple[int, list[str]]], place: int, what: str, path: str) -> NDArray[np.float64]:
    """A column of numbers (AK-UN-062)."""
    found = np.empty(len(rows))
    for index, (line, row) in enumerate(rows):
        number = number_in(row[place])
        if number is None:
            problem = f"{what}, line {line:,}: must be a number, not {show(row[place], 40)!r}"
            hint = "classes are the numbers of their columns, counted from 0; groups may be text"
            raise InputError(problem, id="AK-UN-062", path=path, hint=hint)
        found[index] = number
    return found
