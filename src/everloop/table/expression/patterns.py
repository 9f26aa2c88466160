"""Patterns of `like` and its kin as regular expressions that RE2, Rust and Python read alike."""

from __future__ import annotations

import re
from collections.abc import Callable

NUMBER = r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,2})?"
"""A plain number in text; every engine reads these to the same double."""

_SPECIAL = frozenset("\\.+*?()|[]{}^$-#&~")


def quote(text: str) -> str:
    """Gives the regular expression that matches a text literally."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def of_like(pattern: str) -> str:
    """Turns a `like` pattern into a regular expression for the whole text."""
    wild = {"%": "(?s:.)*", "_": "(?s:.)"}
    return "".join(wild.get(letter) or quote(letter) for letter in pattern)


def like_matcher(pattern: str) -> Callable[[str], bool]:
    """Gives what tells whether a text is like a pattern, in time that grows with their lengths alone.

    Between two ``%`` the first place that fits is as good as any other, so nothing is ever tried again;
    Python's regular expressions try all of them.
    """
    parts = [re.compile(of_like(part)) for part in pattern.split("%")]
    if len(parts) == 1:
        return lambda text: parts[0].fullmatch(text) is not None
    first, *middle, last = parts
    at_end = len(pattern.rpartition("%")[2])

    def matches(text: str) -> bool:
        found = first.match(text)
        for part in middle:
            found = found and part.search(text, found.end())
        end = len(text) - at_end
        return found is not None and found.end() <= end and last.match(text, end) is not None

    return matches


def regex_of(operator: str, text: str) -> str:
    """Gives what the whole text must match for a text operator with a literal second argument."""
    if operator == "like":
        return of_like(text)
    before = "(?s:.)*" if operator in {"contains", "ends_with"} else ""
    after = "(?s:.)*" if operator in {"contains", "starts_with"} else ""
    return f"{before}{quote(text)}{after}"
