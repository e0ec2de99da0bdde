"""``auditkit dp-estimate``: from outcomes of a membership attack to what may be said about epsilon."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from auditkit.cli._common import (
    EXIT_FINDING,
    EXIT_OK,
    EXIT_UNDECIDED,
    EXIT_USAGE,
    Jobs,
    Option,
    Session,
    Text,
    Verb,
    repeat_command,
)
from auditkit.errors import InputError, show

if TYPE_CHECKING:
    from auditkit.privacy.evidence import Evidence
    from auditkit.results import DPEstimate

DESIGNS = ("independent", "one-run", "post-hoc")
DESIGN_HINT = (
    "one-run: fair coins over canaries of one training run; independent: one training run, or one "
    "independent draw, a unit; post-hoc: membership was not randomised by you"
)
EVIDENCE_HINT = "give --scores FILE --design one-run|independent|post-hoc, or --counts TP,FN,FP,TN"
COUNTS_HINT = "members guessed in, members guessed out, non-members guessed in, non-members guessed out"
COUNT_LIMIT = 10**9


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
    "--delta", cls=Option, type=float, metavar="D", help="The delta at which epsilon is read. Required."
)
@click.option(
    "--alpha",
    cls=Option,
    type=float,
    default=0.05,
    show_default=True,
    metavar="A",
    help="The error allowed: 1 - alpha is the confidence.",
)
@click.option("--claimed-epsilon", cls=Option, type=float, metavar="E", help="The epsilon that was promised.")
@click.option(
    "--inference",
    cls=Option,
    type=Text(),
    multiple=True,
    metavar="NAME",
    help="Compute only this bound beside the headline, not all that apply. May be repeated.",
)
@click.option(
    "--fail-on",
    cls=Option,
    type=Text(),
    multiple=True,
    metavar="EXPR",
    help="Exit with 1 if this holds, for example 'epsilon_lower>2'. May be repeated.",
)
@click.option(
    "--undecided",
    cls=Option,
    type=click.Choice(["pass", "fail"]),
    help="Exit with 0 or 1 instead of 4 when the data cannot decide.",
)
@click.option(
    "--report",
    cls=Option,
    type=Text(),
    multiple=True,
    metavar="FILE",
    help="Write a report: .html, .md or .json. May be repeated.",
)
@click.option(
    "--seed",
    cls=Option,
    type=int,
    metavar="N",
    help="Seed of all random choices; drawn and recorded if left out.",
)
@click.option(
    "--jobs",
    cls=Option,
    type=Jobs(),
    default="auto",
    show_default=True,
    metavar="N|auto",
    help="Threads; results never depend on it.",
)
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
    attack saw. MODEL, if given, is only hashed, never opened: a weights file
    alone holds no evidence.

    \b
    Example:
      auditkit dp-estimate model.pt --scores canaries.npz --design one-run \\
        --delta 1e-5 --claimed-epsilon 2 --fail-on 'epsilon_lower>2' \\
        --report audit.html
    """
    from auditkit.cli._reports import check_reports, publish

    session: Session = ctx.obj
    delta = _check_options(model, delta, **source)
    check_reports(report, [path for path in (model, source["scores"]) if path and path != "-"])

    from dataclasses import replace

    from auditkit.privacy import dp_estimate
    from auditkit.privacy.conditions import parse_condition
    from auditkit.runtime import set_num_threads

    for expression in fail_on:
        parse_condition(expression)
    if isinstance(jobs, int):
        set_num_threads(jobs)
    evidence = _evidence(**source)
    fingerprint = {} if model is None else {"model": _fingerprint(model)}
    with session.progress() as progress:
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
    result = replace(result, inputs={**result.inputs, **fingerprint}, settings=settings)
    publish(session, result.to_dict(), report)
    return exit_code(result, undecided)


def exit_code(result: DPEstimate, undecided: str | None) -> int:
    """2 for an invalid design; else what the conditions say, and 0 where there are none."""
    if result.verdict.status == "invalid-design":
        return EXIT_USAGE
    outcomes = [condition.value for condition in result.verdict.conditions]
    if True in outcomes:
        return EXIT_FINDING
    if None in outcomes:
        return {"pass": EXIT_OK, "fail": EXIT_FINDING, None: EXIT_UNDECIDED}[undecided]
    return EXIT_OK


def parse_counts(text: str) -> tuple[int, int, int, int]:
    """Four whole numbers from 0 to 1e9 between commas; anything else is an InputError that says what came."""
    fields = [field.strip(" ") for field in text.split(",")]
    if len(fields) != 4:
        raise InputError(
            f"--counts: must be four numbers TP,FN,FP,TN, not {len(fields)}: {show(repr(text))}",
            id="AK-CL-009",
            hint=COUNTS_HINT,
        )
    for name, field in zip(("TP", "FN", "FP", "TN"), fields, strict=True):
        if not re.fullmatch(r"[0-9]{1,10}", field) or int(field) > COUNT_LIMIT:
            raise InputError(
                f"--counts: {name} must be a whole number from 0 to {COUNT_LIMIT:,}, not {show(repr(field))}",
                id="AK-CL-009",
                hint=COUNTS_HINT,
            )
    tp, fn, fp, tn = map(int, fields)
    return tp, fn, fp, tn


def _check_options(
    model: str | None,
    delta: float | None,
    *,
    scores: str | None,
    counts: str | None,
    design: str | None,
    canaries: int | None,
    direction_fixed: bool,
) -> float:
    """Exactly one source of evidence, with the options that belong to it, and a delta, which is returned."""
    if model is not None:
        _check_model(model)
    if scores is None and counts is None:
        what = (
            f"{show(model)}: a weights file alone holds no evidence" if model else "evidence: none was given"
        )
        raise InputError(what, id="AK-CL-005", path=model, hint=EVIDENCE_HINT)
    if scores is not None and counts is not None:
        raise InputError(
            "--scores and --counts: only one of them may be given", id="AK-CL-005", hint=EVIDENCE_HINT
        )
    if scores is not None and design is None:
        raise InputError(
            "--design: required with --scores, no default could be right", id="AK-CL-010", hint=DESIGN_HINT
        )
    for name, given in (("--canaries", canaries is not None), ("--direction-fixed", direction_fixed)):
        if given and scores is not None:
            raise InputError(f"{name}: belongs to --counts, not to --scores", id="AK-CL-006")
    if delta is None:
        hint = "give the delta of the claim, for example --delta 1e-5"
        raise InputError("--delta: required, it has no default", id="AK-CL-011", hint=hint)
    return delta


def _evidence(*, scores: str | None, counts: str | None, design: Any, **of_counts: Any) -> Evidence:
    from auditkit.privacy import Evidence

    if scores is not None:
        return Evidence.from_file(scores, design=design)
    return Evidence.from_counts(*parse_counts(counts or ""), design=design or "independent", **of_counts)


def _check_model(model: str) -> None:
    from auditkit.io.fingerprint import require_file

    if model == "-":
        raise InputError(
            "MODEL: a model is never read from standard input", id="AK-CL-012", hint="name its file"
        )
    require_file(model)


def _fingerprint(model: str) -> dict[str, Any]:
    from auditkit.io.fingerprint import fingerprint

    found = fingerprint(model)
    name = os.path.basename(model)  # noqa: PTH119 (pathlib would double the time to start)
    return {"name": name, "sha256": found.sha256, "bytes": found.bytes}
