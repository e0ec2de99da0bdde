"""``auditkit demo``: the main job on shipped data, and the commands to do the same on one's own."""

from __future__ import annotations

import os

import click

from auditkit.cli._common import (
    EXIT_OK,
    Session,
    Verb,
    report_option,
)

DEFAULT_REPORT = "auditkit-demo.html"
SEED = 0

INTRODUCTION = """\
The demo audits a network that learned to read handwritten digits with Opacus,
at a claimed epsilon of {claimed_epsilon:g} (delta 1e-5). It reads {accuracy:.0%} of new digits rightly.
While it trained, {canaries:,} canaries were planted in its gradients; fair coins
decided which of them took part, and model.pt.audit holds what the noise left:
"""

NEXT_STEPS = """\

The same for your own training: three lines in the script write model.pt.audit
  trace = auditkit.privacy.opacus.attach(optimizer)           # before training
  auditkit.privacy.save_with_audit(model, "model.pt", trace=trace, delta=1e-5)
and then
  auditkit dp-estimate model.pt
  auditkit dp-estimate model.pt --fail-on 'epsilon_lower>4' --report audit.html
From scores or counts that you have:
  auditkit dp-estimate --scores canaries.npz --design one-run --delta 1e-5
  auditkit dp-estimate --counts TP,FN,FP,TN --delta 1e-5
  auditkit plan --claimed-epsilon 2 --delta 1e-5"""


@click.command("demo", cls=Verb)
@report_option(f"Write the report here instead of {DEFAULT_REPORT}")
@click.pass_obj
def command(session: Session, /, report: tuple[str, ...]) -> int:
    """Audit the shipped example, offline, in seconds.

    Runs dp-estimate on a small model that was trained with Opacus and on its
    manifest, writes auditkit-demo.html in the working directory, and ends
    with the commands for your own training.

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
    with (
        resources.as_file(folder.joinpath("model.pt")) as model,
        resources.as_file(folder.joinpath("model.pt.audit")) as manifest,
    ):
        evidence = Evidence.from_manifest(manifest, model=model)
    with session.progress() as progress:
        result = dp_estimate(evidence, seed=SEED, progress=progress)
    if session.output_format == "text":
        session.print(INTRODUCTION.format(**facts))
    publish(session, result.to_dict(), report)
    if session.output_format == "text":
        session.print(NEXT_STEPS)
    return EXIT_OK


def _writable(name: str) -> bool:
    free = not os.path.lexists(name) or os.path.isfile(name)  # noqa: PTH113
    return free and os.access(".", os.W_OK | os.X_OK)
