"""Membership scores from what a model says about a record: larger means "more likely a member".

All arithmetic is in float64 and on the log scale: nothing is lost at logits of 10,000 or at probabilities
that round to 0 or 1 in float32. With a leading axis of queries (several variants of each record) the
log-scores are averaged, never the probabilities.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import AuditWarning, InputError, show

FloatArray = NDArray[np.float64]
Kind = Literal["logits", "probabilities"]

_SUM_TOLERANCE = 1e-2
"""How far the probabilities of a record may miss 1: a thousand classes in float16 miss it by less."""


def loss_score(outputs: ArrayLike, y: ArrayLike, *, kind: Kind = "logits") -> FloatArray:
    """Minus the cross-entropy loss, ``log p_y``.

    Parameters
    ----------
    outputs : array, shape (n, K) or (q, n, K)
        Logits or probabilities of K >= 2 classes; q queries a record. Logits may be -inf (excluded classes).
    y : array of int, shape (n,)
        Labels 0 to K - 1.
    kind : {"logits", "probabilities"}

    Returns
    -------
    array, shape (n,), float64
        At most 0; -inf where the label has logit -inf.

    Raises
    ------
    InputError
        AK-AT-001 to AK-AT-005: shapes, NaN, labels, probabilities, kind.

    References
    ----------
    Yeom et al. 2018, "Privacy Risk in Machine Learning".
    """
    return _average(-np.logaddexp(0.0, -_log_odds(outputs, y, kind)))


def confidence_score(outputs: ArrayLike, y: ArrayLike, *, kind: Kind = "logits") -> FloatArray:
    """The probability of the label, ``p_y``; over several queries their geometric mean.

    Parameters, errors and shapes as for `loss_score`. Returns values in [0, 1]; scores of very sure models
    tie at 1, where `logit_score` still tells them apart.
    """
    return np.exp(loss_score(outputs, y, kind=kind))


def logit_score(outputs: ArrayLike, y: ArrayLike, *, kind: Kind = "logits") -> FloatArray:
    """The log-odds of the label, ``log p_y - log(1 - p_y)``, as ``z_y - logsumexp of the other logits``.

    Parameters
    ----------
    outputs : array, shape (n, K) or (q, n, K)
        As for `loss_score`. Of probabilities the others are summed, so 1 - p is never formed; where a sum
        is 0 the smallest positive number of the given type stands in, and an `AuditWarning` tells how often.
    y : array of int, shape (n,)
    kind : {"logits", "probabilities"}

    Returns
    -------
    array, shape (n,), float64
        Over several queries their mean. -inf or inf only where logits are -inf.

    Raises
    ------
    InputError
        AK-AT-001 to AK-AT-005.

    References
    ----------
    Carlini et al. 2022, "Membership Inference Attacks From First Principles" (arXiv 2112.03570), section VI.
    """
    return _average(_log_odds(outputs, y, kind))


def calibrated_score(scores: ArrayLike, reference_scores: ArrayLike) -> FloatArray:
    """A score less its mean over reference models that were trained without the record.

    Parameters
    ----------
    scores : array, shape (n,)
        Scores under the audited model.
    reference_scores : array, shape (n,) or (r, n)
        The same scores under one or r reference models.

    Returns
    -------
    array, shape (n,), float64

    Raises
    ------
    InputError
        AK-AT-001, 002, 004: not numbers, not finite, lengths that differ.

    References
    ----------
    Watson et al. 2022, "On the Importance of Difficulty Calibration in Membership Inference Attacks".
    """
    values = finite_array(scores, "scores", (1,))
    reference = finite_array(reference_scores, "reference_scores", (1, 2))
    if reference.shape[-1] != values.size or reference.size == 0:
        raise InputError(
            f"reference_scores: must have one entry a score, {values.size:,}, not {reference.shape[-1]:,}",
            id="AK-AT-004",
        )
    return values - (reference if reference.ndim == 1 else reference.mean(axis=0))


def squared_error_score(predictions: ArrayLike, y: ArrayLike) -> FloatArray:
    """Minus the squared error of a regression, ``-(y - f)^2``.

    Parameters
    ----------
    predictions : array, shape (n,) or (q, n)
        Finite numbers; q queries a record are averaged after squaring.
    y : array, shape (n,)

    Returns
    -------
    array, shape (n,), float64
        At most 0; -inf where the square overflows.

    Raises
    ------
    InputError
        AK-AT-001, 002, 004.
    """
    mean, target = _regression(predictions, y, "predictions")
    with np.errstate(over="ignore"):
        return _average(-np.square(target - mean))


def gaussian_score(mean: ArrayLike, sd: ArrayLike, y: ArrayLike) -> FloatArray:
    """The Gaussian log density of the target under the predicted mean and standard deviation.

    Parameters
    ----------
    mean : array, shape (n,) or (q, n)
    sd : array that broadcasts to the shape of `mean`
        Above 0.
    y : array, shape (n,)

    Returns
    -------
    array, shape (n,), float64
        In nats, constants included.

    Raises
    ------
    InputError
        AK-AT-001, 002, 004, 006.
    """
    centre, target = _regression(mean, y, "mean")
    width = finite_array(sd, "sd", (0, 1, 2))
    if not (width > 0).all():
        raise InputError(f"sd: must be above 0, not {width[~(width > 0)].flat[0]}", id="AK-AT-006")
    try:
        width = np.broadcast_to(width, centre.shape)
    except ValueError:
        raise InputError(
            f"sd: must broadcast to the shape of mean, {centre.shape}, not {width.shape}", id="AK-AT-004"
        ) from None
    with np.errstate(over="ignore"):
        return _average(-0.5 * np.square((target - centre) / width) - np.log(width) - 0.5 * np.log(2 * np.pi))


def logits_from_probabilities(probabilities: ArrayLike) -> tuple[FloatArray, int]:
    """Logarithms of probabilities, which are logits, and how many zeros were replaced.

    Parameters
    ----------
    probabilities : array, shape (n, K) or (q, n, K)
        In [0, 1], each row summing to 1 within 0.01.

    Returns
    -------
    logits : array of float64, same shape
        A probability of 0 counts as the smallest positive number of the given type (a value that was rounded
        to 0 cannot have been larger).
    clipped : int
        How many were 0.

    Raises
    ------
    InputError
        AK-AT-001, 002, 005.
    """
    given = np.asarray(probabilities)
    p = finite_array(given, "probabilities", (2, 3))
    outside = (p < 0) | (p > 1)
    if outside.any():
        raise InputError(
            f"probabilities: must be in [0, 1], not {p[outside].flat[0]:g}",
            id="AK-AT-005",
            hint="kind='logits' if these are logits",
        )
    sums = p.sum(axis=-1)
    far = sums[np.abs(sums - 1) > _SUM_TOLERANCE]
    if far.size:
        raise InputError(f"probabilities: each row must sum to 1, not {far[0]:.6g}", id="AK-AT-005")
    zero = p == 0
    kind = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
    return np.log(np.where(zero, float(np.finfo(kind).smallest_subnormal), p)), int(zero.sum())


def finite_array(value: Any, what: str, dimensions: tuple[int, ...]) -> FloatArray:
    """`value` as float64, of one of the numbers of dimensions, finite throughout; or an InputError.

    Torch and CuPy arrays come in by DLPack.
    """
    array = number_array(value, what, dimensions)
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        place = ", ".join(map(str, bad[0]))
        shown = array[tuple(bad[0])]
        raise InputError(f"{what}: must be finite: {what}[{place}] is {shown}", id="AK-AT-002")
    return array


def number_array(value: Any, what: str, dimensions: tuple[int, ...]) -> FloatArray:
    """`value` as float64, of one of the numbers of dimensions; or an InputError."""
    wanted = " or ".join(map(str, dimensions))
    try:
        if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
            array = np.from_dlpack(value)
        else:
            array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise InputError(
            f"{what}: must be an array of numbers: {show(error)}",
            id="AK-AT-001",
            hint="move it to the CPU and detach it first",
        ) from None
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise InputError(
            f"{what}: must be real numbers of at most 64 bits, not {array.dtype.name}", id="AK-AT-001"
        )
    if array.ndim not in dimensions:
        raise InputError(
            f"{what}: must have {wanted} dimensions, not shape {array.shape}",
            id="AK-AT-001",
        )
    return array.astype(np.float64)


def check_labels(y: ArrayLike, rows: int, classes: int) -> NDArray[np.int64]:
    """Labels 0 to `classes` - 1 as int64, one a record; or an InputError."""
    values = number_array(y, "y", (1,))
    if values.size != rows:
        raise InputError(f"y: must have one label a record, {rows:,}, not {values.size:,}", id="AK-AT-004")
    bad = np.flatnonzero(~((values == np.floor(values)) & (values >= 0) & (values < classes)))
    if bad.size:
        raise InputError(
            f"y: must be whole numbers from 0 to {classes - 1}: y[{bad[0]}] is {values[bad[0]]:g}",
            id="AK-AT-003",
            hint="number the classes in the order of the model's outputs",
        )
    return values.astype(np.int64)


def _log_odds(outputs: ArrayLike, y: ArrayLike, kind: Kind) -> FloatArray:
    """log p_y - log(1 - p_y), shape (n,) or (q, n)."""
    logits, labels = _inputs(outputs, y, kind)
    place = np.broadcast_to(labels[:, None], (*logits.shape[:-1], 1))
    own = np.take_along_axis(logits, place, axis=-1)[..., 0]
    np.put_along_axis(logits, place, -np.inf, axis=-1)
    odds: FloatArray = own - _logsumexp(logits)
    return odds


def _inputs(outputs: ArrayLike, y: ArrayLike, kind: Kind) -> tuple[FloatArray, NDArray[np.int64]]:
    if kind not in ("logits", "probabilities"):
        raise InputError(f"kind: must be 'logits' or 'probabilities', not {show(repr(kind))}", id="AK-AT-006")
    if kind == "logits":
        logits = _logits(outputs)
    else:
        logits, clipped = logits_from_probabilities(outputs)
        if clipped:
            text = f"{clipped:,} of {logits.size:,} probabilities are 0 and count as the smallest positive number"
            warnings.warn(text, AuditWarning, stacklevel=3)
    if logits.shape[-1] < 2:
        raise InputError(
            f"outputs: must have at least 2 classes in the last dimension, not {logits.shape[-1]}",
            id="AK-AT-001",
            hint="of one logit z make the two logits (0, z)",
        )
    return logits, check_labels(y, logits.shape[-2], logits.shape[-1])


def _logits(outputs: ArrayLike) -> FloatArray:
    logits = number_array(outputs, "outputs", (2, 3))
    bad = np.argwhere(np.isnan(logits) | (logits == np.inf))
    if bad.size:
        place = ", ".join(map(str, bad[0]))
        shown = logits[tuple(bad[0])]
        raise InputError(f"outputs: must be below infinity: outputs[{place}] is {shown}", id="AK-AT-002")
    empty = np.argwhere(~np.isfinite(logits).any(axis=-1))
    if empty.size:
        place = ", ".join(map(str, empty[0]))
        raise InputError(
            f"outputs: must allow some class: outputs[{place}] is -inf throughout", id="AK-AT-002"
        )
    return logits


def _regression(predictions: ArrayLike, y: ArrayLike, what: str) -> tuple[FloatArray, FloatArray]:
    mean, target = finite_array(predictions, what, (1, 2)), finite_array(y, "y", (1,))
    if mean.shape[-1] != target.size:
        raise InputError(
            f"{what}: must have one entry a target, {target.size:,}, not {mean.shape[-1]:,}", id="AK-AT-004"
        )
    return mean, target


def _logsumexp(values: FloatArray) -> FloatArray:
    """log of the sum of exponentials over the last axis; -inf where all are -inf.

    The largest term is taken out of the sum, so that what the others add keeps its relative precision.
    """
    largest = values.max(axis=-1, keepdims=True)
    finite = np.isfinite(largest)
    shifted = np.where(finite, values, 0.0) - np.where(finite, largest, 0.0)
    first = np.argmax(values, axis=-1)[..., None]
    np.put_along_axis(shifted, first, -np.inf, axis=-1)
    rest = np.exp(shifted).sum(axis=-1)
    return np.where(finite[..., 0], largest[..., 0] + np.log1p(rest), -np.inf)


def _average(scores: FloatArray) -> FloatArray:
    if scores.ndim == 1:
        return scores
    with np.errstate(invalid="ignore"):
        mean = np.asarray(scores.mean(axis=0))
    bad = np.flatnonzero(np.isnan(mean))
    if bad.size:
        raise InputError(
            f"outputs: queries of record {bad[0]} must not give both inf and -inf", id="AK-AT-002"
        )
    return mean
