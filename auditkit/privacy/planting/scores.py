"""What a model says about canaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show

Scores = dict[str, NDArray[np.float64]]
Loss = Callable[[NDArray[np.float64], NDArray[Any]], ArrayLike]


def device_of(model: Any) -> str:
    """Where a torch module lies, so that scoring leaves it there."""
    parameters = getattr(model, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    return str(getattr(first, "device", "cpu"))


def record_scores(
    logits: NDArray[np.float64], classes: NDArray[Any] | None, labels: NDArray[Any], loss: Loss | None
) -> Scores:
    """One score a canary and attack: of the label that it was trained on, or of one label less the other."""
    from auditkit.privacy.attacks.scores import logit_score, loss_score

    if loss is None:
        columns = _columns(logits.shape[1], classes, labels)
        return {"logit": logit_score(logits, columns), "loss": loss_score(logits, columns)}
    given = loss(logits, labels)
    values = np.asarray(given, np.float64)
    if values.shape != labels.shape or bool(np.isnan(values).any()):
        what = "NaN" if values.shape == labels.shape else f"shape {values.shape}"
        raise InputError(
            f"loss: must give one number for each of {labels.size:,} canaries, not {what}", id="AK-CA-010"
        )
    return {"loss": -values}


def _columns(width: int, classes: NDArray[Any] | None, labels: NDArray[Any]) -> NDArray[np.int64]:
    """The column of the outputs that stands for each label; or AK-CA-010."""
    known = np.arange(width) if classes is None else classes
    try:
        place = np.minimum(np.searchsorted(known, labels), width - 1)
        unknown = labels[known[place] != labels]
    except (TypeError, ValueError):  # text labels and numbered columns cannot be compared
        unknown = labels
    if unknown.size:
        raise InputError(
            f"model: must know the label of every canary: it does not know {show(repr(unknown[0].item()))} "
            f"({unknown.size:,} such)",
            id="AK-CA-010",
            hint="number the classes in the order of the model's outputs",
        )
    return place.astype(np.int64)
