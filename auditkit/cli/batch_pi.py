"""``auditkit batch-pi``: from calibration scores to what may be said of a whole batch of unseen points."""

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

STATISTICS = ("mean", "median", "quantile", "pac", "select")
ORDERINGS = ("auto", "rank_sum", "shape", "sum_max", "band", "partition")


@click.command("batch-pi", cls=Verb)
@click.argument("scores", required=False, type=click.Path())
@click.option(
    "--m", cls=Option, type=int, metavar="N", help="Points of the batch. Required, but for a selection."
)
@click.option(
    "--statistic",
    cls=Option,
    type=click.Choice(STATISTICS),
    default="mean",
    show_default=True,
    help="What of the batch is bounded; pac: a threshold that most of it keeps; select: candidates.",
)
@click.option(
    "--quantile", cls=Option, type=float, metavar="Q", help="With quantile: which one, 0.9 for the 90% one."
)
@click.option(
    "--zeta", cls=Option, type=int, metavar="Z", help="With quantile: which of the sorted batch, 1 to m."
)
@click.option(
    "--delta", cls=Option, type=float, metavar="D", help="With pac: share of the batch that may exceed."
)
@click.option(
    "--eta",
    cls=Option,
    type=int,
    metavar="N",
    help="With select: selected candidates that may fail the wish; 0 if left out.",
)
@alpha_option("The error allowed: the set holds the truth with probability 1 - alpha.")
@click.option(
    "--limits",
    cls=Option,
    type=float,
    nargs=2,
    metavar="LO HI",
    help="Known limits of every score; -inf or inf for none.",
)
@click.option(
    "--side",
    cls=Option,
    type=click.Choice(["two", "upper", "lower"]),
    help="Which ends are wanted; two if left out.",
)
@click.option(
    "--ordering",
    cls=Option,
    type=click.Choice(ORDERINGS),
    help="With mean: how ranks are bounded; auto if left out.",
)
@click.option(
    "--reference",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="With mean: scores that are neither calibration nor batch, .npy, .npz or .csv.",
)
@click.option(
    "--tails",
    cls=Option,
    type=click.Choice(["equal", "shortest"]),
    help="With median, quantile: the error of each side; equal if left out.",
)
@click.option(
    "--output",
    cls=Option,
    type=click.Path(),
    metavar="FILE.npz",
    help="With select: write mask and threshold here.",
)
@gate_options("'upper>0.5' or 'selected<10'")
@report_option()
@run_options("With mean: seed of random choices; drawn and recorded if left out.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    scores: str | None,
    report: tuple[str, ...],
    fail_on: tuple[str, ...],
    undecided: str | None,
    jobs: int | str,
    output: str | None,
    **asked: Any,
) -> int:
    """What can be said of a whole batch of unseen points?

    A prediction set for the mean, median or a quantile of the next m scores,
    a threshold that most of them keep, or a selection with few false claims,
    from calibration scores: SCORES is .npy, .npz or .csv with scores, or -
    for CSV on standard input. With select, .npz with mu, null and test.

    \b
    Example:
      auditkit batch-pi scores.npy --m 20 --statistic mean --report r.html
      auditkit batch-pi scores.npy --m 20 --statistic quantile \\
        --quantile 0.9 --side upper --fail-on 'upper>5'
    """
    from auditkit.cli._batch import check_options, compute, write_selection
    from auditkit.cli._reports import check_output, check_reports, publish

    session: Session = ctx.obj
    statistic = asked["statistic"]
    check_options(scores, asked, output)
    inputs = [path for path in (scores, asked["reference"]) if path]
    check_reports(report, inputs)
    check_output("--output", output, inputs)

    from auditkit.batchpi.conditions import judged, parse_conditions
    from auditkit.results import json_ready
    from auditkit.runtime import set_num_threads

    conditions = parse_conditions(fail_on, selection=statistic == "select")
    if isinstance(jobs, int):
        set_num_threads(jobs)
    result, sources = compute(scores or "", asked, pictures=bool(report))
    result = judged(result, conditions)
    settings = {name: json_ready(value) for name, value in asked.items() if value is not None}
    seed = result.to_dict()["seed"]
    settings |= {"fail_on": list(fail_on), "command": repeat_command(ctx, seed=seed)}
    found = {**result.to_dict(), "inputs": sources, "settings": settings}
    if output is not None:
        write_selection(output, result)
    publish(session, found, report)
    assert result.verdict is not None
    return exit_code(result.verdict, undecided)
