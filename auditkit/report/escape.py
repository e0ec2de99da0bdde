"""Text never becomes markup here: plain `str` is always escaped, only `Markup` is not."""

from __future__ import annotations

import html
from collections.abc import Iterable

from auditkit.errors import show

TEXT_LIMIT = 1000


class Markup(str):
    """Text that is markup already. Adding or formatting gives a plain `str` again, which will be escaped."""

    __slots__ = ()


def esc(value: object, limit: int = TEXT_LIMIT) -> Markup:
    """`value` as markup: `Markup` as it is, anything else as text with its hostile characters spelled out.

    Parameters
    ----------
    value : object
        `str` is taken of it. Control and bidirectional characters and line breaks appear as escapes.
    limit : int
        Longer texts are cut to this many characters, the last one an ellipsis.
    """
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(show(value, limit), quote=True))


def join(parts: Iterable[object], separator: str = "") -> Markup:
    """The parts, each escaped unless it is markup, with an escaped separator between them."""
    return Markup(esc(separator).join(esc(part) for part in parts))


def element(tag: str, /, *children: object, **attributes: object) -> Markup:
    """One element of HTML or SVG.

    Parameters
    ----------
    tag : str
        Written by us, never taken from data.
    *children : object
        Content, escaped unless it is markup. Without any the element closes itself (SVG, void HTML elements).
    **attributes : object
        Values are escaped; None leaves the attribute out. A trailing underscore is dropped (``class_``),
        others become hyphens (``aria_label``).
    """
    opening = tag + "".join(
        f' {name.rstrip("_").replace("_", "-")}="{esc(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{opening}/>")
    return Markup(f"<{opening}>{join(children)}</{tag}>")
