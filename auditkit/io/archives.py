"""Strict reading of NumPy archives: named plain arrays and nothing else.

Files come from elsewhere, so nothing is unpickled, nothing is allocated before its size is checked, and
whatever does not fit is refused with its file, place and cure.
"""

from __future__ import annotations

import ast
import hashlib
import io
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show

BYTE_LIMIT = 2**30
"""Largest score file, and largest content after unpacking, in bytes."""

_HEADER_LIMIT = 4096
_DIRECTORY_LIMIT = 2**16
_END_RECORD = struct.Struct("<4s4H2LH")
_NUMBER_DESCR = re.compile(r"[<>|=](?:b1|[iu][1248]|f[248])")
_TEXT_DESCR = re.compile(r"[<>|=][US][0-9]{1,4}")


@dataclass(frozen=True)
class Layout:
    """What a file of one kind may and must hold: its columns, those needed, words for its errors."""

    columns: tuple[str, ...]
    needed: tuple[str, ...]
    meaning: str
    cure: str
    any_shape: tuple[str, ...] = ()
    container: str = ".npz archive"

    @property
    def listed(self) -> str:
        """The names, for a sentence."""
        needed, others = ", ".join(self.needed), self.columns[len(self.needed) :]
        return f"{needed} and optionally {' and '.join(others)}" if others else needed


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """The arrays of one file, and which file it was.

    Attributes
    ----------
    columns : mapping of str to array
    sha256 : str
        Hexadecimal digest of the very bytes that were read.
    bytes : int
        Their number.
    name : str
        The file's name without its folder, ``-`` for standard input.
    """

    columns: Mapping[str, NDArray[Any]]
    sha256: str
    bytes: int
    name: str

    @property
    def identity(self) -> dict[str, str | int]:
        """Name, sha256 and bytes, as they stand in results."""
        return {"name": self.name, "sha256": self.sha256, "bytes": self.bytes}


def array_file(data: bytes, columns: Mapping[str, NDArray[Any]], path: str | Path) -> ArrayFile:
    """What was read from `data`, the bytes of the file at `path`."""
    return ArrayFile(columns, hashlib.sha256(data).hexdigest(), len(data), show(Path(path).name))


def read_npz(data: bytes, name: str, path: str, layout: Layout) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz archive; whatever `layout` does not know is refused (AK-IO-003, 021, 022, 023)."""
    _check_directory(data, name, path, layout)
    columns: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            check_names([m.filename.removesuffix(".npy") for m in members], name, path, "array", layout)
            _check_sizes(members, name, path)
            for member in members:
                with archive.open(member) as file:
                    key = member.filename.removesuffix(".npy")
                    content = file.read(member.file_size + 1)
                    columns[key] = read_npy(content, f"{name}: {key}", path, layout, key in layout.any_shape)
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,  # offsets before the start of the file
    ) as error:
        refuse_damaged(name, path, show(error), layout)
    return columns


def _check_directory(data: bytes, name: str, path: str, layout: Layout) -> None:
    """Refuse what no writer of such files makes, before `zipfile` builds a directory of unlimited length."""
    if len(data) < _END_RECORD.size:
        refuse_damaged(name, path, "too short for a zip archive", layout)
    signature, disk, _, _, entries, size, _, comment = _END_RECORD.unpack(data[-_END_RECORD.size :])
    if signature != b"PK\x05\x06" or disk != 0 or comment != 0:
        refuse_damaged(name, path, "the zip archive's end is missing", layout)
    locator = data[-_END_RECORD.size - 20 : -_END_RECORD.size - 16]
    if entries > 16 or size > _DIRECTORY_LIMIT or locator == b"PK\x06\x07":
        raise InputError(
            f"{name}: must hold only the arrays {layout.listed}, not {entries:,} entries",
            id="AK-IO-022",
            path=path,
        )


def _check_sizes(members: list[zipfile.ZipInfo], name: str, path: str) -> None:
    total = sum(member.file_size for member in members)
    if total > BYTE_LIMIT:
        raise InputError(
            f"{name}: must unpack to at most {BYTE_LIMIT:,} bytes, not {total:,}", id="AK-IO-003", path=path
        )
    for member in members:
        if member.flag_bits & 0x1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(
                f"{name}: must be written by numpy.savez or savez_compressed, not packed otherwise",
                id="AK-IO-021",
                path=path,
            )


def check_names(names: list[str], name: str, path: str, noun: str, layout: Layout) -> None:
    """Refuse names that are unknown, twice there, or missing (AK-IO-022, AK-IO-023)."""
    for key in names:
        if key not in layout.columns or names.count(key) > 1:
            problem = "twice" if key in layout.columns else "unknown"
            raise InputError(
                f"{name}: must hold {noun}s {layout.listed}: {show(key)!r} is {problem}",
                id="AK-IO-022",
                path=path,
                hint="remove or rename it: nothing is read that was not asked for",
            )
    for key in layout.needed:
        if key not in names:
            raise InputError(
                f"{name}: must hold {noun} {key!r}; it holds {', '.join(map(show, names)) or 'nothing'}",
                id="AK-IO-023",
                path=path,
                hint=layout.meaning,
            )


def read_npy(content: bytes, what: str, path: str, layout: Layout, any_shape: bool) -> NDArray[Any]:
    """One .npy array from its bytes; the header is parsed here, as a literal and nothing else."""
    if content[:6] != b"\x93NUMPY" or len(content) < 12 or content[6] not in (1, 2, 3):
        refuse_damaged(what, path, "not in NumPy's array format", layout)
    width = 2 if content[6] == 1 else 4
    length = int.from_bytes(content[8 : 8 + width], "little")
    start = 8 + width + length
    if length > _HEADER_LIMIT or start > len(content):
        refuse_damaged(what, path, "array header too long", layout)
    try:
        header = ast.literal_eval(content[8 + width : start].decode("latin-1").strip())
        descr, order, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError):
        refuse_damaged(what, path, "array header unreadable", layout)
    if not isinstance(descr, str) or len(header) != 3 or not isinstance(order, bool):
        raise InputError(
            f"{what}: must be a plain array, not a record or an object", id="AK-EV-007", path=path
        )
    if not (_NUMBER_DESCR.fullmatch(descr) or _TEXT_DESCR.fullmatch(descr)):
        hint = (
            "objects would have to be unpickled, which runs code; save plain numbers"
            if "O" in descr
            else None
        )
        raise InputError(
            f"{what}: must be real numbers of at most 64 bits, not {show(descr)!r}",
            id="AK-EV-007",
            path=path,
            hint=hint,
        )
    dimensions = range(1, 9) if any_shape else (1,)
    if not (
        isinstance(shape, tuple)
        and len(shape) in dimensions
        and all(type(length) is int and length >= 0 for length in shape)
    ):
        wanted = "an array of 1 to 8 dimensions" if any_shape else "one-dimensional"
        raise InputError(f"{what}: must be {wanted}, not of shape {show(shape)}", id="AK-EV-006", path=path)
    dtype = np.dtype(descr)
    entries = math.prod(shape)
    if len(content) - start != entries * dtype.itemsize or max(shape) > BYTE_LIMIT:
        present = f"{len(content) - start:,} bytes present"
        refuse_damaged(what, path, f"{entries:,} entries announced, {present}", layout)
    values = np.frombuffer(content, dtype=dtype, offset=start, count=entries)
    return values.reshape(shape, order="F" if order else "C")


def refuse_damaged(what: str, path: str, why: str, layout: Layout) -> NoReturn:
    """Raise the error of a file that is not what it should be (AK-IO-021)."""
    raise InputError(
        f"{what}: must be a whole {layout.container}: {why}",
        id="AK-IO-021",
        path=path,
        hint=layout.cure,
    )
