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
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise InputError(
                f"{show(path)}: must have at most {limit:,} bytes, not {size:,}",
                id="AK-IO-003",
                path=str(path),
            )
        return file.read()


def open_regular(path: str | Path) -> int:
    """A descriptor of a regular file, for reading; the caller closes it. Anything else is refused without waiting.

    Raises
    ------
    InputError
        If the file is missing, unreadable, or not a regular file (a pipe would block for ever).
    """
    name = show(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = error.strerror if isinstance(error, OSError) else show(error)
        raise InputError(
            f"{name}: must be a readable file: {reason}", id="AK-IO-001", path=str(path)
        ) from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise InputError(
        f"{name}: must be a regular file, not a folder, pipe or device", id="AK-IO-002", path=str(path)
    )


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
        temporary = None
    except OSError as error:
        raise InputError(
            f"{show(path)}: must be writable: {error.strerror}", id="AK-IO-004", path=str(path)
        ) from None
    finally:  # also on Ctrl-C
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
