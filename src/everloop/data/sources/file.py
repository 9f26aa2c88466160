"""Files: CSV, TSV, JSON lines and Parquet; gzip, zip and glob patterns."""

from __future__ import annotations

import glob
import shutil
import zipfile
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.data.sources.csv_file import land_csv
from everloop.data.sources.digest_memo import file_state
from everloop.data.sources.json_file import land_json
from everloop.data.sources.parquet_file import check_parquet
from everloop.data.sources.protocol import Capabilities, Reading, Surroundings

if TYPE_CHECKING:
    from everloop.spec import FileSource

# Suffix -> format. A suffix .gz is taken off first, except from formats that compress by themselves.
FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".zip": "zip",
}


@dataclass(frozen=True)
class Files:
    """Files of one format that together are one table, in the order of their names.

    CSV types are found over all rows of all files: a column is boolean, integer, number or time
    only where every value is one, and text otherwise. Empty fields and ``NA``, ``N/A``, ``NaN``
    and ``NULL`` are missing values.
    """

    spec: FileSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="file",
        reads="CSV, TSV, JSON lines and Parquet files; gzip, zip with one file inside, glob patterns",
        cheap_fingerprint=True,
        keeps_order=True,
        needs_network=False,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives the digests of the files, in their order."""
        return self._fingerprint(self._find())

    def read(self, scratch: Path) -> Reading:
        """Reads the files as Parquet; Parquet files are used where they lie.

        Raises:
            SourceUnreachable: When no file is there.
            SourceUnreadable: When a file is damaged, or changes while it is read.
        """
        paths = self._find()
        states = [file_state(path) for path in paths]
        fingerprint = self._fingerprint(paths)
        members = tuple(_unzip(path, scratch) if path.suffix == ".zip" else path for path in paths)
        kind = _one_format(members, self.spec.format)
        if kind == "parquet":
            check_parquet(members)
            files = members
        else:
            landed = scratch / "landed.parquet"
            (land_csv if kind == "csv" else land_json)(members, landed, scratch)
            files = (landed,)
        if [file_state(path) for path in paths] != states:
            raise SourceUnreadable(f"{self.spec.file} changed while it was read.", hint="try again")
        return Reading(files, fingerprint)

    def _fingerprint(self, paths: tuple[Path, ...]) -> dict[str, Any]:
        digests = [self.surroundings.memo.digest(path) for path in paths]
        return {"kind": "file", "format": _one_format(paths, self.spec.format), "digests": digests}

    def _find(self) -> tuple[Path, ...]:
        pattern = self.surroundings.folder.resolve() / self.spec.file
        if "://" in self.spec.file:
            raise SpecFault(
                f"{self.spec.file} is a URL; a file source reads local files.",
                hint="copy the file beside everloop.yaml first",
            )
        if pattern.is_dir():
            raise SourceUnreadable(
                f"{self.spec.file} is a folder; expected a file or a pattern.",
                hint=f"file: {self.spec.file.rstrip('/')}/*.parquet",
            )
        if pattern.is_file():
            return (pattern,)
        found = _matching(str(pattern))
        paths = tuple(sorted(Path(name) for name in found if Path(name).is_file()))
        if not paths:
            raise _missing(self.spec.file, pattern)
        return paths


def _matching(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else []  # noqa: PTH207  (may be absolute)


def _missing(written: str, pattern: Path) -> SourceUnreachable:
    folder = pattern.parent
    if glob.has_magic(str(pattern)):
        return SourceUnreachable(f"No file matches {written} (looked in {folder}).", hint=f"ls {folder}")
    while not folder.is_dir():
        folder = folder.parent
    name = pattern.relative_to(folder).parts[0]
    near = get_close_matches(name, [path.name for path in folder.iterdir()], n=1, cutoff=0.5)
    nearest = f" The nearest name in {folder} is {near[0]}." if near else f" Looked in {folder}."
    return SourceUnreachable(f"The file {written} is not there.{nearest}", hint=f"ls {folder}")


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    kind = FORMATS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise SpecFault(
            f"{path.name} is of no known format; known are {', '.join(FORMATS)}, and .gz after text.",
            hint="say it beside the file: {file: ..., format: csv}",
        )
    return kind


def _one_format(paths: tuple[Path, ...], stated: str | None) -> str:
    if stated is not None and not any(path.suffix == ".zip" for path in paths):
        return "json" if stated == "jsonl" else stated
    kinds = {_format_of(path) for path in paths}
    if len(kinds) > 1:
        raise SpecFault(
            f"One source has files of several formats: {', '.join(sorted(kinds))}.",
            hint="make one source for each format and unite them in data.table",
        )
    return kinds.pop()


def _unzip(path: Path, scratch: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            members = [item for item in members if not item.filename.startswith("__MACOSX/")]
            if len(members) != 1:
                raise SourceUnreadable(
                    f"{path} holds {len(members)} files; expected one.",
                    hint=f"unzip {path} and use a pattern",
                )
            # The member's own folder names are dropped: nothing is written outside scratch.
            target = scratch / f"{path.stem}-{Path(members[0].filename).name}"
            with archive.open(members[0]) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise SourceUnreadable(f"{path} is not a readable zip file: {error}.") from error
    if _format_of(target) == "zip":
        raise SourceUnreadable(f"{path} holds another zip file; expected a table.")
    return target
