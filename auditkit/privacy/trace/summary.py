"""What is kept of a training trace: sums over steps for each canary and over canaries for each step."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show

TRACE_SCHEMA = "auditkit.trace/1"
SAMPLERS = ("poisson", "shuffle", "unknown")

_FLOAT, _WHOLE, _BIT = np.dtype("<f8"), np.dtype("<i8"), np.dtype("|b1")
# Each array: its type, the axis whose length it shares (m canaries, T steps, p pairs), and whether NaN is allowed.
_ARRAYS: dict[str, tuple[np.dtype[Any], str, bool]] = {
    "bits": (_BIT, "m", False),
    "layer": (_WHOLE, "m", False),
    "draws": (_WHOLE, "m", False),
    "sum1": (_FLOAT, "m", False),
    "sum2": (_FLOAT, "m", False),
    "sum3": (_FLOAT, "m", False),
    "sum4": (_FLOAT, "m", False),
    "lag1": (_FLOAT, "m", False),
    "lag2": (_FLOAT, "m", False),
    "pairs": (_WHOLE, "p", False),
    "pair_sum": (_FLOAT, "p", False),
    "step_sum2": (_FLOAT, "T", False),
    "batch_sizes": (_WHOLE, "T", False),
    "clip_ratio": (_FLOAT, "T", True),
    "accounted_sigma": (_FLOAT, "T", True),
    "accounted_rate": (_FLOAT, "T", True),
}
_AXES = {"m": "bits", "T": "step_sum2", "p": "pair_sum"}
_DECLARED = (
    *("sigma", "sampling_rate", "steps", "clip"),
    *("sampler", "epsilon", "delta", "expected_batch_size"),
)


@dataclass(frozen=True, eq=False)
class TraceSummary:
    """What is kept of a training trace of m canaries over T steps. Checked and frozen when made.

    One observation is ``x[t, j] = <noisy sum - real sum, g_j> / C^2`` with the declared clipping norm C and canary
    directions of norm C. If the mechanism is as declared, ``x[t, j] = B[t, j] C'/C + N(0, sigma^2)``, where ``B`` is
    Bernoulli(q) for a canary that takes part and 0 for one that does not.

    Attributes
    ----------
    bits : bool, shape (m,)
        Whether the canary takes part.
    layer : int64, shape (m,)
        The layer its direction lies in, an index into `layers`.
    layers : tuple of str
        Names of the layers.
    draws : int64, shape (m,)
        Steps at which the canary was added; 0 for canaries that do not take part.
    sum1, sum2, sum3, sum4 : float64, shape (m,)
        Sums over steps of x, x^2, x^3, x^4.
    lag1, lag2 : float64, shape (m,)
        Sums over steps of ``x[t] x[t-1]`` and ``x[t] x[t-2]``; 0 where there are too few steps.
    pairs : int64, shape (p, 2)
        Disjoint pairs of canaries that do not take part.
    pair_sum : float64, shape (p,)
        Sums over steps of the product of the two observations of a pair.
    step_sum2 : float64, shape (T,)
        For each step the sum of x^2 over the canaries that do not take part.
    batch_sizes : int64, shape (T,)
        Records of the real data in each logical batch; -1 where it is not known.
    n_records : int
        Records in the training set as the loader sees it; 0 if unknown.
    clip_ratio : float64, shape (T,)
        Norm that the optimizer's own clipping gave to a probe gradient of norm 10 C, divided by C; NaN where it could
        not be probed.
    accounted_sigma, accounted_rate : float64, shape (T,)
        Noise multiplier and sampling rate that the accountant was told at each step; NaN where it was told nothing.
    real_sum_subtracted : bool
        Whether the sum of the real data's clipped gradients was taken off the observations.
    declared : mapping
        Exactly: ``sigma`` (noise multiplier, >= 0), ``sampling_rate`` (in (0, 1]), ``steps`` (whole number or None),
        ``clip`` (> 0), ``sampler`` ("poisson", "shuffle" or "unknown"), ``epsilon`` (>= 0, "no limit" is inf, or
        None), ``delta`` (in (0, 1) or None), ``expected_batch_size`` (> 0 or None).

    Raises
    ------
    InputError
        AK-ME-001 for an array of the wrong type, length or range; AK-ME-002 for a declared value;
        AK-ME-003 for sums that contradict each other.
    """

    bits: NDArray[np.bool_]
    layer: NDArray[np.int64]
    layers: tuple[str, ...]
    draws: NDArray[np.int64]
    sum1: NDArray[np.float64]
    sum2: NDArray[np.float64]
    sum3: NDArray[np.float64]
    sum4: NDArray[np.float64]
    lag1: NDArray[np.float64]
    lag2: NDArray[np.float64]
    pairs: NDArray[np.int64]
    pair_sum: NDArray[np.float64]
    step_sum2: NDArray[np.float64]
    batch_sizes: NDArray[np.int64]
    n_records: int
    clip_ratio: NDArray[np.float64]
    accounted_sigma: NDArray[np.float64]
    accounted_rate: NDArray[np.float64]
    real_sum_subtracted: bool
    declared: Mapping[str, Any]

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in _ARRAYS:
            put(self, name, _array(name, getattr(self, name)))
        for name in ("bits", "step_sum2"):
            if getattr(self, name).size == 0:
                raise _refused(name, "of length at least 1", 0)
        for name, (_, axis, _) in _ARRAYS.items():
            length = getattr(self, _AXES[axis]).shape[0]
            shape = (length, 2) if name == "pairs" else (length,)
            if getattr(self, name).shape != shape:
                raise _refused(name, f"an array of shape {shape}", f"{getattr(self, name).shape}")
        put(self, "layers", _names(self.layers))
        put(self, "n_records", _whole("n_records", self.n_records, 0))
        if not isinstance(self.real_sum_subtracted, bool | np.bool_):
            raise _refused("real_sum_subtracted", "True or False", self.real_sum_subtracted)
        put(self, "real_sum_subtracted", bool(self.real_sum_subtracted))
        put(self, "declared", _declared(self.declared))
        _check_ranges(self)
        _check_sums(self)

    @property
    def n_canaries(self) -> int:
        """Canaries, those that take part and those that do not."""
        return int(self.bits.size)

    @property
    def n_steps(self) -> int:
        """Logical steps of the run."""
        return int(self.step_sum2.size)

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"schema": TRACE_SCHEMA}
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name in _ARRAYS:
                value = base64.b64encode(value.astype(_ARRAYS[item.name][0]).tobytes()).decode("ascii")
            elif item.name == "layers":
                value = list(value)
            elif item.name == "declared":
                value = {key: "inf" if entry == math.inf else entry for key, entry in value.items()}
            found[item.name] = value
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TraceSummary:
        """Read back what `to_dict` gives; nothing missing, unknown or of another type is let through.

        Arrays are base64 text of their little-endian bytes (float64, int64, one byte a bit).

        Raises
        ------
        InputError
            AK-ME-004 for a layout that is not that of `to_dict`; else as for the class.
        """
        expected = {"schema", *(item.name for item in fields(cls))}
        if not isinstance(values, Mapping) or set(values) != expected:
            found = set(values) ^ expected if isinstance(values, Mapping) else {type(values).__name__}
            raise _malformed(
                "trace", f"an object of {len(expected)} known fields", sorted(map(str, found))[0]
            )
        if values["schema"] != TRACE_SCHEMA:
            raise _malformed("trace.schema", repr(TRACE_SCHEMA), repr(values["schema"]))
        read = {name: _decoded(name, values[name]) for name in _ARRAYS}
        layers, declared = values["layers"], values["declared"]
        if not isinstance(layers, list):
            raise _malformed("trace.layers", "a list of names", type(layers).__name__)
        if not isinstance(declared, Mapping):
            raise _malformed("trace.declared", "an object", type(declared).__name__)
        plain = {key: math.inf if entry == "inf" else entry for key, entry in declared.items()}
        return cls(
            **cast(dict[str, Any], read),
            layers=tuple(layers),
            declared=plain,
            n_records=values["n_records"],
            real_sum_subtracted=values["real_sum_subtracted"],
        )


def _refused(name: str, requirement: str, value: object) -> InputError:
    return InputError(f"{name}: must be {requirement}, not {show(value)}", id="AK-ME-001")


def _malformed(name: str, requirement: str, value: object) -> InputError:
    return InputError(f"{name}: must be {requirement}, not {show(value)}", id="AK-ME-004")


def _array(name: str, value: object) -> NDArray[Any]:
    """A frozen copy of the declared type; widening is allowed, rounding is not."""
    dtype, _, may_be_nan = _ARRAYS[name]
    array = np.asarray(value)
    if name == "pairs" and array.size == 0:
        array = np.empty((0, 2), np.int64)
    if array.size == 0 and array.ndim == 1:
        array = array.astype(dtype)
    kinds = {"b": "b", "i": "iu", "f": "fiu"}[dtype.kind]
    if array.dtype.kind not in kinds:
        words = {"b": "truth values", "i": "whole numbers", "f": "real numbers"}[dtype.kind]
        raise _refused(name, f"an array of {words}", f"of type {array.dtype}")
    array = np.array(array, dtype=dtype.newbyteorder("="), order="C")
    if dtype.kind == "f":
        bad = np.isinf(array) if may_be_nan else ~np.isfinite(array)
        if bad.any():
            raise _refused(name, "finite", f"{array[bad].flat[0]} at {int(np.flatnonzero(bad)[0])}")
    array.flags.writeable = False
    return array


def _names(layers: object) -> tuple[str, ...]:
    if not isinstance(layers, tuple | list) or not all(isinstance(name, str) for name in layers):
        raise _refused("layers", "names of layers", type(layers).__name__)
    return tuple(layers)


def _whole(name: str, value: object, least: int) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise _refused(name, f"a whole number from {least} on", value)
    return int(value)


def _declared(declared: object) -> Mapping[str, Any]:
    """The declared parameters as Python numbers, each in its range."""
    if not isinstance(declared, Mapping) or set(declared) != set(_DECLARED):
        found = (
            sorted(map(str, set(declared) ^ set(_DECLARED))) if isinstance(declared, Mapping) else ["none"]
        )
        raise InputError(
            f"declared: must hold exactly {', '.join(_DECLARED)}; differs in {show(', '.join(found))}",
            id="AK-ME-002",
        )
    ranges = {
        "sigma": (0.0 <= _real(declared["sigma"]) <= 1e9, "from 0 to 1e9"),
        "sampling_rate": (0.0 < _real(declared["sampling_rate"]) <= 1.0, "above 0 and at most 1"),
        "clip": (0.0 < _real(declared["clip"]) < math.inf, "finite and above 0"),
        "steps": (
            declared["steps"] is None or _is_count(declared["steps"]),
            "a whole number from 1 on or None",
        ),
        "sampler": (declared["sampler"] in SAMPLERS, f"one of {', '.join(SAMPLERS)}"),
        "epsilon": (_optional(declared["epsilon"], 0.0, math.inf), "at least 0 or None"),
        "delta": (_optional(declared["delta"], 5e-324, 1 - 2**-53), "between 0 and 1 or None"),
        "expected_batch_size": (
            _optional(declared["expected_batch_size"], 5e-324, 1.8e308),
            "above 0 or None",
        ),
    }
    for name, (holds, requirement) in ranges.items():
        if not holds:
            raise InputError(
                f"declared.{name}: must be {requirement}, not {show(declared[name])}", id="AK-ME-002"
            )
    return {name: _plain(declared[name]) for name in _DECLARED}


def _real(value: object) -> float:
    """The number, or NaN, which no range holds, for anything else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return math.nan
    try:
        return float(cast(float, value))
    except (OverflowError, TypeError):
        return math.nan


def _is_count(value: object) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and cast(int, value) >= 1


def _optional(value: object, low: float, high: float) -> bool:
    return value is None or low <= _real(value) <= high


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _decoded(name: str, text: object) -> NDArray[Any]:
    dtype = _ARRAYS[name][0]
    if not isinstance(text, str):
        raise _malformed(f"trace.{name}", "base64 text", type(text).__name__)
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise _malformed(f"trace.{name}", "base64 text", text[:20]) from None
    width = dtype.itemsize * (2 if name == "pairs" else 1)
    if len(raw) % width:
        raise _malformed(f"trace.{name}", f"a multiple of {width} bytes", f"{len(raw)} bytes")
    if dtype == _BIT and raw.strip(b"\x00\x01"):
        raise _malformed(f"trace.{name}", "bytes 0 and 1", "others")
    array = np.frombuffer(raw, dtype=dtype)
    return array.reshape(-1, 2) if name == "pairs" else array


def _check_ranges(trace: TraceSummary) -> None:
    """Values that cannot be, whatever the mechanism."""
    steps, out = trace.n_steps, ~trace.bits
    limits: dict[str, tuple[NDArray[Any], float, Any]] = {
        "layer": (trace.layer, 0, len(trace.layers) - 1),
        "draws": (trace.draws, 0, np.where(out, 0, steps)),
        "batch_sizes": (trace.batch_sizes, -1, math.inf),
        "pairs": (trace.pairs, 0, trace.n_canaries - 1),
        "sum2": (trace.sum2, 0.0, math.inf),
        "sum4": (trace.sum4, 0.0, math.inf),
        "step_sum2": (trace.step_sum2, 0.0, math.inf),
        "clip_ratio": (trace.clip_ratio, 0.0, math.inf),
        "accounted_sigma": (trace.accounted_sigma, 0.0, math.inf),
        "accounted_rate": (trace.accounted_rate, 0.0, 1.0),
    }
    for name, (array, low, high) in limits.items():
        bad = (array < low) | (array > high)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            top = np.broadcast_to(np.asarray(high), array.shape).flat[at]
            raise _refused(name, f"from {low:g} to {top:g}", f"{array.flat[at]:g} at {at}")
    flat = trace.pairs.ravel()
    if np.unique(flat).size != flat.size or trace.bits[flat].any():
        raise _refused("pairs", "disjoint and of canaries that do not take part", "others")


def _check_sums(trace: TraceSummary) -> None:
    """Sums of the same observations must agree: Cauchy-Schwarz inequalities and the total of the squares.

    Allowed is what rounding of sums of T (or T m) products in double precision, or observations kept in single
    precision, can explain.
    """
    slack = 1 + 1e-5
    steps, square = trace.n_steps, trace.sum2
    with np.errstate(over="ignore"):
        room = slack * square
        limits = {
            "sum1": (trace.sum1**2, steps * room),
            "sum2": (square**2, steps * slack * trace.sum4),
            "sum3": (trace.sum3**2, room * trace.sum4),
            "lag1": (np.abs(trace.lag1), room),
            "lag2": (np.abs(trace.lag2), room),
            "pair_sum": (trace.pair_sum**2, slack * np.prod(square[trace.pairs], axis=1)),
        }
    for name, (left, right) in limits.items():
        if not bool(np.all(left <= right)):
            raise InputError(
                f"{name}: must agree with sum2 and sum4 of the same canary, not exceed what they allow",
                id="AK-ME-003",
            )
    totals = float(square[~trace.bits].sum()), float(trace.step_sum2.sum())
    if not math.isclose(*totals, rel_tol=slack - 1):
        raise InputError(
            "step_sum2: must add up to sum2 of the canaries that do not take part "
            f"({totals[0]:g}), not {totals[1]:g}",
            id="AK-ME-003",
        )
