"""Digests of files that have not changed since they were last read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from everloop.core.digest import digest_file
from everloop.core.files import write_file


class DigestMemo:
    """Remembers a file's digest as long as its size, times and inode stay the same.

    With a path the memory outlives the process, so that an unchanged run reads no data. A memo that
    is lost or damaged costs time, never correctness.

    Args:
        path: The JSON file that keeps the memo; None keeps it in memory alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, list[int | str]] = {}
        if path is not None:
            with suppress(OSError, ValueError):
                known = json.loads(path.read_text(encoding="utf-8"))
                self._known = known if isinstance(known, dict) else {}

    def digest(self, path: Path) -> str:
        """Gives the SHA-256 of a file's content, from memory where the file has not changed."""
        name, state = str(path.resolve()), file_state(path)
        entry = self._entry(name, state)
        if entry is not None:
            return entry
        digest = digest_file(path)
        # A file that changed while it was read gets no entry: the next call reads it again.
        if file_state(path) == state:
            self._remember(name, state, digest)
        return digest

    def digest_of(self, name: str, state: list[int | str], read: Callable[[], str]) -> str:
        """Gives the digest of something that is no local file.

        Args:
            name: What tells it from others, such as a URL.
            state: What changes with its content.
            read: Finds the digest where it is not remembered.
        """
        entry = self._entry(name, state)
        if entry is None:
            entry = read()
            self._remember(name, state, entry)
        return entry

    def _entry(self, name: str, state: Sequence[int | str]) -> str | None:
        entry = self._known.get(name)
        if isinstance(entry, list) and entry[:-1] == list(state) and isinstance(entry[-1], str):
            return entry[-1]
        return None

    def _remember(self, name: str, state: Sequence[int | str], digest: str) -> None:
        self._known[name] = [*state, digest]
        self._save()

    def _save(self) -> None:
        if self._path is not None:
            write_file(self._path, json.dumps(self._known, sort_keys=True).encode())


def file_state(path: Path) -> list[int]:
    """Gives what changes with a file's content: size, both times in nanoseconds, inode."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
