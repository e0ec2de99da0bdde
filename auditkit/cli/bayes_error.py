"""``auditkit bayes-error``: how low can anyone's error go on this task, and is a model's error too good to be true?"""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._common import (
    CommandLineOption,
    Option,
    Session,
    Text,
    Verb,
    alpha_option,
    exit_code,
    gate_options,
    repeat_command,
    report_option,
    run_options,
)


@click.command("bayes-error", cls=Verb)
@click.argument("data", required=False, type=click.Path())
@click.option("--method", cls=Option, type=Text(), metavar="NAME", help="portfolio if left out, or a member.")
@click.option("--soft", cls=Option, is_flag=True, help="DATA holds true class probabilities as soft.")
@click.option(
    "--learning-curve", cls=Option, is_flag=True, help="Also extrapolate the error to endless data."
)
@click.option(
    "--label", cls=Option, type=Text(), metavar="NAME", help="Column of the classes in a .csv; y if left out."
)
@click.option(
    "--predictions",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="What the model says of DATA: .npy, .npz or .csv. It must never have seen DATA.",
)
@click.option(
    "--model-errors",
    cls=Option,
    metavar="E,M",
    help="Errors of the model among M fresh points: 31,1000.",
)
@click.option(
    "--model",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="The model itself: weights with --arch, or .joblib.",
)
@click.option(
    "--arch",
    cls=CommandLineOption,
    type=Text(),
    metavar="MODULE:FUNCTION",
    help="Your function that makes the network, net.py:make.",
)
@click.option(
    "--trust",
    cls=CommandLineOption,
    is_flag=True,
    help="Open a .joblib or .pkl file, which runs code that it holds.",
)
@click.option(
    "--floor", cls=Option, type=float, metavar="B", help="A Bayes error that is known to be exceeded by none."
)
@alpha_option("The error allowed: certified ends hold with probability 1 - alpha.")
@gate_options("'upper<0.01' or 'p_floor<0.05'")
@report_option()
@run_options("Seed of folds and models; drawn and recorded if left out.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    data: str | None,
    report: tuple[str, ...],
    fail_on: tuple[str, ...],
    undecided: str | None,
    jobs: int | str,
    **asked: Any,
) -> int:
    """How low can anyone's error go on this task?

    An estimate of the Bayes error with a certified upper end, from labelled
    rows: DATA is .npz with X and y, and groups where rows belong together, or
    .csv with a column y. With the errors of a model: is it too good to be
    true, or worse than need be? No certified lower end exists without true
    class probabilities.

    \b
    Example:
      auditkit bayes-error data.npz --report bayes.html
      auditkit bayes-error data.npz --model-errors 31,1000 \\
        --fail-on 'p_under_fit<0.05'
    """
    from auditkit.cli._bayes import check_estimate_options, compute_estimate
    from auditkit.cli._reports import check_reports, publish

    session: Session = ctx.obj
    check_estimate_options(data, asked)
    check_reports(report, [path for path in (data, asked["predictions"], asked["model"]) if path])

    from auditkit.bayes_error.conditions import judged, parse_conditions
    from auditkit.results import json_ready
    from auditkit.runtime import set_num_threads

    conditions = parse_conditions(fail_on)
    if isinstance(jobs, int):
        set_num_threads(jobs)
    with session.progress() as progress:
        result, model, sources = compute_estimate(data or "", asked, progress)
    result = judged(result, conditions, model)
    settings = {name: json_ready(value) for name, value in asked.items() if value is not None}
    settings |= {"fail_on": list(fail_on), "command": repeat_command(ctx, seed=result.seed)}
    publish(session, {**result.to_dict(), "inputs": sources, "settings": settings}, report)
    assert result.verdict is not None
    return exit_code(result.verdict, undecided)
