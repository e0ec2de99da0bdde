"""Fitted models of scikit-learn and torch: what they say of rows, and the audit of it in one step."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import one_of, refuse
from auditkit.errors import InputError, show
from auditkit.uncertainty._inputs import (
    SLACK,
    SUM_SLACK,
    as_numbers,
    read_count,
    read_table,
)
from auditkit.uncertainty.audit_results import CalibrationAudit, CoverageAudit
from auditkit.uncertainty.audits import calibration_audit
from auditkit.uncertainty.coverage_audits import coverage_audit

Floats = NDArray[np.float64]

OUTPUTS = ("auto", "logits", "probabilities")
TELL = "say outputs='logits' or outputs='probabilities'"


class ModelProbabilities(NamedTuple):
    """What a classifier says of rows.

    Attributes
    ----------
    probabilities : ndarray, shape (n, K) or (n,), float64
        Of each class; of ``classes[1]`` alone where a module gives one column.
    classes : ndarray, shape (K,)
        The labels of the columns.
    outputs : {"logits", "probabilities"}
        What the model's own outputs were taken for.
    """

    probabilities: Floats
    classes: NDArray[Any]
    outputs: str


def model_probabilities(
    model: Any, X: Any, *, outputs: str = "auto", batch_size: int = 1024, classes: Any = None
) -> ModelProbabilities:
    """Class probabilities of a fitted classifier of scikit-learn's kind, or of a torch module.

    Parameters
    ----------
    model : classifier with ``predict_proba``, or torch.nn.Module
        A module runs in evaluation mode without gradients, where its parameters lie, and is left as it was.
    X : array_like, shape (n, ...)
        Rows. A module gets floating numbers in the type of its parameters, whole numbers as int64; a tensor of whole
        numbers keeps its type.
    outputs : {"auto", "logits", "probabilities"}
        What a module gives. "auto": rows from 0 to 1 that all sum to one are probabilities; anything else are logits,
        except where all outputs lie from 0 to 1 without summing to one (a single column too): that could be either and
        is refused. Logarithms of probabilities are logits.
    batch_size : int
        Rows at a time for a module.
    classes : array_like, shape (K,), optional
        Labels of a module's columns; 0 to K - 1 by default. One column is of the second of two labels.

    Returns
    -------
    ModelProbabilities

    Raises
    ------
    InputError
        AK-UN-051 for what is no such model, AK-UN-052 if a module fails on X or a model's outputs are not finite
        numbers of one row a row, AK-UN-053 for outputs that could be either or are not what was said, AK-UN-054 for
        classes that do not fit, AK-UN-008 for the batch size. What scikit-learn refuses itself is its own error.

    Notes
    -----
    The cost is that of the model and O(n K).
    """
    one_of(outputs, OUTPUTS, "outputs", id="AK-UN-053")
    size = read_count(batch_size, "batch_size")
    if is_module(model):
        raw = module_outputs(model, X, size)
        kind = _kind_of(raw, type(model).__name__) if outputs == "auto" else outputs
        found = _from_logits(raw) if kind == "logits" else _checked(raw)
        k = 2 if found.ndim == 1 else found.shape[1]
        return ModelProbabilities(found, _read_classes(classes, k), kind)
    if outputs == "logits":
        refuse(
            "outputs", "'auto' or 'probabilities' of a model with predict_proba", "'logits'", id="AK-UN-053"
        )
    found = _predict_proba(model, X)
    own = getattr(model, "classes_", None)
    if own is not None and classes is not None and list(np.asarray(classes)) != list(own):
        refuse(
            "classes",
            "those of the model",
            show(list(np.asarray(classes))),
            id="AK-UN-054",
            hint="leave them out",
        )
    return ModelProbabilities(
        found, _read_classes(classes if own is None else own, found.shape[1]), "probabilities"
    )


def audit_classifier(
    model: Any,
    X: Any,
    y: Any,
    *,
    groups: Any = None,
    outputs: str = "auto",
    batch_size: int = 1024,
    classes: Any = None,
    **settings: Any,
) -> CalibrationAudit:
    """Do the probabilities of a fitted classifier mean what they say?

    Parameters
    ----------
    model, X, outputs, batch_size, classes
        As in `model_probabilities`; the model must not have seen these rows.
    y : array_like, shape (n,)
        Labels as the model knows them: text, or numbers.
    groups : array_like, shape (n,), optional
        Declared groups.
    **settings
        Of `calibration_audit`: weights, bins, replicates, alpha, seed, progress.

    Returns
    -------
    CalibrationAudit
        With two classes of the probability of ``classes[1]``. `inputs` names the model's type and its classes.

    Raises
    ------
    InputError
        AK-UN-002 if y does not hold a label a row; AK-UN-055 for labels that the model does not know; as
        `model_probabilities` and `calibration_audit`.
    """
    found = model_probabilities(model, X, outputs=outputs, batch_size=batch_size, classes=classes)
    p = found.probabilities
    codes = label_codes(y, found.classes, len(p))
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        known = ", ".join(repr(label) for label in found.classes[:6].tolist())
        more = ", ..." if len(found.classes) > 6 else ""
        value = repr(_as_array(y)[row : row + 1].tolist()[0])
        hint = "drop such rows: a model gives no probability to a label that it does not know"
        refuse(f"y[{row}]", f"a label that the model knows ({known}{more})", value, id="AK-UN-055", hint=hint)
    binary = p.ndim == 2 and p.shape[1] == 2
    audit = calibration_audit(p[:, 1] if binary else p, codes, groups=groups, **settings)
    asked = {
        "name": type(model).__name__,
        "classes": [str(label) for label in found.classes.tolist()],
        "outputs": found.outputs,
    }
    return replace(audit, inputs={"model": asked})


def audit_regressor(
    model: Any, X: Any, y: Any, *, target: float = 0.9, groups: Any = None, **settings: Any
) -> CoverageAudit:
    """Do the normal laws that a fitted regressor predicts hold the truth as often as they say?

    Parameters
    ----------
    model : regressor
        ``predict(X, return_std=True)`` gives mean and standard deviation of each row, as a Gaussian process or Bayesian
        linear regression of scikit-learn does, alone or at the end of a pipeline. It must not have seen these rows. For
        any other regressor, and for a torch module, `ConformalRegressor` makes intervals.
    X : array_like, shape (n, features)
    y : array_like, shape (n,)
    target : float
        Coverage of the central intervals.
    groups : array_like, shape (n,), optional
    **settings
        Of `coverage_audit`: features, alpha, seed.

    Returns
    -------
    CoverageAudit
        `inputs` names the model's type.

    Raises
    ------
    InputError
        AK-UN-051 for a model that gives no standard deviations; as `coverage_audit`.
    """
    name = type(model).__name__
    try:
        law = model.predict(X, return_std=True)
    except (AttributeError, TypeError) as error:
        wanted = "a regressor with predict(X, return_std=True)"
        raise InputError(
            f"model: must be {wanted}, not {show(name)} ({show(error, 120)})",
            id="AK-UN-051",
            hint="wrap it in ConformalRegressor, which makes intervals of any regressor",
        ) from None
    if not isinstance(law, tuple) or len(law) != 2:
        refuse("model", "one that predicts a mean and a standard deviation", name, id="AK-UN-051")
    audit = coverage_audit(y, mean=law[0], sd=law[1], target=target, groups=groups, **settings)
    return replace(audit, inputs={"model": {"name": name}})


def is_module(model: Any) -> bool:
    """Whether it is a torch.nn.Module, without loading torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def module_outputs(module: Any, X: Any, batch_size: int = 1024) -> Floats:
    """What a torch module gives, shape (n,) or (n, K), of numbers (AK-UN-052); infinite ones are left in."""
    import torch

    name = type(module).__name__
    tensors = [*module.parameters(), *module.buffers()]
    device = tensors[0].device if tensors else torch.device("cpu")
    floating = next((each.dtype for each in tensors if each.dtype.is_floating_point), torch.float32)
    rows = _read_rows(torch, X)
    modes = [(part, part.training) for part in module.modules()]
    parts = []
    try:
        module.eval()
        with torch.no_grad():
            for start in range(0, len(rows), batch_size):
                batch = rows[start : start + batch_size]
                there = batch.to(
                    device=device, dtype=floating if batch.dtype.is_floating_point else batch.dtype
                )
                parts.append(_numbers(torch, module(there), len(batch)))
        raw = np.concatenate(parts)
    except (MemoryError, InputError):
        raise
    except Exception as error:
        words = show(str(error).strip().split("\n", 1)[0], 160)
        hint = (
            "whole numbers reach a module as int64: X.astype('float32') for one that wants floating numbers"
        )
        raise InputError(
            f"model: must give numbers for X, not fail: {name}: {type(error).__name__}: {words}",
            id="AK-UN-052",
            hint=None if rows.dtype.is_floating_point else hint,
        ) from error
    finally:
        for part, mode in modes:
            part.training = mode
    nan = np.flatnonzero(np.isnan(raw.reshape(len(raw), -1)).any(axis=1))
    if nan.size:
        refuse(f"model(X)[{nan[0]}]", "a number", "nan", id="AK-UN-052", hint="look for NaN in that row of X")
    return raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw


def label_codes(y: Any, classes: NDArray[Any], n: int) -> NDArray[np.int64]:
    """The column of each label, -1 for those that are no class (AK-UN-002)."""
    labels = _as_array(y)
    if labels.shape != (n,) or n == 0:
        refuse("y", f"one label a row ({n:,})", f"of shape {labels.shape}", id="AK-UN-002")
    column = {label: k for k, label in enumerate(classes.tolist())}
    try:
        distinct, places = np.unique(labels, return_inverse=True)
        codes = np.array([column.get(label, -1) for label in distinct.tolist()], dtype=np.int64)
    except TypeError:
        refuse("y", "labels of one kind", f"of type {labels.dtype}", id="AK-UN-002", hint="text, or numbers")
    return codes[places.reshape(-1)]


def _as_array(y: Any) -> NDArray[Any]:
    return np.asarray(y.detach().cpu() if hasattr(y, "detach") else y)


def _read_rows(torch: Any, X: Any) -> Any:
    """Rows as a tensor; numbers of an array in their widest type."""
    try:
        rows = X if isinstance(X, torch.Tensor) else _tensor(torch, np.asarray(X))
        if rows.ndim == 0 or len(rows) == 0:
            raise ValueError("no rows")
    except (TypeError, ValueError) as error:
        refuse("X", "rows of numbers", show(error, 80), id="AK-UN-052")
    return rows


def _tensor(torch: Any, array: NDArray[Any]) -> Any:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"of type {array.dtype}")
    whole = array.dtype.kind != "f"
    native = np.int64 if whole else array.dtype.newbyteorder("=")
    # a copy: a module may write into what it is given, and torch wants writable memory in order
    return torch.from_numpy(np.array(array, dtype=native, order="C", copy=True))


def _numbers(torch: Any, out: Any, n: int) -> Floats:
    if not isinstance(out, torch.Tensor) or out.dtype.is_complex:
        kind = out.dtype if isinstance(out, torch.Tensor) else type(out).__name__
        refuse(
            "model(X)", "a tensor of real numbers", str(kind), id="AK-UN-052", hint="wrap the module in one"
        )
    if out.ndim not in (1, 2) or out.shape[0] != n or out.numel() == 0:
        wanted = f"of shape (n,) or (n, K) for {n:,} rows"
        refuse("model(X)", wanted, f"of shape {tuple(out.shape)}", id="AK-UN-052")
    return np.asarray(out.detach().cpu().to(torch.float64).numpy())


def _kind_of(raw: Floats, name: str) -> str:
    """Probabilities or logits; refused where the numbers alone do not tell."""
    if raw.min() < -SLACK or raw.max() > 1 + SLACK:
        return "logits"
    if raw.ndim == 2 and (np.abs(raw.sum(axis=1) - 1) <= SUM_SLACK).all():
        return "probabilities"
    what = "one column from 0 to 1" if raw.ndim == 1 else "numbers from 0 to 1 that do not sum to one"
    raise InputError(
        f"outputs: must be said of {show(name)}, not guessed: {what} may be logits or probabilities",
        id="AK-UN-053",
        hint=TELL,
    )


def _from_logits(raw: Floats) -> Floats:
    """Softmax of rows, sigmoid of a column. A logit of -inf is probability 0; a row must leave something."""
    if raw.ndim == 1:
        small = np.exp(-np.abs(raw))
        return np.asarray(np.where(raw >= 0, 1.0, small) / (1 + small))
    top = raw.max(axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(top[:, 0]))
    if bad.size:
        refuse(f"model(X)[{bad[0]}]", "logits with a finite maximum", f"{top[bad[0], 0]}", id="AK-UN-052")
    odds = np.exp(raw - top)
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _checked(raw: Floats) -> Floats:
    """Outputs that were said to be, or look like, probabilities."""
    bad = np.flatnonzero(((raw < -SLACK) | (raw > 1 + SLACK)).reshape(len(raw), -1).any(axis=1))
    if raw.ndim == 2 and not bad.size:
        bad = np.flatnonzero(np.abs(raw.sum(axis=1) - 1) > SUM_SLACK)
    if bad.size:
        wanted = "probabilities, 0 to 1" + (" and one in sum" if raw.ndim == 2 else "")
        hint = "outputs='logits', or apply softmax in the module"
        refuse(f"model(X)[{bad[0]}]", wanted, f"{raw[bad[0]]}", id="AK-UN-053", hint=hint)
    return np.clip(raw, 0, 1)


def _predict_proba(model: Any, X: Any) -> Floats:
    """Of a classifier with two classes or more; rows sum to one."""
    name = type(model).__name__
    if isinstance(model, type) or not callable(getattr(model, "predict_proba", None)):
        classifies = hasattr(model, "decision_function") or hasattr(model, "classes_")
        hint = "sklearn.calibration.CalibratedClassifierCV(model) makes probabilities" if classifies else None
        refuse("model", "a classifier with predict_proba or a torch module", name, id="AK-UN-051", hint=hint)
    said = model.predict_proba(X)
    if isinstance(said, list):
        refuse("model", "one of a single outcome", f"{name} of {len(said)} outcomes", id="AK-UN-052")
    table = as_numbers(said, "predict_proba(X)").astype(np.float64)
    if table.ndim != 2 or table.shape[0] == 0 or table.shape[1] < 2:
        wanted = "one row a row and two columns or more"
        refuse("predict_proba(X)", wanted, f"of shape {table.shape}", id="AK-UN-052")
    return read_table(table, "predict_proba(X)")


def _read_classes(classes: Any, k: int) -> NDArray[Any]:
    """Labels of k columns, no two alike (AK-UN-054)."""
    if classes is None:
        return np.arange(k)
    labels = _as_array(classes)
    if labels.shape != (k,) or len(set(labels.tolist())) != k:
        refuse("classes", f"{k} different labels, one a column", show(labels.tolist()), id="AK-UN-054")
    return labels
