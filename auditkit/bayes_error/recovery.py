"""What someone who trains on protected rows would try first: cheap transformations that remove small perturbations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Transform = Callable[[Floats], Floats]

LEAST_SIDE = 4
"""Rows with two long axes and at most four channels are taken for images from this side length on."""
_BLOCK = 8
_LUMINANCE = (0.299, 0.587, 0.114)
_QUANTISATION = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=np.float64,
)
"""Luminance table of ITU-T T.81, Annex K, at quality 50."""


@dataclass(frozen=True)
class ImageLayout:
    """How rows are images: `channels` None for a single plane."""

    height: int
    width: int
    channels: int | None = None
    channels_first: bool = False

    @property
    def colour(self) -> bool:
        """Whether there are red, green and blue."""
        return self.channels == 3

    def planes(self, rows: Floats) -> Floats:
        """Rows as (n, channels, height, width)."""
        n = rows.shape[0]
        if self.channels is None:
            return rows.reshape(n, 1, self.height, self.width)
        if self.channels_first:
            return rows.reshape(n, self.channels, self.height, self.width)
        return rows.reshape(n, self.height, self.width, self.channels).transpose(0, 3, 1, 2)

    def rows(self, planes: Floats) -> Floats:
        """Planes as they were before `planes`, flattened."""
        n = planes.shape[0]
        if self.channels is not None and not self.channels_first:
            planes = planes.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(planes.reshape(n, -1))


def image_layout(shape: tuple[int, ...]) -> ImageLayout | None:
    """The layout of rows of a shape, or None where they are no images: (h, w), (h, w, c) or (c, h, w)."""
    if len(shape) == 2 and min(shape) >= LEAST_SIDE:
        return ImageLayout(shape[0], shape[1])
    if len(shape) != 3:
        return None
    if shape[2] in (1, 3) and min(shape[:2]) >= LEAST_SIDE:
        return ImageLayout(shape[0], shape[1], shape[2])
    if shape[0] in (1, 3) and min(shape[1:]) >= LEAST_SIDE:
        return ImageLayout(shape[1], shape[2], shape[0], channels_first=True)
    return None


def greyscale(layout: ImageLayout) -> Transform:
    """Colour replaced by its luminance (ITU-R BT.601), in every channel."""

    def apply(rows: Floats) -> Floats:
        planes = layout.planes(rows)
        grey = np.tensordot(planes, np.array(_LUMINANCE), axes=([1], [0]))[:, None]
        return layout.rows(np.repeat(grey, 3, axis=1))

    return apply


def blur(layout: ImageLayout) -> Transform:
    """A 3 x 3 binomial blur, edges repeated: weights 1, 2, 1 over 4 along each axis."""

    def along(planes: Floats, axis: int) -> Floats:
        width = [(0, 0)] * planes.ndim
        width[axis] = (1, 1)
        padded = np.pad(planes, width, mode="edge")
        before, middle, after = (
            np.take(padded, np.arange(planes.shape[axis]) + shift, axis=axis) for shift in (0, 1, 2)
        )
        return np.asarray((before + 2 * middle + after) / 4)

    return lambda rows: layout.rows(along(along(layout.planes(rows), 2), 3))


def compress(layout: ImageLayout, scale: float) -> Transform:
    """What JPEG at quality 50 loses in each channel: rounded cosine coefficients of 8 x 8 blocks.

    Parameters
    ----------
    layout : ImageLayout
    scale : float
        The value of white, for example 1 or 255.
    """
    frequency, place = np.arange(_BLOCK)[:, None], np.arange(_BLOCK)[None, :]
    cosine = np.cos(np.pi * (2 * place + 1) * frequency / (2 * _BLOCK)) * np.sqrt(2 / _BLOCK)
    cosine[0] /= np.sqrt(2)

    def apply(rows: Floats) -> Floats:
        planes = layout.planes(rows) * (255 / scale) - 128
        height, width = planes.shape[2:]
        fill = [(0, 0), (0, 0), (0, -height % _BLOCK), (0, -width % _BLOCK)]
        padded = np.pad(planes, fill, mode="edge")
        n, channels, tall, wide = padded.shape
        blocks = padded.reshape(n, channels, tall // _BLOCK, _BLOCK, wide // _BLOCK, _BLOCK).swapaxes(3, 4)
        coefficients = cosine @ blocks @ cosine.T
        kept = np.round(coefficients / _QUANTISATION) * _QUANTISATION
        back = (cosine.T @ kept @ cosine).swapaxes(3, 4).reshape(padded.shape)[:, :, :height, :width]
        return layout.rows((np.clip(back, -128, 127) + 128) * (scale / 255))

    return apply


def project_away(rows: Floats, codes: NDArray[np.int64], classes: int) -> Transform:
    """Rows without the directions that a linear probe of the protected rows reads first.

    Sandoval-Segura et al., What Can We Learn from Unlearnable Datasets? (NeurIPS 2023): shortcuts that a perturbation
    adds are linearly separable, so the weights of a linear classifier span them. The weights here are those of logistic
    regression after one step of gradient descent from 0: the class means less the mean of all. Weights at convergence
    are divided by the covariance, and to remove them leaves a strong shortcut readable. At most K - 1 directions go.

    Parameters
    ----------
    rows : ndarray, shape (n, d)
        The protected rows that would be trained on.
    codes : ndarray, shape (n,)
        Their classes, 0 to classes - 1.
    classes : int
    """
    counts = np.bincount(codes, minlength=classes)
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, codes, rows)
    steps = sums / rows.shape[0] - np.outer(counts / rows.shape[0], rows.mean(axis=0))
    _, sizes, directions = np.linalg.svd(steps, full_matrices=False)
    # the steps sum to 0, so one direction is always numerical noise
    basis = directions[(sizes > 1e-9 * sizes[0]) & (np.arange(sizes.size) < classes - 1)].T
    return lambda given: given - (given @ basis) @ basis.T


def image_attempts(shape: tuple[int, ...], scale: float) -> dict[str, Transform]:
    """The transformations that apply to rows of a shape: none where they are no images."""
    layout = image_layout(shape)
    if layout is None:
        return {}
    found = {"greyscale": greyscale(layout)} if layout.colour else {}
    return {**found, "blur": blur(layout), "jpeg": compress(layout, scale)}
