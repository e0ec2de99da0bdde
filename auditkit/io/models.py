"""Reading weights: the one place through which a model file enters auditkit.

A model file is data. It is read once through one descriptor, hashed, and decoded from the bytes that were
hashed. Nothing in it is run: safetensors, or torch's restricted reader (``weights_only=True``) on an archive
that was checked before. When that reading fails it has failed; no other way is tried.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, require_extra, show
from auditkit.io.files import read_bytes
from auditkit.io.fingerprint import refuse_what_is_no_content

TENSOR_LIMIT = 20_000
"""Most tensors, and most members of an archive, that a file may hold."""

NAME_LIMIT = 512
"""Most characters of a tensor's name."""

HEADER_LIMIT = 16 * 2**20
"""Longest header of a safetensors file, in bytes."""

Format = Literal["torch", "safetensors"]

_ENDINGS: dict[str, Format] = {
    ".pt": "torch",
    ".pth": "torch",
    ".bin": "torch",
    ".ckpt": "torch",
    ".safetensors": "safetensors",
}
_SAFETENSORS_TYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
}
_SAVE_HINT = "save the weights alone: torch.save(model.state_dict(), path), or safetensors"


@dataclass(frozen=True, eq=False)
class ModelFile:
    """The weights of a model file and what ties them to it.

    Attributes
    ----------
    tensors : mapping of str to array
        In the order of the file; read-only, finite. float16 and bfloat16 are widened to float32, which
        changes no value.
    widened : tuple of str
        Names of the tensors that were widened.
    sha256 : str
        Hexadecimal digest of the very bytes that were decoded.
    bytes : int
        Their number.
    format : {"torch", "safetensors"}
    name : str
        The file's name without its folder.
    """

    tensors: Mapping[str, NDArray[Any]]
    widened: tuple[str, ...]
    sha256: str
    bytes: int
    format: Format
    name: str

    @property
    def identity(self) -> dict[str, Any]:
        """Name, sha256 and bytes, as they stand in results."""
        return {"name": self.name, "sha256": self.sha256, "bytes": self.bytes}


def read_model(path: str | Path, *, limit: int | None = None) -> ModelFile:
    """Read the weights of a model: a state dict written by torch, or a safetensors file.

    Parameters
    ----------
    path : path
        A regular file ending in .pt, .pth, .bin, .ckpt or .safetensors, whose content agrees.
    limit : int, optional
        Most bytes that the file may have; by default a quarter of the machine's memory, because its bytes
        and its tensors are held together for a moment.

    Returns
    -------
    ModelFile

    Raises
    ------
    InputError
        If the file is unreadable, too large, damaged, of another format than its ending says, holds anything
        but named dense tensors of real numbers, or a weight is NaN or infinite; or if torch or safetensors is
        not installed.

    Notes
    -----
    Linear in the file. Whole pickled modules, TorchScript and bare pickles are refused: opening them runs
    code of the file.
    """
    name = show(Path(path).name)
    expected = _ENDINGS.get(Path(path).suffix.lower())
    if expected is None:
        raise InputError(
            f"{show(path)}: must end in {', '.join(_ENDINGS)}, not {show(Path(path).suffix)!r}",
            id="AK-IO-030",
            path=str(path),
            hint=_SAVE_HINT,
        )
    data = read_bytes(path, limit=_memory_share() if limit is None else limit)
    refuse_what_is_no_content(show(path), str(path), data[:64], len(data), len(data))
    _check_content(data, expected, show(path), str(path))
    decode = _decode_torch if expected == "torch" else _decode_safetensors
    tensors: dict[str, NDArray[Any]] = {}
    widened: list[str] = []
    for key, array, was_narrow in decode(data, show(path), str(path)):
        _check_name(key, show(path), str(path))
        _check_finite(array, f"{show(path)}: {show(key)}", str(path))
        array.flags.writeable = False
        tensors[key] = array
        if was_narrow:
            widened.append(key)
    if not tensors:
        _refuse_no_weights("no tensor at all", show(path), str(path))
    return ModelFile(
        tensors=MappingProxyType(tensors),
        widened=tuple(widened),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        format=expected,
        name=name,
    )


def _memory_share() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
    except (ValueError, OSError, AttributeError):  # not told on this system
        return 2**32


def _content_format(data: bytes) -> str:
    """What the first bytes say: a zip archive (torch), safetensors, a bare pickle, or something else."""
    if data[:4] == b"PK\x03\x04":
        return "torch"
    if len(data) > 9 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8:
        return "safetensors"
    return "pickle" if data[:1] == b"\x80" else "unknown"


def _check_content(data: bytes, expected: Format, name: str, path: str) -> None:
    found = _content_format(data)
    if found == expected:
        return
    if found == "pickle":
        _refuse_no_weights("a bare pickle, which runs code when it is opened", name, path)
    told = {"torch": "a zip archive as torch writes it", "safetensors": "a safetensors file"}
    raise InputError(
        f"{name}: must be {told[expected]}, as its ending says, not {told.get(found, 'something else')}",
        id="AK-IO-031",
        path=path,
        hint="give the file the ending of its format" if found in told else "write the file again",
    )


def _refuse_no_weights(found: str, name: str, path: str) -> NoReturn:
    raise InputError(
        f"{name}: must hold a state dict (names and tensors, nothing else), not {found}",
        id="AK-IO-033",
        path=path,
        hint=_SAVE_HINT,
    )


def _refuse_damaged(why: str, name: str, path: str) -> NoReturn:
    raise InputError(
        f"{name}: must be a whole model file: {why}", id="AK-IO-032", path=path, hint="write it again"
    )


def _refuse_tensor(found: str, key: object, name: str, path: str) -> NoReturn:
    raise InputError(
        f"{name}: {show(key)}: must be a dense tensor of real numbers of at most 64 bits, not {found}",
        id="AK-IO-034",
        path=path,
    )


def _check_name(key: str, name: str, path: str) -> None:
    if not 0 < len(key) <= NAME_LIMIT or not key.isprintable():
        raise InputError(
            f"{name}: names of tensors must be 1 to {NAME_LIMIT} printable characters, not {show(key)!r}",
            id="AK-IO-036",
            path=path,
        )


def _check_count(count: int, noun: str, name: str, path: str) -> None:
    if count > TENSOR_LIMIT:
        raise InputError(
            f"{name}: must hold at most {TENSOR_LIMIT:,} {noun}, not {count:,}", id="AK-IO-036", path=path
        )


def _check_finite(array: NDArray[Any], what: str, path: str) -> None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    shown = f"[{', '.join(map(str, place))}]" if place else ""
    raise InputError(
        f"{what}{shown}: must be finite, not {array[place]}",
        id="AK-IO-035",
        path=path,
        hint="training diverged, or the file was altered: nothing can be concluded from such weights",
    )


Decoded = Iterator[tuple[str, NDArray[Any], bool]]


def _decode_safetensors(data: bytes, name: str, path: str) -> Decoded:
    header = int.from_bytes(data[:8], "little")
    if header > HEADER_LIMIT:
        _refuse_damaged(f"its header has more than {HEADER_LIMIT:,} bytes", name, path)
    try:
        names = json.loads(data[8 : 8 + header])
    except (ValueError, RecursionError):
        _refuse_damaged("its header is no JSON", name, path)
    if not isinstance(names, dict):
        _refuse_damaged("its header is no JSON object", name, path)
    _check_count(len(names), "tensors", name, path)
    library = require_extra("safetensors", "torch", f"{name}: reading safetensors")
    try:
        entries = library.deserialize(data)
    except library.SafetensorError:
        _refuse_damaged("safetensors cannot read it", name, path)
    for key, entry in entries:
        kind, shape, raw = entry["dtype"], tuple(entry["shape"]), entry["data"]
        if kind == "BF16":  # the upper half of a float32
            array = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif kind in _SAFETENSORS_TYPES:
            array = np.frombuffer(raw, _SAFETENSORS_TYPES[kind])
        else:
            _refuse_tensor(f"of type {show(kind)}", key, name, path)
        if kind == "F16":
            array = array.astype(np.float32)
        yield key, array.reshape(shape), kind in ("F16", "BF16")


def _decode_torch(data: bytes, name: str, path: str) -> Decoded:
    _check_archive(data, name, path)
    torch = require_extra("torch", "torch", f"{name}: reading a torch file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sparse tensors, which are refused below
            loaded = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except MemoryError:
        raise
    except Exception:
        # The library's message is left out: it is long, holds text of the file, and advises turning the
        # restriction off.
        _refuse_no_weights(
            "what torch's restricted reader refuses: a whole module, other objects", name, path
        )
    if not isinstance(loaded, dict):
        _refuse_no_weights(f"a {show(type(loaded).__name__)}", name, path)
    _check_count(len(loaded), "tensors", name, path)
    for key, value in loaded.items():
        if not isinstance(key, str):
            _refuse_no_weights(f"a key of type {show(type(key).__name__)}", name, path)
        if not isinstance(value, torch.Tensor):
            inner = " (a checkpoint: save that entry alone)" if isinstance(value, dict) else ""
            _refuse_no_weights(f"a {show(type(value).__name__)} under {show(key)!r}{inner}", name, path)
        yield key, *_array_of(torch, value, key, name, path)


def _array_of(torch: Any, tensor: Any, key: str, name: str, path: str) -> tuple[NDArray[Any], bool]:
    """The tensor as an array of its own memory, and whether it was widened."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        _refuse_tensor("sparse, quantised or without content", key, name, path)
    narrow = tensor.dtype in (torch.float16, torch.bfloat16)
    plain = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if not (narrow or tensor.dtype in (*plain, torch.float32, torch.float64)):
        _refuse_tensor(f"of type {show(tensor.dtype)}", key, name, path)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        _refuse_tensor("one that repeats its memory (save a contiguous copy)", key, name, path)
    plain_tensor = tensor.detach().to(torch.float32) if narrow else tensor.detach()
    return np.array(plain_tensor.numpy(), order="C"), narrow


def _check_archive(data: bytes, name: str, path: str) -> None:
    """What torch's own reader does not look at: checksums, repeated names, packed members, code."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_count(len(members), "members", name, path)
            names = [member.filename for member in members]
            inner = {member.partition("/")[2] for member in names}
            if "constants.pkl" in inner or any(part.startswith("code/") for part in inner):
                _refuse_no_weights("TorchScript, which runs code when it is opened", name, path)
            if "data.pkl" not in inner:
                _refuse_no_weights("a zip archive that torch.save did not write", name, path)
            if len(set(names)) < len(names):
                _refuse_damaged("two members of its archive have one name", name, path)
            if any(m.compress_type != zipfile.ZIP_STORED or m.flag_bits & 0x1 for m in members):
                _refuse_damaged("its archive is packed, which torch.save never does", name, path)
            broken = archive.testzip()
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        _refuse_damaged("its zip archive is cut off or altered", name, path)
    if broken is not None:
        _refuse_damaged(f"the checksum of {show(broken)} does not fit", name, path)
