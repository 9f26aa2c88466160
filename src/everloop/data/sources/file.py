"""Files: CSV, TSV, JSON lines, Parquet and Excel; packed, by pattern, here or behind a URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.errors import SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.data.sources.bad_rows import BadRows
from everloop.data.sources.csv_file import land_csv
from everloop.data.sources.excel_file import land_excel
from everloop.data.sources.finding import unzipped
from everloop.data.sources.json_file import land_json
from everloop.data.sources.parquet_file import whole_parquet
from everloop.data.sources.protocol import Capabilities, Reading, SourcePart, Surroundings
from everloop.data.sources.source_files import SourceFiles, called
from everloop.data.sources.text_file import PACKINGS, FoundFile

if TYPE_CHECKING:
    from everloop.spec import FileSource

# Suffix -> format. A suffix .gz or .zst is taken off first, from text formats.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
    ".zip": "zip",
}


@dataclass(frozen=True)
class Files:
    """Files of one format that together are one table, in the order of their names.

    CSV types are found over all rows of all files: a column is boolean, integer, number or time
    only where every value is one, and text otherwise. Empty fields and ``NA``, ``N/A``, ``NaN``
    and ``NULL`` are missing values. A row that cannot be read ends the reading with its file and
    line, or is kept aside where `bad_rows` says so.
    """

    spec: FileSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="file",
        reads="CSV, TSV, JSON lines, Parquet and Excel files; gzip, zstd, zip with one file inside, glob "
        "patterns; local, or any URL of fsspec, such as s3://",
        cheap_fingerprint=True,
        keeps_order=True,
        needs_network=False,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives the digests of the files, in their order."""
        files = self._files()
        return self._fingerprint(files.names(), files.digests())

    def read(self, scratch: Path) -> Reading:
        """Reads the files as Parquet; local Parquet files are used where they lie.

        Raises:
            SourceUnreachable: When no file is there.
            SourceUnreadable: When a file is damaged or changes while it is read, or a row cannot be
                read and bad rows are refused, or too many cannot.
        """
        with self._files().fetched(scratch) as (found, digests, _):
            fingerprint = self._fingerprint([file.name for file in found], digests)
            return self._land(found, fingerprint, scratch)

    def _files(self) -> SourceFiles:
        return SourceFiles(self.spec.file, self.spec.options, self.surroundings)

    def _fingerprint(self, names: Sequence[str], digests: Sequence[str]) -> dict[str, Any]:
        return {"kind": "file", "format": _one_format(names, self.spec.format), "digests": list(digests)}

    def _land(self, files: Sequence[FoundFile], fingerprint: dict[str, Any], scratch: Path) -> Reading:
        bad = BadRows(kept=self.spec.bad_rows == "quarantine", most=self.spec.most_bad_rows)
        members = [unzipped(file, scratch) for file in files]
        kind = _one_format([file.path.name for file in members], self.spec.format)
        landed: tuple[Path, ...] = (scratch / "landed.parquet",)
        if kind == "parquet":
            whole = whole_parquet(members, bad)
            landed = tuple(file.path for file in whole)
            parts = tuple(SourcePart(file.name, _rows((file.path,))) for file in whole)
        elif kind == "csv":
            parts = land_csv(members, landed[0], scratch, bad, encoding=self.spec.encoding)
        elif kind == "json":
            parts = land_json(members, landed[0], scratch, bad, encoding=self.spec.encoding)
        else:
            parts = land_excel(members, landed[0], scratch, bad, sheet=self.spec.sheet)
        quarantine = bad.settle(_rows(landed), len(files), scratch) if len(bad) else None
        if not landed:
            raise SourceUnreadable(f"None of the files of {self.spec.file} can be read.")
        return Reading(landed, fingerprint, quarantine, tuple(bad.notes), called(parts))


def _rows(files: tuple[Path, ...]) -> int:
    parquet = require("pyarrow.parquet", extra="train")
    return sum(int(parquet.read_metadata(file).num_rows) for file in files)


def _format_of(name: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    if suffixes and suffixes[-1] in PACKINGS:
        suffixes.pop()
    kind = FORMATS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise SpecFault(
            f"{Path(name).name} is of no known format; known are {', '.join(FORMATS)}, "
            f"and {' and '.join(PACKINGS)} after text.",
            hint="say it beside the file: {file: ..., format: csv}",
        )
    return kind


def _one_format(names: Sequence[str], stated: str | None) -> str:
    if stated is not None and not any(name.lower().endswith(".zip") for name in names):
        return "json" if stated == "jsonl" else stated
    kinds = {_format_of(name) for name in names}
    if len(kinds) > 1:
        raise SpecFault(
            f"One source has files of several formats: {', '.join(sorted(kinds))}.",
            hint="make one source for each format and unite them in data.table",
        )
    return kinds.pop()
