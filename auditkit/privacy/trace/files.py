"""A training trace as bytes: an .npz archive of plain arrays and one JSON object, read back strictly."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.io.files import read_bytes
from auditkit.privacy.trace.statistics import Step, TraceStatistics

SCHEMA = "auditkit.gradient-trace/1"
BYTE_LIMIT = 2**30
"""Largest trace file, and largest content after unpacking, in bytes."""

_BY_CANARY = ("llr", "sum1", "sum2", "sum3", "sum4", "lag1", "lag2")
_DTYPES = {
    "json": "uint8",
    "bits": "bool",
    "layer": "int64",
    "draws": "int64",
    "pairs": "int64",
    "pair_sum": "float64",
    "step_sum2": "float64",
    "steps": "float64",
    **dict.fromkeys(_BY_CANARY, "float64"),
}
_OPTIONAL = {"kept": "float64"}


def pack(run: Mapping[str, Any], statistics: TraceStatistics) -> bytes:
    """The bytes of a trace file."""
    meta = {"schema": SCHEMA, **{key: value for key, value in run.items() if key != "layer"}}
    arrays: dict[str, NDArray[Any]] = {
        "json": np.frombuffer(json.dumps(meta, allow_nan=False).encode("utf-8"), np.uint8),
        "layer": run["layer"],
        "step_sum2": np.array(statistics.step_sum2, np.float64),
        "steps": np.array(statistics.steps, np.float64).reshape(-1, len(Step._fields)),
        **{name: getattr(statistics, name) for name in ("bits", "draws", "pairs", "pair_sum", *_BY_CANARY)},
    }
    if statistics.kept is not None:
        arrays["kept"] = np.array(statistics.kept, np.float64).reshape(-1, statistics.bits.size)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def read(path: str | Path) -> tuple[dict[str, Any], TraceStatistics]:
    """The facts about the run and the statistics of a trace file.

    Raises
    ------
    InputError
        AK-OP-011 for whatever `pack` did not write; AK-IO ids for files that cannot be read.
    """
    data = read_bytes(path, limit=BYTE_LIMIT)
    try:
        arrays = _arrays(data)
        run = _run(arrays)
        return run, _statistics(arrays)
    except (
        *(ValueError, KeyError, TypeError, EOFError, OSError, OverflowError, RecursionError),
        *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, SyntaxError, MemoryError),
    ) as error:
        raise InputError(
            f"{show(path)}: must be a trace that Trace.save wrote: {show(error)}",
            id="AK-OP-011",
            path=str(path),
            hint="save it again, or name another file",
        ) from None


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > BYTE_LIMIT:
        raise ValueError(f"unpacks to {unpacked:,} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        names = set(archive.files)
        if len(names) != len(archive.files) or names - {*_OPTIONAL} != set(_DTYPES):
            raise ValueError(f"arrays {', '.join(sorted(names ^ set(_DTYPES)))} missing or unknown")
        arrays = {name: archive[name] for name in names}
    for name, array in arrays.items():
        if array.dtype != np.dtype({**_DTYPES, **_OPTIONAL}[name]):
            raise ValueError(f"{name} is {array.dtype}")
        if array.dtype.kind == "f" and name != "steps" and not np.all(np.isfinite(array)):
            raise ValueError(f"{name} is not finite")
    _check_shapes(arrays)
    return arrays


def _check_shapes(arrays: Mapping[str, NDArray[Any]]) -> None:
    m, t, p = arrays["bits"].size, len(arrays["step_sum2"]), len(arrays["pair_sum"])
    shapes = {
        **dict.fromkeys(("bits", "layer", "draws", *_BY_CANARY), (m,)),
        "pairs": (p, 2),
        "pair_sum": (p,),
        "step_sum2": (t,),
        "steps": (t, len(Step._fields)),
        **({"kept": (t, m)} if "kept" in arrays else {}),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
    if np.any(arrays["pairs"] < 0) or np.any(arrays["pairs"] >= m):
        raise ValueError("pairs name no canaries")


def _run(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    meta = json.loads(arrays["json"].tobytes().decode("utf-8"))
    if not isinstance(meta, dict) or meta.pop("schema", None) != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    numbers = ("clip", "sigma", "rate")
    kinds: dict[str, type | tuple[type, ...]] = {
        "kind": str,
        "seed": int,
        "layers": list,
        "sampler": str,
        "n_records": int,
        "history": list,
        "steps": (int, type(None)),
        "expected_batch_size": (int, float, type(None)),
        "mechanism": (str, type(None)),
        **dict.fromkeys(numbers, (int, float)),
    }
    if set(meta) != set(kinds):
        raise ValueError(f"fields {', '.join(sorted(map(show, set(meta) ^ set(kinds))))} missing or unknown")
    for key, kind in kinds.items():
        if not isinstance(meta[key], kind) or isinstance(meta[key], bool):
            raise ValueError(f"{key} is {show(meta[key])}")
    if not all(0 < meta[key] < math.inf for key in numbers):
        raise ValueError("clip, sigma and rate are not positive")
    choices = {"kind": ("coordinate", "orthonormal"), "sampler": ("poisson", "shuffle", "unknown")}
    for key, allowed in choices.items():
        if meta[key] not in allowed:
            raise ValueError(f"{key} is {show(meta[key])}")
    meta["layers"] = tuple(str(name) for name in meta["layers"])
    meta["history"] = [(float(s), float(q), int(n)) for s, q, n in meta["history"]]
    layer = arrays["layer"]
    if np.any(layer < 0) or np.any(layer >= len(meta["layers"])):
        raise ValueError("layer names no layer")
    return {**meta, "layer": layer}


def _statistics(arrays: Mapping[str, NDArray[Any]]) -> TraceStatistics:
    found = TraceStatistics(arrays["bits"], arrays["pairs"], keep="kept" in arrays)
    for name in ("draws", "pair_sum", *_BY_CANARY):
        getattr(found, name)[...] = arrays[name]
    found.step_sum2 = arrays["step_sum2"].tolist()
    found.steps = [
        Step(*row)._replace(batch_size=int(row[Step._fields.index("batch_size")]))
        for row in arrays["steps"].tolist()
    ]
    if found.kept is not None:
        found.kept = list(arrays["kept"])
    return found
