"""How this room writes JSON: indented, numbers of numpy as plain ones."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np


def encode_json(value: Any) -> bytes:
    """Gives a struct as JSON that a person can read too."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=1) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form")
