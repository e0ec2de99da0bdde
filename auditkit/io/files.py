"""Reading a file in one go without surprises, and writing one so that it is there whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from auditkit.errors import InputError, show


def read_bytes(path: str | Path, *, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises
    ------
    InputError
        If the file is missing, unreadable, not a regular file (a pipe would block for ever), or too large.
    """
    name = show(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(
            f"{name}: must be a readable file: {error.strerror}", id="AK-IO-001", path=str(path)
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"{name}: must be a regular file, not a folder, pipe or device", id="AK-IO-002", path=str(path)
            )
        if status.st_size > limit:
            raise InputError(
                f"{name}: must have at most {limit:,} bytes, not {status.st_size:,}", id="AK-IO-003", path=str(path)
            )
        return file.read()


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write a temporary file in the same folder, flush it to the disk, and put it in place by renaming.

    Raises
    ------
    InputError
        If the folder is missing or not writable, or the disk is full; an earlier file is left as it was.
    """
    target = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise InputError(
            f"{show(path)}: must be writable: {error.strerror}", id="AK-IO-004", path=str(path)
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
