"""Convolutions and pooling as choices of positions in a flat image, channels last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Window:
    """A window that moves over an image.

    Attributes:
        size: Its rows and columns.
        stride: How far it moves.
        before: Rows and columns of zeros before the image.
        after: Rows and columns of zeros after it.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)

    @classmethod
    def covering(cls, shape: tuple[int, int, int], size: tuple[int, int], stride: tuple[int, int]) -> Window:
        """Gives the window whose places are the image's rows and columns over the stride (Keras' "same")."""
        missing = [
            max((-(-length // step) - 1) * step + wide - length, 0)
            for length, wide, step in zip(shape[:2], size, stride, strict=True)
        ]
        before = (missing[0] // 2, missing[1] // 2)
        return cls(size, stride, before, (missing[0] - before[0], missing[1] - before[1]))

    def places(self, shape: tuple[int, int, int]) -> tuple[int, int]:
        """Gives how many places it has in an image of (rows, columns, channels)."""
        rows, columns = (
            (shape[axis] + self.before[axis] + self.after[axis] - self.size[axis]) // self.stride[axis] + 1
            for axis in (0, 1)
        )
        return rows, columns


def patches(shape: tuple[int, int, int], window: Window) -> Positions:
    """Gives the positions under each place of a window: (places, rows * columns * channels).

    What lies outside the image is the position after its last, where a network's layers find a zero.

    Example:
        >>> patches((2, 2, 1), Window((2, 2), (1, 1))).tolist()
        [[0, 1, 2, 3]]
    """
    high, wide, channels = shape
    rows, columns = window.places(shape)
    row = (np.arange(rows) * window.stride[0] - window.before[0])[:, None] + np.arange(window.size[0])
    column = (np.arange(columns) * window.stride[1] - window.before[1])[:, None] + np.arange(window.size[1])
    r, c = row[:, None, :, None, None], column[None, :, None, :, None]
    inside = (r >= 0) & (r < high) & (c >= 0) & (c < wide)
    place = np.where(inside, (r * wide + c) * channels + np.arange(channels), high * wide * channels)
    found: Positions = place.reshape(rows * columns, -1)
    return found


def pooled(shape: tuple[int, int, int], window: Window) -> Positions:
    """Gives the positions under each place of each channel: (places * channels, rows * columns)."""
    channels = shape[2]
    size = window.size[0] * window.size[1]
    apart = patches(shape, window).reshape(-1, size, channels)
    found: Positions = apart.transpose(0, 2, 1).reshape(-1, size)
    return found
