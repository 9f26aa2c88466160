"""Patterns of texts: regular expressions that take linear time, and say the same of a row and of a table.

A pattern such as ``(a+)+b`` takes an engine that goes back, as Python's does, years for forty letters, so
that one request could hold a server for ever. Rust's engine (https://docs.rs/regex) never goes back: rows
are matched by the one that pydantic carries, tables by that of Polars. What cannot be matched that way
(look-around, back references) is refused where the contract is read. Its time grows with the letters of
the text and the positions of the pattern, so both are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from everloop.core.errors import SpecFault

LONGEST_TEXT = 10_000
"""No text of more letters matches any pattern."""

LONGEST_PATTERN, MOST_POSITIONS = 2_000, 500
"""Letters of a pattern, and places where a match may stand once its counted repetitions are written out."""

_TIMES = re.compile(r"\{ *([0-9]*) *,? *([0-9]*) *\}")
_QUANTIFIERS = "*+?"
_GROUP_HEAD = re.compile(r"\?(?:P?<[^>]*>|[a-zA-Z-]*(:|\)))")


def whole(pattern: str) -> str:
    """Gives the pattern that matches the whole text or not at all."""
    return f"^(?:{pattern})$"


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Gives what tells whether a text matches a pattern as a whole.

    Raises:
        SpecFault: The pattern cannot be matched in linear time, is too large, or is none.
    """
    import pydantic_core

    if not isinstance(pattern, str):
        raise SpecFault(f"The pattern {pattern!r} is no text.")
    _refuse_large(pattern)
    rust = pydantic_core.CoreConfig(regex_engine="rust-regex")
    try:
        # A pattern that is one only within the brackets, such as `a)|(b`, would be another one there.
        for one in (pattern, whole(pattern)):
            text = pydantic_core.core_schema.str_schema(pattern=one, strict=True, max_length=LONGEST_TEXT)
            matches: Callable[[str], bool] = pydantic_core.SchemaValidator(text, rust).isinstance_python
    except pydantic_core.SchemaError as error:
        reason = str(error).strip().splitlines()[-1].rpartition("rror: ")[2].rstrip(". ")
        raise SpecFault(
            f"The pattern {pattern!r} cannot be used: {reason}.",
            hint="write it without look-around and back references",
        ) from None
    return matches


def positions(pattern: str) -> int:
    """Counts the places of a pattern where a match may stand, counted repetitions written out.

    Raises:
        SpecFault: It has a part that is not counted (comments within it).
    """
    groups, last, place = [0], 0, 0
    while place < len(pattern):
        letter = pattern[place]
        end = place + 1
        if letter in _QUANTIFIERS:
            place = end
            continue
        if letter == "{" and (found := _TIMES.match(pattern, place)):
            times = max(1, *(int(number[:9] or 0) for number in found.groups()))
            groups[-1] += last * (times - 1)
            last, place = last * times, found.end()
            continue
        if letter == "(":
            place, last = _group_begins(pattern, end, groups), 0
            continue
        if letter == ")" and len(groups) > 1:
            last = groups.pop()
        else:
            last = 1
            end = _class_ends(pattern, end) if letter == "[" else _escape_ends(pattern, place)
        groups[-1] += last
        place = end
    return sum(groups)


def _group_begins(pattern: str, place: int, groups: list[int]) -> int:
    """Opens a group, whose head may name it or set flags; gives where its content begins."""
    head = _GROUP_HEAD.match(pattern, place)
    if head and "x" in head[0] and "<" not in head[0]:
        raise SpecFault(f"The pattern {pattern!r} has the flag x.", hint="write it without comments")
    if head is None or head[1] != ")":
        groups.append(0)
    return head.end() if head else place


def _class_ends(pattern: str, place: int) -> int:
    """Gives where a class of letters ends; classes hold classes, and a bracket may be its first letter."""
    place += pattern.startswith("^", place)
    place += pattern.startswith("]", place)
    depth = 1
    while depth and place < len(pattern):
        letter = pattern[place]
        depth += (letter == "[") - (letter == "]")
        place += 2 if letter == "\\" else 1
    return place


def _escape_ends(pattern: str, place: int) -> int:
    """Gives where a letter ends, which may be written as an escape: its class or number in braces."""
    if pattern[place] != "\\":
        return place + 1
    if pattern[place + 1 : place + 2] in tuple("pPxuU") and pattern.startswith("{", place + 2):
        return pattern.find("}", place) + 1 or len(pattern)
    return place + 2


def _refuse_large(pattern: str) -> None:
    size = len(pattern)
    if size <= LONGEST_PATTERN:
        size = positions(pattern)
        if size <= MOST_POSITIONS:
            return
    raise SpecFault(
        f"The pattern {pattern[:60]!r} is too large: it has {size} positions.",
        hint=f"at most {MOST_POSITIONS}, repetitions written out; say a length as a condition of the row",
    )
