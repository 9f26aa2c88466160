"""What the convolutional networks of PyTorch and Keras share: their shape, and the layers before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.learners.learner import Learner, Parameter
from everloop.model.learners.network import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPACE: tuple[Parameter, ...] = (
    Parameter("filters", "choice", choices=(8, 16, 32, 64)),
    Parameter("blocks", "integer", 1, 4),
    Parameter("units", "choice", choices=(32, 64, 128)),
    Parameter("epochs", "integer", 5, 60, log=True),
    Parameter("learning_rate", "number", 3e-4, 2e-2, log=True),
    Parameter("dropout", "number", 0.0, 0.5),
    Parameter("weight_decay", "number", 1e-5, 0.1, log=True),
    Parameter("smoothing", "number", 0.0, 0.1),
)
PORTFOLIO: tuple[Mapping[str, Any], ...] = (
    {"filters": 16, "blocks": 2, "units": 64, "epochs": 30, "learning_rate": 0.01, "dropout": 0.2},
    {"filters": 32, "blocks": 3, "units": 128, "epochs": 40, "learning_rate": 0.003, "dropout": 0.3},
)
LEAST_SIDE = 4
"""An image is halved as long as its shorter side is at least this."""


@dataclass(frozen=True, slots=True)
class ImageNet:
    """The shape of a network: blocks of convolution, normalisation, ReLU and pooling, then two dense layers.

    Attributes:
        rows: Of the image.
        columns: Of the image.
        channels: Of the image; several images of one size are channels of one.
        slots: Where its numbers are in an encoded row, channels last, (rows * columns * channels,).
        filters: Of each block; those of the next are twice as many.
        units: Of the dense layer.
        dropout: The share of what dense layers read that is left out in training.
    """

    rows: int
    columns: int
    channels: int
    slots: NDArray[np.int64]
    filters: tuple[int, ...]
    units: int
    dropout: float

    @classmethod
    def of(cls, configuration: Mapping[str, Any], width: int) -> ImageNet:
        """Reads a learner's configuration; without ``grids`` a row is one line of pixels.

        Raises:
            ModelFault: When there are images of different sizes.
        """
        grids = configuration.get("grids") or ((0, 1, width, 1),)
        rows, columns = grids[0][1:3]
        if any(tuple(grid[1:3]) != (rows, columns) for grid in grids):
            sizes = ", ".join(f"{grid[1]} x {grid[2]}" for grid in grids)
            raise ModelFault(
                f"A convolutional network reads images of one size; there are {sizes}.",
                hint="state one size for all of them in problem.images",
            )
        places = [
            offset + np.arange(rows * columns * channels).reshape(rows * columns, channels)
            for offset, _, _, channels in grids
        ]
        slots = np.concatenate(places, axis=1)
        blocks, side = 0, min(rows, columns)
        while blocks < int(configuration.get("blocks", 2)) and (side >= LEAST_SIDE or blocks == 0):
            blocks, side = blocks + 1, side // 2
        first = int(configuration.get("filters", 16))
        return cls(
            rows=rows,
            columns=columns,
            channels=slots.shape[1],
            slots=slots.ravel(),
            filters=tuple(first * 2**block for block in range(blocks)),
            units=int(configuration.get("units", 64)),
            dropout=float(configuration.get("dropout", 0.2)),
        )

    @property
    def pools(self) -> tuple[tuple[int, int], ...]:
        """What each block's pooling covers: 2 along a side that is long enough."""
        sides, found = [self.rows, self.columns], []
        for _ in self.filters:
            pool = tuple(2 if side >= 2 else 1 for side in sides)
            sides = [side // step for side, step in zip(sides, pool, strict=True)]
            found.append((pool[0], pool[1]))
        return tuple(found)

    def chosen(self, width: int) -> list[Layer]:
        """Gives the layer that takes the image out of a row; none where it is the row."""
        if np.array_equal(self.slots, np.arange(width)):
            return []
        return [("mean", {"positions": self.slots[:, None]})]  # a mean of one: a choice


def require_grids(learners: Sequence[Learner], kinds: Mapping[str, str]) -> None:
    """Refuses learners of images where there is none.

    Args:
        learners: What was asked for.
        kinds: Feature -> its kind.

    Raises:
        ModelFault: When a learner reads images and sounds alone, and no column carries any.
    """
    lost = [one.name for one in learners if one.capabilities.reads_grids]
    if lost and not {"image", "sound"} & set(kinds.values()):
        raise ModelFault(
            f"The learner {lost[0]} learns from images and sounds, and no column carries any.",
            hint="name the columns that name their files: data: {files: [COLUMN]}",
        )
