"""What ``auditkit batch-pi`` asks for: its options checked against each other, files read, one call made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditkit.errors import InputError, show

if TYPE_CHECKING:
    from auditkit.batchpi._inputs import Side
    from auditkit.batchpi.results import BatchSet
    from auditkit.batchpi.selection import Selection

_ALLOWED = {
    "mean": ("m", "limits", "side", "ordering", "reference", "seed"),
    "median": ("m", "limits", "side", "tails"),
    "quantile": ("m", "limits", "side", "tails", "quantile", "zeta"),
    "pac": ("m", "limits", "delta"),
    "select": ("eta", "output"),
}
_CHEAP = 10**6
"""Calibration scores times points up to which every ordering, or every threshold, is computed without a report."""


def check_options(scores: str | None, asked: Mapping[str, Any], output: str | None) -> None:
    """Refuse options of another statistic (AK-CL-006) and missing ones (AK-CL-011)."""
    statistic = asked["statistic"]
    if scores is None:
        hint = "auditkit batch-pi scores.npy --m 100"
        raise InputError("SCORES: required, a file of calibration scores", id="AK-CL-011", hint=hint)
    given = {**asked, "output": output}
    for name, value in given.items():
        homes = [home for home, names in _ALLOWED.items() if name in names]
        if value is not None and homes and statistic not in homes:
            raise InputError(
                f"--{name}: belongs to --statistic {', '.join(homes)}, not to {statistic}", id="AK-CL-006"
            )
    needed = {"pac": "delta"}.get(statistic)
    if statistic == "quantile" and asked["quantile"] is None and asked["zeta"] is None:
        needed = "quantile"
    for wanted in (None if statistic == "select" else "m", needed):
        if wanted is not None and asked[wanted] is None:
            raise InputError(f"--{wanted}: required with --statistic {statistic}", id="AK-CL-011")
    if asked["reference"] == scores:
        raise InputError("--reference: must be another file than SCORES", id="AK-CL-013")


def compute(
    path: str, asked: Mapping[str, Any], *, pictures: bool
) -> tuple[BatchSet | Selection, dict[str, Any]]:
    """The answer, and the files that it was computed from.

    Parameters
    ----------
    path : str
        Of the scores; ``-`` for standard input.
    asked : mapping
        The options by name; None for those left out.
    pictures : bool
        Whether a report is to be written, which shows more than the answer.
    """
    from dataclasses import replace

    from auditkit.io.score_files import read_candidates, read_score_file
    from auditkit.runtime import environment

    selection = asked["statistic"] == "select"
    read = read_candidates(path) if selection else read_score_file(path)
    sources: dict[str, Any] = {"data": [read.identity]}
    reference = None
    if asked["reference"] is not None:
        second = read_score_file(asked["reference"])
        reference, sources["reference"] = second.columns["scores"], second.identity
    try:
        found = (
            _select(read.columns, asked, pictures)
            if selection
            else _set(read.columns["scores"], reference, asked, pictures)
        )
    except InputError as error:
        raise _of_file(error, path, asked["reference"]) from None
    return replace(found, environment=environment()), sources


def _select(columns: Mapping[str, Any], asked: Mapping[str, Any], pictures: bool) -> Selection:
    from auditkit.batchpi import select

    mu, null, test = columns["mu"], columns["null"], columns["test"]
    report = pictures or mu.size * test.size <= _CHEAP
    return select(mu, null, test, asked["eta"] or 0, asked["alpha"], report=report)


def _set(scores: Any, reference: Any, asked: Mapping[str, Any], pictures: bool) -> BatchSet:
    from auditkit.batchpi import mean, order_statistic, pac_threshold
    from auditkit.batchpi.quantiles import NO_LIMITS

    m, alpha, statistic = asked["m"], asked["alpha"], asked["statistic"]
    limits = asked["limits"] or NO_LIMITS
    side: Side = asked["side"] or "two"
    if statistic == "pac":
        return pac_threshold(scores, m, asked["delta"], alpha, limits=limits)
    if statistic == "mean":
        cheap = scores.ndim == 1 and (pictures or scores.size * m <= _CHEAP)
        return mean(
            scores,
            m,
            alpha,
            limits=limits,
            ordering=asked["ordering"] or "auto",
            reference=reference,
            side=side,
            seed=asked["seed"],
            compare=cheap,
        )
    quantile = 0.5 if statistic == "median" else asked["quantile"]
    tails = asked["tails"] or "equal"
    return order_statistic(scores, m, asked["zeta"], quantile, alpha, side=side, limits=limits, tails=tails)


_OWN_NAMES = {"mu_cal": "mu", "null_cal": "null", "mu_test": "test", "scores": "scores"}


def _of_file(error: InputError, path: str, reference: str | None) -> InputError:
    """An error about an array, said of the file that it came from."""
    head, colon, rest = str(error).partition(": ")
    name, bracket, place = head.partition("[")
    name = name.strip()
    source = reference if name == "reference" else path
    if not colon or source is None or name not in (*_OWN_NAMES, "reference"):
        return error
    shown = "standard input" if source == "-" else show(source)
    what = f"{_OWN_NAMES.get(name, 'scores')}{bracket}{place}"
    return InputError(f"{shown}: {what}: {rest}", id=error.id, path=source, hint=error.hint)


def write_selection(output: str, found: BatchSet | Selection) -> None:
    """The mask and the threshold as an .npz archive, there whole or not at all."""
    import io

    import numpy as np

    from auditkit.batchpi.selection import Selection
    from auditkit.io.files import write_atomically

    assert isinstance(found, Selection)
    buffer = io.BytesIO()
    np.savez(buffer, mask=found.mask, threshold=np.float64(found.threshold))
    write_atomically(output, buffer.getvalue())
