"""The journal of an audit: one SQLite row a finished task, so that a stop loses nothing.

The file is bound to one audit by a fingerprint; results are raw arrays with a header of their own, never
pickled.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show

Arrays = Mapping[str, NDArray[Any]]

FILE_NAME = "journal.sqlite"
"""The journal's name inside a folder."""

_APPLICATION = 0x414B4A31
_MAGIC = b"AKA1"
_KINDS = "biufU"
_SCHEMA = """
CREATE TABLE fingerprint (part TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE task (
    id TEXT PRIMARY KEY, error TEXT, result BLOB, sha256 BLOB NOT NULL, recorded TEXT NOT NULL
) WITHOUT ROWID;
"""


class Entry(NamedTuple):
    """What became of a task: its arrays, or the one line that says why there are none."""

    arrays: dict[str, NDArray[Any]] | None
    error: str | None


class Journal:
    """A journal that is open for one audit; nobody else can open it meanwhile.

    Parameters
    ----------
    path : path
        The file, made when it is missing; a folder that exists stands for ``journal.sqlite`` in it.
    fingerprint : mapping of str to str
        What the results depend on, part by part (function, data, settings, code version). A journal made for
        other values is refused and left as it is.
    drawn : mapping of str to str, optional
        Further parts that a new journal is made with and an old one keeps as they are: a seed that was drawn.

    Attributes
    ----------
    fingerprint : dict of str to str
        All parts as they are on record.

    Raises
    ------
    InputError
        AK-EN-001 (cannot be opened), AK-EN-002 (no journal, or damaged), AK-EN-003 (of another audit),
        AK-EN-004 (in use), AK-EN-005 (cannot be written).

    Notes
    -----
    Write-ahead log with ``synchronous=NORMAL``: a row is on record when `record` returns, whatever becomes of
    this process; a power cut may lose the last rows but never damages the file.
    """

    def __init__(
        self, path: str | Path, fingerprint: Mapping[str, str], *, drawn: Mapping[str, str] | None = None
    ):
        place = Path(path)
        self.path = str(place / FILE_NAME if place.is_dir() else place)
        self._name = show(self.path)
        try:
            self._connection = sqlite3.connect(self.path, isolation_level=None, timeout=0.2)
        except sqlite3.Error as error:
            raise self._unopened(error) from None
        try:
            with self._faults():
                self.fingerprint = self._open({**(drawn or {}), **fingerprint})
            self._compare({**self.fingerprint, **fingerprint})
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was recorded stays."""
        self._connection.close()

    def record(self, task: str, entry: Entry) -> None:
        """Put one finished task on record; it is kept from when this returns.

        Raises
        ------
        InputError
            AK-EN-005 when the row cannot be written (a full disk), and then nothing of it is.
        """
        blob = None if entry.arrays is None else pack_arrays(entry.arrays)
        with self._faults():
            self._connection.execute(
                "INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?, datetime('now'))",
                (task, entry.error, blob, _digest(task, entry.error, blob)),
            )

    def entries(self) -> dict[str, Entry]:
        """All tasks on record.

        Raises
        ------
        InputError
            AK-EN-002 when a row is not what was written.
        """
        with self._faults():
            rows = self._connection.execute("SELECT id, error, result, sha256 FROM task").fetchall()
            found = {}
            for task, error, blob, digest in rows:
                if _digest(task, error, blob) != digest:
                    raise sqlite3.DatabaseError(f"row {task!r} is not what was written")
                found[task] = Entry(None if blob is None else unpack_arrays(blob), error)
        return found

    def _open(self, fingerprint: Mapping[str, str]) -> dict[str, str]:
        """Make the tables, or check those that are there; the fingerprint on record."""
        run = self._connection.execute
        run("PRAGMA locking_mode=EXCLUSIVE")
        application = run("PRAGMA application_id").fetchone()[0]
        empty = run("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if application != _APPLICATION and not (empty and application == 0):
            raise sqlite3.DatabaseError("it is another program's database")
        run("PRAGMA journal_mode=WAL")
        run("PRAGMA synchronous=NORMAL")
        run("BEGIN IMMEDIATE")
        if empty:
            for statement in _SCHEMA.split(";")[:-1]:
                run(statement)
            run(f"PRAGMA application_id={_APPLICATION}")
            self._connection.executemany("INSERT INTO fingerprint VALUES (?, ?)", sorted(fingerprint.items()))
        known = dict(run("SELECT part, value FROM fingerprint").fetchall())
        run("COMMIT")
        if run("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages contradict each other")
        return known

    def _compare(self, wanted: Mapping[str, str]) -> None:
        other = sorted(part for part in wanted if self.fingerprint.get(part) != wanted[part])
        if not other:
            return
        raise InputError(
            f"{self._name}: must be the journal of this audit: {', '.join(map(show, other))} differ"
            f"{'s' if len(other) == 1 else ''}",
            id="AK-EN-003",
            path=self.path,
            hint="repeat the audit as it was (its seed too), or give this one a journal of its own",
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """SQLite's errors as one line that names the file and the cause."""
        try:
            yield
        except sqlite3.OperationalError as error:
            reason = str(error)
            if "locked" in reason or "busy" in reason:
                raise InputError(
                    f"{self._name}: must not be in use by another run",
                    id="AK-EN-004",
                    path=self.path,
                    hint="wait until that run has ended, or give this one a journal of its own",
                ) from None
            if "unable to open" in reason:
                raise self._unopened(error) from None
            raise InputError(
                f"{self._name}: must be writable: {show(reason)}",
                id="AK-EN-005",
                path=self.path,
                hint="make room and repeat the command: what is on record is not trained again",
            ) from None
        except (sqlite3.DatabaseError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self._name}: must be a journal of auditkit, whole and unaltered: {show(error)}",
                id="AK-EN-002",
                path=self.path,
                hint="name another file, or delete this one and start again",
            ) from None

    def _unopened(self, error: Exception) -> InputError:
        return InputError(
            f"{self._name}: must be a file that can be made or opened: {show(error)}",
            id="AK-EN-001",
            path=self.path,
            hint="check that the folder exists and is writable",
        )


def pack_arrays(arrays: Arrays) -> bytes:
    """Arrays as bytes: a JSON header of names, dtypes and shapes, then the raw little-endian values.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Booleans, integers, floats or text of fixed width; anything else is a ValueError.
    """
    header, body = [], []
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.kind not in _KINDS:
            raise ValueError(f"{name}: must be numbers, bits or text, not {array.dtype}")
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        header.append([name, little.dtype.str, list(array.shape)])
        body.append(little.tobytes())
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    return b"".join([_MAGIC, struct.pack("<I", len(text)), text, *body])


def unpack_arrays(blob: bytes) -> dict[str, NDArray[Any]]:
    """What `pack_arrays` packed; ValueError when the bytes are anything else."""
    if blob[:4] != _MAGIC or len(blob) < 8:
        raise ValueError("a result has no header")
    start = 8 + struct.unpack("<I", blob[4:8])[0]
    found: dict[str, NDArray[Any]] = {}
    try:
        for name, code, shape in json.loads(blob[8:start]):
            dtype = np.dtype(code)
            if dtype.kind not in _KINDS or any(type(n) is not int or n < 0 for n in shape):
                raise ValueError(f"a result has an array of {code}")
            count = int(np.prod(shape, dtype=object)) if shape else 1
            values = np.frombuffer(blob, dtype, count=count, offset=start) if count else np.empty(0, dtype)
            found[name] = values.reshape(shape).astype(dtype.newbyteorder("="))
            start += count * dtype.itemsize
    except (TypeError, KeyError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"a result's header is unreadable: {error}") from None
    if start != len(blob):
        raise ValueError("a result is longer than its header says")
    return found


def _digest(task: str, error: str | None, blob: bytes | None) -> bytes:
    text = json.dumps([task, error, blob is None]).encode("utf-8")
    return hashlib.sha256(text + (blob or b"")).digest()
