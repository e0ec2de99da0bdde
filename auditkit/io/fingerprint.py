"""The SHA-256 and size of a file that is not opened otherwise."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from auditkit.errors import InputError, show
from auditkit.io.files import open_regular

_CHUNK = 2**20
_POINTER = b"version https://git-lfs.github.com/spec/"


class Fingerprint(NamedTuple):
    """What ties a result to one file."""

    sha256: str
    bytes: int


def fingerprint(path: str | Path) -> Fingerprint:
    """Hash a regular file in pieces, through one descriptor.

    Parameters
    ----------
    path : path
        Any regular file, of any size.

    Returns
    -------
    Fingerprint
        Hexadecimal SHA-256 and number of the bytes hashed.

    Raises
    ------
    InputError
        If the file is missing, unreadable, no regular file, empty, changes while it is read, or is a
        Git LFS pointer.
    """
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        announced = os.fstat(descriptor).st_size
        digest, size, start = hashlib.sha256(), 0, b""
        while chunk := file.read(_CHUNK):
            start = start or chunk[: len(_POINTER)]
            digest.update(chunk)
            size += len(chunk)
    refuse_what_is_no_content(show(path), str(path), start, size, announced)
    return Fingerprint(digest.hexdigest(), size)


def require_file(path: str | Path) -> None:
    """Raise what `fingerprint` would raise for a file that cannot be opened, without reading it."""
    os.close(open_regular(path))


def refuse_what_is_no_content(name: str, path: str, start: bytes, size: int, announced: int) -> None:
    """Raise InputError for a file that changed while it was read, is empty, or only points to a file.

    Parameters
    ----------
    name, path : str
        The file, shown and as it is.
    start : bytes
        Its first bytes.
    size, announced : int
        Bytes read, and bytes that it had when it was opened.
    """
    if size != announced:
        raise InputError(
            f"{name}: must not change while it is read: {announced:,} bytes became {size:,}",
            id="AK-IO-005",
            path=path,
        )
    if size == 0:
        raise InputError(f"{name}: must not be empty", id="AK-IO-006", path=path)
    if start.startswith(_POINTER):
        raise InputError(
            f"{name}: must be the file itself, not a Git LFS pointer to it",
            id="AK-IO-007",
            path=path,
            hint="git lfs pull fetches it",
        )
