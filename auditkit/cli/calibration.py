"""``auditkit calibration``: do a model's probabilities and intervals mean what they say?"""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._common import (
    Option,
    Session,
    Verb,
    alpha_option,
    exit_code,
    gate_options,
    repeat_command,
    report_option,
    run_options,
)


@click.command("calibration", cls=Verb)
@click.argument("predictions", required=False, type=click.Path())
@click.option("--bins", cls=Option, type=int, metavar="B", help="Bins of probabilities; 15 if left out.")
@click.option(
    "--replicates",
    cls=Option,
    type=int,
    metavar="R",
    help="Samples of perfect predictions for p-values; 999 if left out.",
)
@click.option(
    "--target", cls=Option, type=float, metavar="C", help="Coverage that was promised; 0.9 if left out."
)
@click.option(
    "--n-calibration",
    cls=Option,
    type=int,
    metavar="N",
    help="Rows that split conformal intervals were calibrated on.",
)
@alpha_option("The error allowed: intervals hold with probability 1 - alpha.")
@gate_options("'p_adjusted<0.05' or 'coverage<0.9'")
@report_option()
@run_options("Seed of the null samples; drawn and recorded if left out.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    predictions: str | None,
    report: tuple[str, ...],
    fail_on: tuple[str, ...],
    undecided: str | None,
    jobs: int | str,
    **asked: Any,
) -> int:
    """Do probabilities and intervals mean what they say?

    PREDICTIONS is .npz or .csv with what a model said of rows that it was not
    fitted on, and what came true: probabilities and labels; or lower, upper
    and y; or mean, sd and y. A column groups asks the same of each group.

    \b
    Example:
      auditkit calibration predictions.npz --report calibration.html
      auditkit calibration predictions.npz --fail-on 'p_adjusted<0.05'
    """
    from auditkit.cli._calibration import compute_audit, read_file
    from auditkit.cli._reports import check_reports, publish

    session: Session = ctx.obj
    check_reports(report, [predictions] if predictions else [])

    read = read_file(predictions, asked)

    from auditkit.results import json_ready
    from auditkit.runtime import set_num_threads
    from auditkit.uncertainty.conditions import judged, parse_conditions

    conditions = parse_conditions(fail_on, coverage=read.question != "probabilities")
    if isinstance(jobs, int):
        set_num_threads(jobs)
    with session.progress() as progress:
        result = judged(compute_audit(read, predictions or "", asked, progress), conditions)
    given = {name: value for name, value in asked.items() if value is not None}
    settings = json_ready({**result.settings, **given})
    settings |= {"fail_on": list(fail_on), "command": repeat_command(ctx, seed=result.seed)}
    inputs = {"data": [read.file.identity]}
    publish(session, {**result.to_dict(), "inputs": inputs, "settings": settings}, report)
    assert result.verdict is not None
    return exit_code(result.verdict, undecided)
