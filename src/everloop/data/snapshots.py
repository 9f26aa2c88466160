"""Snapshots: an immutable table, taken from the sources as it was known at a time."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.digest import digest_file
from everloop.core.errors import NotFound, SourceUnreadable
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.table.schema import Schema

if TYPE_CHECKING:
    import polars as pl

TABLE_FILE = "table.parquet"
SNAPSHOT_FILE = "snapshot.json"


@dataclass(frozen=True)
class Snapshot:
    """An immutable, content-addressed table.

    Attributes:
        folder: Where `table.parquet` and `snapshot.json` are.
        digest: The SHA-256 of `table.parquet`.
        rows: How many rows there are.
        schema: The columns.
        as_of: Nothing later than this is in it.
        time: The column of decision times, named by the lifecycle file or inferred.
        time_range: The first and the last decision time.
        hidden_actuals: How many rows have their target set to missing because it was not known yet; where
            other columns tell what came of a row, how many rows were not taken therefore.
        changes_at: The earliest later time at which the same sources give another table, since a row's
            time or its actual's comes then; None where time alone changes nothing.
        sources: For each source the identity of the content that was read.
        bad_rows: For each source with rows that could not be read how many, and examples; the rows
            are in `bad-rows.parquet`.
        notes: What the sources say of their content, such as a column whose type changes.
        features: The columns that are features and not of `data.table`: under `joined` the definitions of
            those over other sources with what these say of their rows, under `python` the functions.
    """

    folder: Path
    digest: str
    rows: int
    schema: Schema
    as_of: datetime
    time: str | None
    time_range: tuple[datetime, datetime] | None
    hidden_actuals: int
    changes_at: datetime | None
    sources: dict[str, dict[str, Any]]
    bad_rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The columns that are features."""
        joined = self.features.get("joined", {}).get("features", ())
        return tuple(each["name"] for each in (*joined, *self.features.get("python", ())))

    @property
    def path(self) -> Path:
        """The Parquet file with the rows."""
        return self.folder / TABLE_FILE

    def lazy(self) -> pl.LazyFrame:
        """Gives the rows as a lazy Polars frame; nothing is read yet."""
        import polars as pl

        return pl.scan_parquet(self.path)

    def arrived(self) -> pl.LazyFrame:
        """Gives the rows without features: a contract is about what comes in."""
        return self.lazy().drop(self.feature_names)

    def table(self) -> pl.DataFrame:
        """Reads all rows into memory."""
        return self.lazy().collect()

    def to_dict(self) -> dict[str, Any]:
        """Gives the snapshot's description as what JSON can carry."""
        return {
            "digest": self.digest,
            "rows": self.rows,
            "schema": self.schema.to_dict(),
            "as_of": to_jsonable(self.as_of),
            "time": self.time,
            "time_range": to_jsonable(self.time_range),
            "hidden_actuals": self.hidden_actuals,
            "changes_at": to_jsonable(self.changes_at),
            "sources": self.sources,
            "bad_rows": self.bad_rows,
            "notes": list(self.notes),
            **({"features": self.features} if self.features else {}),
        }

    def save(self) -> None:
        """Writes `snapshot.json` beside the table."""
        write_file(self.folder / SNAPSHOT_FILE, json.dumps(self.to_dict(), indent=2).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path | str, *, verify: bool = False) -> Snapshot:
        """Opens a snapshot.

        Args:
            folder: The snapshot's folder.
            verify: Whether to read the whole table and compare its digest.

        Raises:
            NotFound: When there is no snapshot.
            SourceUnreadable: When it is damaged.
        """
        folder = Path(folder)
        path = folder / SNAPSHOT_FILE
        if not path.is_file():
            raise NotFound(f"{folder} holds no snapshot: {SNAPSHOT_FILE} is not there.", hint=f"ls {folder}")
        try:
            data = json.loads(path.read_bytes())
            snapshot = cls(
                folder=folder,
                digest=data["digest"],
                rows=data["rows"],
                schema=Schema.from_dict(data["schema"]),
                as_of=parse_time(data["as_of"]),
                time=data["time"],
                time_range=_parse_range(data["time_range"]),
                hidden_actuals=data["hidden_actuals"],
                changes_at=parse_time(data["changes_at"]) if data["changes_at"] else None,
                sources=data["sources"],
                bad_rows=data["bad_rows"],
                notes=tuple(data["notes"]),
                features=data.get("features", {}),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise SourceUnreadable(f"{path} is damaged: {error}.", hint="take the snapshot again") from error
        if not snapshot.path.is_file() or (verify and digest_file(snapshot.path) != snapshot.digest):
            raise SourceUnreadable(
                f"{snapshot.path} is missing or is not the file that was written.",
                hint="take the snapshot again",
            )
        return snapshot

    def _repr_html_(self) -> str:
        """Shows the snapshot in a notebook."""
        facts = {
            "rows": f"{self.rows:,}",
            "columns": len(self.schema),
            "as of": to_jsonable(self.as_of),
            "digest": self.digest[:16],
            "sources": ", ".join(self.sources),
        }
        lines = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items()
        )
        return f"<table><caption>Snapshot</caption>{lines}</table>"


def _parse_range(texts: list[str] | None) -> tuple[datetime, datetime] | None:
    return (parse_time(texts[0]), parse_time(texts[1])) if texts else None
