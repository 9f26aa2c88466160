"""What a text carries: images and sounds, decoded, resized and heard as independent code does it."""

import io
import wave

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import signal

from everloop.core.errors import DataFault, PackageRefused
from everloop.runtime.encoders import GridEncoder, Spectrogram
from everloop.runtime.grids import QUIETEST, mel_bands, spectrogram
from everloop.runtime.plan import Plan, PlanInput, compile_row
from everloop.runtime.plan_table import encode_table
from everloop.table.content import (
    array_text,
    as_contents,
    content_bytes,
    content_given,
    content_kind,
    content_of,
    content_text,
)
from everloop.table.images import read_image, resized
from everloop.table.sounds import read_sound


def image_file(pixels, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


def sound_file(samples, rate=8_000, width=2, channels=1):
    stream = io.BytesIO()
    whole = np.round(np.asarray(samples) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    data = (
        (whole + 128).astype(np.uint8).tobytes()
        if width == 1
        else b"".join(int(one).to_bytes(width, "little", signed=True) for one in whole)
    )
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_a_grey_image_comes_back_as_it_was(kind):
    pixels = np.arange(35).reshape(7, 5)
    text = content_text(image_file(pixels, kind))
    assert content_kind(text) == "image"
    expected = pixels[:, :, None] if kind != "GIF" else read_image(text)
    assert np.array_equal(read_image(text)[:, :, :1], expected[:, :, :1])


def test_colour_transparency_and_orientation():
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3))
    assert np.array_equal(read_image(content_text(image_file(pixels))), pixels)
    clear = np.dstack([pixels, np.full((4, 6), 40)])
    assert np.array_equal(read_image(content_text(image_file(clear))), pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    turned = read_image(content_text(image_file(pixels, exif=exif)))
    assert np.array_equal(turned, np.rot90(pixels, -1))
    jpeg = read_image(content_text(image_file(np.full((8, 8), 90), "JPEG")))
    assert jpeg.shape == (8, 8, 1)
    assert abs(jpeg.mean() - 90) < 2


@pytest.mark.parametrize("shape", [(20, 30), (3, 4), (8, 8), (1, 1), (64, 5)])
def test_another_size_is_that_of_pillow(shape):
    pixels = np.random.default_rng(1).random(shape) * 255
    theirs = Image.fromarray(pixels.astype(np.float32)).resize((8, 9), Image.Resampling.BILINEAR)
    assert np.allclose(resized(pixels[:, :, None], 9, 8)[:, :, 0], np.asarray(theirs), atol=1e-3)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(-1e6, 1e6))
@settings(max_examples=40, deadline=None)
def test_one_colour_stays_one_colour(rows, columns, value):
    there = resized(np.full((5, 7, 1), value), rows, columns)
    assert np.allclose(there, value, rtol=1e-12)


def test_arrays_keep_their_numbers():
    numbers = np.random.default_rng(2).normal(size=(3, 4, 3))
    assert np.array_equal(read_image(array_text(numbers.tolist())), numbers)
    assert np.array_equal(read_image(array_text([[1, 2], [3, 255]]))[:, :, 0], [[1, 2], [3, 255]])


@pytest.mark.parametrize("value", [[1, 2], [[1], [2, 3]], [[float("nan")]], [["a"]], [], [[[1, 2]]], [[]]])
def test_what_is_no_image_is_no_array(value):
    with pytest.raises(DataFault):
        array_text(value)
    assert content_given(value) is None


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_sound_comes_back_as_it_was(width):
    samples = np.sin(np.arange(400) / 7.0)
    sound = read_sound(content_text(sound_file(samples, width=width)))
    assert sound.rate == 8_000
    assert np.abs(sound.samples - samples).max() < 2.0 ** (2 - 8 * width)


def test_channels_become_their_mean():
    both = np.column_stack([np.full(50, 0.5), np.full(50, -0.25)]).ravel()
    sound = read_sound(content_text(sound_file(both, channels=2)))
    assert np.allclose(sound.samples, 0.125, atol=1e-4)
    assert len(sound.samples) == 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        image_file(np.zeros((9, 9)))[:-30],
        b"\x93NUMPY\x01\x00rubbish",
        b"RIFF\x00\x00\x00\x00WAVE",
        sound_file(np.zeros(9))[:40],
        b"GIF89a" + b"\xff" * 30,
    ],
)
def test_damaged_files_are_told_and_never_crash(data):
    with pytest.raises(DataFault):
        decoded(data)


def decoded(data):
    text = content_text(data)
    return (read_sound if content_kind(text) == "sound" else read_image)(text)


def test_too_many_pixels_are_refused():
    header = image_file(np.zeros((1, 1)))
    wide = bytearray(header)
    wide[16:24] = (70_000).to_bytes(4, "big") * 2
    with pytest.raises(DataFault):
        read_image(content_text(bytes(wide)))


def test_the_spectrogram_is_that_of_scipy():
    how = Spectrogram(rate=8_000, samples=2_000, window=256, hop=100, bands=20)
    samples = np.random.default_rng(3).normal(size=2_000) * 0.1
    sound = read_sound(content_text(sound_file(np.clip(samples, -1, 1), width=4)))
    window = np.hanning(256)
    _, _, complex_ = signal.spectrogram(
        sound.samples, 8_000, window, 256, 156, detrend=False, scaling="spectrum", mode="complex"
    )
    power = np.abs(complex_ * window.sum()) ** 2 / 256
    expected = np.log(power.T @ mel_bands(8_000, 256, 20) + QUIETEST)
    assert np.allclose(spectrogram(sound, how), expected, atol=1e-9)
    assert spectrogram(sound, how).shape == (how.moments, 20)


def test_a_tone_is_loudest_in_its_band_at_any_rate():
    how = Spectrogram(rate=8_000, samples=4_000, window=256, hop=256, bands=24)
    loudest = set()
    for rate in (8_000, 16_000, 22_050):
        tone = np.sin(2 * np.pi * 1_000 * np.arange(rate // 2) / rate)
        loudest.add(int(spectrogram(read_sound(content_text(sound_file(tone, rate))), how)[3].argmax()))
    assert len(loudest) == 1
    centre = np.argmax(mel_bands(8_000, 256, 24)[:, loudest.pop()]) * 8_000 / 256
    assert abs(centre - 1_000) < 150


def grid(**changes):
    facts = {"rows": 4, "columns": 3, "channels": 1, "low": 0.0, "high": 200.0, "centre": 50.0, "scale": 40.0}
    return GridEncoder("picture", 0, **(facts | changes))


@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_and_a_table_are_encoded_alike(channels, float32):
    encoder = grid(channels=channels, float32=float32)
    plan = Plan((PlanInput("picture", "text"),), (encoder,), encoder.width)
    assert Plan.from_json(plan.to_json()) == plan
    random = np.random.default_rng(5)
    texts = [
        None,
        "no image",
        content_text(image_file(random.integers(0, 255, (6, 7)))),
        content_text(image_file(random.integers(0, 255, (4, 3, 3)))),
        array_text(random.normal(size=(4, 3)) * 1e300),
    ]
    encode = compile_row(plan)
    rows = np.array([encode({"picture": text}) for text in texts])
    assert np.array_equal(rows, encode_table(plan, pl.DataFrame({"picture": texts})))
    assert not rows[:2].any()
    assert np.abs(rows).max() <= 3.75 + 1e-6


def test_a_plan_that_lies_about_a_grid_is_refused():
    flaws = (
        {"channels": 2},
        {"rows": 0},
        {"scale": 0.0},
        {"rows": 4_096, "columns": 4_096},
        {"sound": Spectrogram(8_000, 800, 256, 128, 3)},
        {"sound": Spectrogram(8_000, 100, 256, 128, 3)},
    )
    for flaw in flaws:
        encoder = grid(**flaw)
        with pytest.raises(PackageRefused):
            Plan((PlanInput("picture", "text"),), (encoder,), encoder.width)


def test_columns_of_arrays_and_bytes_become_texts():
    file = image_file(np.eye(3) * 255)
    arrays = as_contents(pl.Series("a", [[[1.0, 2.0]], None]))
    assert content_of(arrays) == "image"
    assert arrays[1] is None
    assert content_bytes(as_contents(pl.Series("b", [file]))[0]) == file
    assert as_contents(pl.Series("c", ["x"]))[0] == "x"
    with pytest.raises(DataFault, match=r"'d', row 2"):
        as_contents(pl.Series("d", [[[1.0]], [[None]]]))


def test_clients_may_leave_the_kind_out():
    text = content_text(image_file(np.eye(3)))
    assert content_given(text.partition(",")[2]) == text
    assert content_given(text) == text
    assert content_given("ab") is None
    assert content_given(7) is None
