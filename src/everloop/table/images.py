"""Images: from the text that carries one to its numbers."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault
from everloop.table.content import content_bytes, stored_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

MOST_PIXELS = 2**24
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
_GREY = np.array([0.299, 0.587, 0.114])
"""What red, green and blue add to brightness (ITU-R BT.601)."""


@lru_cache(maxsize=32)
def read_image(text: str) -> Matrix:
    """Decodes an image; it must not be changed.

    Args:
        text: What `table.content` made of a file or an array.

    Returns:
        (rows, columns, channels) doubles: 1 channel of brightness or 3 of colour, 0 to 255 of a file, as
        they are of an array. It stands upright, transparency is left out, of a moving one the first is
        taken.

    Raises:
        DataFault: When it cannot be decoded, or has too many pixels.
        MissingExtra: When Pillow is not installed and it is no array.
    """
    data = content_bytes(text)
    array = stored_array(data)
    if array is None:
        array = _decoded(data)
    array.setflags(write=False)
    return array


def _decoded(data: bytes) -> Matrix:
    from everloop.core.extras import require

    images, operations = require("PIL.Image", extra="images"), require("PIL.ImageOps", extra="images")
    try:
        image = images.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise DataFault(f"It has {image.width} x {image.height} pixels; {MOST_PIXELS} are the most.")
        image.load()
        image = operations.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits
            return np.asarray(image, dtype=np.float64)[:, :, None] / 257.0
        grey = image.mode in ("1", "L", "LA")
        return np.asarray(image.convert("L" if grey else "RGB"), dtype=np.float64).reshape(
            image.height, image.width, -1
        )
    except DataFault:
        raise
    except Exception as error:  # noqa: BLE001  (Pillow's decoders raise whatever they meet)
        line = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DataFault(f"It cannot be decoded as an image: {line}.") from None


def in_channels(image: Matrix, channels: int) -> Matrix:
    """Gives an image in 1 channel of brightness or 3 of colour."""
    if image.shape[2] == channels:
        return image
    grey: Matrix = (image @ _GREY)[:, :, None] if channels == 1 else np.repeat(image, 3, axis=2)
    return grey


def resized(image: Matrix, rows: int, columns: int) -> Matrix:
    """Gives an image at another size: weighed means under a triangle, as wide as what one pixel covers.

    Enlarged it is interpolated, shrunk it is smoothed first, so that nothing is skipped.
    """
    if image.shape[:2] == (rows, columns):
        return image
    down = _weights(image.shape[0], rows) @ image.transpose(2, 0, 1)
    across: Matrix = (down @ _weights(image.shape[1], columns).T).transpose(1, 2, 0)
    return across


@lru_cache(maxsize=64)
def _weights(before: int, after: int) -> Matrix:
    """Gives what each old place adds to each new one, (after, before)."""
    step = before / after
    centre = (np.arange(after) + 0.5) * step - 0.5
    near = 1.0 - np.abs(np.arange(before)[None, :] - centre[:, None]) / max(step, 1.0)
    weights = np.maximum(near, 0.0)
    shares: Matrix = weights / weights.sum(axis=1, keepdims=True)
    return shares
