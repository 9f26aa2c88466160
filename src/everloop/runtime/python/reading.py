"""Reads an estimator's skops file: its types are audited before any is imported; nothing in it is run."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault
from everloop.core.extras import require
from everloop.runtime.python.bounds import hold_within_bounds
from everloop.runtime.python.types import HINTS, TRUSTED_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_NAME = "schema.json"
_MOST_BYTES = 8 * 2**30


def estimator_of(content: bytes, path: str, trusted: frozenset[str] = TRUSTED_TYPES) -> Any:
    """Reads an estimator.

    Args:
        content: The file's content.
        path: What messages call it.
        trusted: The types that it may name beside those that skops trusts.

    Raises:
        ModelFault: When it is damaged, unpacks to too much, names a type that is not trusted, or its arrays
            point outside themselves.
        MissingExtra: When skops is not installed.
    """
    skops = require("skops.io", extra="train")
    try:
        _refuse_a_flood(content, path)
        unknown = sorted(set(skops.get_untrusted_types(data=content)) - trusted)
    except ModelFault:
        raise
    except Exception as error:
        raise _damaged(path, error) from error
    if unknown:
        raise ModelFault(
            f"The estimator {path} names types that are not trusted: {', '.join(unknown)}.",
            hint=next((HINTS[name] for name in unknown if name in HINTS), None)
            or "use what scikit-learn has in their place, or hand the model over as ONNX",
        )
    try:
        estimator = skops.loads(content, trusted=sorted(trusted))
    except Exception as error:
        raise _damaged(path, error) from error
    hold_within_bounds(estimator, path)
    return estimator


def named_modules(content: bytes) -> frozenset[str]:
    """Gives the libraries whose types or functions a file names, such as `sklearn`."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        schema = json.loads(archive.read(SCHEMA_NAME))
    return frozenset(name.partition(".")[0] for name in _modules(schema))


def _modules(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("__module__"), str):
            yield node["__module__"]
        for value in node.values():
            yield from _modules(value)
    elif isinstance(node, list):
        for value in node:
            yield from _modules(value)


def _refuse_a_flood(content: bytes, path: str) -> None:
    with zipfile.ZipFile(BytesIO(content)) as archive:
        size = sum(item.file_size for item in archive.infolist())
    if size > _MOST_BYTES:
        raise ModelFault(f"The estimator {path} unpacks to {size} bytes; at most {_MOST_BYTES} are read.")


def _damaged(path: str, error: Exception) -> ModelFault:
    return ModelFault(f"The estimator {path} is damaged: {error}.", hint="train it again")
