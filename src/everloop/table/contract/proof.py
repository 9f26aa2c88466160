"""Which probes hold by what a Parquet file says of its columns, so that no row need be read for them.

A probe is tried on witnesses: values that stand for all that the column can hold. Of a limit those are the
least and the greatest, of allowed texts and patterns the texts of the column's dictionary; a missing value
is among them where one may be missing, NaN wherever the column has fractions. Where no witness fails no row
does. Where one fails nothing is known: a dictionary may hold a text that no row has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everloop.table.parquet_facts import ColumnFacts, ParquetFacts

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.probes import Probe

_UNKNOWN = ColumnFacts()


def proven(probes: Sequence[Probe], facts: ParquetFacts, schema: Mapping[str, Any]) -> frozenset[int]:
    """Gives the places of those probes that are known to hold.

    Args:
        probes: What is looked at.
        facts: What the table's file says of itself.
        schema: The columns, from name to Polars type.
    """
    import polars as pl

    texts = facts.texts(sorted({one.column for one in probes if _reads_texts(one, schema)}))
    tried: dict[str, list[tuple[int, pl.Expr]]] = {}
    witnesses: dict[str, pl.Series] = {}
    for place, probe in enumerate(probes):
        if probe.decided_by is None:
            continue
        dtype, known = schema[probe.column], facts.columns.get(probe.column, _UNKNOWN)
        values = _values(probe, known, texts.get(probe.column), dtype)
        if values is None:
            continue
        kind = f"{probe.column}\u0000{probe.decided_by}"
        witnesses[kind] = pl.concat([values, _absent(known, dtype)]).alias(probe.column)
        tried.setdefault(kind, []).append((place, probe.fails.any().alias(str(place))))
    held: set[int] = set()
    for kind, asked in tried.items():
        found = witnesses[kind].to_frame().select([fails for _, fails in asked])
        held |= {place for place, _ in asked if not found[str(place)].item()}
    return frozenset(held)


def _reads_texts(probe: Probe, schema: Mapping[str, Any]) -> bool:
    import polars as pl

    return probe.decided_by == "values" and schema[probe.column] == pl.String


def _values(probe: Probe, known: ColumnFacts, texts: list[str] | None, dtype: Any) -> pl.Series | None:
    import polars as pl

    if probe.decided_by == "presence":
        return pl.Series([], dtype=dtype)
    if probe.decided_by == "ends":
        return known.ends
    return None if texts is None else pl.Series(texts, dtype=pl.String)


def _absent(known: ColumnFacts, dtype: Any) -> pl.Series:
    import polars as pl

    missing = [None] if known.missing else []
    return pl.Series([*missing, float("nan")] if dtype.is_float() else missing, dtype=dtype)
