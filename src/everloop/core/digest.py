"""SHA-256 of bytes, files and values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from everloop.core.values import to_jsonable


def digest_bytes(content: bytes) -> str:
    """Gives the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """Gives the SHA-256 of a file's content, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_value(value: Any) -> str:
    """Gives the SHA-256 of a value's canonical JSON (sorted keys, no blanks).

    Example:
        >>> digest_value({"b": 1, "a": 2}) == digest_value({"a": 2, "b": 1})
        True
    """
    text = json.dumps(to_jsonable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest_bytes(text.encode("utf-8", "surrogatepass"))
