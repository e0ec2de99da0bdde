"""Numbers inside JSON: arrays as base64 of little-endian bytes, and strict reading of what a file's JSON says.

Everything a file holds is data: each value is checked for type, size and range before it is used, and whatever does not
fit ends the reading with its place.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Collection
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show

_HASH_DIGITS = frozenset("0123456789abcdef")


def encode_floats(values: ArrayLike) -> str:
    """Base64 of little-endian float64, in C order."""
    return base64.b64encode(np.ascontiguousarray(values, "<f8").tobytes()).decode("ascii")


def encode_integers(values: ArrayLike) -> str:
    """Base64 of little-endian int64, in C order."""
    return base64.b64encode(np.ascontiguousarray(values, "<i8").tobytes()).decode("ascii")


def encode_bits(values: ArrayLike) -> str:
    """Base64 of packed bits, the first value in the highest bit of the first byte."""
    return base64.b64encode(np.packbits(np.asarray(values, np.bool_)).tobytes()).decode("ascii")


def encode_hashes(values: Collection[str]) -> str:
    """Base64 of the raw bytes of SHA-256 digests given in hexadecimal."""
    return base64.b64encode(b"".join(bytes.fromhex(value) for value in values)).decode("ascii")


class StrictReader:
    """Takes values out of parsed JSON, each with a check; the first misfit raises `InputError`.

    Parameters
    ----------
    name : str
        What is read, as it stands before the place in messages (a file name, made fit by `show`).
    id : str
        The error id of every misfit.
    path : str, optional
        The file at fault.
    hint : str, optional
        The way out, which every misfit shares.
    """

    def __init__(self, name: str, *, id: str, path: str | None = None, hint: str | None = None):
        self.name, self.id, self.path, self.hint = name, id, path, hint

    def refuse(self, place: str, requirement: str, value: object = None) -> NoReturn:
        """Raise the one-line error for `place`."""
        found = "" if value is None else f", not {show(value if isinstance(value, str) else repr(value), 40)}"
        message = f"{self.name}: {place}: must {requirement}{found}"
        raise InputError(message, id=self.id, path=self.path, hint=self.hint)

    def parse(self, data: bytes) -> dict[str, Any]:
        """A JSON object without repeated keys, NaN or infinities."""

        def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(items)
            if len(found) != len(items):
                raise ValueError("a key stands twice in one object")
            return found

        def constant(name: str) -> NoReturn:
            raise ValueError(f"{name} is not a JSON number")

        try:
            loaded = json.loads(data, object_pairs_hook=pairs, parse_constant=constant)
        except (ValueError, RecursionError) as error:
            self.refuse("content", f"be JSON ({show(error)})")
        if not isinstance(loaded, dict):
            self.refuse("content", "be a JSON object", type(loaded).__name__)
        return loaded

    def fields(
        self, value: Any, place: str, required: Collection[str], optional: Collection[str] = ()
    ) -> dict[str, Any]:
        """An object with exactly these keys, the optional ones perhaps missing."""
        if not isinstance(value, dict):
            self.refuse(place, "be an object", type(value).__name__)
        for key in value:
            if key not in required and key not in optional:
                self.refuse(place, "hold only known keys", key)
        for key in required:
            if key not in value:
                self.refuse(place, f"hold the key {key!r}")
        return value

    def text(self, value: Any, place: str, *, limit: int = 200) -> str:
        """Text of limited length."""
        if not isinstance(value, str) or len(value) > limit:
            self.refuse(place, f"be text of at most {limit} characters", value)
        return value

    def choice(self, value: Any, place: str, known: Collection[str]) -> str:
        """One of some known words."""
        if not isinstance(value, str) or value not in known:
            self.refuse(place, f"be one of {', '.join(known)}", value)
        return value

    def integer(self, value: Any, place: str, *, low: int = 0, high: int = 2**63 - 1) -> int:
        """A whole number in [low, high]."""
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(place, f"be a whole number from {low} to {high}", value)
        return value

    def number(self, value: Any, place: str, *, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number in [low, high]."""
        fits = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2.0**1000
        if not fits or not low <= value <= high:
            self.refuse(place, f"be a number from {low:g} to {high:g}", value)
        return float(value)

    def optional(self, value: Any, place: str, read: Callable[..., Any], **limits: Any) -> Any:
        """None, or what `read` makes of the value."""
        return None if value is None else read(value, place, **limits)

    def sha256(self, value: Any, place: str) -> str:
        """64 hexadecimal digits in lower case."""
        if not isinstance(value, str) or len(value) != 64 or not set(value) <= _HASH_DIGITS:
            self.refuse(place, "be a SHA-256 in 64 hexadecimal digits", value)
        return value

    def floats(
        self, value: Any, place: str, size: int | None = None, *, finite: bool = True
    ) -> NDArray[np.float64]:
        """Decoded float64 values without NaN; without infinities where `finite`."""
        found = np.frombuffer(self._bytes(value, place, 8, size), "<f8").astype(np.float64)
        wrong = ~np.isfinite(found) if finite else np.isnan(found)
        if wrong.any():
            index = int(np.argmax(wrong))
            self.refuse(f"{place}[{index}]", "be finite" if finite else "not be NaN", float(found[index]))
        return found

    def integers(
        self, value: Any, place: str, size: int | None = None, *, low: int = 0, high: int = 2**62
    ) -> NDArray[np.int64]:
        """Decoded int64 values in [low, high]."""
        found = np.frombuffer(self._bytes(value, place, 8, size), "<i8").astype(np.int64)
        wrong = (found < low) | (found > high)
        if wrong.any():
            index = int(np.argmax(wrong))
            self.refuse(f"{place}[{index}]", f"be from {low} to {high}", int(found[index]))
        return found

    def bits(self, value: Any, place: str, size: int) -> NDArray[np.bool_]:
        """`size` decoded bits; what fills the last byte must be 0."""
        packed = np.frombuffer(self._bytes(value, place, 1, (size + 7) // 8), np.uint8)
        unpacked = np.unpackbits(packed).astype(np.bool_)
        if unpacked[size:].any():
            self.refuse(place, f"hold {size} bits and then zeros")
        return unpacked[:size]

    def hashes(self, value: Any, place: str, size: int) -> tuple[str, ...]:
        """`size` decoded SHA-256 digests in hexadecimal; none at all is allowed."""
        if value == "":
            return ()
        raw = self._bytes(value, place, 32, size)
        return tuple(raw[i : i + 32].hex() for i in range(0, len(raw), 32))

    def _bytes(self, value: Any, place: str, width: int, size: int | None) -> bytes:
        if not isinstance(value, str):
            self.refuse(place, "be base64 text", type(value).__name__)
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            self.refuse(place, "be base64 text", value)
        if len(raw) % width or (size is not None and len(raw) != size * width):
            wanted = f"{size} values" if size is not None else "whole values"
            self.refuse(place, f"hold {wanted} of {width} bytes", f"{len(raw)} bytes")
        return raw
