"""Strict reading of labelled rows (``X``, ``y`` and what goes with them) and of predictions for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.archives import BYTE_LIMIT, ArrayFile, Layout, array_file, read_npy, read_npz
from auditkit.io.csv_lines import number_in, read_lines, values_of
from auditkit.io.files import read_bytes

_ROWS = Layout(
    columns=("X", "y", "groups", "unit", "id", "soft"),
    needed=("X", "y"),
    meaning="X: the rows; y: their classes; groups: rows that belong together; soft: true class probabilities",
    cure="write it again with numpy.savez(file, X=..., y=...)",
    any_shape=("X", "soft"),
)
_SOFT = Layout(
    columns=("soft", "X", "y", "groups", "unit", "id"),
    needed=("soft",),
    meaning="soft: the true class probabilities of each row, shape (n, K)",
    cure="write it again with numpy.savez(file, soft=...)",
    any_shape=("X", "soft"),
)
_PREDICTIONS = Layout(
    columns=("predictions", "probabilities"),
    needed=(),
    meaning="predictions: a class a row; probabilities: one column a class, in the order of the sorted labels",
    cure="write it again with numpy.save(file, predictions)",
    any_shape=("predictions", "probabilities"),
    container="NumPy file",
)
_NOT_FEATURES = ("groups", "unit", "id")


def read_labelled_file(path: str | Path, *, label: str = "y", soft: bool = False) -> ArrayFile:
    """Read labelled rows from an .npz archive or a .csv file.

    Parameters
    ----------
    path : path
        Arrays ``X``, ``y`` and optionally ``groups`` (or ``unit``), ``id`` and ``soft``; or lines of numbers below
        their names, one column of which holds the classes, and optionally ``groups`` (or ``unit``) and ``id``.
    label : str
        The column of the classes in a .csv file.
    soft : bool
        Whether true class probabilities are needed, and X and y are not.

    Returns
    -------
    ArrayFile
        ``columns``: ``X`` of shape (n, ...), ``y``, and those of ``groups``, ``id``, ``soft`` that the file holds.

    Raises
    ------
    InputError
        For other endings, unreadable, damaged or oversized files, unknown or missing columns, pickled objects, cells
        that are no number (AK-BE-067). What the rows must be is left to who uses them.
    """
    name, suffix = show(path), Path(path).suffix.lower()
    if suffix not in (".npz", ".csv") or (soft and suffix == ".csv"):
        wanted = ".npz" if soft else ".npz or .csv"
        raise InputError(
            f"{name}: must end in {wanted}, not {show(suffix)!r}",
            id="AK-IO-020",
            path=str(path),
            hint="save the rows with numpy.savez(file, X=..., y=...)",
        )
    data = read_bytes(path, limit=BYTE_LIMIT)
    if suffix == ".csv":
        columns = _read_csv(data, name, str(path), label)
    else:
        columns = read_npz(data, name, str(path), _SOFT if soft else _ROWS)
    if "unit" in columns and "groups" in columns:
        raise InputError(
            f"{name}: must hold groups or unit, not both",
            id="AK-IO-022",
            path=str(path),
            hint="they mean the same",
        )
    if "unit" in columns:
        columns["groups"] = columns.pop("unit")
    return array_file(data, columns, path)


def read_predictions(path: str | Path) -> ArrayFile:
    """Read ``predictions`` or ``probabilities`` from a .npy or .npz file, or ``predictions`` from a .csv file.

    Raises
    ------
    InputError
        As `read_labelled_file`.
    """
    name, suffix = show(path), Path(path).suffix.lower()
    if suffix not in (".npy", ".npz", ".csv"):
        raise InputError(
            f"{name}: must end in .npy, .npz or .csv, not {show(suffix)!r}",
            id="AK-IO-020",
            path=str(path),
            hint="save the predictions with numpy.save(file, predictions)",
        )
    data = read_bytes(path, limit=BYTE_LIMIT)
    if suffix == ".csv":
        columns = {"predictions": _one_column(data, name, str(path))}
    elif suffix == ".npy":
        columns = {"predictions": read_npy(data, name, str(path), _PREDICTIONS, True)}
    else:
        columns = read_npz(data, name, str(path), _PREDICTIONS)
    if len(columns) != 1:
        raise InputError(
            f"{name}: must hold one of predictions and probabilities",
            id="AK-IO-023",
            path=str(path),
            hint=_PREDICTIONS.meaning,
        )
    return array_file(data, columns, path)


def _read_csv(data: bytes, name: str, path: str, label: str) -> dict[str, NDArray[Any]]:
    heading, rows = read_lines(data, name, path)
    features = [place for place, key in enumerate(heading) if key != label and key not in _NOT_FEATURES]
    if label not in heading or not features:
        missing = f"column {show(label)!r}" if label not in heading else "a column of numbers"
        raise InputError(
            f"{name}: must hold {missing}; it holds {show(', '.join(heading)) or 'nothing'}",
            id="AK-IO-023",
            path=path,
            hint="--label names the column of the classes",
        )
    X = np.empty((len(rows), len(features)))
    for place, (line, row) in enumerate(rows):
        for column, at in enumerate(features):
            X[place, column] = _number(
                row[at], f"{name}: line {line:,}, column {show(heading[at], 40)}", path
            )
    columns = {"X": X, "y": values_of([row[heading.index(label)] for _, row in rows])}
    for key in ("groups", "unit"):
        if key in heading:
            columns[key] = values_of([row[heading.index(key)] for _, row in rows])
    return columns


def _one_column(data: bytes, name: str, path: str) -> NDArray[Any]:
    heading, rows = read_lines(data, name, path)
    if heading != ["predictions"]:
        shown = show(", ".join(heading)) or "nothing"
        message = f"{name}: must hold one column, predictions; it holds {shown}"
        raise InputError(message, id="AK-IO-023", path=path, hint=_PREDICTIONS.meaning)
    return values_of([row[0] for _, row in rows])


def _number(cell: str, at: str, path: str) -> float:
    number = number_in(cell)
    if number is None:
        hint = "classes may be text, features are numbers; leave the column out"
        problem = f"{at}: must be a number, not {show(cell, 40)!r}"
        raise InputError(problem, id="AK-BE-067", path=path, hint=hint)
    return number
