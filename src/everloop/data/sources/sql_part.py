"""What is asked of a database, and what it gives at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.core.errors import SpecFault
from everloop.core.progress import Event, Progress

PART_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, and from where its rows are read.

    Attributes:
        query: The query, without a semicolon.
        cursor: The column that rows are ordered by; None takes them as they come, in one part.
        first: The least value of the cursor; None reads from the beginning.
        progress: Is told how many rows there are.
        part_rows: How many rows make a part, at least.
    """

    query: str
    cursor: str | None
    first: Any
    progress: Progress
    part_rows: int

    def place_in(self, names: Sequence[str]) -> int | None:
        """Finds the cursor among the columns.

        Raises:
            SpecFault: When it is not there.
        """
        if self.cursor is None:
            return None
        if self.cursor not in names:
            raise SpecFault(
                f"The cursor {self.cursor} is not among the columns that the query gives: {', '.join(names)}."
            )
        return names.index(self.cursor)

    def tell(self, rows: int) -> None:
        """Tells how many rows there are so far."""
        self.progress(Event("data", f"{rows:,} rows from the database", facts={"rows": rows}))


@dataclass(frozen=True, slots=True)
class SqlPart:
    """Rows of a query, as Parquet files of one schema.

    Attributes:
        files: The files.
        rows: How many rows they have.
        position: The last value of the cursor (`sql_position.position_of`); None without rows or cursor.
    """

    files: tuple[Path, ...]
    rows: int
    position: dict[str, Any] | None
