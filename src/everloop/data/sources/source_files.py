"""The files that a source names, here or behind a URL, with their digests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.secret import Secret
from everloop.data.sources.digest_memo import file_state
from everloop.data.sources.finding import find_files
from everloop.data.sources.protocol import SourcePart, Surroundings
from everloop.data.sources.remote_files import RemoteFiles, is_remote
from everloop.data.sources.text_file import FoundFile


@dataclass(frozen=True)
class SourceFiles:
    """The files of one source.

    Attributes:
        written: A path, a glob pattern or a URL, as it stands in the lifecycle file.
        options: What a URL's storage is given.
        surroundings: Folder, clock and memo.
    """

    written: str
    options: Mapping[str, Secret | str]
    surroundings: Surroundings

    def names(self) -> list[str]:
        """Finds the files' names, in their order.

        Raises:
            SourceUnreachable: When no file is there.
        """
        if is_remote(self.written):
            return [file.place for file in self._remote().find()]
        return [file.path.name for file in self._local()]

    def digests(self) -> list[str]:
        """Gives the SHA-256 of each file, from memory where it has not changed.

        Raises:
            SourceUnreachable: When no file is there.
        """
        if is_remote(self.written):
            remote = self._remote()
            return [remote.digest(file) for file in remote.find()]
        return self._digests(self._local())

    @contextmanager
    def fetched(self, scratch: Path | None = None) -> Iterator[tuple[tuple[FoundFile, ...], list[str], Path]]:
        """Gives the files with their digests, those behind a URL as copies, and a folder to work in.

        Args:
            scratch: The folder; None makes one that is removed at the end.

        Raises:
            SourceUnreachable: When no file is there.
            SourceUnreadable: At the end, when a file changed meanwhile.
        """
        with ExitStack() as stack:
            work = scratch or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="everloop-")))
            if is_remote(self.written):
                yield (*self._copied(work), work)
                return
            local = self._local()
            states = [file_state(file.path) for file in local]
            yield local, self._digests(local), work
            if [file_state(file.path) for file in local] != states:
                raise SourceUnreadable(f"{self.written} changed while it was read.", hint="try again")

    def _copied(self, work: Path) -> tuple[tuple[FoundFile, ...], list[str]]:
        remote = self._remote()
        files, digests = [], []
        for position, file in enumerate(remote.find()):
            target = work / f"{position:06d}-{file.place.rpartition('/')[2]}"
            digests.append(remote.fetch(file, target))
            files.append(FoundFile(file.address, target))
        return tuple(files), digests

    def _digests(self, files: Sequence[FoundFile]) -> list[str]:
        digests = []
        for file in files:
            try:
                digests.append(self.surroundings.memo.digest(file.path))
            except PermissionError as error:
                raise SourceUnreachable(f"{file.name} may not be read.", hint=f"ls -l {file.path}") from error
        return digests

    def _local(self) -> tuple[FoundFile, ...]:
        return find_files(self.written, self.surroundings.folder)

    def _remote(self) -> RemoteFiles:
        return RemoteFiles(self.written, self.options, self.surroundings)


def called(parts: Sequence[SourcePart]) -> tuple[SourcePart, ...]:
    """Calls files by what tells them apart, wherever they lie."""
    names = [Path(part.name).name for part in parts]
    if len(set(names)) < len(names):
        shared = os.path.commonpath([os.path.dirname(part.name) for part in parts])  # noqa: PTH120  (an address)
        names = [part.name.removeprefix(shared).lstrip("/") for part in parts]
    return tuple(replace(part, name=name) for part, name in zip(parts, names, strict=True))
