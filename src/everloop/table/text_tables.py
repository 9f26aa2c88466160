"""CSV files and JSON lines as lazy frames, packed ones as they are unpacked.

A file of some size is read at once. A larger one is looked at as it streams: a CSV file has the types of
its first rows (`retyped` gives those of all), JSON lines those of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from everloop.core.errors import SourceUnreadable

if TYPE_CHECKING:
    import polars as pl

NULL_TEXTS = ("", "NA", "N/A", "#N/A", "null", "NULL", "nan", "NaN")
"""What a CSV file writes for a value that is missing."""

EAGER_BYTES = 256 * 2**20
"""Text files up to this size, unpacked, are read at once, so that what is wrong with them is said here."""

TYPED_ROWS = 100_000
"""So many first rows of a larger CSV file say the types of its columns."""

PACKED = {".gz": "gzip", ".zst": "zstd"}
_CHUNK = 2**20
_HEAD = 2**16
_SEPARATORS = (",", ";", "\t", "|")
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$"


def is_large(path: Path) -> bool:
    """Tells whether a text file is too large, unpacked, to be read at once."""
    if path.suffix.lower() not in PACKED:
        return path.stat().st_size > EAGER_BYTES
    size = 0
    # Whoever reads a file that is cut off says so.
    with suppress(OSError), _opened(path) as stream:
        while size <= EAGER_BYTES and (chunk := stream.read(_CHUNK)):
            size += len(chunk)
    return size > EAGER_BYTES


def read_csv(path: Path, texts: Sequence[str] = ()) -> pl.LazyFrame:
    """Reads a CSV file; of a large one the types are those of its first rows, but for `texts`."""
    import polars as pl

    options = _options(path) | {"schema_overrides": dict.fromkeys(texts, pl.String)}
    if is_large(path):
        return _times_of_day_as_text(pl.scan_csv(path, infer_schema_length=TYPED_ROWS, **options))
    return _times_of_day_as_text(pl.read_csv(_content(path), infer_schema_length=None, **options).lazy())


def retyped(path: Path) -> pl.LazyFrame:
    """Reads a CSV file with types that all its rows have; of a large one this takes a reading more.

    A column whose later values are not of the type of the first ones is number where it was integer and
    all are numbers, and text otherwise.
    """
    import polars as pl

    if not is_large(path):
        return read_csv(path)
    options = _options(path)
    first = pl.scan_csv(path, infer_schema_length=TYPED_ROWS, **options).collect_schema()
    text = pl.scan_csv(path, infer_schema=False, **(options | {"try_parse_dates": False}))
    tried = {name: _readings(name, dtype) for name, dtype in first.items() if dtype != pl.String}
    asked = [
        (pl.col(name).is_not_null() & reading.is_null()).any().alias(f"{name}\u0000{dtype}")
        for name, readings in tried.items()
        for dtype, reading in readings.items()
    ]
    misfits = text.select(asked).collect(engine="streaming").row(0, named=True)
    changed: dict[str, Any] = {}
    for name, readings in tried.items():
        fitting = [dtype for dtype in readings if not misfits[f"{name}\u0000{dtype}"]]
        if first[name] not in fitting:
            changed[name] = fitting[0] if fitting else pl.String
    return _times_of_day_as_text(
        pl.scan_csv(path, infer_schema_length=TYPED_ROWS, schema_overrides=changed, **options)
    )


def read_json_lines(path: Path) -> pl.LazyFrame:
    """Reads JSON lines; the types are those of all rows."""
    import polars as pl

    if is_large(path):
        return _iso_texts_as_times(pl.scan_ndjson(path, infer_schema_length=None))
    return _iso_texts_as_times(pl.read_ndjson(_content(path), infer_schema_length=None).lazy())


def not_utf8(path: Path, guess: str) -> SourceUnreadable:
    """Says that a file is not in UTF-8, and how to make it so."""
    return SourceUnreadable(
        f"{path} is not in UTF-8, which text files must be in.",
        hint=f"iconv -f {guess} -t utf-8 {path} > {path.with_name('utf8-' + path.name)}",
        place=str(path),
    )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    packing = PACKED.get(path.suffix.lower())
    if packing is None:
        with path.open("rb") as file:
            yield file
        return
    import pyarrow as pa

    with pa.input_stream(str(path), compression=packing) as stream:
        yield stream


def _content(path: Path) -> bytes | Path:
    if path.suffix.lower() not in PACKED:
        return path
    with _opened(path) as stream:
        return bytes(stream.read())


def _options(path: Path) -> dict[str, Any]:
    with _opened(path) as stream:
        head = bytes(stream.read(_HEAD))
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise not_utf8(path, "utf-16")
    header = head.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    return {
        "separator": max(_SEPARATORS, key=header.count),
        "null_values": list(NULL_TEXTS),
        "try_parse_dates": True,
    }


def _readings(name: str, dtype: pl.DataType) -> dict[Any, pl.Expr]:
    """Gives the types that a column may have which had this one at first, and how its text is read so."""
    import polars as pl

    text = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return {
            dtype: text.str.to_datetime(time_unit=dtype.time_unit, time_zone=dtype.time_zone, strict=False)
        }
    if dtype == pl.Date:
        return {dtype: text.str.to_date(strict=False)}
    if dtype == pl.Boolean:
        return {dtype: pl.when(text.is_in(["true", "false"])).then(text == "true")}
    if dtype.is_integer():
        return {dtype: text.cast(dtype, strict=False), pl.Float64(): text.cast(pl.Float64, strict=False)}
    return {dtype: text.cast(dtype, strict=False)} if dtype.is_numeric() else {}


def _times_of_day_as_text(lazy: pl.LazyFrame) -> pl.LazyFrame:
    import polars as pl

    return lazy.with_columns(
        pl.col(name).cast(pl.String) for name, dtype in lazy.collect_schema().items() if dtype == pl.Time
    )


def _iso_texts_as_times(lazy: pl.LazyFrame) -> pl.LazyFrame:
    """JSON has no times: text columns that hold nothing but ISO 8601 times become times."""
    import polars as pl

    texts = [name for name, dtype in lazy.collect_schema().items() if dtype == pl.String]
    if not texts:
        return lazy
    times = {name: _iso_time(pl.col(name)) for name in texts}
    asked = [
        (pl.col(name).is_not_null().any() & (pl.col(name).is_null() | time.is_not_null()).all()).alias(name)
        for name, time in times.items()
    ]
    are_times = lazy.select(asked).collect(engine="streaming").row(0, named=True)
    return lazy.with_columns(time.alias(name) for name, time in times.items() if are_times[name])


def _iso_time(text: pl.Expr) -> pl.Expr:
    import polars as pl

    whole = text.str.replace(" ", "T", literal=True).str.replace(r"^(.{10})$", "${1}T00:00")
    looks = pl.when(text.str.contains(_ISO)).then(whole)
    return looks.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
