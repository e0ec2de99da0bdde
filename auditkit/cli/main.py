"""The entry point: knows the verbs by name, loads the one asked for, turns every ending into an exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

import auditkit
from auditkit.cli._common import (
    CONTEXT_SETTINGS,
    EXIT_OK,
    EXIT_USAGE,
    HELP_COLUMNS,
    Session,
    terminal_columns,
)

VERBS = {
    "dp-estimate": "How much privacy does a model really leak?",
    "batch-pi": "What can be said of a whole batch of unseen points?",
    "bayes-error": "How low can anyone's error go on this task?",
    "protect": "Perturb data so that classes overlap: what does that buy?",
    "calibration": "Do probabilities and intervals mean what they say?",
    "plan": "How many canaries or runs does an audit need?",
    "demo": "Audit the shipped example, offline, in seconds.",
    "doctor": "What works on this machine?",
}
"""Verbs and their one-line helps; the module of a verb is only imported when the verb is used."""

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM, raised in the main thread so that temporary files are removed on the way out."""


class Verbs(click.Group):
    """The group of all verbs, which imports none of them before it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        import importlib

        command: click.Command = importlib.import_module(f"auditkit.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            from auditkit.cli._errors import unknown_verb

            raise unknown_verb(args[0], list(VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command line and leave with its exit code; every failure is one line on standard error.

        click's own `main` is only used to complete words for a shell: it ends with 1 when standard output is
        closed, which is the code of a finding here.
        """
        if "_AUDITKIT_COMPLETE" in os.environ:
            super().main(prog_name="auditkit")
        arguments = list(sys.argv[1:] if args is None else args)
        width = max(min(terminal_columns(), HELP_COLUMNS) - 2, 50)
        sys.exit(_run(self, arguments, {"terminal_width": width, **extra, "info_name": "auditkit"}))


@click.group(
    cls=Verbs,
    context_settings=CONTEXT_SETTINGS,
    no_args_is_help=False,
    subcommand_metavar="VERB [OPTIONS] ...",
    options_metavar="",
    epilog="Exit codes: 0 done, 1 a --fail-on condition is true, 2 bad input, 3 auditkit failed, "
    "4 the data cannot decide.",
)
@click.version_option(auditkit.__version__, message="auditkit %(version)s")
def cli() -> None:
    """Audits trained models: what they leak, and how far they can be trusted.

    \b
    Example:
      auditkit demo
      auditkit dp-estimate --counts 612,1388,31,1969 --delta 1e-5
    """


def _run(group: click.Group, arguments: list[str], extra: dict[str, Any]) -> int:
    session = Session.guess(arguments)
    try:
        return _invoke(group, arguments, {**extra, "obj": session})
    except BrokenPipeError:
        _discard_output()
        return EXIT_BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort):
        session.complain("stopped by Ctrl-C: nothing was concluded")
        return EXIT_INTERRUPTED
    except Terminated:
        return EXIT_TERMINATED
    except Exception as error:
        return _fail(session, error)


def _invoke(group: click.Group, arguments: list[str], extra: dict[str, Any]) -> int:
    try:
        with group.make_context(args=arguments, **extra) as context:
            if not arguments:
                click.echo(context.get_help(), err=True)
                return EXIT_USAGE
            code = group.invoke(context)
    except click.exceptions.Exit as end:  # --help and --version
        code = end.exit_code
    sys.stdout.flush()
    return code if isinstance(code, int) else EXIT_OK


def _fail(session: Session, error: Exception) -> int:
    from auditkit.cli._errors import explain

    failure = explain(error)
    try:
        session.fail(failure, error)
    except BrokenPipeError:
        _discard_output()
    return failure.code


def _discard_output() -> None:
    """Nobody reads any more: send what is still buffered nowhere, so that the interpreter ends silently."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def main() -> NoReturn:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminate)
    cli.main()
