"""Typed access to a result dictionary: a field of the wrong type is refused by name, never skipped."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from auditkit.errors import InputError, show
from auditkit.results import json_ready

CURVE_LIMIT = 512
LABEL_LIMIT = 48


def plain_values(result: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the result as plain JSON values; refuses NaN and whatever is not JSON (AK-RP-002)."""
    try:
        plain = json.loads(json.dumps(json_ready(result), allow_nan=False))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"result: must be plain JSON values: {show(error)}", id="AK-RP-002") from None
    if not isinstance(plain, dict):
        raise refusal("result", "an object", plain)
    return plain


class Fields:
    """Typed access to a mapping; None means absent, a wrong type is an error that names the field."""

    def __init__(self, values: object, path: str):
        if values is not None and not isinstance(values, Mapping):
            raise refusal(path, "an object", values)
        self.values: Mapping[str, Any] = values or {}
        self.path = path

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}"

    def text(self, key: str) -> str | None:
        """Text."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise refusal(self._at(key), "text", value)
        return value

    def label(self, key: str) -> str:
        """A short text for a picture; cut, so that it cannot spread over the page."""
        return show(self.text(key) or "", LABEL_LIMIT)

    def truth(self, key: str) -> bool | None:
        """True or false."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise refusal(self._at(key), "true, false or null", value)
        return value

    def whole(self, key: str) -> int | None:
        """A whole number."""
        value = self.values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise refusal(self._at(key), "a whole number", value)
        return value

    def number(self, key: str, low: float = -math.inf, high: float = math.inf) -> float | None:
        """A number from `low` to `high`; "inf" and "-inf" stand for the infinite ones."""
        value = self.values.get(key)
        return None if value is None else _number(value, self._at(key), low, high)

    def mapping(self, key: str) -> Fields:
        """The fields of an object; empty where it is absent."""
        return Fields(self.values.get(key), self._at(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty where it is absent."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, list | tuple):
            raise refusal(self._at(key), "a list of texts", value)
        for index, item in enumerate(value or ()):
            if not isinstance(item, str):
                raise refusal(f"{self._at(key)}[{index}]", "text", item)
        return tuple(value or ())

    def items(self, key: str) -> tuple[Fields, ...]:
        """A list of objects; empty where it is absent."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, list | tuple):
            raise refusal(self._at(key), "a list", value)
        return tuple(Fields(item, f"{self._at(key)}[{index}]") for index, item in enumerate(value or ()))

    def numbers(
        self, key: str, length: int | None = None, low: float = -math.inf, high: float = math.inf
    ) -> tuple[float, ...] | None:
        """A list of numbers, of a wanted length."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise refusal(self._at(key), "a list of numbers", value)
        if length is not None and len(value) != length:
            raise refusal(self._at(key), f"a list of {length} numbers", f"{len(value)} numbers")
        return tuple(
            _number(item, f"{self._at(key)}[{index}]", low, high) for index, item in enumerate(value)
        )

    def pair(self, key: str) -> tuple[float | None, float | None]:
        """Two numbers."""
        found = self.numbers(key, 2)
        return (None, None) if found is None else (found[0], found[1])


def _number(value: object, path: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not (isinstance(value, int | float) or value in ("inf", "-inf")):
        raise refusal(path, "a number", value)
    try:
        number = float(cast(float, value))
    except OverflowError:
        raise refusal(path, "a number that fits a double", "a larger one") from None
    if math.isnan(number):
        raise refusal(path, "a number", "nan")
    if not low <= number <= high:
        raise refusal(path, f"from {low:g} to {high:g}", f"{number:g}")
    return number


def refusal(path: str, requirement: str, value: object) -> InputError:
    """The error of a field that is not what it must be (AK-RP-001)."""
    found = value if isinstance(value, str) else type(value).__name__
    return InputError(f"{show(path)}: must be {requirement}, not {show(found, 40)}", id="AK-RP-001")


def thin(*columns: tuple[float, ...], limit: int = CURVE_LIMIT) -> tuple[tuple[float, ...], ...]:
    """At most `limit` rows of parallel columns, evenly spread, the first and the last among them."""
    length = len(columns[0])
    if length <= limit:
        return columns
    keep = [round(index * (length - 1) / (limit - 1)) for index in range(limit)]
    return tuple(tuple(column[index] for index in keep) for column in columns)
