"""Images and sounds as grids of numbers: rows x columns x channels, the same for a row and for a table.

A sound becomes its log-mel spectrogram: how loud each band of pitch is at each moment (Davis and
Mermelstein 1980; bands after O'Shaughnessy's mel scale). So one network reads both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault
from everloop.table.images import in_channels, read_image, resized
from everloop.table.sounds import Sound, read_sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.runtime.encoders import GridEncoder, Spectrogram

    Matrix = NDArray[np.float64]

QUIETEST = 1e-6
"""Power below this is silence: its logarithm ends here."""


def grid_of(text: str | None, encoder: GridEncoder) -> Matrix | None:
    """Gives a value as the grid that an encoder reads, before it is clipped and scaled.

    Args:
        text: What `table.content` made of a file.
        encoder: Its size, and for a sound how the spectrogram is made.

    Returns:
        (rows * columns * channels,) doubles, channels last; None where there is nothing to decode. What is
        served was decoded by the contract before.

    Raises:
        MissingExtra: When what decodes it is not installed.
    """
    if not isinstance(text, str):
        return None
    try:
        if encoder.sound is not None:
            return spectrogram(read_sound(text), encoder.sound).ravel()
        image = in_channels(read_image(text), encoder.channels)
        return resized(image, encoder.rows, encoder.columns).ravel()
    except DataFault:
        return None


def grid_encoder(encoder: GridEncoder) -> Callable[[str | None], Matrix]:
    """Gives the function from a text, or None, to the encoder's numbers."""
    blank = np.zeros(encoder.width)

    def encode(text: str | None) -> Matrix:
        grid = grid_of(text, encoder)
        if grid is None:
            return blank
        scaled = (np.clip(grid, encoder.low, encoder.high) - encoder.centre) / encoder.scale
        return scaled.astype(np.float32).astype(np.float64) if encoder.float32 else scaled

    return encode


def spectrogram(sound: Sound, how: Spectrogram) -> Matrix:
    """Gives the log-mel spectrogram, (moments, bands): natural logarithms of power.

    A sound at another rate is interpolated to it; a longer one is cut at its end, a shorter one followed by
    silence.
    """
    samples = _at_rate(sound, how.rate)[: how.samples]
    padded = np.zeros(how.samples)
    padded[: len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, how.window)[:: how.hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(how.window), axis=1)) ** 2 / how.window
    logarithms: Matrix = np.log(power @ mel_bands(how.rate, how.window, how.bands) + QUIETEST)
    return logarithms


def _at_rate(sound: Sound, rate: int) -> Matrix:
    if sound.rate == rate:
        return sound.samples
    moments = np.arange(max(1, round(len(sound.samples) * rate / sound.rate))) * (sound.rate / rate)
    told: Matrix = np.interp(moments, np.arange(len(sound.samples)), sound.samples)
    return told


@lru_cache(maxsize=16)
def mel_bands(rate: int, window: int, bands: int) -> Matrix:
    """Gives how much of each frequency is in each band, (window // 2 + 1, bands): triangles even in mel."""
    frequencies = np.arange(window // 2 + 1) * (rate / window)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, _mel(rate / 2.0), bands + 2) / 2595.0) - 1.0)
    below, middle, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies[:, None] - below) / (middle - below)
    falling = (above - frequencies[:, None]) / (above - middle)
    found: Matrix = np.maximum(0.0, np.minimum(rising, falling))
    return found


def _mel(frequency: float) -> float:
    return float(2595.0 * np.log10(1.0 + frequency / 700.0))
