"""A profile: what a table holds, column by column."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault
from everloop.core.values import to_jsonable
from everloop.data.identifiers import names_rows
from everloop.data.sentinels import find_sentinels
from everloop.table.schema import column_type
from everloop.table.stored import StoredTable, aggregate

if TYPE_CHECKING:
    import polars as pl

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20
TOP_VALUES = 10


@dataclass(frozen=True)
class ColumnProfile:
    """What one column holds.

    Attributes:
        name: The column.
        type: ``boolean``, ``integer``, ``number``, ``text`` or ``time``.
        rows: Rows of the table.
        missing: Rows without a value; NaN is missing.
        distinct: Different values, the missing one not counted.
        low: The least value of numbers and times.
        high: The greatest value of numbers and times.
        mean: Of numbers.
        deviation: The standard deviation (divisor n - 1) of numbers.
        quantiles: Of numbers, by the names ``1%`` to ``99%``.
        histogram: Of numbers and times: counts in bins of equal width from `low` to `high`.
        top: The most frequent values with their rows, of all but continuous numbers and times.
        sentinels: Values that seem to stand for a missing one, with their rows.
        notes: ``constant``, ``empty`` or ``identifier``, where it seems to be one.
    """

    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    low: Any = None
    high: Any = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: dict[str, float] = field(default_factory=dict)
    histogram: tuple[int, ...] = ()
    top: tuple[tuple[Any, int], ...] = ()
    sentinels: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def missing_share(self) -> float:
        """The share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Profile:
    """What a table holds.

    Attributes:
        rows: How many rows there are.
        duplicates: Rows that repeat an earlier one in every column.
        columns: One profile for each column, in the table's order.
    """

    rows: int
    duplicates: int
    columns: tuple[ColumnProfile, ...]

    def __getitem__(self, name: str) -> ColumnProfile:
        """Gives a column's profile.

        Raises:
            DataFault: When there is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise DataFault(
            f"The profile has no column {name}; it has {', '.join(c.name for c in self.columns)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Gives the profile as what JSON can carry."""
        columns = [to_jsonable(vars(column)) for column in self.columns]
        return {"rows": self.rows, "duplicates": self.duplicates, "columns": columns}

    def __str__(self) -> str:
        """Writes the profile as a table of text."""
        cells = [_HEADINGS, *(_cells(column) for column in self.columns)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADINGS))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells
        ]
        summary = f"{self.rows:,} rows, {len(self.columns)} columns, {self.duplicates:,} repeated rows"
        return "\n".join([summary, *(line.rstrip() for line in lines)])

    def _repr_html_(self) -> str:
        """Shows the profile in a notebook."""
        head = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(column)) + "</tr>"
            for column in self.columns
        )
        caption = f"{self.rows:,} rows, {self.duplicates:,} repeated"
        return f"<table><caption>{caption}</caption><tr>{head}</tr>{body}</table>"


_HEADINGS = ("column", "type", "missing", "distinct", "low", "median", "high", "most frequent", "notes")


def _cells(column: ColumnProfile) -> tuple[str, ...]:
    notes = [*column.notes, *(f"{value} means missing?" for value in column.sentinels)]
    return (
        column.name,
        column.type,
        f"{column.missing_share:.1%}",
        f"{column.distinct:,}",
        _short(column.low),
        _short(column.quantiles.get("50%")),
        _short(column.high),
        _short(column.top[0][0]) if column.top else "",
        ", ".join(notes),
    )


def _short(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(to_jsonable(value))
    return text if len(text) <= 24 else f"{text[:23]}…"


def profile(table: Any) -> Profile:
    """Looks at each column of a table.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path.

    Returns:
        Types, missing and distinct values, quantiles, histograms, frequent values, and what seems to
        be constant, an identifier, or a value that stands for a missing one.

    Raises:
        DataFault: When the table is none, or a column holds what a table cannot.

    Example:
        >>> import polars as pl
        >>> found = profile(pl.DataFrame({"age": [20, 30, None], "town": ["A", "A", "B"]}))
        >>> found["age"].missing, found["town"].top[0]
        (1, ('A', 2))
    """
    import polars as pl

    given = StoredTable.of(table)
    schema = given.source.collect_schema()
    types: dict[str, str] = {name: column_type(name, dtype) for name, dtype in schema.items()}
    floats = [name for name, dtype in schema.items() if dtype.is_float()]
    frame = StoredTable(given.source.with_columns(pl.col(floats).fill_nan(None)), given.rows)
    facts = aggregate(frame.lazy(), _expressions(types)) if types else {}
    sentinels = find_sentinels(frame.lazy(), types)
    duplicates = frame.height - _distinct_rows(frame) if types and frame.height else 0
    columns = tuple(
        _column(
            name,
            kind,
            frame.height,
            {key: facts[f"{i} {key}"] for key in _keys(kind)},
            sentinels.get(name, {}),
        )
        for i, (name, kind) in enumerate(types.items())
    )
    return Profile(frame.height, duplicates, columns)


def _distinct_rows(table: StoredTable) -> int:
    import polars as pl

    hashes = table.select(pl.struct(table.columns).hash(seed=0)).to_series()
    return int(hashes.n_unique())


def _keys(kind: str) -> tuple[str, ...]:
    plain = ("missing", "distinct", "top")
    if kind in ("integer", "number"):
        return (*plain, "low", "high", "mean", "deviation", "histogram", *(f"q{q}" for q in QUANTILES))
    return (*plain, "low", "high", "histogram") if kind == "time" else plain


def _expressions(types: dict[str, str]) -> list[pl.Expr]:
    import polars as pl

    expressions = []
    for i, (name, kind) in enumerate(types.items()):
        column = pl.col(name)
        number = column.cast(pl.Datetime("us")).cast(pl.Int64) if kind == "time" else column
        by_key = {
            "missing": column.null_count(),
            "distinct": column.drop_nulls().n_unique(),
            "top": _top(column),
        }
        if kind in ("integer", "number", "time"):
            by_key |= {"low": column.min(), "high": column.max(), "histogram": _bins(number)}
        if kind in ("integer", "number"):
            by_key |= {"mean": column.mean(), "deviation": column.std()}
            by_key |= {f"q{q}": column.quantile(q, "linear") for q in QUANTILES}
        expressions += [by_key[key].alias(f"{i} {key}") for key in _keys(kind)]
    return expressions


def _top(column: pl.Expr) -> pl.Expr:
    counts = column.drop_nulls().alias("value").value_counts(sort=True, name="rows")
    return counts.head(TOP_VALUES).implode()


def _bins(number: pl.Expr) -> pl.Expr:
    import polars as pl

    number = number.cast(pl.Float64)
    finite = number.filter(number.is_finite())
    share = (finite - finite.min()) / (finite.max() - finite.min())
    position = (share.fill_nan(0.0) * BINS).floor().clip(0, BINS - 1).cast(pl.Int32)
    return position.alias("position").value_counts(name="rows").implode()


def _column(
    name: str, kind: str, rows: int, facts: dict[str, Any], sentinels: dict[Any, int]
) -> ColumnProfile:
    missing, distinct = int(facts["missing"]), int(facts["distinct"])
    present = rows - missing
    continuous = kind in ("number", "time") or (kind == "integer" and distinct > 50)
    top = () if continuous else tuple(tuple(entry.values()) for entry in facts["top"])
    return ColumnProfile(
        name=name,
        type=kind,
        rows=rows,
        missing=missing,
        distinct=distinct,
        low=facts.get("low"),
        high=facts.get("high"),
        mean=facts.get("mean"),
        deviation=facts.get("deviation"),
        quantiles={f"{q:.0%}": facts[f"q{q}"] for q in QUANTILES if facts.get(f"q{q}") is not None},
        histogram=_histogram(facts.get("histogram"), present),
        top=top,
        sentinels={str(value): count for value, count in sentinels.items()},
        notes=_notes(name, kind, present, distinct, missing),
    )


def _histogram(counted: list[dict[str, int]] | None, present: int) -> tuple[int, ...]:
    if not counted or not present:
        return ()
    counts = [0] * BINS
    for entry in counted:
        position, rows = entry.values()
        counts[position] = rows
    return tuple(counts)


def _notes(name: str, kind: str, present: int, distinct: int, missing: int) -> tuple[str, ...]:
    if not present:
        return ("empty",)
    if distinct == 1 and not missing:
        return ("constant",)
    if names_rows(name, kind, present, distinct):
        return ("identifier",)
    return ()
