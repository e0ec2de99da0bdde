"""Options from a file: ``[tool.auditkit]`` of pyproject.toml, or auditkit.toml.

Keys are the long options, with dashes or underscores. A table named after a verb holds for that verb alone,
before the keys above it. The command line goes before the environment, the environment before the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import click
from click.core import ParameterSource

from auditkit.cli._common import CONFIG_ORIGINS, Jobs, Option, Session
from auditkit.cli._errors import nearest
from auditkit.errors import InputError, show
from auditkit.io.files import read_bytes

BYTE_LIMIT = 2**20
PROJECT_FILE = "pyproject.toml"
OWN_FILE = "auditkit.toml"


class ConfigFile(NamedTuple):
    """The table of options of one file; `label` names file and table in messages."""

    path: str
    prefix: str
    table: Mapping[str, Any]

    def label(self, *tables: str) -> str:
        """The file, with the table if there is one."""
        dotted = ".".join((*filter(None, [self.prefix]), *tables))
        return show(self.path) + (f" [{dotted}]" if dotted else "")


def apply_config(ctx: click.Context, explicit: str | None) -> None:
    """Make the file's values the defaults of the verb in `ctx`, after checking all of the file."""
    config = find_config(explicit)
    if config is None:
        return
    values, origins = settings_of(config, ctx.command, _verbs(ctx))
    ctx.default_map = values
    ctx.meta[CONFIG_ORIGINS] = origins


def find_config(explicit: str | None) -> ConfigFile | None:
    """The file to use: `explicit`, or the one that the working directory holds; two of them are refused."""
    if explicit is not None:
        config = _read(explicit)
        if config is None:
            raise InputError(
                f"{show(explicit)}: must hold a table [tool.auditkit]", id="AK-CF-001", path=explicit
            )
        return config
    found = [config for path in (OWN_FILE, PROJECT_FILE) if os.path.lexists(path) and (config := _read(path))]
    if len(found) == 2:
        raise InputError(
            f"{OWN_FILE} and [tool.auditkit] of {PROJECT_FILE}: only one of them may exist",
            id="AK-CF-004",
            path=OWN_FILE,
            hint="move the options into one file, or name one with --config",
        )
    return found[0] if found else None


def settings_of(
    config: ConfigFile, command: click.Command, verbs: Mapping[str, click.Command]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Values for `command` by parameter, and where each stands; keys of other verbs are only checked."""
    known = {name: _options(verb) for name, verb in verbs.items()}
    everywhere = {key: option for options in known.values() for key, option in options.items()}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    tables = [(config.label(), config.table, everywhere, set(known), True)]
    for written, table in config.table.items():
        verb = written.replace("_", "-")
        if verb in known and isinstance(table, Mapping):
            tables.append((config.label(written), table, known[verb], set(), verb == command.name))
    mine = _options(command)
    for label, table, allowed, inner, applies in tables:
        for key, (option, value) in _checked(label, table, allowed, inner, config.path).items():
            if applies and key in mine:
                values[option.name or ""] = value
                origins[option.name or ""] = label
    return values, origins


def show_settings(ctx: click.Context, session: Session) -> str:
    """Every option of the verb with its value and the place it comes from, as text or JSON."""
    from auditkit.results import json_ready

    rows = []
    for param in ctx.command.params:
        if isinstance(param, Option) and param.configurable:
            name = param.name or ""
            value = json_ready(ctx.params[name] if name in ctx.params else getattr(session, name))
            rows.append((param.key, value, _origin(ctx, param)))
    if session.output_format != "text":
        found = {key: {"value": value, "origin": origin} for key, value, origin in rows}
        return json.dumps(found, indent=2 if session.output_format == "json" else None, ensure_ascii=False)
    texts = [(key, show(json.dumps(value, ensure_ascii=False)), origin) for key, value, origin in rows]
    widths = [max(len(row[i]) for row in texts) for i in (0, 1)]
    return "\n".join(f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in texts)


def _origin(ctx: click.Context, option: Option) -> str:
    source = ctx.get_parameter_source(option.name or "")
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return f"environment {option.envvar}"
    if source is ParameterSource.DEFAULT_MAP:
        return str(ctx.meta[CONFIG_ORIGINS][option.name])
    return "default"


def _read(path: str) -> ConfigFile | None:
    """The options in a file, or None for a pyproject.toml without any."""
    import tomllib

    try:
        content = tomllib.loads(read_bytes(path, limit=BYTE_LIMIT).decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{show(path)}: must be TOML: {show(error)}", id="AK-CF-001", path=path) from None
    if os.path.basename(path) != PROJECT_FILE:  # noqa: PTH119 (pathlib costs start-up time here)
        return ConfigFile(path, "", content)
    tool = content.get("tool", {})
    if not isinstance(tool, dict) or "auditkit" not in tool:
        return None
    table = tool["auditkit"]
    if not isinstance(table, dict):
        raise InputError(f"{show(path)}: tool.auditkit: must be a table", id="AK-CF-003", path=path)
    return ConfigFile(path, "tool.auditkit", table)


def _verbs(ctx: click.Context) -> dict[str, click.Command]:
    group = ctx.find_root().command
    if not isinstance(group, click.Group):
        return {ctx.command.name or "": ctx.command}
    found = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    return {name: command for name, command in found.items() if command is not None}


def _options(command: click.Command) -> dict[str, Option]:
    """The configurable options of a verb by their keys, spelled with dashes."""
    return {param.key: param for param in command.params if isinstance(param, Option) and param.configurable}


def _checked(
    label: str,
    table: Mapping[str, Any],
    allowed: Mapping[str, Option],
    inner: set[str],
    path: str,
) -> dict[str, tuple[Option, Any]]:
    """The options of one table with their values; unknown or repeated keys and wrong types are refused.

    Tables named in `inner` are left to a call of their own.
    """
    found: dict[str, tuple[Option, Any]] = {}
    for written, value in table.items():
        key = written.replace("_", "-")
        if key in inner and isinstance(value, Mapping):
            continue
        if key not in allowed:
            _refuse_key(label, written, [*allowed, *inner], path)
        if key in found:
            raise InputError(
                f"{label}: {show(key)}: stands twice, with dash and underscore", id="AK-CF-004", path=path
            )
        found[key] = (allowed[key], _typed(label, written, value, allowed[key], path))
    return found


def _refuse_key(label: str, key: str, known: list[str], path: str) -> NoReturn:
    match = nearest(key.replace("_", "-"), known)
    hint = (
        f"did you mean {match}?"
        if match
        else "keys are the long options of a verb; auditkit VERB --help lists them"
    )
    raise InputError(f"{label}: {show(key)}: unknown key", id="AK-CF-002", path=path, hint=hint)


def _typed(label: str, key: str, value: Any, option: Option, path: str) -> Any:
    """`value` if its TOML type fits the option; one item will do where several may stand."""
    kind, wanted = _kind(option)
    if option.nargs > 1:
        return _several(label, key, value, option, path)
    items = value if option.multiple and isinstance(value, list) else [value]
    for item in items:
        if not isinstance(item, kind) or (isinstance(item, bool) and kind is not bool):
            wanted += " or a list of them" if option.multiple else ""
            raise InputError(
                f"{label}: {show(key)}: must be {wanted}, not {show(repr(value))}", id="AK-CF-003", path=path
            )
    return items if option.multiple else value


def _several(label: str, key: str, value: Any, option: Option, path: str) -> tuple[Any, ...]:
    """A list of as many values as the option takes at once."""
    kind, wanted = _kind(option)
    items = value if isinstance(value, list) else []
    if len(items) != option.nargs or any(isinstance(i, bool) or not isinstance(i, kind) for i in items):
        raise InputError(
            f"{label}: {show(key)}: must be a list of {option.nargs}, each {wanted}, not {show(repr(value))}",
            id="AK-CF-003",
            path=path,
        )
    return tuple(items)


def _kind(option: Option) -> tuple[Any, str]:
    if option.is_flag:
        return bool, "true or false"
    if option.count or isinstance(option.type, click.types.IntParamType):
        return int, "a whole number"
    if isinstance(option.type, click.types.FloatParamType):
        return int | float, "a number"
    if isinstance(option.type, Jobs):
        return int | str, 'a whole number or "auto"'
    return str, "a string"
