"""The artifact store in remote storage, by fsspec, with a local copy of what was opened.

``objects/<key>.json`` describes an artifact, and is written last: storage of this kind has no rename, but
writes one object whole or not at all. Equal content is one object, ``contents/<sha256>/content``; beside it
``for/<key>`` names each artifact that has it. Without any lock, content that is named stays: who publishes
names it first and looks whether it is there then; who discards looks for names before and after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
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
        self._objects, self._contents = (
            f"{str(root).rstrip('/')}/{part}" for part in ("objects", "contents")
        )
        self._damaged: set[str] = set()
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
            self._upload(artifact, folder)
            try:
                self._files.pipe_file(self._description(key), artifact.encode(), mode="create")
            except FileExistsError:  # another process was faster
                kept = self.find(key)
                self._let_go(key, _digests(artifact) - (_digests(kept) if kept else set()))
                return kept or artifact
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
                self._download(artifact, work)
            found = describe(key, work)
            if found.digest != artifact.digest:
                self._damaged |= _digests(artifact) - _digests(found)
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
        except OutsideFault as error:
            if isinstance(error, SourceUnreachable):
                raise
            return str(error)
        return self._cache.verify(key)

    def discard(self, key: str) -> None:
        """Removes a key: first what makes it visible, then the content that it alone has."""
        self._cache.discard(key)
        with self._faults():
            artifact = self.find(key)
            with suppress(FileNotFoundError):
                self._files.rm_file(self._description(key))
            if artifact is not None:
                self._let_go(key, _digests(artifact))

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

    def making(self, key: str) -> AbstractContextManager[bool]:
        """Holds the making of a key on this machine."""
        return self._cache.making(key)

    def scratch(self) -> AbstractContextManager[Path]:
        """Gives an empty local folder to work in."""
        return self._cache.scratch()

    def close(self) -> None:
        """Removes this process's scratch folder."""
        self._cache.close()

    def _upload(self, artifact: Artifact, folder: Path) -> None:
        """Names each content as one of the artifact's, and puts it there where it is not."""
        for name, entry in artifact.files.items():
            self._files.pipe_file(f"{self._names(entry.digest)}/{folder_name(artifact.key)}", b"")
            if entry.digest in self._damaged or self._size(entry.digest) != entry.size:
                self._files.put_file(str(folder / name), self._content(entry.digest))
                self._damaged.discard(entry.digest)

    def _download(self, artifact: Artifact, folder: Path) -> None:
        for name, entry in artifact.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files.get_file(self._content(entry.digest), str(folder / name))
            except FileNotFoundError:
                raise OutsideFault(
                    f"{name} of {artifact.key!r} is missing in the artifact store {self._url}.",
                    hint="everloop run (what is missing is made again)",
                ) from None

    def _let_go(self, key: str, digests: Iterable[str]) -> None:
        """Takes a key's name from contents, and removes those that have no other."""
        for digest in digests:
            with suppress(FileNotFoundError):
                self._files.rm_file(f"{self._names(digest)}/{folder_name(key)}")
            if self._is_named(digest):
                continue
            with self._cache.scratch() as work, suppress(FileNotFoundError):
                self._files.get_file(self._content(digest), str(work / "content"))
                self._files.rm_file(self._content(digest))
                if self._is_named(digest):  # since then, by one who may have seen it there
                    self._files.put_file(str(work / "content"), self._content(digest))

    def _is_named(self, digest: str) -> bool:
        try:
            names = self._files.ls(self._names(digest), detail=False, refresh=True)
        except FileNotFoundError:
            return False
        # Some stores list an empty folder as what is in it.
        return any(not str(name).rstrip("/").endswith(f"/{digest}/for") for name in names)

    def _size(self, digest: str) -> int | None:
        self._files.invalidate_cache()
        try:
            return int(self._files.info(self._content(digest))["size"])
        except FileNotFoundError:
            return None

    def _content(self, digest: str) -> str:
        return f"{self._contents}/{digest}/content"

    def _names(self, digest: str) -> str:
        return f"{self._contents}/{digest}/for"

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


def _digests(artifact: Artifact) -> set[str]:
    return {entry.digest for entry in artifact.files.values()}
