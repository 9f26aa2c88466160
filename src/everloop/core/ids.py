"""Ids that sort by the time at which they were given out.

The form is that of ULID (https://github.com/ulid/spec) behind a word that says what is named:
48 bits of milliseconds and 80 random bits (or bits of a digest) in Crockford's base 32.
"""

from __future__ import annotations

import os
import threading
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_TIME_LENGTH, _RANDOM_LENGTH = 10, 16
_LETTERS = bytes(ord(_ALPHABET[byte % 32]) for byte in range(256))
"""A letter for each byte; every letter for equally many."""

_DRAW = 256
_DRAWN: list[str] = []
_LAST: dict[str, str] = {}
"""Of each kind the last id, without the kind."""
_GIVING = threading.Lock()
os.register_at_fork(before=_GIVING.acquire, after_in_parent=_GIVING.release, after_in_child=_GIVING.release)
for _known in (_DRAWN, _LAST):
    os.register_at_fork(after_in_child=_known.clear)  # else parent and child would give out the same


def new_id(kind: str, at: datetime) -> str:
    """Gives a new id, such as ``run_01JD2Q8M2V9S1R7T4W6Y8Z0A2C``.

    Those of a kind that a process gives out at one moment sort in the order in which they were given out.

    Args:
        kind: What is named: ``run``, ``version``, ``decision`` and so on.
        at: The time that the id sorts by; aware.

    Returns:
        The kind, an underscore and 26 characters.
    """
    with _GIVING:
        moment, last = _time_text(int(at.timestamp() * 1000)), _LAST.get(kind, "")
        given = moment + _random_text()
        if given <= last and last.startswith(moment):
            given = moment + _encode(_decode(last.removeprefix(moment)) + 1, _RANDOM_LENGTH)
        _LAST[kind] = given
    return f"{kind}_{given}"


def new_id_at(kind: str, milliseconds: int) -> str:
    """Gives a new id of a time in milliseconds since 1970; as `new_id`, for those who make many."""
    return f"{kind}_{_time_text(milliseconds)}{_random_text()}"


def content_id(kind: str, at: datetime, content: bytes) -> str:
    """Gives the id of a thing that is known by its content: the same content at the same time, the same id.

    Args:
        kind: What is named.
        at: The time that the id sorts by; aware.
        content: What the id stands for.
    """
    number = int.from_bytes(sha256(content).digest()[:10], "big")
    return f"{kind}_{_time_text(int(at.timestamp() * 1000))}{_encode(number, _RANDOM_LENGTH)}"


def kind_of(identity: str) -> str:
    """Tells what an id names: the word before its last underscore, or nothing."""
    return identity.rpartition("_")[0]


def _random_text() -> str:
    """Gives the random half of an id, from those drawn at once: asking the system for each costs more."""
    try:
        return _DRAWN.pop()
    except IndexError:
        letters = os.urandom(_DRAW * _RANDOM_LENGTH).translate(_LETTERS).decode()
        drawn = [letters[place : place + _RANDOM_LENGTH] for place in range(0, len(letters), _RANDOM_LENGTH)]
        _DRAWN.extend(drawn[1:])
        return drawn[0]


@lru_cache(maxsize=4)
def _time_text(milliseconds: int) -> str:
    return _encode(milliseconds, _TIME_LENGTH)


def _decode(text: str) -> int:
    number = 0
    for letter in text:
        number = number << 5 | _ALPHABET.index(letter)
    return number


def _encode(number: int, length: int) -> str:
    """Writes a number in an even count of characters, two at a time."""
    pairs = []
    for _ in range(length // 2):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return "".join(reversed(pairs))
