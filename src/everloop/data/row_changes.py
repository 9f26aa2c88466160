"""Which rows of a table were added, removed and changed, told apart by a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault

if TYPE_CHECKING:
    import polars as pl

EXAMPLES = 5
# A column that is taken for the key must be shared by this part of the smaller table's rows.
_SHARED = 0.5


@dataclass(frozen=True)
class RowChanges:
    """What became of the rows that a key tells apart.

    Attributes:
        key: The columns that tell rows apart.
        inferred: Whether the key was found, not given.
        added: How many keys only the second table has.
        removed: How many keys only the first has.
        changed: How many keys both have with other values.
        columns: For each column with changes, in how many rows.
        examples: Keys of rows that were `added` and `removed`, and of values that `changed` with what
            they were and are; five of each at most.
    """

    key: tuple[str, ...]
    inferred: bool
    added: int
    removed: int
    changed: int
    columns: dict[str, int]
    examples: dict[str, list[dict[str, Any]]]

    def lines(self) -> list[str]:
        """Writes the changes as lines of text."""
        found = " (complete and unique in both)" if self.inferred else ""
        counts = f"{self.added:,} added, {self.removed:,} removed, {self.changed:,} changed"
        lines = [f"rows by {', '.join(self.key)}{found}: {counts}"]
        lines += [
            f"  {name}: {rows:,} changed"
            for name, rows in sorted(self.columns.items(), key=lambda item: (-item[1], item[0]))
        ]
        for kind in ("added", "removed"):
            keys = "; ".join(_written(example) for example in self.examples[kind])
            lines += [f"  {kind}, such as {keys}"] if keys else []
        lines += [
            f"  {_written(one['key'])}: {one['column']} {_shown(one['before'])} -> {_shown(one['after'])}"
            for one in self.examples["changed"]
        ]
        return lines


def row_changes(
    before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str] | None, compared: Sequence[str]
) -> RowChanges | None:
    """Compares rows by a key; nothing where none is given and none is found.

    Args:
        before: A table.
        after: Another one; the columns of the key and those that are compared have the same types.
        key: The columns that tell rows apart; None looks for one.
        compared: The columns whose values are compared.

    Raises:
        DataFault: When a key that is given is not in both tables, is missing in a row or is there twice.
    """
    chosen = tuple(key) if key is not None else _find_key(before, after, compared)
    if chosen is None:
        return None
    for table, which in ((before, "first"), (after, "second")):
        _require_unique(table, chosen, which, compared)
    values = [name for name in compared if name not in chosen]
    both = before.join(after, on=list(chosen), how="inner", suffix="\0", maintain_order="left")
    differs = {name: both[name].ne_missing(both[f"{name}\0"]) for name in values}
    counts = {name: int(series.sum()) for name, series in differs.items()}
    import polars as pl

    changed = both.select(pl.any_horizontal(list(differs.values()))).to_series() if differs else None
    missing = [
        one.join(other, on=list(chosen), how="anti", maintain_order="left").select(chosen)
        for one, other in ((after, before), (before, after))
    ]
    return RowChanges(
        key=chosen,
        inferred=key is None,
        added=missing[0].height,
        removed=missing[1].height,
        changed=0 if changed is None else int(changed.sum()),
        columns={name: rows for name, rows in counts.items() if rows},
        examples={
            "added": missing[0].head(EXAMPLES).to_dicts(),
            "removed": missing[1].head(EXAMPLES).to_dicts(),
            "changed": _examples(both, chosen, differs),
        },
    )


def _find_key(before: pl.DataFrame, after: pl.DataFrame, compared: Sequence[str]) -> tuple[str, ...] | None:
    """Finds the first column of whole numbers or text that could tell rows apart in both tables."""
    import polars as pl

    for name in compared:
        first, second = before[name], after[name]
        if not (first.dtype.is_integer() or first.dtype == pl.String):
            continue
        if any(len(one) == 0 or one.null_count() or one.n_unique() < len(one) for one in (first, second)):
            continue
        if first.is_in(second.implode()).sum() >= _SHARED * min(len(first), len(second)):
            return (name,)
    return None


def _require_unique(table: pl.DataFrame, key: Sequence[str], which: str, compared: Sequence[str]) -> None:
    import polars as pl

    for name in key:
        if name not in compared:
            raise DataFault(
                f"The key {name} is not a column of one type in both tables; those are {', '.join(compared)}."
            )
        if table[name].null_count():
            raise DataFault(
                f"The key {name} is missing in {table[name].null_count():,} rows of the {which} table."
            )
    twice = table.group_by(key).len().filter(pl.col("len") > 1)
    if twice.height:
        example = _written(twice.sort(key).select(key).row(0, named=True))
        raise DataFault(
            f"{twice.height:,} values of the key {', '.join(key)} are there more than once in the {which} "
            f"table, such as {example}.",
            hint="name further columns: --key a --key b",
        )


def _examples(both: pl.DataFrame, key: Sequence[str], differs: dict[str, pl.Series]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, series in differs.items():
        rows = both.filter(series).head(EXAMPLES - len(found))
        found += [
            {
                "key": {part: row[part] for part in key},
                "column": name,
                "before": row[name],
                "after": row[f"{name}\0"],
            }
            for row in rows.iter_rows(named=True)
        ]
    return found


def _written(key: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in key.items())


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    return repr(value) if isinstance(value, str) else str(value)
