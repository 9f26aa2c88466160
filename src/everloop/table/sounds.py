"""Short sounds: from the text that carries a WAV file to its samples."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault
from everloop.table.content import content_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

MOST_SAMPLES = 2**23


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound.

    Attributes:
        samples: Between -1 and 1, the mean of all channels, (n,); it must not be changed.
        rate: Samples a second.
    """

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


@lru_cache(maxsize=32)
def read_sound(text: str) -> Sound:
    """Decodes a WAV file of whole numbers (PCM of 8, 16, 24 or 32 bits).

    Args:
        text: What `table.content` made of the file.

    Raises:
        DataFault: When it cannot be decoded, is empty or too long.
    """
    try:
        with wave.open(io.BytesIO(content_bytes(text))) as file:
            frames, channels = file.getnframes(), file.getnchannels()
            if not 0 < frames * channels <= MOST_SAMPLES:
                raise DataFault(f"It has {frames * channels} samples; 1 to {MOST_SAMPLES} were expected.")
            data, width, rate = file.readframes(frames), file.getsampwidth(), file.getframerate()
    except (wave.Error, EOFError, RuntimeError) as error:
        raise DataFault(f"It cannot be decoded as a WAV file: {str(error) or 'it ends too early'}.") from None
    if rate <= 0 or len(data) < width * channels:
        raise DataFault("It cannot be decoded as a WAV file: it has no sample.")
    samples = _numbers(data[: len(data) // (width * channels) * width * channels], width)
    mono = samples.reshape(-1, channels).mean(axis=1)
    mono.setflags(write=False)
    return Sound(mono, rate)


def _numbers(data: bytes, width: int) -> Samples:
    if width == 1:  # the only width without a sign
        return (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128.0) / 128.0
    if width == 3:
        parts = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
        wide = np.zeros((len(parts), 4), dtype=np.uint8)
        wide[:, 1:] = parts
        return wide.view("<i4").ravel().astype(np.float64) / 2.0**31
    return np.frombuffer(data, dtype=f"<i{width}").astype(np.float64) / 2.0 ** (8 * width - 1)
