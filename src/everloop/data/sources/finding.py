"""Local files by a path or a pattern."""

from __future__ import annotations

import glob
import shutil
import zipfile
from collections import Counter
from pathlib import Path

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.nearness import near_file
from everloop.data.sources.text_file import FoundFile


def find_files(written: str, folder: Path) -> tuple[FoundFile, ...]:
    """Finds the files that a source names, in the order of their names.

    Args:
        written: A path or a glob pattern, as it stands in the lifecycle file.
        folder: The lifecycle file's folder.

    Raises:
        SourceUnreachable: When no file is there; the nearest name is told.
        SourceUnreadable: When it is a folder.
    """
    pattern = folder.resolve() / written
    if pattern.is_dir():
        raise SourceUnreadable(
            f"{written} is a folder; expected a file or a pattern.",
            hint=f"file: {written.rstrip('/')}/*{_usual_ending(pattern)}",
        )
    if pattern.is_file():
        return (FoundFile(str(pattern), pattern),)
    paths = sorted(Path(name) for name in _matching(str(pattern)) if Path(name).is_file())
    if not paths:
        raise _missing(written, pattern)
    return tuple(FoundFile(str(path), path) for path in paths)


def unzipped(file: FoundFile, scratch: Path) -> FoundFile:
    """Takes the one file out of a zip file; gives any other file as it is.

    Raises:
        SourceUnreadable: When it is no zip file, or holds several files.
    """
    if file.path.suffix.lower() != ".zip":
        return file
    try:
        with zipfile.ZipFile(file.path) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            members = [item for item in members if not item.filename.startswith("__MACOSX/")]
            if len(members) != 1:
                raise SourceUnreadable(
                    f"{file.name} holds {len(members)} files; expected one.",
                    hint=f"unzip {file.path} and use a pattern",
                )
            # The member's own folder names are dropped: nothing is written outside scratch.
            target = scratch / f"{file.path.stem}-{Path(members[0].filename).name}"
            with archive.open(members[0]) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise SourceUnreadable(
            f"{file.name} is not a readable zip file: {error}.", hint="pack or copy the file again"
        ) from error
    if target.suffix.lower() == ".zip":
        raise SourceUnreadable(
            f"{file.name} holds another zip file; expected a table.", hint=f"unzip {file.path}"
        )
    return file.moved(target)


def _matching(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True) if glob.has_magic(pattern) else []  # noqa: PTH207  (may be absolute)


def _usual_ending(folder: Path) -> str:
    """Gives the ending that most files of a folder have."""
    endings = Counter("".join(path.suffixes[-2:]) for path in sorted(folder.iterdir()) if path.is_file())
    del endings[""]
    return endings.most_common(1)[0][0] if endings else ".parquet"


def _missing(written: str, pattern: Path) -> SourceUnreachable:
    folder = pattern.parent
    if glob.has_magic(str(pattern)):
        return SourceUnreachable(f"No file matches {written} (looked in {folder}).", hint=f"ls {folder}")
    while not folder.is_dir():
        folder = folder.parent
    name = pattern.relative_to(folder).parts[0]
    near = near_file(name, [path.name for path in folder.iterdir()])
    nearest = f" The nearest name in {folder} is {near}." if near else f" Looked in {folder}."
    return SourceUnreachable(f"The file {written} is not there.{nearest}", hint=f"ls {folder}")
