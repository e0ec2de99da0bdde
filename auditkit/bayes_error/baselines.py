"""Other protectors for comparison, in the same ball and box: error-minimising and linearly separable noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.bayes_error._inputs import Labelled, needs_two_classes, read_count, read_labelled, read_seed
from auditkit.bayes_error.projections import Room, read_room

BLOCK = 8
"""Rows and columns of an image, or features in a row, that share one value of separable noise."""

REACH = 2.5
"""All steps of one round could go this many radii."""

_MINIMISING, _SEPARABLE = 0xE44, 0x11E
_HIDDEN = 64
_TRAINING = 30
_RATE, _DECAY = 0.02, 1e-4


def error_minimising(
    X: Any,
    y: Any,
    *,
    eps: Any = 8 / 255,
    norm: str = "linf",
    box: tuple[float, float] = (0, 1),
    rounds: int = 10,
    steps: int = 20,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Noise of every row that makes a small network's training loss vanish.

    Parameters
    ----------
    X, y, eps, norm, box
        As for `auditkit.bayes_error.protect`.
    rounds : int
        Times that the network goes on training on the noisy rows before the noise is made anew by descent.
    steps : int
        Descents of a round.
    seed : int
        Of the network.

    Returns
    -------
    ndarray, shape of X, float64

    Raises
    ------
    InputError
        AK-BE-001, 002, 007, 035, 036, 038.

    Notes
    -----
    The network has one hidden layer of 64 rectified units. Cost 400 n d flop a step.

    References
    ----------
    Huang, Ma, Erfani, Bailey, Wang 2021 (Unlearnable Examples: Making Personal Data Unexploitable), section 3.
    """
    data, room = _read(X, y, eps, norm, box)
    rng = np.random.default_rng([read_seed(seed), _MINIMISING])
    network = _Network(data, rng)
    turns, descents = read_count(rounds, "rounds"), read_count(steps, "steps")
    noisy = data.X
    for _ in range(turns):
        network.train(noisy)
        for _ in range(descents):
            noisy = room.step(noisy, -network.slopes(noisy), REACH / descents)
    return noisy.reshape(data.n, *data.shape)


def linearly_separable(
    X: Any,
    y: Any,
    *,
    eps: Any = 8 / 255,
    norm: str = "linf",
    box: tuple[float, float] = (0, 1),
    block: int = BLOCK,
    spread: float = 0.25,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Noise that a linear rule reads the class from: one corner of a cube a class, constant over blocks of features.

    Parameters
    ----------
    X, y, eps, norm, box
        As for `auditkit.bayes_error.protect`.
    block : int
        Side of a square block of an image (the first two axes of a row), or features of a block in a plain row. Made
        smaller where the row has too few blocks to give every class a corner of its own.
    spread : float
        Standard deviation of a row's noise around the corner of its class, in units of the corner.
    seed : int

    Returns
    -------
    ndarray, shape of X, float64

    Raises
    ------
    InputError
        AK-BE-001, 002, 007, 035, 036, 038.

    References
    ----------
    Yu, Zhang, Chen, Yin, Liu 2022 (Availability Attacks Create Shortcuts), section 4.
    """
    data, room = _read(X, y, eps, norm, box)
    rng = np.random.default_rng([read_seed(seed), _SEPARABLE])
    block_of = _blocks(data, read_count(block, "block"))
    size = int(block_of.max()) + 1
    corners = _corners(data.k, size, rng)
    noise = corners[data.codes] + spread * rng.normal(size=(data.n, size))
    full = noise[:, block_of]
    lengths = {"linf": np.ones(data.n), "l2": np.linalg.norm(full, axis=1), "l1": np.abs(full).sum(axis=1)}
    wished = data.X + full * (room.radius / lengths[room.norm])[:, None]
    return room.step(wished, None, 0.0).reshape(data.n, *data.shape)


class _Network:
    """Softmax over one hidden layer, trained by Adam on all rows at once."""

    def __init__(self, data: Labelled, rng: np.random.Generator) -> None:
        d = data.X.shape[1]
        self.centre, self.scale = data.X.mean(axis=0), max(float(data.X.std()), 1e-12)
        self.wanted = np.eye(data.k)[data.codes]
        layers = [(d, _HIDDEN), (_HIDDEN, data.k)]
        self.weights = [rng.normal(size=shape) * np.sqrt(2 / shape[0]) for shape in layers]
        self.weights += [np.zeros(_HIDDEN), np.zeros(data.k)]
        self.moments = [(np.zeros_like(w), np.zeros_like(w)) for w in self.weights]
        self.updates = 0

    def train(self, X: NDArray[np.float64]) -> None:
        """Some more steps on the mean cross-entropy."""
        for _ in range(_TRAINING):
            inputs, hidden, blame = self._backward(X)
            below = (blame @ self.weights[1].T) * (hidden > 0)
            slopes = [inputs.T @ below, hidden.T @ blame, below.sum(axis=0), blame.sum(axis=0)]
            self.updates += 1
            for i, slope in enumerate(slopes):
                first, second = self.moments[i]
                first += 0.1 * (slope + _DECAY * self.weights[i] - first)
                second += 0.001 * (slope * slope - second)
                fresh = 1 - 0.9**self.updates, 1 - 0.999**self.updates
                self.weights[i] -= _RATE * (first / fresh[0]) / (np.sqrt(second / fresh[1]) + 1e-8)

    def slopes(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gradient of the mean cross-entropy by the rows."""
        _, hidden, blame = self._backward(X)
        slopes: NDArray[np.float64] = (
            ((blame @ self.weights[1].T) * (hidden > 0)) @ self.weights[0].T / self.scale
        )
        return slopes

    def loss(self, X: NDArray[np.float64]) -> float:
        """Mean cross-entropy."""
        inputs = (X - self.centre) / self.scale
        hidden = np.maximum(inputs @ self.weights[0] + self.weights[2], 0)
        scores = hidden @ self.weights[1] + self.weights[3]
        top = scores.max(axis=1, keepdims=True)
        logs = scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))
        return -float((logs * self.wanted).sum(axis=1).mean())

    def _backward(
        self, X: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Inputs, hidden values, and the gradient by the scores."""
        inputs = (X - self.centre) / self.scale
        hidden = np.maximum(inputs @ self.weights[0] + self.weights[2], 0)
        scores = hidden @ self.weights[1] + self.weights[3]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return inputs, hidden, (powers / powers.sum(axis=1, keepdims=True) - self.wanted) / len(X)


def _read(X: Any, y: Any, eps: Any, norm: Any, box: Any) -> tuple[Labelled, Room]:
    data = read_labelled(X, y)
    needs_two_classes(data)
    return data, read_room(data, eps=eps, norm=norm, box=box)


def _blocks(data: Labelled, block: int) -> NDArray[np.int64]:
    """The block of every feature; sides are halved until there are as many corners as classes."""
    while True:
        if len(data.shape) >= 2:
            high, wide = np.indices(data.shape[:2]) // block
            plane = high * (wide.max() + 1) + wide
            others = int(np.prod(data.shape[2:]))
            found = (plane[..., None] * others + np.arange(others)).reshape(-1)
        else:
            found = np.arange(data.X.shape[1]) // block
        if block == 1 or 2 ** min(int(found.max()) + 1, 60) >= 4 * data.k:
            return np.asarray(found, dtype=np.int64)
        block //= 2


def _corners(classes: int, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """A sign vector a class, different while there are enough of them."""
    corners = rng.choice([-1.0, 1.0], size=(classes, size))
    for _ in range(100):
        _, first = np.unique(corners, axis=0, return_index=True)
        again = np.setdiff1d(np.arange(classes), first)
        if not again.size or classes > 2 ** min(size, 60):
            break
        corners[again] = rng.choice([-1.0, 1.0], size=(again.size, size))
    return corners
