"""The exceptions and warnings of auditkit, and the one way to show text that came from a file."""

from __future__ import annotations

import importlib
import unicodedata
from typing import Any


def show(text: object, limit: int = 80) -> str:
    """Text from a file or an argument, made fit for a terminal line: escapes and line breaks are spelled out.

    Parameters
    ----------
    text : object
        Anything; `str` is taken of it.
    limit : int
        Longer texts are cut to this many characters: an ellipsis stands for the middle, because the end of a path
        says more than its folders.

    Returns
    -------
    str
        Printable text of one line: control, format (bidirectional) and separator characters appear as escapes.
    """
    out: list[str] = []
    whole = str(text)
    for character in whole if len(whole) <= 8 * limit else whole[: 4 * limit] + whole[-4 * limit :]:
        if character == " " or unicodedata.category(character)[0] not in "CZ":
            out.append(character)
        else:
            out.append(character.encode("unicode_escape").decode("ascii"))
    line = "".join(out)
    if len(line) <= limit:
        return line
    tail = limit // 2
    return line[: limit - 1 - tail] + "…" + line[-tail:]


class InputError(ValueError):
    """Bad input: the message names the argument or file, the requirement and the value.

    Parameters
    ----------
    message : str
        One line, ``what: requirement, value``.
    id : str
        Stable identifier, for example ``AK-IO-001``; documented in docs/errors.md.
    path : str, optional
        The file that is at fault.
    hint : str, optional
        One line that names the way out.
    """

    def __init__(
        self, message: str, *, id: str = "AK-IN-001", path: str | None = None, hint: str | None = None
    ):
        super().__init__(message)
        self.id = id
        self.path = path
        self.hint = hint


class UndecidedError(RuntimeError):
    """The data cannot decide a condition; raised only by ``result.check(expression, strict=True)``."""


class InternalError(RuntimeError):
    """An invariant of auditkit itself is broken; nothing was concluded. Please report it."""


class AuditWarning(UserWarning):
    """Something about an audit that its reader should know. Also listed in the result's `warnings`."""


def require_extra(module: str, extra: str, what: str) -> Any:
    """Import `module`, which the optional dependencies `extra` bring.

    Parameters
    ----------
    module : str
        For example ``"torch"``.
    extra : str
        The name of the extra, for example ``"torch"``.
    what : str
        What needs it, as it is to stand in the message.

    Raises
    ------
    InputError
        One line with the install command, when the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise InputError(
            f"{what}: needs {module.partition('.')[0]}, which is not installed",
            id="AK-EX-001",
            hint=f"pip install 'auditkit-ml[{extra}]'",
        ) from None
