"""Every error as one line, an optional hint, a stable id and an exit code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import click
from click.core import ParameterSource

from auditkit.cli._common import CONFIG_ORIGINS, EXIT_FAILED, EXIT_USAGE
from auditkit.errors import InputError, show


class Failure(NamedTuple):
    """What is said of an error."""

    id: str
    message: str
    hint: str | None
    code: int


class OutputError(Exception):
    """A report could not be written although its folder looked fine before the computation."""


def explain(error: Exception) -> Failure:
    """The failure that an exception stands for: bad input (2), or auditkit's own (3)."""
    if isinstance(error, InputError):
        return Failure(error.id, one_line(str(error)), error.hint, EXIT_USAGE)
    if isinstance(error, click.ClickException):
        return _explain_usage(error)
    if isinstance(error, OutputError):
        return Failure("AK-CL-020", one_line(str(error)), "the result itself was printed", EXIT_FAILED)
    if isinstance(error, MemoryError):
        hint = "free some memory or audit fewer records at once"
        return Failure("AK-CL-021", "auditkit ran out of memory: nothing was concluded", hint, EXIT_FAILED)
    what = f"{type(error).__name__}: {show(error, 160)}" if str(error) else type(error).__name__
    hint = "please report it with the output of `auditkit doctor`; -vv shows where it happened"
    return Failure("AK-CL-022", f"auditkit failed, nothing was concluded: {what}", hint, EXIT_FAILED)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`, if any is."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown_verb(word: str, known: Iterable[str]) -> InputError:
    """The error for a verb that does not exist."""
    names = list(known)
    match = nearest(word, names)
    hint = f"did you mean {match}?" if match else f"the verbs are {', '.join(names)}"
    return InputError(f"{show(word)}: unknown verb", id="AK-CL-003", hint=hint)


def name_option(error: InputError, ctx: click.Context) -> InputError:
    """An error about an argument of a function, said of the option that set it."""
    head, colon, rest = str(error).partition(": ")
    for param in ctx.command.params:
        if colon and param.name == head and isinstance(param, click.Option):
            return InputError(f"{_origin(param, ctx)}: {rest}", id=error.id, path=error.path, hint=error.hint)
    return error


def one_line(message: str, limit: int = 400) -> str:
    """`message` fit for one line of a terminal."""
    return show(message, limit)


def _explain_usage(error: click.ClickException) -> Failure:
    hint = None
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"{error.ctx.command_path} --help shows the usage"
    if isinstance(error, click.NoSuchOption):
        known = [] if error.ctx is None else [o for p in error.ctx.command.params for o in p.opts]
        match = nearest(error.option_name, [name for name in known if name.startswith("--")])
        if match:
            hint = f"did you mean {match}?"
        return Failure("AK-CL-002", f"{show(error.option_name)}: unknown option", hint, EXIT_USAGE)
    if isinstance(error, click.BadParameter) and error.param is not None:
        where = _origin(error.param, error.ctx)
        return Failure("AK-CL-004", f"{where}: {_plain(error.message)}", hint, EXIT_USAGE)
    if isinstance(error, click.BadOptionUsage):
        message = f"{show(error.option_name)}: {_plain(error.message)}"
        return Failure("AK-CL-004", message, hint, EXIT_USAGE)
    return Failure("AK-CL-001", _plain(error.format_message()), hint, EXIT_USAGE)


def _origin(parameter: click.Parameter, context: click.Context | None) -> str:
    """Where a value stood: the option, the environment variable, or the file and key."""
    name = parameter.name or ""
    if context is not None:
        source = context.get_parameter_source(name)
        if source is ParameterSource.DEFAULT_MAP:
            return f"{context.meta[CONFIG_ORIGINS][name]}: {max(parameter.opts, key=len).removeprefix('--')}"
        if source is ParameterSource.ENVIRONMENT:
            return str(parameter.envvar)
    return (
        max(parameter.opts, key=len) if isinstance(parameter, click.Option) else parameter.human_readable_name
    )


def _plain(message: str) -> str:
    """click's sentence in the form of ours: the requirement, then the value; no capital, no full stop."""
    text = one_line(message).removesuffix(".")
    for pattern, form in _FORMS:
        text = re.sub(pattern, form, text)
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


_FORMS = (
    (r"^(.*) is not a valid float$", r"must be a number, not \1"),
    (r"^(.*) is not a valid integer$", r"must be a whole number, not \1"),
    (r"^(.*) is not a valid boolean\b.*$", r"must be true or false, not \1"),
    (r"^(.*) is not one of (.*)$", r"must be one of \2, not \1"),
    (r"^Option '-[^']+' requires an argument$", "needs a value"),
    (r"^Option '-[^']+' does not take a value$", "takes no value"),
)
