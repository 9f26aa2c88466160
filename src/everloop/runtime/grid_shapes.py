"""Which size images or sounds are brought to, told from some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.runtime.encoders import GridEncoder, Spectrogram
from everloop.table.images import read_image
from everloop.table.sounds import read_sound

if TYPE_CHECKING:
    from collections.abc import Sequence

SOUND_SECONDS, SOUND_RATE = 4.0, 16_000
"""Longer sounds are cut, and higher rates lowered, to this."""

WINDOW_SECONDS = 0.032


@dataclass(frozen=True, slots=True)
class GridShape:
    """A size that values are brought to.

    Attributes:
        rows: Of a sound its moments.
        columns: Of a sound its bands.
        channels: 1 or 3.
        sound: How a sound becomes the grid; None for an image.
    """

    rows: int
    columns: int
    channels: int
    sound: Spectrogram | None = None

    def encoder(self, column: str) -> GridEncoder:
        """Gives an encoder of this size that neither clips nor scales."""
        size = (self.rows, self.columns, self.channels)
        return GridEncoder(column, 0, *size, -1e300, 1e300, 0.0, 1.0, sound=self.sound)


def image_shape(texts: Sequence[str], longest: int, wanted: tuple[int, int] | None = None) -> GridShape:
    """Gives the middle size of images, in colour where any is.

    Args:
        texts: The images, at least one.
        longest: No side is longer; larger images are made smaller.
        wanted: Rows and columns, where they are stated.

    Raises:
        DataFault: When one cannot be decoded.
    """
    shapes = np.array([read_image(text).shape for text in texts])
    rows, columns = wanted or (int(np.median(shapes[:, 0])), int(np.median(shapes[:, 1])))
    if wanted is None and max(rows, columns) > longest:
        shrunk = longest / max(rows, columns)
        rows, columns = max(1, round(rows * shrunk)), max(1, round(columns * shrunk))
    return GridShape(rows, columns, int(shapes[:, 2].max()))


def sound_shape(texts: Sequence[str], moments: int, bands: int) -> GridShape:
    """Gives the spectrogram that holds most sounds whole.

    Args:
        texts: The sounds, at least one.
        moments: So many rows at most.
        bands: So many columns at most.

    Raises:
        DataFault: When one cannot be decoded.
    """
    sounds = [read_sound(text) for text in texts]
    rate = min(SOUND_RATE, int(np.median([one.rate for one in sounds])))
    seconds = min(SOUND_SECONDS, float(np.quantile([one.seconds for one in sounds], 0.95)))
    window = max(16, round(rate * WINDOW_SECONDS))
    samples = max(window, round(rate * seconds))
    hop = max(window // 2, -(-(samples - window) // (max(1, moments - 1))))
    bands = min(bands, window // 4)
    how = Spectrogram(rate, samples, window, hop, bands)
    return GridShape(how.moments, bands, 1, how)
