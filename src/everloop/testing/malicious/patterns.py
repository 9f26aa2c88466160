"""Regular expressions that were made to do harm, for a contract's `pattern`."""

from __future__ import annotations

SLOW_PATTERNS = {
    r"(a+)+b": "a" * 5_000,
    r"(a|a)*b": "a" * 5_000,
    r"(a|aa)+b": "a" * 5_000,
    r"([a-zA-Z]+)*[0-9]": "a" * 5_000,
    r"(.*a){12}b": "a" * 5_000,
    r"(\w+\s?)*!": "word " * 1_000,
    r"^(([a-z])+.)+[A-Z]([a-z])+$": "a" * 5_000,
}
"""A pattern and a text on which an engine that goes back would be busy for longer than anybody lives."""

REFUSED_PATTERNS = {
    "looks around": "(?=a)(a+)+b",
    "refers back": r"(a*)*\1b",
    "has too many repetitions": "(?:(?:a{0,1000}){0,1000}){0,1000}",
    "is long": "a?" * 2_000 + "a" * 2_000,
    "takes too much memory": r"(?:\w?){400}",
}
"""What a pattern does for which it is refused, and one."""
