"""``auditkit protect``: perturb rows within a budget so that classes overlap, and say truthfully what that buys."""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._common import (
    Option,
    Session,
    Text,
    Verb,
    exit_code,
    gate_options,
    repeat_command,
    report_option,
    run_options,
)


@click.command("protect", cls=Verb)
@click.argument("data", required=False, type=click.Path())
@click.option(
    "--out", "-o", cls=Option, type=click.Path(), metavar="FILE.npz", help="Where the protected rows go."
)
@click.option(
    "--eps",
    cls=Option,
    type=Text(),
    default="8/255",
    show_default=True,
    metavar="E",
    help="The largest move of a row.",
)
@click.option(
    "--norm",
    cls=Option,
    type=click.Choice(["linf", "l2", "l1"]),
    default="linf",
    show_default=True,
    help="How moves are measured.",
)
@click.option(
    "--steps", cls=Option, type=int, default=60, show_default=True, metavar="N", help="Steps of the ascent."
)
@click.option(
    "--quantize",
    cls=Option,
    type=int,
    metavar="L",
    help="Emit multiples of 1/L: 255 for 8-bit images. The budget is kept to the last bit.",
)
@click.option(
    "--box",
    cls=Option,
    type=float,
    nargs=2,
    metavar="LO HI",
    help="Limits of every value; 0 1 if left out.",
)
@click.option(
    "--test",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="Clean rows of nobody: models trained on protected rows are tried on them.",
)
@click.option(
    "--label", cls=Option, type=Text(), metavar="NAME", help="Column of the classes in a .csv; y if left out."
)
@gate_options("'score_after<0.1'")
@report_option()
@run_options("Seed of folds and models; drawn and recorded if left out.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    data: str | None,
    out: str | None,
    report: tuple[str, ...],
    fail_on: tuple[str, ...],
    undecided: str | None,
    jobs: int | str,
    **asked: Any,
) -> int:
    """Perturb data so that classes overlap: what does that buy?

    Moves every row of DATA (.npz with X and y, or .csv) within a budget so
    that the estimated Bayes error rises, and reports beside it what any such
    move can reach at most. A higher estimate does not make the data useless
    to train on: --test shows what models still learn from it.

    \b
    Example:
      auditkit protect data.npz --out protected.npz --eps 0.1 --steps 5
    """
    from auditkit.cli._bayes import compute_protection, write_protected
    from auditkit.cli._reports import check_output, check_reports, publish
    from auditkit.errors import InputError

    session: Session = ctx.obj
    if data is None:
        hint = "auditkit protect data.npz --out protected.npz"
        raise InputError("DATA: required, a file of labelled rows", id="AK-CL-011", hint=hint)
    if out is None:
        raise InputError("--out: required, where the protected rows go", id="AK-CL-011")
    inputs = [path for path in (data, asked["test"]) if path]
    check_reports(report, inputs)
    check_output("--out", out, inputs)

    from auditkit.bayes_error.conditions import judged, parse_conditions
    from auditkit.results import json_ready
    from auditkit.runtime import set_num_threads

    conditions = parse_conditions(fail_on, protection=True)
    if isinstance(jobs, int):
        set_num_threads(jobs)
    with session.progress() as progress:
        result, sources, read = compute_protection(data, asked, progress)
    result = judged(result, conditions)
    settings = {name: json_ready(value) for name, value in asked.items() if value is not None}
    settings |= {"fail_on": list(fail_on), "command": repeat_command(ctx, seed=result.seed)}
    found = {**result.to_dict(), "inputs": sources, "settings": {**result.settings, **settings}}
    write_protected(out, result, read)
    publish(session, found, report)
    assert result.verdict is not None
    return exit_code(result.verdict, undecided)
