"""What incremental sources have read, kept: content-addressed parts, each with the position after it.

A folder for each identity of a source::

    sources/3f9a.../ledger.json      the parts in their order, and where to continue
                    <sha256>.parquet the rows of a part

A part is written first and durably, then the ledger is replaced by one rename. A reading that is
killed before that leaves a file that no ledger names; the next reading writes it anew. So each row is
in the ledger's parts once or, together with its position, not yet.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from everloop.core.digest import digest_file, digest_value
from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.core.files import scratch_folder, storage_faults, sync_file, sync_folder, write_file
from everloop.core.progress import Event
from everloop.data.sources.bad_rows import BadRow, BadRows
from everloop.data.sources.protocol import (
    Capabilities,
    Increment,
    IncrementalSource,
    Reading,
    SourcePart,
    Surroundings,
)
from everloop.data.sources.repeats import Repeats
from everloop.data.sources.row_digest import MODULUS, digest_rows
from everloop.data.sources.trying import Attempts
from everloop.data.sources.united import united

LEDGER_FILE = "ledger.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A part, or a step of the position without rows.

    Attributes:
        part: The SHA-256 of the part's file; None where nothing came.
        rows: How many rows it has.
        columns: The names of its columns.
        content: The digest of its rows, in hexadecimal.
        position: Where a reading continues after it; None where it is the whole table.
        bad_rows: What could not be read, as `BadRow.to_dict` gives it.
    """

    part: str | None
    rows: int
    columns: list[str]
    content: str
    position: dict[str, Any] | None
    bad_rows: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class KeptSource:
    """An incremental source as a `Source`: its table is all that was ever read of it.

    `fingerprint` reads what is new, keeps it and gives the identity of all that is kept; `read` does
    the same and gives the parts. `read_at` gives the table as it was at an earlier fingerprint, which
    reaches nothing outside. Without a folder to keep parts in, each reading starts anew.

    Two processes that read the same source wait for each other.

    Args:
        source: What is read.
        surroundings: Where parts are kept, and who is told.
    """

    source: IncrementalSource
    surroundings: Surroundings

    @property
    def capabilities(self) -> Capabilities:
        """What the source can do."""
        return self.source.capabilities

    def fingerprint(self) -> dict[str, Any]:
        """Reads what is new and gives the identity of all rows."""
        with self._folder(None) as folder:
            return self._fingerprint(self._advance(folder))

    def read(self, scratch: Path) -> Reading:
        """Reads what is new and gives all rows.

        Raises:
            SourceUnreachable: When the source does not answer after some attempts.
            SourceUnreadable: When it gives what cannot be read, or a kept part is damaged.
        """
        with self._folder(scratch) as folder:
            return self._reading(folder, self._advance(folder), scratch)

    def read_at(self, fingerprint: dict[str, Any], scratch: Path) -> Reading:
        """Gives the rows that a fingerprint stands for; reads anew where they are not kept.

        Args:
            fingerprint: What `fingerprint` gave earlier.
            scratch: An empty folder.
        """
        if self.surroundings.kept is not None:
            with self._folder(None) as folder:
                entries = _load(folder)
                for count in range(len(entries), -1, -1):
                    if self._fingerprint(entries[:count]) == fingerprint:
                        return self._reading(folder, entries[:count], scratch)
        return self.read(scratch)

    @contextmanager
    def _folder(self, scratch: Path | None) -> Iterator[Path]:
        """Gives the identity's folder, held by this process alone; a passing one where none is kept."""
        kept, name = self.surroundings.kept, digest_value(self._identity())[:16]
        if kept is None and scratch is not None:
            yield scratch / "kept"
        elif kept is None:
            with scratch_folder(self.surroundings.folder.resolve()) as passing:
                yield passing
        else:
            folder = kept.resolve() / name
            with storage_faults(folder):
                folder.mkdir(parents=True, exist_ok=True)
                lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield folder
            finally:
                os.close(lock)

    def _identity(self) -> dict[str, Any]:
        return {"format": FORMAT, "kind": self.capabilities.kind, **self.source.identity()}

    def _advance(self, folder: Path) -> list[Entry]:
        """Keeps what is new, increment by increment."""
        entries, attempts = _load(folder), Attempts(self.surroundings)
        while True:
            try:
                for following in self._follow(folder, entries):
                    entries = following
                    attempts.succeeded()
                break
            except SourceUnreachable as error:
                if self.capabilities.retries_itself:
                    raise
                attempts.failed(error)
        _remove_strangers(folder, entries)
        return entries

    def _follow(self, folder: Path, entries: list[Entry]) -> Iterator[list[Entry]]:
        """Gives the ledger's entries after each increment, which is kept then."""
        repeats = Repeats([self._part(folder, entry) for entry in entries if entry.part])
        with scratch_folder(folder) as scratch:
            for increment in self.source.read_after(_position(entries), scratch):
                has_part = any(entry.part for entry in entries)
                entry = self._keep(folder, increment, repeats, scratch, has_part=has_part)
                if _is_news(entry, entries):
                    entries = [entry] if entry.position is None else [*entries, entry]
                    self._save(folder, entries)
                yield entries
                rows = sum(entry.rows for entry in entries)
                self.surroundings.progress(Event("data", f"{rows:,} rows read", facts={"rows": rows}))

    def _keep(
        self, folder: Path, increment: Increment, repeats: Repeats, scratch: Path, *, has_part: bool
    ) -> Entry:
        files, bad = increment.files, [row.to_dict() for row in increment.bad_rows]
        if increment.cursor is not None:
            files = repeats.without(files, increment.cursor, scratch)
        whole = scratch / "part.parquet"
        rows, columns = _join(files, whole)
        # Of a table without rows its columns are kept, once.
        if not rows and (not files or (has_part and increment.position is not None)):
            return Entry(None, 0, [], _hexadecimal(0), increment.position, bad)
        digest = digest_file(whole)
        part = folder / f"{digest}.parquet"
        with storage_faults(folder):
            sync_file(whole)
            whole.rename(part)
            sync_folder(folder)
        return Entry(digest, rows, columns, _hexadecimal(digest_rows([part])), increment.position, bad)

    def _part(self, folder: Path, entry: Entry) -> Path:
        path = folder / f"{entry.part}.parquet"
        if not path.is_file() or self.surroundings.memo.digest(path) != entry.part:
            raise SourceUnreadable(
                f"{path}, a part that was kept of a source, is missing or damaged.",
                hint=f"rm -r {folder}; the source is read from its beginning then",
            )
        return path

    def _save(self, folder: Path, entries: Sequence[Entry]) -> None:
        described = {"identity": self._identity(), "entries": [asdict(entry) for entry in entries]}
        write_file(folder / LEDGER_FILE, json.dumps(described, indent=1).encode() + b"\n")

    def _fingerprint(self, entries: Sequence[Entry]) -> dict[str, Any]:
        return {
            "kind": self.capabilities.kind,
            "identity": digest_value(self._identity())[:16],
            "rows": sum(entry.rows for entry in entries),
            "columns": digest_value(list(dict.fromkeys(name for entry in entries for name in entry.columns)))[
                :16
            ],
            "digest": _hexadecimal(sum(int(entry.content, 16) for entry in entries) % MODULUS),
            "position": _position(entries),
        }

    def _reading(self, folder: Path, entries: Sequence[Entry], scratch: Path) -> Reading:
        """Gives the parts, linked into the scratch folder, so that nobody takes them away meanwhile."""
        scratch.mkdir(exist_ok=True)
        files = []
        for place, entry in enumerate(entries):
            if entry.part is None:
                continue
            path = self._part(folder, entry)
            link = scratch / f"part-{place:06d}.parquet"
            _link(path, link)
            files.append(link)
        bad = BadRows(kept=True, most=getattr(self.source, "most_bad_rows", 0.0))
        for entry in entries:
            for row in entry.bad_rows:
                bad.add(BadRow(**row))
        aside = bad.settle(sum(entry.rows for entry in entries), 1, scratch)
        if not files:
            raise SourceUnreadable(
                "The source has given no row and no column yet.", hint="run again when it has some"
            )
        parts = [entry.rows for entry in entries if entry.part is not None]
        return Reading(
            united(files, scratch / "united"),
            self._fingerprint(entries),
            aside,
            parts=tuple(SourcePart(str(place), rows, sized=False) for place, rows in enumerate(parts, 1)),
        )


def _load(folder: Path) -> list[Entry]:
    path = folder / LEDGER_FILE
    if not path.is_file():
        return []
    try:
        return [Entry(**entry) for entry in json.loads(path.read_bytes())["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SourceUnreadable(
            f"{path} is damaged: {error}.", hint=f"rm -r {folder}; the source is read from its beginning then"
        ) from error


def _is_news(entry: Entry, entries: Sequence[Entry]) -> bool:
    """Tells whether an entry changes the ledger: it has rows, other ones, or a position further on."""
    if not entries:
        return entry.part is not None or entry.position is not None
    last = entries[-1]
    if entry.position is None:
        return (entry.rows, entry.columns, entry.content) != (last.rows, last.columns, last.content)
    return entry.part is not None or entry.position != last.position


def _position(entries: Sequence[Entry]) -> dict[str, Any] | None:
    return entries[-1].position if entries else None


def _hexadecimal(number: int) -> str:
    return f"{number:032x}"


def _join(files: Sequence[Path], target: Path) -> tuple[int, list[str]]:
    """Writes Parquet files of one schema as one; gives its number of rows and its columns."""
    parquet = require("pyarrow.parquet", extra="train")
    if not files:
        return 0, []
    if len(files) == 1:
        files[0].rename(target)
    else:
        schema = parquet.read_schema(files[0])
        with parquet.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
            for file in files:
                with parquet.ParquetFile(file) as opened:
                    for batch in opened.iter_batches():
                        writer.write_batch(batch)
    metadata = parquet.read_metadata(target)
    return int(metadata.num_rows), list(metadata.schema.to_arrow_schema().names)


def _link(path: Path, link: Path) -> None:
    try:
        os.link(path, link)
    except OSError:  # another file system
        shutil.copyfile(path, link)


def _remove_strangers(folder: Path, entries: Sequence[Entry]) -> None:
    """Removes parts that the ledger does not name: replaced, or left by a reading that was killed."""
    named = {entry.part for entry in entries}
    for path in folder.glob("*.parquet"):
        if path.stem not in named:
            path.unlink(missing_ok=True)
    for path in folder.glob(".scratch-*"):
        shutil.rmtree(path, ignore_errors=True)
