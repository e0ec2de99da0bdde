"""The file of planted canaries: an .npz of plain arrays, written whole or not at all and read strictly."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.files import read_bytes, write_atomically

FORMAT = "auditkit.canaries/1"
BYTE_LIMIT = 2**32
"""Largest file of canaries, and largest content after unpacking, in bytes."""

_HEADER_LIMIT = 4096
_KINDS = "biufUS"


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as an .npz archive, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written; an earlier one is left as it was.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, format=np.array(FORMAT), **arrays)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: str | Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays of a file that `write_arrays` wrote, which must be exactly those named.

    Raises
    ------
    InputError
        AK-CA-011 for anything else: other formats, other arrays, damage, objects, sizes that do not fit.
    """
    data = read_bytes(path, limit=BYTE_LIMIT)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            wanted = {f"{name}.npy" for name in ("format", *names)}
            if set(members) != wanted or len(archive.infolist()) != len(wanted):
                odd = sorted(set(members) ^ wanted) or ["a repeated name"]
                refuse(path, f"hold the arrays of {FORMAT}, and {show(odd[0], 40)} does not fit")
            if sum(info.file_size for info in members.values()) > BYTE_LIMIT:
                refuse(path, f"unpack to at most {BYTE_LIMIT:,} bytes")
            arrays = {name[:-4]: _array(path, name, archive.read(name)) for name in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        refuse(path, f"be a whole file of canaries: {show(error)}")
    except (ValueError, SyntaxError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        refuse(path, f"be a whole file of canaries: {show(error)}")
    if arrays["format"].tolist() != FORMAT:
        refuse(path, f"be of format {FORMAT}, not {show(arrays['format'].tolist(), 40)}")
    return arrays


def refuse(path: str | Path, requirement: str) -> NoReturn:
    """Raise AK-CA-011 about a file."""
    raise InputError(
        f"{show(path)}: must {requirement}",
        id="AK-CA-011",
        path=str(path),
        hint="name the file that Canaries.save wrote",
    )


def _array(path: str | Path, name: str, content: bytes) -> NDArray[Any]:
    """One array, in the memory of its bytes: a header that promises more allocates nothing and is refused."""
    file = io.BytesIO(content)
    plain = np.lib.format.read_magic(file) == (1, 0)
    if plain:
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_HEADER_LIMIT)
        plain = dtype.kind in _KINDS and not fortran and all(side >= 0 for side in shape)
    if not plain:
        refuse(path, f"hold plain arrays, which {show(name, 40)} is not")
    return np.frombuffer(content, dtype=dtype, offset=file.tell()).reshape(shape).copy()
