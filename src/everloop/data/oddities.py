"""What in a table is worth a look, and what cleaning does about it; likely keys and the likely time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from everloop.data.profiles import Association, ColumnProfile, Oddity

if TYPE_CHECKING:
    from everloop.table.stored import StoredTable
    from everloop.table.text_types import TextType

_MUCH_MISSING = 0.5
_SAME = 0.9999
_LEAST_MIXED = 0.02
_MOST_PAIRS = 6
_MOST_ROWS_TO_PAIR = 5_000_000
_TIME_WORDS = ("at", "time", "date", "timestamp", "datetime", "when", "day", "created", "ts")


def oddities(
    columns: Sequence[ColumnProfile],
    read: Mapping[str, TextType],
    pairs: Sequence[Association],
    duplicates: int,
) -> tuple[Oddity, ...]:
    """Finds what is worth a look, the most rows first.

    Args:
        columns: The columns' profiles.
        read: What text columns can be read as.
        pairs: How much columns say about each other.
        duplicates: Rows that repeat another.
    """
    found = [odd for column in columns for rule in _RULES for odd in rule(column)]
    found += [odd for column in columns if column.name in read for odd in _texts(column, read[column.name])]
    found += [
        Oddity("copy", pair.second, 0, f"says the same as {pair.first}: {pair.measure} {pair.strength:.4f}")
        for pair in pairs
        if abs(pair.strength) >= _SAME
    ]
    if duplicates:
        detail = "rows that repeat an earlier one in every column"
        found.append(Oddity("duplicates", "", duplicates, detail, "duplicates: drop"))
    return tuple(sorted(found, key=lambda odd: (-odd.rows, odd.kind, odd.column)))


def _sentinels(column: ColumnProfile) -> Iterator[Oddity]:
    if column.sentinels:
        values = ", ".join(repr(value) if column.type == "text" else value for value in column.sentinels)
        rows = sum(column.sentinels.values())
        detail = f"{values} seem{'s' * (len(column.sentinels) == 1)} to mean missing"
        yield Oddity("sentinel", column.name, rows, detail, "sentinels: find")


def _notes(column: ColumnProfile) -> Iterator[Oddity]:
    said = {
        "constant": "has one value in every row, and tells nothing",
        "empty": "has no value in any row",
        "identifier": f"seems to name rows: {column.distinct:,} different values",
    }
    for note in column.notes:
        yield Oddity(note, column.name, 0, said[note])


def _missing(column: ColumnProfile) -> Iterator[Oddity]:
    if column.missing_share > _MUCH_MISSING and "empty" not in column.notes:
        yield Oddity(
            "missing", column.name, column.missing, f"is missing in {column.missing_share:.0%} of the rows"
        )


def _spellings(column: ColumnProfile) -> Iterator[Oddity]:
    if column.spellings:
        kept, others = next(iter(column.spellings.items()))
        count = sum(map(len, column.spellings.values()))
        verb = "seems" if count == 1 else "seem"
        detail = f"{count} value{'s' * (count != 1)} {verb} to be other spellings, "
        detail += f"such as {others[0]!r} of {kept!r}"
        yield Oddity("spelling", column.name, 0, detail, "categories: merge")


def _outliers(column: ColumnProfile) -> Iterator[Oddity]:
    quantiles = column.quantiles
    if not quantiles or column.type not in ("integer", "number") or column.sentinels:
        return
    for end, edge, far in (("high", "99%", 1), ("low", "1%", -1)):
        reach = far * (quantiles[edge] - quantiles["50%"])
        value = float(getattr(column, end))
        if reach > 0 and far * (value - quantiles[edge]) > 3 * reach:
            detail = f"{value:.6g} lies far beyond the {edge} quantile, {quantiles[edge]:.6g}"
            yield Oddity("outlier", column.name, 0, detail, "outliers: clip")


_RULES: tuple[Callable[[ColumnProfile], Iterator[Oddity]], ...] = (
    _sentinels,
    _notes,
    _missing,
    _spellings,
    _outliers,
)


def _texts(column: ColumnProfile, text: TextType) -> Iterator[Oddity]:
    if text.kind != "text":
        how = text.style or ", ".join(text.forms)
        detail = f"{text.kind}s kept as text" + f", like {how}" * bool(how)
        if text.unread:
            detail += f"; {text.unread:,} rows cannot be read"
        yield Oddity("type", column.name, text.read + text.unread, detail, "types: repair")
    elif text.ambiguous:
        detail = "dates in which nothing tells days from months"
        clean = f"columns: {{{column.name}: {{type: time}}}}"
        yield Oddity("ambiguous time", column.name, text.read, detail, clean)
    elif text.mixed >= _LEAST_MIXED * max(1, text.read):
        detail = f"numbers among text: {text.mixed:,} of {text.read:,} rows"
        yield Oddity("mixed", column.name, text.mixed, detail)


def find_keys(table: StoredTable, columns: Sequence[ColumnProfile]) -> tuple[tuple[str, ...], ...]:
    """Finds the columns that name each row once; where there are none, pairs of them. Counted exactly."""
    import polars as pl

    full = [column for column in columns if not column.missing and column.type != "number"]
    single = [column for column in full if column.distinct == column.rows > 1]
    if single or not 1 < table.height <= _MOST_ROWS_TO_PAIR:
        return tuple((column.name,) for column in single)
    likely = sorted(full, key=lambda column: -column.distinct)
    pairs = [pair for pair in combinations(likely[:_MOST_PAIRS], 2) if _enough(pair, table.height)]
    names = [(first.name, second.name) for first, second in pairs[:_MOST_PAIRS]]
    return tuple(
        pair
        for pair in names
        if table.select(pl.struct(pair).n_unique().alias("rows")).item() == table.height
    )


def _enough(pair: tuple[ColumnProfile, ColumnProfile], rows: int) -> bool:
    # Two columns that hardly repeat have few chances to name a row each: their product must be ample.
    return pair[0].distinct * pair[1].distinct >= rows and min(one.distinct for one in pair) > 1


def find_time(columns: Sequence[ColumnProfile]) -> str | None:
    """Finds the column that seems to say when a row happened: of several, the one that is fullest."""
    times = [one for one in columns if (one.type == "time" or one.reads_as == "time") and one.distinct > 1]
    named = [one for one in times if set(one.name.lower().replace("-", "_").split("_")) & set(_TIME_WORDS)]
    best = sorted(named or times, key=lambda one: (one.missing, -one.distinct))
    return best[0].name if best else None
