"""Upper and lower case, one code point to one code point.

Engines differ where case changes the length of a text (ß, ŉ) or depends on its neighbours (Σ), and with
the age of their Unicode tables. The letters of the blocks below have not changed for many years.
"""

from __future__ import annotations

from functools import cache

_BLOCKS = (range(0x41, 0x250), range(0x370, 0x530), range(0x531, 0x588), range(0x1E00, 0x2000))
_LEAVE = {0x130, 0x131, 0x17F, 0x1E9E, 0x3C2, 0x3F4, 0x1FBE, 0xB5}


@cache
def lower_pairs() -> tuple[str, str]:
    """The letters that `lower` changes, and what each becomes."""
    return _pairs([(chr(point), chr(point).lower()) for block in _BLOCKS for point in block])


@cache
def upper_pairs() -> tuple[str, str]:
    """The letters that `upper` changes, and what each becomes: exactly those that `lower` gives back."""
    capitals, smalls = lower_pairs()
    return smalls, capitals


def _pairs(pairs: list[tuple[str, str]]) -> tuple[str, str]:
    seen: set[str] = set()
    kept: list[tuple[str, str]] = []
    for letter, other in pairs:
        if (
            len(other) != 1
            or letter == other
            or ord(letter) in _LEAVE
            or other in seen
            or other.upper() != letter
        ):
            continue
        seen.add(other)
        kept.append((letter, other))
    return "".join(letter for letter, _ in kept), "".join(other for _, other in kept)
