"""To which size the images or sounds of a column are brought, from those that are learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault
from everloop.runtime.encoders import GridEncoder
from everloop.runtime.grid_shapes import image_shape, sound_shape
from everloop.runtime.grids import grid_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOOKED_AT = 500
"""Sizes and numbers are taken from at most so many values, evenly."""

LONGEST_SIDE = 32
"""Images are made smaller so that no side is longer, unless the file says a size."""

MOST_MOMENTS, BANDS = 48, 32


def fit_grid(
    column: str,
    kind: str,
    texts: Sequence[str | None],
    offset: int,
    *,
    float32: bool,
    sizes: Mapping[str, tuple[int, int]],
) -> GridEncoder:
    """Fits the encoder of a column of images or sounds.

    Args:
        column: The column.
        kind: ``image`` or ``sound``.
        texts: The training rows.
        offset: The first slot.
        float32: Whether numbers are rounded to single precision.
        sizes: The rows and columns of images where the file says them.

    Raises:
        DataFault: When no value can be decoded.
    """
    known = [text for text in texts if text]
    looked_at = known[:: max(1, -(-len(known) // LOOKED_AT))]
    if not looked_at:
        raise DataFault(f"Column {column!r} has no {kind} to learn from.")
    if kind == "sound":
        shape = sound_shape(looked_at, MOST_MOMENTS, BANDS)
    else:
        shape = image_shape(looked_at, LONGEST_SIDE, sizes.get(column))
    raw = shape.encoder(column)
    grids = [grid for text in looked_at if (grid := grid_of(text, raw)) is not None]
    low, high = min(float(one.min()) for one in grids), max(float(one.max()) for one in grids)
    spread = float(np.std(grids))
    return GridEncoder(
        column=column,
        offset=offset,
        rows=shape.rows,
        columns=shape.columns,
        channels=shape.channels,
        low=low,
        high=high,
        centre=float(np.mean(grids)),
        scale=spread if np.isfinite(spread) and spread > 1e-12 * max(1.0, abs(high)) else 1.0,
        float32=float32,
        sound=shape.sound,
    )
