"""What kind of file a package's file is, told from its first bytes: a pickle is none under any name."""

from __future__ import annotations

import io
import json
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from everloop.core.errors import PackageRefused

HEAD_BYTES = 64
_ZIP = (b"PK\x03\x04",)
_FIRST_BYTES = {
    ".json": (b"{", b"["),
    ".onnx": (b"\x08",),
    ".npz": _ZIP,
    ".skops": _ZIP,
    ".html": (b"<",),
    "": None,
}
"""The ending of a file in a package -> how its content starts; None where any text may stand there."""

_PICKLE_PROTOCOLS = range(2, 6)
PICKLE_NAMES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill")


def is_pickle(head: bytes) -> bool:
    """Says whether content starts as a pickle does, of the protocols that say so (2 and later)."""
    return len(head) > 1 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS


def refuse_form(name: str, head: bytes) -> None:
    """Refuses a file of a package that is of no kind that a package holds.

    Args:
        name: The file's name.
        head: The first bytes of its content.

    Raises:
        PackageRefused: When it is a pickle, of an unknown ending, or not what its ending says.
    """
    if is_pickle(head):
        raise PackageRefused(f"The package's file {name!r} is a pickle; loading one runs what is in it.")
    ending = PurePosixPath(name).suffix
    if ending not in _FIRST_BYTES:
        known = ", ".join(one for one in _FIRST_BYTES if one)
        raise PackageRefused(f"The package's file {name!r} is of no kind that a package holds: {known}.")
    starts = _FIRST_BYTES[ending]
    if starts is not None and not head.lstrip().startswith(starts):
        raise PackageRefused(
            f"The package's file {name!r} is no {ending} file: its content starts otherwise."
        )


def refuse_json(text: bytes, name: str) -> None:
    """Refuses JSON that two readers could read differently: a name twice, or a number that is none.

    Raises:
        PackageRefused: When it is such, nests too deep, or is no JSON.
    """

    def once(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise PackageRefused(f"{name} has {twice[:100]!r} twice in one object.")

    def no_number(word: str) -> None:
        raise PackageRefused(f"{name} has {word}, which is no number of JSON.")

    try:
        json.loads(text, object_pairs_hook=once, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        raise PackageRefused(f"{name} cannot be read: {error}.") from None


def refuse_archive(content: bytes | Path, name: str, most_bytes: int) -> None:
    """Refuses a zip file whose parts lie outside it, are pickles, or unpack to more than they may.

    Args:
        content: The zip file, or where it is.
        name: Its name, for the message.
        most_bytes: What all of it may unpack to.

    Raises:
        PackageRefused: When it is such, or no zip file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content) if isinstance(content, bytes) else content) as archive:
            parts = archive.infolist()
            _check_parts(parts, name, most_bytes)
            for part in parts:
                with archive.open(part) as inside:
                    if is_pickle(inside.read(HEAD_BYTES)):
                        raise PackageRefused(f"{name} holds the pickle {part.filename[:100]!r}.")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise PackageRefused(f"{name} cannot be read: {error}.") from None


def _check_parts(parts: list[zipfile.ZipInfo], name: str, most_bytes: int) -> None:
    if sum(part.file_size for part in parts) > most_bytes:
        raise PackageRefused(f"{name} unpacks to more than {most_bytes} bytes.")
    if len({part.filename for part in parts}) < len(parts):
        raise PackageRefused(f"{name} holds a file twice.")
    for part in parts:
        path, told = PurePosixPath(part.filename), part.filename[:100]
        if path.is_absolute() or ".." in path.parts or "\\" in part.filename or ":" in part.filename:
            raise PackageRefused(f"{name} holds {told!r}, which lies outside it.")
        if stat.S_ISLNK(part.external_attr >> 16):
            raise PackageRefused(f"{name} holds the link {told!r}.")
        if path.suffix.lower() in PICKLE_NAMES:
            raise PackageRefused(f"{name} holds {told!r}, which is a pickle, or may be one.")
