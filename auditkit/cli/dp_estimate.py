"""``auditkit dp-estimate``: from outcomes of a membership attack to what may be said about epsilon."""

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

DESIGNS = ("independent", "one-run", "post-hoc")


@click.command("dp-estimate", cls=Verb)
@click.argument("model", required=False, type=click.Path())
@click.option(
    "--scores",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="Attack scores, .npz or .csv: scores, bits (1: member) and optionally unit; - reads CSV from "
    "standard input.",
)
@click.option(
    "--counts",
    cls=Option,
    type=Text(),
    metavar="TP,FN,FP,TN",
    help="Outcomes of an attack whose threshold was fixed beforehand.",
)
@click.option(
    "--design",
    cls=Option,
    type=click.Choice(DESIGNS),
    help="How membership came about. Required with --scores; independent if left out with --counts.",
)
@click.option(
    "--canaries",
    cls=Option,
    type=int,
    metavar="M",
    help="With --counts: all canaries of a one-run audit, those without a guess included.",
)
@click.option(
    "--direction-fixed",
    cls=Option,
    is_flag=True,
    help="With --counts: it was settled beforehand that high scores mean members.",
)
@click.option(
    "--members",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="Records that MODEL was trained on, .npz with X, y and optionally unit. With --nonmembers and --arch.",
)
@click.option(
    "--nonmembers",
    cls=Option,
    type=click.Path(),
    metavar="FILE",
    help="Records drawn alike that MODEL was not trained on.",
)
@click.option(
    "--arch",
    cls=CommandLineOption,
    type=Text(),
    metavar="MODULE:FUNCTION",
    help="Your function that makes the network, net.py:make. With a manifest: score the canaries anew.",
)
@click.option(
    "--train",
    cls=CommandLineOption,
    type=Text(),
    metavar="MODULE:FUNCTION",
    help="Your function (X, y, seed) that trains and returns a model. With --data.",
)
@click.option(
    "--data", cls=Option, type=click.Path(), metavar="FILE", help="With --train: .npz with X and y."
)
@click.option(
    "--models",
    cls=Option,
    type=int,
    metavar="N",
    help="With --train: trainings to run; 64 if left out.",
)
@click.option(
    "--attack",
    cls=Option,
    type=Text(),
    metavar="NAME,...",
    help="With --members: loss,logit,confidence. With --train: lira,rmia.",
)
@click.option(
    "--engine",
    cls=Option,
    type=click.Choice(["local", "processes"]),
    help="With --train: where the trainings run; local if left out.",
)
@click.option(
    "--journal",
    cls=Option,
    type=click.Path(),
    metavar="DIR",
    help="With --train: finished trainings are kept here, and a second start goes on from them.",
)
@click.option(
    "--deterministic",
    cls=Option,
    is_flag=True,
    help="With --train: accept a training that gives the same model whatever its seed.",
)
@click.option(
    "--delta",
    cls=Option,
    type=float,
    metavar="D",
    help="The delta at which epsilon is read. Required unless the manifest has it.",
)
@alpha_option("The error allowed: 1 - alpha is the confidence.")
@click.option("--claimed-epsilon", cls=Option, type=float, metavar="E", help="The epsilon that was promised.")
@click.option(
    "--inference",
    cls=Option,
    type=Text(),
    multiple=True,
    metavar="NAME",
    help="Compute only this bound beside the headline, not all that apply. May be repeated.",
)
@gate_options("'epsilon_lower>2'")
@report_option()
@run_options("Seed of all random choices; drawn and recorded if left out.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    model: str | None,
    report: tuple[str, ...],
    undecided: str | None,
    jobs: int | str,
    delta: float | None,
    inference: tuple[str, ...],
    alpha: float,
    claimed_epsilon: float | None,
    fail_on: tuple[str, ...],
    seed: int | None,
    **source: Any,
) -> int:
    """How much privacy does a model really leak?

    A lower bound on epsilon with its confidence, from what a membership
    attack saw. A weights file alone holds no evidence: MODEL.audit, which
    was written while the model was trained, does, and so do the options
    --scores, --counts, --members and --train.

    \b
    Example:
      auditkit dp-estimate model.pt --fail-on 'epsilon_lower>2' \\
        --report audit.html
      auditkit dp-estimate --scores canaries.npz --design one-run \\
        --delta 1e-5 --claimed-epsilon 2
    """
    from auditkit.cli._evidence import Sources, collect, input_files
    from auditkit.cli._reports import check_reports, publish

    session: Session = ctx.obj
    sources = Sources(model=model, **source)
    kind = sources.kind(delta)
    check_reports(report, input_files(sources))

    from dataclasses import replace

    from auditkit.privacy import dp_estimate
    from auditkit.privacy.conditions import parse_condition
    from auditkit.runtime import set_num_threads

    for expression in fail_on:
        parse_condition(expression)
    if isinstance(jobs, int):
        set_num_threads(jobs)
    with session.progress() as progress:
        evidence = collect(sources, kind, seed=seed, progress=progress)
        result = dp_estimate(
            evidence,
            delta=delta,
            alpha=alpha,
            claimed_epsilon=claimed_epsilon,
            inference=inference or None,
            seed=seed,
            fail_on=fail_on,
            progress=progress,
        )
    settings = {**result.settings, "command": repeat_command(ctx, seed=result.seed)}
    result = replace(result, settings=settings)
    publish(session, result.to_dict(), report)
    return exit_code(result.verdict, undecided)
