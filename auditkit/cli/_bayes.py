"""What ``auditkit bayes-error`` and ``auditkit protect`` ask for: options checked, files read, one call made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditkit.errors import InputError, show

if TYPE_CHECKING:
    from auditkit.bayes_error.results import BayesErrorEstimate, Protection
    from auditkit.bayes_error.verdicts import TooGood
    from auditkit.io.archives import ArrayFile

EXAMPLE_ROWS = 8
_MODEL_HINT = "--predictions FILE, or --model-errors E,M, need no model"


def check_estimate_options(data: str | None, asked: Mapping[str, Any]) -> None:
    """Refuse missing options (AK-CL-011, AK-CL-023) and two sources of errors (AK-CL-005)."""
    if data is None:
        hint = "auditkit bayes-error data.npz"
        raise InputError("DATA: required, a file of labelled rows", id="AK-CL-011", hint=hint)
    if asked["model_errors"] is not None:
        _errors_and_trials(asked["model_errors"])
    sources = [name for name in ("model", "predictions", "model_errors") if asked[name] is not None]
    if len(sources) > 1:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in sources)
        raise InputError(f"{options}: only one of them may be given", id="AK-CL-005", hint=_MODEL_HINT)
    for name in ("arch", "trust"):
        if asked[name] and asked["model"] is None:
            raise InputError(f"--{name}: belongs to --model", id="AK-CL-006")
    if asked["floor"] is not None and not sources:
        raise InputError("--model-errors: required with --floor", id="AK-CL-023", hint=_MODEL_HINT)
    if asked["soft"] and ("model" in sources or "predictions" in sources):
        raise InputError("--soft: knows no hard labels to count the model's errors by", id="AK-CL-006")
    if asked["model"] is not None:
        _check_model(asked["model"], asked["arch"], asked["trust"])


def _check_model(path: str, arch: str | None, trust: bool) -> None:
    from auditkit.io.fingerprint import require_file

    if path == "-":
        raise InputError(
            "--model: a model is never read from standard input", id="AK-CL-012", hint="name its file"
        )
    require_file(path)
    if os.path.splitext(path)[1].lower() in (".joblib", ".pkl", ".pickle"):  # noqa: PTH122
        if not trust:
            raise InputError(
                f"{show(path)}: opening it runs code that it holds",
                id="AK-BE-052",
                path=path,
                hint=f"--trust if it is your own; {_MODEL_HINT}",
            )
    elif arch is None:
        raise InputError("--arch: required with a weights file", id="AK-CL-023", hint="net.py:make")


# -- bayes-error


def compute_estimate(
    path: str, asked: Mapping[str, Any], progress: Any = None
) -> tuple[BayesErrorEstimate, TooGood | None, dict[str, Any]]:
    """The estimate, the verdict on the model where one was given, and the files they were computed from."""
    from dataclasses import replace

    from auditkit.bayes_error import estimate
    from auditkit.io.labelled_files import read_labelled_file
    from auditkit.runtime import environment

    read = read_labelled_file(path, label=asked["label"] or "y", soft=asked["soft"])
    columns = read.columns
    given: dict[str, Any] = {"alpha": asked["alpha"], "seed": asked["seed"]}
    if asked["method"] is not None:
        given["method"] = asked["method"]
    if asked["learning_curve"]:
        given["learning_curve"] = True
    if asked["soft"]:
        given["soft"] = columns["soft"]
    elif "groups" in columns:
        given["groups"] = columns["groups"]
    try:
        found = estimate(columns.get("X"), columns.get("y"), **given)
    except InputError as error:
        raise of_file(error, path) from None
    sources: dict[str, Any] = {"data": [read.identity]}
    counts = _counts(read, path, asked, sources, progress)
    model = None
    if counts is not None:
        from auditkit.bayes_error import too_good

        model = too_good(*counts, found, floor=asked["floor"], alpha=asked["alpha"])
        found = replace(
            found,
            model=model.to_dict(),
            assumptions=(*found.assumptions, *model.assumptions),
            warnings=(*found.warnings, *model.warnings),
        )
    return replace(found, environment=environment()), model, sources


def _errors_and_trials(text: str) -> tuple[int, int]:
    """``E,M``: errors among M fresh points."""
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and len(part) <= 12 for part in parts):
        raise InputError(
            f"--model-errors: must be two whole numbers E,M, not {show(text)}",
            id="AK-BE-007",
            hint="--model-errors 31,1000",
        )
    errors, trials = int(parts[0]), int(parts[1])
    if errors > trials:
        raise InputError(
            f"--model-errors: must be at most as many errors as trials, not {show(text)}", id="AK-BE-009"
        )
    return errors, trials


def _counts(
    read: ArrayFile, path: str, asked: Mapping[str, Any], sources: dict[str, Any], progress: Any
) -> tuple[int, int] | None:
    """Errors and trials of the model, from where they were given."""
    if asked["model_errors"] is not None:
        return _errors_and_trials(asked["model_errors"])
    if asked["predictions"] is not None:
        from auditkit.io.labelled_files import read_predictions

        answers = read_predictions(asked["predictions"])
        sources["predictions"] = answers.identity
        ((kind, values),) = answers.columns.items()
        where = show(asked["predictions"])
    elif asked["model"] is not None:
        kind, values, sources["model"] = _answers(read, asked, progress)
        where = show(asked["model"])
    else:
        return None
    wrong = _wrong(values, kind, read.columns["y"], where)
    return int(wrong.sum()), int(wrong.size)


def _wrong(values: Any, kind: str, labels: Any, where: str) -> Any:
    """Which rows are wrong, from classes, or from probabilities in the order of the sorted labels."""
    import numpy as np

    def refuse(requirement: str, value: object) -> None:
        raise InputError(f"{where}: {kind}: must be {requirement}, not {show(value, 60)}", id="AK-BE-068")

    if values.shape[:1] != labels.shape:
        refuse(f"one row for each of {labels.size:,} labels", f"of shape {values.shape}")
    if values.ndim == 2 and values.shape[1] > 1:
        classes = np.unique(labels)
        if values.shape[1] != classes.size:
            refuse(f"one column for each of {classes.size:,} classes", f"{values.shape[1]:,}")
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            refuse("finite numbers", "something else")
        return classes[values.argmax(axis=1)] != labels
    values = values.reshape(-1)
    if values.size != labels.size or (values.dtype.kind in "US") != (labels.dtype.kind in "US"):
        refuse("classes named as the labels are", f"of type {values.dtype} for labels of type {labels.dtype}")
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():
        refuse("one class a row, whole numbers or text", f"{values[values != np.floor(values)][0]}")
    return values != labels


def _answers(read: ArrayFile, asked: Mapping[str, Any], progress: Any) -> tuple[str, Any, dict[str, Any]]:
    """What the model says of the rows of DATA: classes, or logits in the order of the sorted labels."""
    from auditkit.io.fingerprint import fingerprint

    path, rows = asked["model"], read.columns["X"]
    identity = fingerprint(path)
    source = {"name": os.path.basename(path), "sha256": identity.sha256, "bytes": identity.bytes}  # noqa: PTH119
    if asked["arch"] is not None:
        from auditkit.io.models import read_model
        from auditkit.privacy.architecture import build_module, load_architecture, predict_logits

        try:
            module = build_module(load_architecture(asked["arch"]), read_model(path))
            return "outputs", predict_logits(module, rows, progress=progress), source
        except InputError as error:
            head, colon, rest = str(error).partition(": ")
            message = f"--arch: {rest}" if colon and head == "architecture" else str(error)
            raise InputError(message, id=error.id, path=error.path, hint=error.hint) from error
    import importlib

    import numpy as np

    try:
        model = importlib.import_module("joblib").load(path)  # which comes with scikit-learn
        return "predictions", np.asarray(model.predict(rows.reshape(len(rows), -1))), source
    except Exception as error:
        problem = show(f"{type(error).__name__}: {error}", 160)
        raise InputError(
            f"{show(path)}: must load and predict the classes of the rows of DATA: {problem}",
            id="AK-BE-068",
            path=path,
        ) from error


_ARRAYS = ("X", "y", "groups", "soft", "test rows", "test labels")


def of_file(error: InputError, path: str, test: str | None = None) -> InputError:
    """An error about an array, said of the file that it came from."""
    head, colon, _ = str(error).partition(": ")
    name = head.partition("[")[0].strip()
    if not colon or name not in _ARRAYS:
        return error
    source = test if name.startswith("test ") and test is not None else path
    return InputError(f"{show(source)}: {error}", id=error.id, path=source, hint=error.hint)


# -- protect


def read_eps(text: str) -> float:
    """A budget as it was typed, 8/255 or 0.03 (AK-CL-004)."""
    from auditkit.arguments import decimal_number

    number = decimal_number(text)
    if number is None or number <= 0:
        raise InputError(
            f"--eps: must be a number above 0, not {show(repr(text), 40)}", id="AK-CL-004", hint="--eps 8/255"
        )
    return float(number)


def compute_protection(
    path: str, asked: Mapping[str, Any], progress: Any
) -> tuple[Protection, dict[str, Any], ArrayFile]:
    """The protection with the report on what it bought where a test file was given, its sources, and the rows."""
    from dataclasses import replace

    from auditkit.bayes_error import protect, unlearnability
    from auditkit.io.labelled_files import read_labelled_file
    from auditkit.runtime import environment

    read = read_labelled_file(path, label=asked["label"] or "y")
    X, y = read.columns["X"], read.columns["y"]
    eps, sources = read_eps(asked["eps"]), {"data": [read.identity]}
    names = ("norm", "steps", "quantize", "box", "seed")
    given = {name: asked[name] for name in names if asked[name] is not None}
    test = None
    if asked["test"] is not None:
        held = read_labelled_file(asked["test"], label=asked["label"] or "y")
        sources["test"] = [held.identity]
        test = (held.columns["X"], held.columns["y"])
    try:
        found = protect(X, y, eps=eps, progress=progress, **given)
        if test is not None:
            bought = unlearnability(
                X,
                found.X,
                y,
                test=test,
                eps=eps,
                norm=asked["norm"],
                groups=read.columns.get("groups"),
                seed=found.seed,
                progress=progress,
            )
            found = replace(
                found, unlearnability=bought.to_dict(), warnings=(*found.warnings, *bought.warnings)
            )
    except InputError as error:
        raise of_file(error, path, asked["test"]) from None
    figures = {**found.figures, **examples(X, found.X, y)}
    return replace(found, environment=environment(), figures=figures), sources, read


def examples(clean: Any, protected: Any, labels: Any) -> dict[str, Any]:
    """A few rows before and after as small lists, where rows are images; one of each class first."""
    import numpy as np

    from auditkit.bayes_error.recovery import image_layout

    clean, protected = np.asarray(clean), np.asarray(protected)
    layout = image_layout(tuple(clean.shape[1:]))
    if layout is None:
        return {}
    _, first = np.unique(labels, return_index=True)
    chosen = np.sort(first)[:EXAMPLE_ROWS]
    pair = [layout.planes(rows[chosen].astype(np.float64)) for rows in (clean, protected)]
    shrink = max(1, -(-max(layout.height, layout.width) // 64))
    before, after = (planes[:, :, ::shrink, ::shrink] for planes in pair)
    return {
        "examples": [
            {
                "label": str(labels[row]),
                "before": np.round(b, 5).tolist(),
                "after": np.round(a, 5).tolist(),
            }
            for row, b, a in zip(chosen, before, after, strict=True)
        ]
    }


def write_protected(output: str, found: Protection, read: ArrayFile) -> None:
    """The protected rows with what stood beside them as an .npz archive, there whole or not at all."""
    import io

    import numpy as np

    from auditkit.io.files import write_atomically

    others: dict[str, Any] = {name: values for name, values in read.columns.items() if name != "X"}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X=found.X, **others)
    write_atomically(output, buffer.getvalue())
