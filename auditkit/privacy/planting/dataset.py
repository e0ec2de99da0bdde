"""The training set with its canaries as a map-style data set for torch's DataLoader.

Torch asks a map-style data set for nothing but length and items, so this class needs torch only where it makes
tensors; being defined at module level, it can be sent to worker processes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, require_extra, show

IntArray = NDArray[np.int64]


class CanaryDataset:
    """Items of ordinary records and of the canaries that are in, in a fixed order.

    Parameters
    ----------
    base : map-style data set or (X, y) arrays
        Where ordinary records come from.
    canaries : (X, y) arrays
        All canaries with the label that each is trained on.
    ids : array, shape (n,), int64
        What stands at each place: below `rows` a row of the base, else `rows` plus the number of a canary.
    rows : int
        Rows of the base.

    Attributes
    ----------
    ids : array, shape (n,), int64
        As given: the same record has the same id whatever the coins say.
    """

    def __init__(
        self,
        base: Any,
        canaries: tuple[NDArray[Any], NDArray[Any]],
        ids: IntArray,
        rows: int,
    ):
        require_extra("torch", "torch", "dataset")
        self.ids = ids
        self._base, self._rows = base, rows
        self._canaries = canaries
        self._template: Any = None
        if not isinstance(base, tuple):
            ordinary = ids[ids < rows]
            if ordinary.size:
                self._template = check_item(base[int(ordinary[0])], canaries)

    def __len__(self) -> int:
        return int(self.ids.size)

    def __getitem__(self, index: int) -> Any:
        place = int(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index {place} is out of range for {len(self)} records")
        record = int(self.ids[place])
        if record >= self._rows:
            return self._canary(record - self._rows)
        if isinstance(self._base, tuple):
            return _tensors(self._base[0][record], self._base[1][record])
        return self._base[record]

    def _canary(self, number: int) -> Any:
        x, y = (array[number] for array in self._canaries)
        if self._template is None:
            return _tensors(x, y)
        return like_item(self._template, x, y)


def check_item(item: Any, canaries: tuple[NDArray[Any], NDArray[Any]]) -> tuple[type, Any, Any]:
    """How items of a data set are built: their container and an example of both parts; or AK-CA-009.

    Raises
    ------
    InputError
        If an item is not a pair of an array and a label, or its array has another shape than the canaries.
    """
    if not isinstance(item, tuple | list) or len(item) != 2:
        what = f"{len(item)} parts" if isinstance(item, tuple | list) else type(item).__name__
        raise InputError(f"base: must give pairs (x, y), not {show(what)}", id="AK-CA-009")
    x, y = item
    shape = getattr(x, "shape", None)
    wanted = canaries[0].shape[1:]
    if shape is None or tuple(shape) != wanted:
        raise InputError(
            f"base: must give records of the canaries' shape {wanted}, not "
            f"{type(x).__name__ if shape is None else tuple(shape)}",
            id="AK-CA-009",
            hint="plant with the records as the model sees them, after transforms",
        )
    return type(item), x, y


def like_item(template: tuple[type, Any, Any], x: NDArray[Any], y: Any) -> Any:
    """A canary as an item of the same container, types and label form as the template."""
    torch = require_extra("torch", "torch", "dataset")
    container, x_like, y_like = template
    if isinstance(x_like, torch.Tensor):
        record = torch.as_tensor(np.array(x)).to(x_like.dtype)
    else:
        record = np.asarray(x, x_like.dtype)
    if isinstance(y_like, torch.Tensor):
        label = torch.as_tensor(np.array(y)).to(y_like.dtype).reshape(y_like.shape)
    elif isinstance(y_like, np.ndarray | np.generic):
        label = np.asarray(y, y_like.dtype).reshape(np.shape(y_like))[()]
    else:
        label = type(y_like)(y.item())
    pair = (record, label)
    return list(pair) if container is list else pair


def _tensors(x: Any, y: Any) -> tuple[Any, Any]:
    """A record and its label as tensors; a text label stays text."""
    torch = require_extra("torch", "torch", "dataset")
    record = torch.from_numpy(np.array(x))
    if y.dtype.kind in "US":
        return record, y.item()
    return record, torch.from_numpy(np.array(y)) if y.dtype.kind == "f" else torch.tensor(int(y))
