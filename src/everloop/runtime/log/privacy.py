"""What the prediction log does not show: private columns, hashed with a key or left out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from everloop.core.errors import OutsideFault, UsageFault
from everloop.core.files import storage_faults
from everloop.core.secret import Secret
from everloop.runtime.log.lines import PredictionLine, Written

WAYS = ("hash", "drop")
_KEY_BYTES = 32


class Privacy:
    """Takes private columns out of rows before they are logged.

    Args:
        columns: From column to `hash` (the text's keyed BLAKE2b: the same text gives the same hash, which
            says nothing of it without the key) or `drop`. What is to be hashed and is no text is dropped.
        key: What hashes are keyed with.

    Raises:
        UsageFault: When a way is none of them.
    """

    def __init__(self, columns: Mapping[str, str], key: bytes) -> None:
        for column, way in columns.items():
            if way not in WAYS:
                raise UsageFault(f"Column {column!r} is private by {way!r}; expected one of {WAYS}.")
        self._columns = dict(columns)
        self._key = key

    def line(self, line: Written) -> Written:
        """Gives a line as it may be kept.

        Raises:
            TypeError: When it is a short one, which does not say which of its values are private.
        """
        if isinstance(line, tuple):
            raise TypeError("A short line does not name its columns.")
        if not isinstance(line, PredictionLine):
            return line
        return msgspec.structs.replace(line, row=self.row(line.row))

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Gives a row as it may be kept; the one that was given is as it was."""
        shown = dict(row)
        for column, way in self._columns.items():
            if column not in shown:
                continue
            value = shown[column]
            if way == "drop":
                del shown[column]
            else:
                shown[column] = self._hashed(value) if isinstance(value, str) else None
        return shown

    def _hashed(self, text: str) -> str:
        content = text.encode("utf-8", "surrogatepass")
        return blake2b(content, key=self._key, digest_size=16).hexdigest()


def key_of(reference: str) -> bytes:
    """Gives the key that hashes are made with.

    Args:
        reference: Its file, or `env:NAME` of a variable that holds it as hexadecimal digits, as servers that
            do not share a disk have it.

    Raises:
        OutsideFault: When there is no such key; what is there is not told.
    """
    if not reference.startswith("env:"):
        return key_in(Path(reference))
    text = Secret(reference).reveal()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        name = reference.removeprefix("env:")
        raise OutsideFault(
            f"{name} holds no key of the prediction log: expected {2 * _KEY_BYTES} hexadecimal digits.",
            hint=f"export {name}=$(openssl rand -hex {_KEY_BYTES})",
        )
    return key


def key_in(path: Path) -> bytes:
    """Gives the key of a file, which is made with a random one, for its owner's eyes alone, if it is missing.

    Raises:
        OutsideFault: When what is there is no such key.
    """
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            key = path.read_bytes()
        else:
            key = os.urandom(_KEY_BYTES)
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
    if len(key) != _KEY_BYTES:
        raise OutsideFault(
            f"{path} holds no key of the prediction log: {len(key)} bytes, not {_KEY_BYTES}.",
            hint=f"restore it, or begin with a new one, which gives other hashes: rm {path}",
        )
    return key
