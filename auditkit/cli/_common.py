"""What all verbs share: their options, the two streams, colour, progress and exit codes.

Every start pays for what is imported here.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from auditkit.errors import InputError, show

if TYPE_CHECKING:
    from auditkit.cli._errors import Failure
    from auditkit.results import Verdict

EXIT_OK = 0
EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_FAILED = 3
EXIT_UNDECIDED = 4

HELP_COLUMNS = 80
CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
CONFIG_ORIGINS = "auditkit.config-origins"
"""Key of `click.Context.meta`: the file and table of each parameter that a configuration file set."""

FORMATS = ("text", "json", "jsonl")


def terminal_columns() -> int:
    """Columns of the terminal, COLUMNS before what the terminal says, 80 where there is none.

    As `shutil.get_terminal_size`, which takes longer to import than the rest of the help.
    """
    text = os.environ.get("COLUMNS", "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


class Text(click.ParamType):  # type: ignore[type-arg]
    """A string; several in an environment variable are parted by semicolons, as expressions hold spaces."""

    name = "text"
    envvar_list_splitter = ";"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)


class Jobs(click.ParamType):  # type: ignore[type-arg]
    """A number of threads, or ``auto``."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        text = str(value)
        if text == "auto":
            return text
        if not re.fullmatch("[1-9][0-9]{0,3}", text):
            self.fail(f"must be auto or a whole number from 1 to 9999, not {show(text)!r}", param, ctx)
        return int(text)


class Option(click.Option):
    """An option that may also stand in a configuration file and, as AUDITKIT_<OPTION>, in the environment."""

    configurable = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.key = max(self.opts, key=len).removeprefix("--")
        if self.configurable:
            self.envvar = f"AUDITKIT_{self.key.replace('-', '_').upper()}"


class CommandLineOption(Option):
    """An option that only the command line can set."""

    configurable = False


class Verb(click.Command):
    """A verb with the common options: their values go into the `Session`, the others to its function."""

    def __init__(self, *args: Any, **kwargs: Any):
        kwargs.setdefault("context_settings", CONTEXT_SETTINGS)
        super().__init__(*args, **kwargs)
        self.params.extend(_common_options())

    def invoke(self, ctx: click.Context) -> Any:
        session = ctx.ensure_object(Session)
        session.adopt({name: ctx.params.pop(name) for name in Session.OPTIONS}, ctx)
        ctx.params.pop("config")
        if ctx.params.pop("show_config"):
            from auditkit.cli.config import show_settings

            session.print(show_settings(ctx, session))
            return EXIT_OK
        try:
            return super().invoke(ctx)
        except InputError as error:
            from auditkit.cli._errors import name_option

            raise name_option(error, ctx) from error


Decorator = Callable[[Any], Any]


def alpha_option(words: str) -> Decorator:
    """``--alpha`` with what 1 - alpha is."""
    return click.option(
        "--alpha", cls=Option, type=float, default=0.05, show_default=True, metavar="A", help=words
    )


def gate_options(example: str) -> Decorator:
    """``--fail-on`` with an example of its expressions, and ``--undecided``."""
    fail_on = click.option(
        "--fail-on",
        cls=Option,
        type=Text(),
        multiple=True,
        metavar="EXPR",
        help=f"Exit with 1 if this holds, for example {example}. May be repeated.",
    )
    undecided = click.option(
        "--undecided",
        cls=Option,
        type=click.Choice(["pass", "fail"]),
        help="Exit with 0 or 1 instead of 4 when the data cannot decide.",
    )
    return lambda function: fail_on(undecided(function))


def report_option(words: str = "Write a report") -> Decorator:
    """``--report``, which may be repeated."""
    return click.option(
        "--report",
        cls=Option,
        type=Text(),
        multiple=True,
        metavar="FILE",
        help=f"{words}: .html, .md or .json. May be repeated.",
    )


def run_options(seed: str) -> Decorator:
    """``--seed`` with what it is of, and ``--jobs``."""
    of_seed = click.option("--seed", cls=Option, type=int, metavar="N", help=seed)
    jobs = click.option(
        "--jobs",
        cls=Option,
        type=Jobs(),
        default="auto",
        show_default=True,
        metavar="N|auto",
        help="Threads; results never depend on it.",
    )
    return lambda function: of_seed(jobs(function))


def _common_options() -> list[click.Parameter]:
    return [
        Option(
            ["--format", "output_format"],
            type=click.Choice(FORMATS),
            default="text",
            show_default=True,
            help="What standard output carries; with json and jsonl errors are JSON too, on standard error.",
        ),
        CommandLineOption(
            ["--config"],
            type=click.Path(),
            metavar="FILE",
            is_eager=True,
            callback=_load_config,
            help="Options from this file instead of auditkit.toml or [tool.auditkit] of pyproject.toml.",
        ),
        CommandLineOption(
            ["--show-config"],
            is_flag=True,
            help="Print every option with its value and origin; do nothing else.",
        ),
        Option(["-q", "--quiet"], is_flag=True, help="No progress and no warnings on standard error."),
        Option(["-v", "--verbose"], count=True, help="Say more; -vv shows tracebacks."),
        Option(["--no-color"], is_flag=True, help="No colour, whatever the terminal can do."),
    ]


def _load_config(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    from auditkit.cli.config import apply_config

    apply_config(ctx, value)
    return value


class Session:
    """The two streams of one run: results to standard output, everything else to standard error."""

    OPTIONS = ("output_format", "quiet", "verbose", "no_color")

    def __init__(
        self, *, output_format: str = "text", quiet: bool = False, verbose: int = 0, no_color: bool = False
    ):
        self.output_format = output_format
        self.quiet = quiet
        self.verbose = verbose
        self.no_color = no_color

    @classmethod
    def guess(cls, arguments: Sequence[str]) -> Session:
        """What the raw arguments say about errors that come before the options are understood."""
        wanted = "text"
        for i, argument in enumerate(arguments):
            if argument == "--format" and arguments[i + 1 : i + 2]:
                wanted = arguments[i + 1]
            elif argument.startswith("--format="):
                wanted = argument.removeprefix("--format=")
        known = wanted if wanted in FORMATS else "text"
        return cls(output_format=known, verbose=2 if "-vv" in arguments else 0)

    def adopt(self, values: dict[str, Any], ctx: click.Context) -> None:
        """Take over the parsed common options."""
        for name, value in values.items():
            setattr(self, name, value)
        source = ctx.meta.get(CONFIG_ORIGINS)
        if source and self.verbose:
            self.complain(f"options from {', '.join(sorted(set(source.values())))}", label="note")

    # -- standard output

    def print(self, text: str) -> None:
        """A piece of the result."""
        click.echo(text)

    def event(self, event: str, **fields: Any) -> None:
        """One line of ``--format jsonl``."""
        import json

        click.echo(json.dumps({"event": event, **fields}, ensure_ascii=False, allow_nan=False))
        sys.stdout.flush()

    @property
    def color(self) -> bool:
        """Whether standard output wants colour."""
        environment = os.environ
        if self.no_color or environment.get("NO_COLOR") or environment.get("TERM") == "dumb":
            return False
        if environment.get("FORCE_COLOR"):
            return True
        return not environment.get("CI") and sys.stdout.isatty()

    @property
    def width(self) -> int:
        """Columns for text: those of the terminal between 60 and 120, 80 where there is none."""
        return min(max(terminal_columns(), 60), 120)

    # -- standard error

    def complain(self, text: str, *, label: str = "note") -> None:
        """A line for the reader, unless ``-q``."""
        if not self.quiet:
            click.echo(f"{label}: {show(text, 400)}", err=True)

    def fail(self, failure: Failure, error: Exception) -> None:
        """An error as line and hint, or as an object where JSON was asked for; its traceback with ``-vv``."""
        if self.output_format == "text":
            click.echo(f"error: {failure.message}", err=True)
            if failure.hint:
                click.echo(f"hint: {show(failure.hint, 400)}", err=True)
        else:
            import json

            fields = {
                "id": failure.id,
                "message": failure.message,
                "hint": failure.hint,
                "exit_code": failure.code,
            }
            click.echo(json.dumps({"error": fields}, ensure_ascii=False), err=True)
        if self.verbose >= 2:
            import traceback

            click.echo("".join(traceback.format_exception(error)), err=True, nl=False)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A reporter of progress to hand to a long call."""
        progress = Progress(self)
        try:
            yield progress
        finally:
            progress.close()


class Progress:
    """Called with (phase, done, total): bars on a terminal, else a line every ten seconds; jsonl events."""

    QUIET_SECONDS = 0.5
    LINE_SECONDS = 10.0

    def __init__(self, session: Session):
        self._session = session
        self._started = self._last = time.monotonic()
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        if self._session.output_format == "jsonl":
            self._session.event("progress", phase=phase, done=done, total=total)
        if self._session.quiet:
            return
        if sys.stderr.isatty():
            self._draw(phase, done, total)
        elif time.monotonic() - self._last >= self.LINE_SECONDS:
            self._last = time.monotonic()
            click.echo(f"{show(phase)} {done:,}/{total:,}", err=True)

    def _draw(self, phase: str, done: int, total: int) -> None:
        """Bars appear once a call takes longer than a blink, since drawing them needs another library."""
        if self._bars is None:
            if time.monotonic() - self._started < self.QUIET_SECONDS:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (
                TextColumn("{task.description:>12}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            console = Console(stderr=True, no_color=self._session.no_color or None)
            self._bars = Bars(*columns, console=console, refresh_per_second=8)
            self._bars.start()
        if phase not in self._tasks:
            self._tasks[phase] = self._bars.add_task(show(phase), total=total)
        self._bars.update(self._tasks[phase], completed=done, total=total)

    def close(self) -> None:
        """Remove what is drawn."""
        if self._bars is not None:
            self._bars.stop()


def repeat_command(ctx: click.Context, **replacements: Any) -> str:
    """A command line that repeats this run whatever files and variables say: all that is not a default.

    Parameters
    ----------
    ctx : click.Context
        Of the verb; common options and report files are left out.
    **replacements
        Values by parameter that became known later, such as a drawn seed.
    """
    import shlex

    words = ["auditkit", ctx.command.name or ""]
    values = {**ctx.params, **replacements}
    for param in ctx.command.params:
        value = values.get(param.name or "")
        if param.name == "report" or value is None or value is False or value == param.default:
            continue
        flag = [f"--{param.key}"] if isinstance(param, Option) else []
        if param.nargs > 1:
            words += [*flag, *map(str, value)]
            continue
        for item in value if isinstance(value, tuple) else (value,):
            words += flag if item is True else [*flag, str(item)]
    return shlex.join(words)


def exit_code(verdict: Verdict, undecided: str | None) -> int:
    """2 for an invalid design; else what the conditions say, and 0 where there are none."""
    if verdict.status == "invalid-design":
        return EXIT_USAGE
    outcomes = [condition.value for condition in verdict.conditions]
    if True in outcomes:
        return EXIT_FINDING
    if None in outcomes:
        return {"pass": EXIT_OK, "fail": EXIT_FINDING, None: EXIT_UNDECIDED}[undecided]
    return EXIT_OK
