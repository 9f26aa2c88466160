"""Patterns of `like` and its kin as regular expressions that RE2, Rust and Python read alike."""

from __future__ import annotations

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


def regex_of(operator: str, text: str) -> str:
    """Gives what the whole text must match for a text operator with a literal second argument."""
    if operator == "like":
        return of_like(text)
    before = "(?s:.)*" if operator in {"contains", "ends_with"} else ""
    after = "(?s:.)*" if operator in {"contains", "starts_with"} else ""
    return f"{before}{quote(text)}{after}"
