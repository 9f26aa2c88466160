"""The artifact store in a local folder.

``objects/<key>/`` holds ``files/`` and ``artifact.json``; it comes into being by one rename. Files of
equal content are one file on the disk: hard links to ``contents/<sha256>``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from everloop.core.digest import digest_file
from everloop.core.errors import NotFound
from everloop.core.files import publish_folder, storage_faults
from everloop.record.artifact import Artifact, damage, describe, folder_name
from everloop.record.scratch import Scratch, sole
from everloop.record.values import plain

DESCRIPTION = "artifact.json"
FILES = "files"


class LocalStore:
    """Artifacts in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._objects = self.root / "objects"
        self._contents = self.root / "contents"
        self._scratch = Scratch(self.root / "scratch")

    def publish(self, key: str, folder: Path, facts: Mapping[str, Any] | None) -> Artifact:
        """Moves a folder of ours, or a copy of another one, to its final name."""
        final = self._object(key)
        kept = self.find(key)
        if kept is not None:
            return kept
        if final.exists():  # not whole: it gives way
            self.discard(key)
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder} to publish under {key!r}.")
        with self._scratch.folder() as work, storage_faults(final):
            files = work / "object" / FILES
            files.parent.mkdir()
            if self._scratch.holds(folder):
                folder.rename(files)
                folder.mkdir()
            else:
                shutil.copytree(folder, files)
            described = describe(key, files, plain(dict(facts or {}), f"what is said about {key!r}"))
            self._share(described, files)
            (files.parent / DESCRIPTION).write_bytes(described.encode())
            publish_folder(files.parent, final)
        return self.find(key) or described

    def find(self, key: str) -> Artifact | None:
        """Gives what is under a key if its files are there in their sizes."""
        folder = self._object(key)
        try:
            artifact = Artifact.decode((folder / DESCRIPTION).read_bytes())
            whole = artifact is not None and damage(artifact, folder / FILES, deep=False) is None
        except (FileNotFoundError, NotADirectoryError):  # also where it goes away as we look
            return None
        return artifact if whole else None

    def open(self, key: str) -> Path:
        """Gives the folder under a key."""
        self._described(key)
        return self._object(key) / FILES

    def verify(self, key: str) -> str | None:
        """Says what is wrong with the files under a key."""
        artifact = self._described(key)
        if artifact is None:
            return f"{DESCRIPTION} is damaged"
        return damage(artifact, self._object(key) / FILES, deep=True)

    def discard(self, key: str) -> None:
        """Removes a key."""
        try:
            described = self._described(key)
        except NotFound:
            described = None
        with self._scratch.folder() as work:
            try:
                self._object(key).rename(work / "gone")
            except FileNotFoundError:
                return
        for entry in described.files.values() if described else ():
            with suppress(FileNotFoundError):
                if (self._contents / entry.digest).stat().st_nlink == 1:
                    (self._contents / entry.digest).unlink()

    def keys(self) -> list[str]:
        """Gives all keys, sorted."""
        if not self._objects.is_dir():
            return []
        return sorted(path.name.replace("+", "/") for path in self._objects.iterdir())

    def making(self, key: str) -> AbstractContextManager[bool]:
        """Holds the making of a key."""
        return sole(self.root / "making" / f"{folder_name(key)}.lock")

    def scratch(self) -> AbstractContextManager[Path]:
        """Gives an empty folder to work in."""
        return self._scratch.folder()

    def close(self) -> None:
        """Removes this process's scratch folder."""
        self._scratch.close()

    def _object(self, key: str) -> Path:
        return self._objects / folder_name(key)

    def _share(self, artifact: Artifact, files: Path) -> None:
        """Takes what is there already in place of files of equal content; keeps the others for later."""
        self._contents.mkdir(exist_ok=True)
        for name, entry in artifact.files.items():
            path, content = files / name, self._contents / entry.digest
            # A file system without links keeps each file by itself.
            with suppress(OSError):
                if content.exists() and digest_file(content) == entry.digest:
                    link = path.with_name(f"{path.name}.link")
                    os.link(content, link)
                    link.replace(path)
                    continue
                content.unlink(missing_ok=True)  # damaged since
                os.link(path, content)

    def _described(self, key: str) -> Artifact | None:
        try:
            return Artifact.decode((self._object(key) / DESCRIPTION).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(
                f"The artifact store {self.root} has nothing under {json.dumps(key)}.",
                hint="everloop run (what is missing is made again)",
            ) from None
