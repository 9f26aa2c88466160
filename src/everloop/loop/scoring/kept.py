"""What is kept of scoring until its output is there: the rows as they were read, and what was said."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.digest import digest_value
from everloop.core.errors import UsageFault
from everloop.core.files import storage_faults, write_file

if TYPE_CHECKING:
    import polars as pl

FORM = 1


class KeptScoring:
    """A folder beside the output, for as long as the output is not there.

    Args:
        folder: The folder; a process that works in it has locked it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landed = folder / "landed.parquet"
        self.featured = folder / "featured.parquet"
        self.scratch = folder / "scratch"
        self.work = folder / "work"

    def begin(self, identity: Any, *, fresh: bool) -> bool:
        """Makes the folder ready; what is in it of other rows or another package is dropped.

        Returns:
            Whether it goes on with what was kept.
        """
        noted = self.folder / "asked.json"
        digest = digest_value({"form": FORM, "asked": identity})
        shutil.rmtree(self.scratch, ignore_errors=True)
        goes_on = not fresh and noted.is_file() and noted.read_bytes() == digest.encode()
        if not goes_on:
            noted.unlink(missing_ok=True)
            for path in [*self.folder.glob("*.parquet"), *self.folder.glob("*.arrow"), self.work]:
                path.unlink(missing_ok=True)
            write_file(noted, digest.encode())
        self.scratch.mkdir()
        return goes_on

    def answers(self, start: int, rows: int) -> pl.DataFrame | None:
        """Gives what was said of the part that starts at a row; None where nothing whole is kept."""
        import polars as pl

        path = self._part(start)
        if not path.is_file():
            return None
        try:
            found = pl.read_ipc(path)
        except (pl.exceptions.PolarsError, OSError, ValueError):
            return None  # the machine went down while it was written
        return found if found.height == rows else None

    def keep(self, start: int, answers: pl.DataFrame) -> None:
        """Keeps what was said of a part, whole or not at all."""
        with storage_faults(self.folder):
            unfinished = self.scratch / "part.arrow"
            answers.write_ipc(unfinished, compression="lz4")
            unfinished.replace(self._part(start))

    def _part(self, start: int) -> Path:
        return self.folder / f"from-{start:012}.arrow"


@contextmanager
def kept_beside(output: Path, name: str) -> Iterator[KeptScoring]:
    """Gives the folder of an output; it is removed when the block ends well.

    Args:
        output: The folder that the output is in.
        name: The output's name.

    Raises:
        UsageFault: When another process scores into the same output.
    """
    folder = output / f".{name}.scoring"
    with storage_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageFault(
                f"Another process scores into {name} already.", hint="wait for it, or name another output"
            ) from None
        useless = True
        try:
            yield KeptScoring(folder)
        except UsageFault:  # it would fail again
            useless = not any(folder.glob("*.arrow"))
            raise
        except BaseException:
            useless = not any((*folder.glob("*.arrow"), *folder.glob("*.parquet")))
            raise
        finally:
            if useless:
                shutil.rmtree(folder, ignore_errors=True)


def package_identity(folder: Path) -> str:
    """Names a package by its manifest, which holds the digests of all its files."""
    return digest_value(json.loads((folder / "manifest.json").read_bytes()))
