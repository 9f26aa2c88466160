"""What a Parquet file says of its columns without any row being read.

A file keeps, for each part of each column, how many values are missing, the least and the greatest. Of
the types and writers below these are exact; of any other, and where a number is not given, nothing is
taken to be known.
"""

from __future__ import annotations

import json
import math
import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.table.parquet_dictionary import dictionary_texts

if TYPE_CHECKING:
    import polars as pl

# The writers whose numbers are taken, each from the version that is known to write them right.
WRITERS = {"polars": 1, "parquet-cpp-arrow": 5, "parquet-rs": 30, "duckdb": 1, "parquet-mr": 1}
_WRITER = re.compile(r"^(?P<name>[a-z-]+)(?: \([a-z]+\))?(?: version)? v?(?P<major>\d+)\.", re.IGNORECASE)
_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of one column.

    Attributes:
        missing: Whether a value may be missing.
        ends: The least and the greatest of the values that are not missing or NaN; empty where there is
            none; None where they are not known.
    """

    missing: bool = True
    ends: pl.Series | None = None


@dataclass(frozen=True)
class ParquetFacts:
    """What a file says of its columns.

    Attributes:
        path: The file.
        rows: How many rows it has.
        columns: The columns of which something is known.
        metadata: The file's own description, as PyArrow reads it.
        places: Where in it each column is.
    """

    path: Path
    rows: int
    columns: Mapping[str, ColumnFacts]
    metadata: Any
    places: Mapping[str, int]

    @classmethod
    def of(cls, path: Path, schema: Mapping[str, pl.DataType]) -> ParquetFacts:
        """Reads what a file says of itself.

        Args:
            path: The file.
            schema: The types that Polars reads its columns as.
        """
        from pyarrow import parquet

        held = parquet.read_metadata(path)
        columns = [held.schema.column(place) for place in range(held.num_columns)]
        places = {
            column.name: place
            for place, column in enumerate(columns)
            if column.path == column.name and column.max_repetition_level == 0 and column.name in schema
        }
        known: dict[str, ColumnFacts] = {}
        if _is_trusted(held.created_by):
            known = {name: _facts(held, place, schema[name]) for name, place in places.items()}
        return cls(path, held.num_rows, known, held, places)

    def texts(self, names: list[str]) -> dict[str, list[str]]:
        """Gives all texts that columns can hold, of those columns whose dictionaries tell.

        Args:
            names: The columns that are asked for.
        """
        asked = [name for name in names if name in self.places and self.rows]
        if not asked:
            return {}
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = {name: _texts(self.metadata, self.places[name], content) for name in asked}
        return {name: sorted(texts) for name, texts in found.items() if texts is not None}


def _is_trusted(writer: str | None) -> bool:
    found = _WRITER.match(writer or "")
    return found is not None and int(found["major"]) >= WRITERS.get(found["name"].lower(), math.inf)


def _facts(held: Any, place: int, dtype: pl.DataType) -> ColumnFacts:
    column = held.schema.column(place)
    chunks = [held.row_group(group).column(place) for group in range(held.num_row_groups)]
    may_miss = column.max_definition_level > 0 and any(_may_miss(chunk) for chunk in chunks)
    return ColumnFacts(may_miss, _ends(chunks, dtype) if _is_ordered(column, dtype) else None)


def _may_miss(chunk: Any) -> bool:
    told = chunk.statistics
    return told is None or not told.has_null_count or told.null_count != 0


def _is_ordered(column: Any, dtype: pl.DataType) -> bool:
    """Tells whether the file orders a column as Polars does, in the numbers that it stores."""
    import polars as pl

    logical = json.loads(column.logical_type.to_json())
    kind = logical.get("Type", "None")
    if dtype.is_float():
        stored = {"Float32": "FLOAT", "Float64": "DOUBLE"}.get(str(dtype))
        return kind in {"None", "Undefined"} and column.physical_type == stored
    if column.physical_type not in {"INT32", "INT64"}:
        return False
    if dtype.is_signed_integer():
        return kind in {"None", "Undefined"} or (kind == "Int" and logical.get("isSigned") is True)
    if isinstance(dtype, pl.Datetime):
        return kind == "Timestamp" and _UNITS.get(logical.get("timeUnit", "")) == dtype.time_unit
    return dtype == pl.Date and kind == "Date"


def _ends(chunks: list[Any], dtype: pl.DataType) -> pl.Series | None:
    import polars as pl

    stored = pl.Float64 if dtype.is_float() else pl.Int64
    found: list[Any] = []
    for chunk in chunks:
        told = chunk.statistics
        if told is None:
            return None
        if told.has_null_count and told.null_count == chunk.num_values:
            continue
        ends = [told.min_raw, told.max_raw] if told.has_min_max else []
        if len(ends) != 2 or not all(_is_number(end) for end in ends) or ends[0] > ends[1]:
            return None
        found += ends
    return pl.Series([min(found), max(found)] if found else [], dtype=stored).cast(dtype)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _texts(held: Any, place: int, content: Any) -> set[str] | None:
    found: set[str] = set()
    for chunk in _chunks(held, place):
        texts = dictionary_texts(content, chunk)
        if texts is None:
            return None
        found.update(texts)
    return found


def _chunks(held: Any, place: int) -> Iterator[Any]:
    for group in range(held.num_row_groups):
        yield held.row_group(group).column(place)
