"""Columns that together name a row, and columns that name rows of another source."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from everloop.data.identifiers import names_rows
from everloop.table.contract import TableRule
from everloop.table.schema import schema_of
from everloop.table.tables import as_lazy

if TYPE_CHECKING:
    import polars as pl

MOST_COLUMNS = 12
MOST_KEYS = 3
# Were the columns independent of each other, so many pairs of rows would share their values.
EXPECTED_COLLISIONS = 20
LARGEST_KEY = 3
FEWEST_VALUES = 20


def likely_keys(sample: pl.DataFrame, types: Mapping[str, str], rows: int) -> list[tuple[str, ...]]:
    """Proposes pairs, or else triples, of columns that no two rows share.

    Args:
        sample: Rows taken evenly from the table.
        types: From a column to its type.
        rows: How many rows the table has.

    Returns:
        Keys of the sample which it would not be by chance; whether all rows keep them is another look.
    """
    repeats = {}
    for name, kind in types.items():
        # A column whose values all differ makes a key of whatever it is put together with.
        if kind == "number" or sample[name].null_count() or not 2 <= sample[name].n_unique() < sample.height:
            continue
        shares = sample[name].alias("value").value_counts()["count"] / sample.height
        repeats[name] = float((shares**2).sum())
    names = sorted(repeats, key=lambda name: repeats[name])[:MOST_COLUMNS]
    pairs_of_rows = rows * (rows - 1) / 2
    for size in range(2, LARGEST_KEY + 1):
        found = []
        for key in combinations(names, size):
            chance = 1.0
            for name in key:
                chance *= repeats[name]
            if (
                chance * pairs_of_rows >= EXPECTED_COLLISIONS
                and sample.select(key).n_unique() == sample.height
            ):
                found.append(key)
        if found:
            return found[:MOST_KEYS]
    return []


def likely_references(types: Mapping[str, str], tables: Mapping[str, Any]) -> list[TableRule]:
    """Proposes references to the keys of other sources.

    A column refers to a key of its own name, or of the source's and the key's (``customer_id`` to the
    ``id`` of ``customers``); a column of texts also to a key of any name. Whether each of its values is
    in the key is another look.

    Args:
        types: From a column to its type.
        tables: The other sources, by name.
    """
    found = []
    for source, table in tables.items():
        for key, kind in _keys_of(table).items():
            for column, ours in types.items():
                if ours == kind and (kind == "text" or _names(column, source, key)):
                    rule = TableRule("refers", columns=(column,), source=source, key=(key,), severity="warn")
                    found.append(rule)
    return found


def _keys_of(table: Any) -> dict[str, str]:
    import polars as pl

    lazy = as_lazy(table)
    kinds = {name: kind for name, kind in schema_of(lazy).types.items() if kind in {"integer", "text"}}
    if not kinds:
        return {}
    facts = lazy.select(
        pl.len().alias("rows"), *(pl.col(name).n_unique().alias(f"n {name}") for name in kinds)
    ).collect()
    rows = int(facts["rows"][0])
    unique = [name for name in kinds if facts[f"n {name}"][0] == rows]
    return {
        name: kinds[name]
        for name in unique
        if rows >= FEWEST_VALUES and names_rows(name, kinds[name], rows, rows)
    }


def _names(column: str, source: str, key: str) -> bool:
    name, singular = column.lower(), source.lower().removesuffix("s")
    return name in {key.lower(), f"{singular}_{key.lower()}", f"{source.lower()}_{key.lower()}", singular}
