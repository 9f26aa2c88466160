"""The artifact store in remote storage, by fsspec, with a local copy of what was opened.

Files go to ``objects/<key>/<digest>/``; ``objects/<key>.json`` is written last and makes them
visible: storage of this kind has no rename, but writes one object whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from everloop.core.digest import digest_bytes
from everloop.core.errors import NotFound, OutsideFault, SourceUnreachable
from everloop.core.extras import require
from everloop.record.artifact import Artifact, describe, folder_name
from everloop.record.store_local import LocalStore
from everloop.record.values import plain


class RemoteStore:
    """Artifacts behind a URL that fsspec knows."""

    def __init__(self, url: str, cache: Path | None) -> None:
        self._url = url
        fsspec = require("fsspec", extra="train")
        try:
            self._files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise OutsideFault(f"The artifact store {url} cannot be reached from here: {error}.") from None
        self._objects = f"{str(root).rstrip('/')}/objects"
        place = cache or Path.home() / ".cache" / "everloop" / "artifacts"
        self._cache = LocalStore(place / digest_bytes(url.encode())[:16])

    def publish(self, key: str, folder: Path, facts: Mapping[str, Any] | None) -> Artifact:
        """Uploads the files, then the description that makes them visible."""
        kept = self.find(key)
        if kept is not None:
            return kept
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder} to publish under {key!r}.")
        artifact = describe(key, folder, plain(dict(facts or {}), f"what is said about {key!r}"))
        with self._faults():
            for name in artifact.files:
                self._files.put_file(str(folder / name), f"{self._place(artifact)}/{name}")
            try:
                self._files.pipe_file(self._description(key), artifact.encode(), mode="create")
            except FileExistsError:  # another process was faster
                return self.find(key) or artifact
        return artifact

    def find(self, key: str) -> Artifact | None:
        """Gives what is under a key."""
        with self._faults():
            try:
                content = self._files.cat_file(self._description(key))
            except FileNotFoundError:
                return None
        return Artifact.decode(content)

    def open(self, key: str) -> Path:
        """Gives the local copy of the folder under a key, made and checked where it is not there yet."""
        artifact = self._present(key)
        cached = self._cache.find(key)
        if cached is not None and cached.digest == artifact.digest:
            return self._cache.open(key)
        self._cache.discard(key)
        with self._cache.scratch() as work:
            with self._faults():
                for name in artifact.files:
                    (work / name).parent.mkdir(parents=True, exist_ok=True)
                    self._files.get_file(f"{self._place(artifact)}/{name}", str(work / name))
            if describe(key, work).digest != artifact.digest:
                raise OutsideFault(
                    f"{key!r} in the artifact store {self._url} does not have its digest.",
                    hint="everloop run (what is damaged is made again)",
                )
            self._cache.publish(key, work, artifact.facts)
        return self._cache.open(key)

    def verify(self, key: str) -> str | None:
        """Says what is wrong with the files under a key."""
        self._present(key)
        try:
            self.open(key)
        except (OutsideFault, FileNotFoundError) as error:
            if isinstance(error, SourceUnreachable):
                raise
            return str(error)
        return self._cache.verify(key)

    def discard(self, key: str) -> None:
        """Removes a key: first what makes it visible, then its files."""
        self._cache.discard(key)
        with self._faults():
            for place in (self._description(key), f"{self._objects}/{folder_name(key)}"):
                if self._files.exists(place):
                    self._files.rm(place, recursive=True)

    def keys(self) -> list[str]:
        """Gives all keys, sorted."""
        with self._faults():
            try:
                names = self._files.ls(self._objects, detail=False, refresh=True)
            except FileNotFoundError:
                return []
        found = (str(name).rpartition("/")[2] for name in names)
        return sorted(
            name.removesuffix(".json").replace("+", "/") for name in found if name.endswith(".json")
        )

    def scratch(self) -> AbstractContextManager[Path]:
        """Gives an empty local folder to work in."""
        return self._cache.scratch()

    def close(self) -> None:
        """Removes this process's scratch folder."""
        self._cache.close()

    def _place(self, artifact: Artifact) -> str:
        return f"{self._objects}/{folder_name(artifact.key)}/{artifact.digest}"

    def _description(self, key: str) -> str:
        return f"{self._objects}/{folder_name(key)}.json"

    def _present(self, key: str) -> Artifact:
        artifact = self.find(key)
        if artifact is None:
            raise NotFound(f"The artifact store {self._url} has nothing under {key!r}.")
        return artifact

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError as error:
            raise SourceUnreachable(
                f"The artifact store {self._url} does not answer: {error}.", hint="everloop doctor"
            ) from error
