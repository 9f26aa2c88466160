"""The artifact store: folders under keys, there whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from everloop.record.artifact import Artifact
from everloop.record.store_local import LocalStore

if TYPE_CHECKING:
    from everloop.record.store_remote import RemoteStore

__all__ = ["Artifact", "ArtifactStore"]


class ArtifactStore:
    """Folders under keys, in a local folder or, by fsspec, in remote storage.

    - A published folder is immutable and visible whole or not at all, also after a killed process.
    - Publishing a key that is there gives what is there; two processes may publish the same key at
      once, and one of them wins.
    - What a killed process left half-written is removed by the next process that writes.
    - Threads and processes may share a store.

    Args:
        url: A folder, ``file:///folder``, or a URL that fsspec knows, such as ``s3://bucket/folder``.
        cache: Where a remote store keeps its local copies.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = ArtifactStore(folder.name)
        >>> with store.scratch() as work:
        ...     _ = (work / "numbers.txt").write_text("1 2 3")
        ...     artifact = store.publish("numbers", work)
        >>> (store.open("numbers") / "numbers.txt").read_text()
        '1 2 3'
        >>> store.close(); folder.cleanup()
    """

    def __init__(self, url: str | Path, *, cache: Path | None = None) -> None:
        self.url, self.cache = str(url), cache
        self._kept: LocalStore | RemoteStore
        scheme = self.url.partition("://")[0] if "://" in self.url else "file"
        if scheme == "file":
            self._kept = LocalStore(Path(self.url.removeprefix("file://")))
        else:
            from everloop.record.store_remote import RemoteStore

            self._kept = RemoteStore(self.url, cache)

    def publish(self, key: str, folder: Path, *, facts: Mapping[str, Any] | None = None) -> Artifact:
        """Puts a copy of a folder under a key, all at once and durably.

        Args:
            key: Its name; parts may be divided by ``/``.
            folder: What to publish; unchanged, except that a folder given out by `scratch` is moved.
            facts: What to keep with it, with a JSON form.

        Returns:
            What is now under the key; where it was there before, that.

        Raises:
            StorageFull: When the disk has no room; nothing half-written remains.
        """
        return self._kept.publish(key, folder, facts)

    def find(self, key: str) -> Artifact | None:
        """Gives what is under a key, with no file of it opened; nothing where it is not there, whole."""
        return self._kept.find(key)

    def has(self, key: str) -> bool:
        """Tells whether a key is there, with all its files in their sizes."""
        return self.find(key) is not None

    def open(self, key: str) -> Path:
        """Gives the folder under a key, to be read and not changed; a remote one is copied here first.

        Raises:
            NotFound: When the key is not there.
        """
        return self._kept.open(key)

    def verify(self, key: str) -> str | None:
        """Compares every file with its digest; says what is wrong, or gives None.

        Raises:
            NotFound: When the key is not there.
        """
        return self._kept.verify(key)

    def discard(self, key: str) -> None:
        """Removes a key; nothing happens where it is not there."""
        self._kept.discard(key)

    def keys(self) -> list[str]:
        """Gives all keys, sorted."""
        return self._kept.keys()

    def making(self, key: str) -> AbstractContextManager[bool]:
        """Holds the making of a key for one process of this machine at a time; the others wait.

        The block is told whether it had to wait: then the key may be there by now.
        """
        return self._kept.making(key)

    def scratch(self) -> AbstractContextManager[Path]:
        """Gives an empty folder to work in; what is left in it at the end is removed."""
        return self._kept.scratch()

    def close(self) -> None:
        """Lets go of the scratch folder."""
        self._kept.close()

    def __enter__(self) -> Self:
        """Gives the store itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the store."""
        self.close()
