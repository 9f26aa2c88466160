"""A file's content as the value of a text column: an image or a short sound, as a ``data:`` address.

A table holds numbers, times and texts; an image or a sound is a text that carries the whole file, or an
array (RFC 2397, base64). So it is a value like any other: in snapshots, requests and the prediction log.
"""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from everloop.core.errors import DataFault

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

ContentKind = Literal["image", "sound"]
CONTENT_KINDS: tuple[ContentKind, ...] = ("image", "sound")

ARRAY = "application/x-npy"
_MOST_BYTES = 32 * 2**20
_LOOKED_AT = 20

_MARKS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (0, b"BM", "image/bmp"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"\x93NUMPY", ARRAY),
)
"""Where a kind of file has its mark, the mark, and the kind's name."""

_KINDS: dict[str, ContentKind] = {
    f"data:{name};base64,": "sound" if name.startswith("audio/") else "image" for _, _, name in _MARKS
}
_LONGEST = max(map(len, _KINDS))


def content_kind(text: str) -> ContentKind | None:
    """Says what a text carries by how it begins; None for any other text.

    Example:
        >>> content_kind("data:image/png;base64,iVBORw0KGgo="), content_kind("a chair")
        ('image', None)
    """
    head, comma, _ = text[:_LONGEST].partition(",")
    return _KINDS.get(head + comma)


def content_of(column: pl.Series) -> ContentKind | None:
    """Says what a column of a table carries by its first values; None for any other column."""
    import polars as pl

    if column.dtype != pl.String:
        return None
    kinds = {content_kind(text) for text in column.drop_nulls().head(_LOOKED_AT)}
    return kinds.pop() if len(kinds) == 1 else None


def content_text(data: bytes) -> str:
    """Gives a file's bytes as a text.

    Raises:
        DataFault: When the file is of no kind that is known, or too large.
    """
    if len(data) > _MOST_BYTES:
        raise DataFault(f"{len(data)} bytes are too many for one value; {_MOST_BYTES} are the most.")
    for start, mark, name in _MARKS:
        if data[start : start + len(mark)] == mark:
            return f"data:{name};base64,{base64.b64encode(data).decode()}"
    raise DataFault("It is neither an image (PNG, JPEG, GIF, BMP, WebP) nor a sound (WAV).")


def array_text(values: Any) -> str:
    """Gives an image's numbers, (rows, columns) or (rows, columns, 1 or 3), as a text.

    Raises:
        DataFault: When they are of another shape, or no finite numbers.
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataFault("Its rows are of different lengths.") from None
    if array.dtype.kind not in "iufb" or not np.isfinite(array).all():
        raise DataFault("It holds something else than finite numbers.")
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        raise DataFault(f"It has the shape {array.shape}; expected rows x columns, or that x 1 or 3.")
    small = array.dtype.kind in "iub" and array.min() >= 0 and array.max() <= 255
    stream = io.BytesIO()
    np.save(stream, array.astype(np.uint8 if small else np.float64), allow_pickle=False)
    return content_text(stream.getvalue())


def as_contents(column: pl.Series) -> pl.Series:
    """Gives a column of arrays, or of files' bytes, as one of texts; any other column as it is.

    Raises:
        DataFault: When a value is no image and no sound; the message tells the row.
    """
    import polars as pl

    if isinstance(column.dtype, (pl.List, pl.Array)):
        made: Callable[[Any], str] = array_text
    elif column.dtype == pl.Binary:
        made = content_text
    else:
        return column
    texts: list[str | None] = []
    for row, value in enumerate(column.to_list(), start=1):
        try:
            texts.append(None if value is None else made(value))
        except DataFault as fault:
            raise DataFault(
                f"Column {column.name!r}, row {row}, is neither an image nor a sound. {fault.message}",
                hint=f'leave it out of data.table (select * exclude ("{column.name}"))',
            ) from None
    return pl.Series(column.name, texts, dtype=pl.String)


def content_given(value: Any) -> str | None:
    """Gives what a client sent of a content as a text: itself, base64 alone, or an array.

    Returns:
        The text; None where it is nothing of these. Whether it can be decoded is not known yet.
    """
    try:
        if isinstance(value, str):
            return value if content_kind(value) else content_text(_decoded(value))
        return array_text(value) if isinstance(value, (list, tuple)) else None
    except DataFault:
        return None


def content_bytes(text: str) -> bytes:
    """Gives the bytes that a text carries.

    Raises:
        DataFault: When it carries none.
    """
    if content_kind(text) is None:
        raise DataFault("It carries no image and no sound.")
    return _decoded(text[text.index(",") + 1 :])


def stored_array(data: bytes) -> NDArray[np.float64] | None:
    """Gives the array that `array_text` kept, (rows, columns, channels); None where the bytes are none.

    Raises:
        DataFault: When the array is damaged, or of a shape that no image has.
    """
    if not data.startswith(b"\x93NUMPY"):
        return None
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError) as error:
        raise DataFault(f"The array is damaged: {error}.") from None
    array_text(array)  # refuses what no image is
    return np.asarray(array, dtype=np.float64).reshape(array.shape[0], array.shape[1], -1)


def _decoded(text: str) -> bytes:
    if len(text) > 2 * _MOST_BYTES:
        raise DataFault("It is too long for one value.")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataFault("It is no base64.") from None
