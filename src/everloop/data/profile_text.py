"""A profile in the terminal and in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from everloop.core.values import to_jsonable
from everloop.report.sparks import bars_svg
from everloop.report.writing import share_of

if TYPE_CHECKING:
    from everloop.data.profiles import ColumnProfile, Profile

_HEADINGS = ("column", "type", "missing", "distinct", "low", "median", "high", "most frequent", "notes")
_LONGEST = 24
_MOST_ODDITIES = 12


def text_of(profile: Profile) -> str:
    """Writes a profile as a table of text, with what is worth a look below it."""
    cells = [_HEADINGS, *(_cells(column) for column in profile.columns)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    if not profile.rows:
        named = ", ".join(column.name for column in profile.columns)
        return f"{summary(profile)}\nThe table has no rows, so nothing is known of its columns: {named}"
    table = [summary(profile), *(line.rstrip() for line in lines)]
    if profile.oddities:
        table += ["", "worth a look:"]
        for odd in profile.oddities[:_MOST_ODDITIES]:
            rows = f" ({odd.rows:,} rows)" if odd.rows else ""
            table.append(f"  {odd.column or 'table'}: {odd.detail}{rows}")
        more = len(profile.oddities) - _MOST_ODDITIES
        table += [f"  and {more} more"] if more > 0 else []
    return "\n".join(table)


def summary(profile: Profile) -> str:
    """Says in a line how large a table is, and how its rows are told apart."""
    said = f"{profile.rows:,} rows, {len(profile.columns)} columns, {profile.duplicates:,} repeated rows"
    if profile.keys:
        said += f"; key: {' or '.join(' + '.join(key) for key in profile.keys[:3])}"
    if profile.time:
        said += f"; time: {profile.time}"
    return said


def notebook_html(profile: Profile) -> str:
    """Draws a profile as a table with a small picture of each column."""
    head = "".join(f"<th>{heading}</th>" for heading in (*_HEADINGS[:4], "values", *_HEADINGS[4:]))
    rows = []
    for column in profile.columns:
        cells = [f"<td>{html.escape(cell)}</td>" for cell in _cells(column)]
        cells.insert(4, f"<td>{bars_svg(heights_of(column), width=120, height=26)}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    odd = "".join(
        f"<li>{html.escape(one.column or 'table')}: {html.escape(one.detail)}</li>"
        for one in profile.oddities[:_MOST_ODDITIES]
    )
    listed = f"<p>Worth a look:</p><ul>{odd}</ul>" if odd else ""
    caption = f"<caption>{html.escape(summary(profile))}</caption>"
    return f"<table>{caption}<tr>{head}</tr>{''.join(rows)}</table>{listed}"


def heights_of(column: ColumnProfile) -> list[int]:
    """Gives the heights of a column's small picture: its histogram, or its most frequent values."""
    return list(column.histogram) if column.histogram and not column.top else [rows for _, rows in column.top]


def _cells(column: ColumnProfile) -> tuple[str, ...]:
    notes = [*column.notes, *(f"{value} means missing?" for value in column.sentinels)]
    if column.reads_as in ("number", "time"):
        notes.append(f"{column.reads_as}s as text")
    if column.spellings:
        notes.append(f"{sum(map(len, column.spellings.values()))} spellings")
    return (
        column.name,
        column.type,
        share_of(column.missing, column.rows),
        f"{column.distinct:,}",
        shortened(column.low),
        shortened(column.quantiles.get("50%")),
        shortened(column.high),
        shortened(column.top[0][0]) if column.top else "",
        ", ".join(notes),
    )


def shortened(value: Any) -> str:
    """Writes a value in no more letters than a table has room for."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(to_jsonable(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
