"""The digest of rows, whatever their order and however they are divided into files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    import polars as pl

MODULUS = 1 << 128
_SEEDS = (0x5EED, 0xFEED)
# Whole numbers up to here are equal to a double.
_EXACT = 1 << 53
_HALF = 32


def digest_rows(files: Iterable[Path]) -> int:
    """Adds up the hashes of all rows of Parquet files, modulo 2**128.

    Digests of parts add up to the digest of the whole. A row's hash is made of its columns' names and
    values: a missing value counts as a column that is not there, and a whole number as the equal
    double, so that it does not matter which type a column had in which part. Equal rows count as often
    as they are there. The digest tells contents apart that differ by chance, not ones that were made
    to collide; another version of Polars may give another one, which costs a reading and no more.
    """
    import polars as pl

    total = 0
    for file in files:
        lazy = pl.scan_parquet(file, glob=False)
        schema = lazy.collect_schema()
        if not schema:
            continue
        sums = lazy.select(_row_sum(schema).alias("row")).select(
            part.sum().alias(f"{place}-{name}")
            for place, seed in enumerate(_SEEDS)
            for name, part in _halves(pl.col("row").hash(seed=seed))
        )
        first_high, first_low, second_high, second_low = (
            int(value or 0) for value in sums.collect(engine="streaming").row(0)
        )
        total += ((first_high << _HALF) + first_low) << 64
        total += (second_high << _HALF) + second_low
    return total % MODULUS


def _row_sum(schema: pl.Schema) -> pl.Expr:
    """Adds up the hashes of a row's columns; hashed again, so that no value can change rows unseen."""
    import polars as pl

    columns = [_value_hash(name, kind, crc32(name.encode())) for name, kind in schema.items()]
    # The sum of unsigned 64-bit numbers goes round.
    return pl.sum_horizontal(columns).cast(pl.UInt64)


def _value_hash(name: str, kind: pl.DataType, seed: int) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if kind == pl.Null:
        return pl.lit(0, dtype=pl.UInt64)
    if kind in (pl.Categorical, pl.Enum, pl.Decimal):
        column = column.cast(pl.String)  # their hash is that of a code or of unscaled digits
    elif kind.is_nested():
        column = pl.struct(column).struct.json_encode()
    elif kind == pl.Datetime and kind != pl.Datetime("ns"):
        column = column.dt.cast_time_unit("us")
    hashed = column.hash(seed=seed)
    if kind.is_integer():
        as_double = column.cast(pl.Float64).hash(seed=seed)
        hashed = pl.when(column.is_between(-_EXACT, _EXACT)).then(as_double).otherwise(hashed)
    return pl.when(pl.col(name).is_null()).then(pl.lit(0, dtype=pl.UInt64)).otherwise(hashed)


def _halves(hashed: pl.Expr) -> tuple[tuple[str, pl.Expr], tuple[str, pl.Expr]]:
    """Divides a hash, so that the sum of many does not overflow."""
    return (("high", hashed // (1 << _HALF)), ("low", hashed % (1 << _HALF)))
