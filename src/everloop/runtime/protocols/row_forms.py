"""Rows in the other forms that clients send: columns, a table split into names and data, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Refusal

if TYPE_CHECKING:
    from everloop.runtime.manifest import ManifestColumn

_MOST_FIELD = 2**20
_TRUTHS = {"true": True, "false": False, "1": True, "0": False}


def rows_of_columns(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Gives columns as rows; one value alone is a column of one row.

    Raises:
        Refusal: 400 when the columns are not of one length.
    """
    lists = {name: values if isinstance(values, list) else [values] for name, values in columns.items()}
    if len({len(values) for values in lists.values()}) != 1:
        raise Refusal(400, "The columns are not of one length.", "Expected a value for each row in each.")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def rows_of_split(split: Any) -> list[dict[str, Any]]:
    """Gives a table that is split into `columns` and `data` (and `index`, which says nothing) as rows.

    Raises:
        Refusal: 400 when it is none, or names a column twice.
    """
    expected = "Expected 'columns', a list of names, and 'data', a list of lists of as many values."
    if not isinstance(split, dict) or not {"columns", "data"} <= split.keys() <= {"columns", "data", "index"}:
        raise Refusal(400, "The table is not split.", expected)
    names, data = split["columns"], split["data"]
    if (
        not isinstance(names, list)
        or not isinstance(data, list)
        or not all(type(name) is str for name in names)
    ):
        raise Refusal(400, "The table is not split.", expected)
    _require_each_once(names)
    for place, values in enumerate(data):
        if not isinstance(values, list) or len(values) != len(names):
            raise Refusal(400, "A row does not fit the columns.", f"data[{place}]: {expected}")
    return [dict(zip(names, values, strict=True)) for values in data]


def rows_of_csv(
    content: bytes, asked: Sequence[ManifestColumn], known: frozenset[str]
) -> list[dict[str, Any]]:
    """Reads CSV; an empty cell is missing.

    Args:
        content: UTF-8 text. Its first line is a header where every cell names a column; otherwise the
            cells are the columns that are asked for, in their order.
        asked: What says the order and the types.
        known: The names that a header may have.

    Raises:
        Refusal: 400 when it is no CSV, its header names a column twice or a line has another number of cells.
    """
    try:
        text = content.decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise Refusal(400, "The body is no CSV.", f"{reason}.") from None
    if not lines:
        raise Refusal(400, "The body has no line.")
    names = [column.name for column in asked]
    first = [cell.strip() for cell in lines[0]]
    if first and set(first) <= known:
        _require_each_once(first)
        names, lines = first, lines[1:]
    types = {column.name: column.type for column in asked}
    for place, line in enumerate(lines):
        if len(line) != len(names):
            raise Refusal(
                400, "A line has another number of cells.", f"Line {place + 1}: expected {', '.join(names)}."
            )
    return [
        {name: _cell(cell, types.get(name, "text")) for name, cell in zip(names, line, strict=True)}
        for line in lines
    ]


def _require_each_once(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            raise Refusal(
                400, "A column is named twice.", f"Expected each once; column {place + 1} was there before."
            )
        seen.add(name)


def _cell(cell: str, kind: str) -> Any:
    """Reads a cell by its column's type; what cannot be read stays text, which the contract tells of."""
    stripped = cell.strip()
    if not stripped:
        return None
    try:
        if kind == "integer":
            return int(stripped)
        if kind == "number":
            return float(stripped)
    except ValueError:
        return cell
    return _TRUTHS.get(stripped.lower(), cell) if kind == "boolean" else cell
