"""``auditkit plan``: how large an audit must be before it can contradict a claim."""

from __future__ import annotations

from typing import Any

import click

from auditkit.cli._common import (
    EXIT_OK,
    Option,
    Session,
    Verb,
    alpha_option,
)
from auditkit.errors import InputError


@click.command("plan", cls=Verb)
@click.option(
    "--claimed-epsilon", cls=Option, type=float, metavar="E", help="The epsilon that is promised. Required."
)
@click.option(
    "--delta", cls=Option, type=float, metavar="D", help="The delta at which epsilon is read. Required."
)
@click.option(
    "--design",
    cls=Option,
    type=click.Choice(["one-run", "independent"]),
    default="one-run",
    show_default=True,
    help="Canaries of one training run, or one training run a unit.",
)
@alpha_option("Error allowed: 1 - alpha is the confidence.")
@click.option(
    "--power",
    cls=Option,
    type=float,
    default=0.8,
    show_default=True,
    metavar="P",
    help="Wanted probability of contradicting a false claim.",
)
@click.option(
    "--true-epsilon",
    cls=Option,
    type=float,
    metavar="E",
    help="The leak to detect; a rule of thumb from the claim if left out.",
)
@click.pass_obj
def command(session: Session, /, claimed_epsilon: float | None, delta: float | None, **settings: Any) -> int:
    """How many canaries or runs does an audit need?

    The number of units with which a leak above the claim is likely to be
    shown, the bound to expect, and what even a perfect attack could show.

    \b
    Example:
      auditkit plan --claimed-epsilon 2 --delta 1e-5 --design one-run
    """
    if claimed_epsilon is None or delta is None:
        name = "--claimed-epsilon" if claimed_epsilon is None else "--delta"
        raise InputError(f"{name}: required, it has no default", id="AK-CL-011")

    from auditkit.cli._reports import publish
    from auditkit.privacy import plan_audit

    publish(session, plan_audit(claimed_epsilon=claimed_epsilon, delta=delta, **settings).to_dict(), ())
    return EXIT_OK
