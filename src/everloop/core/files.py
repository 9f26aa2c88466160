"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from everloop.core.errors import OutsideFault, StorageFull

SCRATCH_PREFIX = ".scratch-"


@contextmanager
def storage_faults(path: Path) -> Iterator[None]:
    """Turns the operating system's errors about storage into ours, naming the path.

    Raises:
        StorageFull: When the disk or the quota has no room.
        OutsideFault: When the path may not be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"No room left on the disk while writing {path}.",
                hint="free some space and give the same command again: it continues where it was",
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            there = next(folder for folder in path.absolute().parents if folder.exists())
            raise OutsideFault(
                f"{path} may not be written: {error.strerror}.", hint=f"ls -ld {there}"
            ) from error
        raise


def write_file(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new one, even after a crash.

    Raises:
        StorageFull: When the disk has no room; the old content is untouched.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=SCRATCH_PREFIX)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        sync_folder(path.parent)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Gives an empty folder beside its future place; what is left in it at the end is removed."""
    with storage_faults(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=SCRATCH_PREFIX))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_folder(work: Path, final: Path) -> None:
    """Moves a finished folder to its final name, all at once.

    Where the final name is already taken the work is dropped: names are digests of what is inside.

    Raises:
        StorageFull: When the disk has no room.
    """
    with storage_faults(final):
        for path in sorted(work.rglob("*")):
            if path.is_file():
                sync_file(path)
        for path in [*(p for p in work.rglob("*") if p.is_dir()), work]:
            sync_folder(path)
        work.chmod(0o755)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            work.rename(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            shutil.rmtree(work, ignore_errors=True)
        sync_folder(final.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes a file's content durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
