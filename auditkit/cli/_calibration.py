"""What ``auditkit calibration`` asks for: options that fit the file, one call made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditkit.errors import InputError, show

if TYPE_CHECKING:
    from auditkit.io.prediction_files import PredictionFile
    from auditkit.uncertainty.audit_results import CalibrationAudit, CoverageAudit

_OF_PROBABILITIES = ("bins", "replicates")
_OF_COVERAGE = ("target", "n_calibration")


def read_file(path: str | None, asked: Mapping[str, Any]) -> PredictionFile:
    """The predictions, once the options fit the question that they ask (AK-CL-006, AK-CL-011)."""
    if path is None:
        hint = "auditkit calibration predictions.npz"
        raise InputError(
            "PREDICTIONS: required, a file of predictions and outcomes", id="AK-CL-011", hint=hint
        )
    from auditkit.io.prediction_files import PARTS, read_prediction_file

    read = read_prediction_file(path)
    foreign = _OF_COVERAGE if read.question == "probabilities" else _OF_PROBABILITIES
    for name in foreign:
        if asked[name] is not None:
            held = " and ".join(PARTS[read.question])
            option = name.replace("_", "-")
            raise InputError(
                f"--{option}: belongs to another question than {held} ask", id="AK-CL-006", path=path
            )
    return read


def compute_audit(
    read: PredictionFile, path: str, asked: Mapping[str, Any], progress: Any = None
) -> CalibrationAudit | CoverageAudit:
    """The audit that the columns of the file ask for, with the environment it was computed in."""
    from dataclasses import replace

    from auditkit.runtime import environment

    probabilities = read.question == "probabilities"
    names = ("alpha", "seed", *(_OF_PROBABILITIES if probabilities else _OF_COVERAGE))
    given: dict[str, Any] = {name: asked[name] for name in names if asked[name] is not None} | read.columns
    try:
        if probabilities:
            from auditkit.uncertainty.audits import calibration_audit

            rows = given.pop("probabilities"), given.pop("labels")
            found: CalibrationAudit | CoverageAudit = calibration_audit(*rows, progress=progress, **given)
        else:
            from auditkit.uncertainty.coverage_audits import coverage_audit

            found = coverage_audit(given.pop("y"), **given)
    except InputError as error:
        raise _of_file(error, path) from None
    return replace(found, environment=environment())


_ARRAYS = ("probabilities", "labels", "mean", "sd", "lower", "upper", "y", "groups", "weights")


def _of_file(error: InputError, path: str) -> InputError:
    """An error about an array, said of the file that it came from."""
    head, colon, _ = str(error).partition(": ")
    if not colon or head.partition("[")[0].strip() not in _ARRAYS:
        return error
    return InputError(f"{show(path)}: {error}", id=error.id, path=path, hint=error.hint)
