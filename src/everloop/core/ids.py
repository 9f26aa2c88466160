"""Ids that sort by the time at which they were given out.

The form is that of ULID (https://github.com/ulid/spec) behind a word that says what is named:
48 bits of milliseconds and 80 random bits (or bits of a digest) in Crockford's base 32.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from hashlib import sha256

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_LENGTH, _RANDOM_LENGTH = 10, 16


def new_id(kind: str, at: datetime) -> str:
    """Gives a new id, such as ``run_01JD2Q8M2V9S1R7T4W6Y8Z0A2C``.

    Args:
        kind: What is named: ``run``, ``version``, ``decision`` and so on.
        at: The time that the id sorts by; aware.

    Returns:
        The kind, an underscore and 26 characters.
    """
    milliseconds = int(at.timestamp() * 1000)
    return f"{kind}_{_encode(milliseconds, _TIME_LENGTH)}{_encode(secrets.randbits(80), _RANDOM_LENGTH)}"


def content_id(kind: str, at: datetime, content: bytes) -> str:
    """Gives the id of a thing that is known by its content: the same content at the same time, the same id.

    Args:
        kind: What is named.
        at: The time that the id sorts by; aware.
        content: What the id stands for.
    """
    milliseconds = int(at.timestamp() * 1000)
    number = int.from_bytes(sha256(content).digest()[:10], "big")
    return f"{kind}_{_encode(milliseconds, _TIME_LENGTH)}{_encode(number, _RANDOM_LENGTH)}"


def kind_of(identity: str) -> str:
    """Tells what an id names: the word before its last underscore, or nothing."""
    return identity.rpartition("_")[0]


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
