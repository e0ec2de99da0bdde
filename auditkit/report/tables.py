"""Sections, tables and lists of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from auditkit.report.escape import Markup, element, join
from auditkit.report.fields import thin
from auditkit.report.numbers import count_text, exact_text, superscript

TABLE_ROWS = 24
LIST_ROWS = 60
VALUE_LIMIT = 200


def section(title: str, *body: object, intro: str | None = None) -> Markup:
    """A section of the report with its heading."""
    return element(
        "section", element("h2", title), element("p", intro, class_="intro") if intro else Markup(), *body
    )


def rows_of(rows: Iterable[tuple[object, object]], class_: str = "rows") -> Markup:
    """Names and values as a description list; empty where there are none."""
    parts = [
        join([element("dt", name), element("dd", value, class_=_look_of(value))]) for name, value in rows
    ]
    return element("dl", *parts, class_=class_) if parts else Markup()


def _look_of(value: object) -> str | None:
    return "hash" if re.fullmatch(r"(sha256:)?[0-9a-f]{40,}", str(value)) else None


def table_of(
    heads: Sequence[str], rows: Iterable[Markup], numeric: Iterable[int] = (), class_: str | None = None
) -> Markup:
    """A table with a heading row; the columns counted in `numeric` are set to the right."""
    right = set(numeric)
    head = [
        element("th", name, scope="col", class_="n" if i in right else None) for i, name in enumerate(heads)
    ]
    body = element("tbody", join(rows))
    return element(
        "div", element("table", element("thead", element("tr", *head)), body, class_=class_), class_="scroll"
    )


def data_table(*columns: tuple[str, tuple[float, ...] | None, Callable[[float], str]]) -> Markup | None:
    """At most `TABLE_ROWS` evenly spread rows of named columns; all of them are in the embedded JSON."""
    known = [(name, values, rounded) for name, values, rounded in columns if values]
    if not known:
        return None
    total = len(known[0][1])
    values = thin(*(column for _, column, _ in known), limit=TABLE_ROWS)
    roundings = [rounded for _, _, rounded in known]
    rows = [
        element(
            "tr",
            *(
                element("td", superscript(rounded(value)), class_="n")
                for rounded, value in zip(roundings, row, strict=True)
            ),
        )
        for row in zip(*values, strict=True)
    ]
    table = table_of([name for name, _, _ in known], rows, range(len(known)))
    if total <= TABLE_ROWS:
        return table
    note = (
        f"{len(rows)} of {count_text(total)} points, bounds rounded outward; the JSON in this file has all."
    )
    return join([element("p", note), table])


def flattened(
    values: Mapping[str, Any], prefix: str = "", *, numbers: Callable[[float], str] = exact_text
) -> list[tuple[str, str]]:
    """Nested values as dotted names with short texts, at most `LIST_ROWS` of them."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            rows += flattened(value, f"{name}.", numbers=numbers)
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                rows += flattened(item, f"{name}[{index}].", numbers=numbers)
        else:
            rows.append((name, _value_text(value, numbers)))
    if len(rows) > LIST_ROWS:
        rows = [*rows[:LIST_ROWS], ("…", f"{len(rows) - LIST_ROWS} more in the JSON")]
    return rows


def _value_text(value: object, numbers: Callable[[float], str]) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return numbers(value)
    if isinstance(value, list | tuple):
        return shortened(", ".join(_value_text(item, numbers) for item in value) or "none")
    return shortened(str(value)) if value != {} else "none"


def shortened(text: str) -> str:
    """A text cut to what a row of a list can show; it is escaped where it is put."""
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"
