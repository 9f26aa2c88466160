"""What the artifact store keeps about a folder: its files and their digests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from everloop.core.digest import digest_file, digest_value
from everloop.core.errors import UsageFault

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class FileEntry(msgspec.Struct, frozen=True):
    """One file of an artifact."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """A published folder.

    Attributes:
        key: Its name in the store.
        digest: The SHA-256 over its files' names and digests.
        size: Bytes of all files together.
        files: Name within the folder (with ``/``) to digest and size.
        facts: What the publisher said about it.
    """

    key: str
    digest: str
    size: int
    files: Mapping[str, FileEntry]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Gives the artifact's own file, as JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def decode(cls, content: bytes) -> Artifact | None:
        """Reads an artifact's own file; nothing where it is damaged."""
        try:
            return msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


def describe(key: str, folder: Path, facts: Mapping[str, Any] | None = None) -> Artifact:
    """Reads a folder and digests its files."""
    files = {
        path.relative_to(folder).as_posix(): FileEntry(digest_file(path), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    digest = digest_value({name: entry.digest for name, entry in files.items()})
    return Artifact(key, digest, sum(entry.size for entry in files.values()), files, dict(facts or {}))


def damage(artifact: Artifact, folder: Path, *, deep: bool) -> str | None:
    """Says what is wrong with an artifact's folder, or nothing.

    Args:
        artifact: What should be there.
        folder: Where it should be.
        deep: Compare the digests too; otherwise only names and sizes, with no file opened.
    """
    for name, entry in artifact.files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != entry.size:
            return f"{name} has {path.stat().st_size} bytes instead of {entry.size}"
        if deep and digest_file(path) != entry.digest:
            return f"{name} does not have its digest"
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    added = sorted(present - set(artifact.files))
    return f"{added[0]} does not belong to it" if added else None


def folder_name(key: str) -> str:
    """Gives the name of the folder that holds a key; different for different keys.

    Raises:
        UsageFault: When the key could lead out of the store.
    """
    if not _KEY.fullmatch(key):
        raise UsageFault(
            f"{key!r} is not a key of the artifact store: letters, digits, dot, dash and underscore, "
            "in parts divided by a slash, each beginning with a letter or digit."
        )
    return key.replace("/", "+")
