"""``auditkit demo``: the main job on shipped data, and the commands to do the same on one's own."""

from __future__ import annotations

import os
from typing import Any

import click

from auditkit.cli._common import EXIT_OK, Option, Session, Text, Verb

DEFAULT_REPORT = "auditkit-demo.html"
DELTA = 1e-5
SEED = 0

INTRODUCTION = """\
The demo audits a random forest that learned images of handwritten digits. {canaries}
records got a wrong label (canaries); a fair coin decided for each whether the
forest saw it. Of the {included} that it saw, it answers {true_digit:.0%} with the true digit and
{wrong_label:.0%} with the wrong label, as if it had memorised next to nothing.
Its probabilities tell another story:
"""

NEXT_STEPS = """\

The same on your own files:
  auditkit dp-estimate --scores canaries.npz --design one-run --delta 1e-5
      made by numpy.savez("canaries.npz", scores=..., bits=...); 1: trained on
  auditkit dp-estimate --counts TP,FN,FP,TN --delta 1e-5 --report audit.html
  auditkit dp-estimate model.pt --scores canaries.npz --design one-run \\
      --delta 1e-5 --claimed-epsilon 2 --fail-on 'epsilon_lower>2'
  auditkit plan --claimed-epsilon 2 --delta 1e-5"""


@click.command("demo", cls=Verb)
@click.option(
    "--report",
    cls=Option,
    type=Text(),
    multiple=True,
    metavar="FILE",
    help=f"Write the report here instead of {DEFAULT_REPORT}: .html, .md or .json. May be repeated.",
)
@click.pass_obj
def command(session: Session, /, report: tuple[str, ...]) -> int:
    """Audit the shipped example, offline, in seconds.

    Runs dp-estimate on the scores of canaries in a small model, writes
    auditkit-demo.html in the working directory, and ends with the commands
    for your own files.

    \b
    Example:
      auditkit demo --report demo.html
    """
    from auditkit.cli._reports import check_reports, publish

    if not report and _writable(DEFAULT_REPORT):
        report = (DEFAULT_REPORT,)
    elif not report:
        session.complain(f"{DEFAULT_REPORT} is not written: this folder is not writable")
    check_reports(report, ())

    import json
    from importlib import resources

    from auditkit.privacy import Evidence, dp_estimate

    folder = resources.files("auditkit.demo")
    facts = json.loads(folder.joinpath("provenance.json").read_text(encoding="utf-8"))
    with resources.as_file(folder.joinpath("scores.npz")) as path:
        evidence = Evidence.from_file(path, design="one-run")
    with session.progress() as progress:
        result = dp_estimate(evidence, delta=DELTA, seed=SEED, progress=progress)
    if session.output_format == "text":
        session.print(_introduction(facts))
    publish(session, result.to_dict(), report)
    if session.output_format == "text":
        session.print(NEXT_STEPS)
    return EXIT_OK


def _introduction(facts: dict[str, Any]) -> str:
    return INTRODUCTION.format(
        canaries=facts["canaries"],
        included=facts["included"],
        true_digit=facts["true_digit_predicted_in"],
        wrong_label=facts["wrong_label_predicted_in"],
    )


def _writable(name: str) -> bool:
    free = not os.path.lexists(name) or os.path.isfile(name)  # noqa: PTH113
    return free and os.access(".", os.W_OK | os.X_OK)
