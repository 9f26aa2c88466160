"""Rows that cannot be read: each is named, and either refused or kept aside within a bound."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from everloop.core.errors import SourceUnreadable
from everloop.core.extras import require

QUARANTINE_FILE = "bad-rows.parquet"
# What is held of them before they are written; more than this is no table with a few bad rows.
MOST_HELD = 1_000_000
LONGEST_TEXT = 2_000
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be read, or a file of which none can.

    Attributes:
        file: The file, as its user knows it.
        line: The line on which the row begins, from 1 on; None for a whole file.
        reason: What is wrong with it.
        text: What stands there; None for a whole file.
        unit: What the line is called where the source is no file, such as ``offset``.
    """

    file: str
    line: int | None
    reason: str
    text: str | None = None
    unit: str = "line"

    @property
    def sentence(self) -> str:
        """Says where and what."""
        if self.line is None:
            return f"{self.reason}."
        return f"{self.file}, {self.unit} {self.line}: {self.reason}."

    def to_dict(self) -> dict[str, Any]:
        """Gives the row as what JSON can carry."""
        return asdict(self)


class BadRows:
    """Collects what one reading could not read.

    Args:
        kept: Whether bad rows are kept aside; otherwise the first one ends the reading.
        most: The greatest share of a source's rows (and of its files, for whole files) that may be bad.
    """

    def __init__(self, *, kept: bool, most: float) -> None:
        self.kept = kept
        self.most = most
        self.notes: list[str] = []
        self._rows: list[BadRow] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: BadRow, *, hint: str | None = None) -> None:
        """Takes a bad row.

        Raises:
            SourceUnreadable: When bad rows are refused, or there are far too many.
        """
        if not self.kept:
            raise SourceUnreadable(
                row.sentence,
                hint=hint or "mend it, or keep such rows aside: add bad_rows: quarantine to the source",
            )
        if row.text is not None and len(row.text) > LONGEST_TEXT:
            row = BadRow(row.file, row.line, row.reason, row.text[:LONGEST_TEXT] + "…")
        self._rows.append(row)
        if len(self._rows) > MOST_HELD:
            raise SourceUnreadable(f"More than {MOST_HELD:,} rows cannot be read. {self._told()}")

    def lose_file(self, file: str, error: SourceUnreadable) -> None:
        """Takes a file that cannot be read at all.

        Raises:
            SourceUnreadable: The error, when bad rows are refused.
        """
        if not self.kept:
            raise error
        self._rows.append(BadRow(file, None, error.message.rstrip(".")))

    def settle(self, rows: int, files: int, folder: Path) -> Path | None:
        """Writes what was kept aside.

        Args:
            rows: How many rows were read.
            files: How many files there were.
            folder: Where the file is written.

        Returns:
            The file; None where nothing is bad.

        Raises:
            SourceUnreadable: When the share of bad rows is above the bound.
        """
        if not self._rows:
            return None
        lost = sum(row.line is None for row in self._rows)
        bad = len(self._rows) - lost
        share = bad / max(1, rows + bad) + lost / max(1, files)
        if share > self.most:
            what = f"{bad:,} of {rows + bad:,} rows" if bad else ""
            what += f"{' and ' if bad and lost else ''}{f'{lost} of {files} files' if lost else ''}"
            raise SourceUnreadable(
                f"{what} cannot be read, more than {self.most:.4g} of them. {self._told()}",
                hint="mend them, or allow more: add most_bad_rows: 5% to the source",
            )
        return self._write(folder / QUARANTINE_FILE)

    def _told(self) -> str:
        return " ".join(row.sentence for row in self._rows[:EXAMPLES])

    def _write(self, path: Path) -> Path:
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        schema = arrow.schema(
            [
                ("file", arrow.string()),
                ("line", arrow.int64()),
                ("reason", arrow.string()),
                ("text", arrow.string()),
                ("unit", arrow.string()),
            ]
        )
        parquet.write_table(
            arrow.Table.from_pylist([row.to_dict() for row in self._rows], schema=schema), path
        )
        return path
