"""A database's table that scored rows go to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from everloop.loop.scoring.asked import database_address


@dataclass(frozen=True)
class DatabaseTable:
    """A table; it appears with all its rows in one transaction.

    Attributes:
        name: The table's name, perhaps with a schema before it.
        url: The database: an address without a password, or ``env:NAME``, or ``file:PATH``.
        replace: Whether a table of this name is replaced; otherwise it is refused.
        folder: Where relative paths of database files start.
    """

    name: str
    url: str
    replace: bool = False
    folder: Path = field(default_factory=Path)

    def require_room(self) -> None:
        """Refuses a table that is there and is not to be replaced, before anything is scored.

        Raises:
            UsageFault: When it is there.
            SourceUnreachable: When the database does not answer.
        """
        from everloop.data.database_table import require_new

        if not self.replace:
            require_new(database_address(self.name, self.url), self.folder)

    def load(self, rows: Path) -> None:
        """Fills the table with a Parquet file's rows."""
        from everloop.data.database_table import load_table

        load_table(database_address(self.name, self.url), self.folder, rows, replace=self.replace)
