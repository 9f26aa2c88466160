"""Formats of text that are recognised, as regular expressions that Python and Polars read alike."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Format:
    """A format: the whole text matches its pattern.

    Attributes:
        name: What people call it.
        pattern: The regular expression.
    """

    name: str
    pattern: str

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def matches(self, text: str) -> bool:
        """Tells whether the whole text has the format."""
        return self._compiled.fullmatch(text) is not None


_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_HEX = r"[0-9a-fA-F]"
_CLOCK = r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
_DAY, _MONTH = r"(?:0?[1-9]|[12][0-9]|3[01])", r"(?:0?[1-9]|1[0-2])"

FORMATS: tuple[Format, ...] = (
    Format("e-mail", r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+"),
    Format("URL", r"(?:https?|ftp)://[^\s/?#]+(?:[/?#]\S*)?"),
    Format("UUID", f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"),
    Format("IPv4", rf"{_BYTE}(?:\.{_BYTE}){{3}}"),
    Format("IPv6", rf"(?:{_HEX}{{0,4}}:){{2,7}}(?:{_HEX}{{0,4}}|{_BYTE}(?:\.{_BYTE}){{3}})"),
    Format("IBAN", r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"),
    Format("date", rf"[0-9]{{4}}-{_MONTH}-{_DAY}"),
    Format(
        "date and time", rf"[0-9]{{4}}-{_MONTH}-{_DAY}[T ]{_CLOCK}(?: ?(?:Z|UTC|[+-][0-9]{{2}}:?[0-9]{{2}}))?"
    ),
    Format("date, day first", rf"{_DAY}[./-]{_MONTH}[./-][0-9]{{4}}"),
    Format("date, month first", rf"{_MONTH}/{_DAY}/[0-9]{{4}}"),
    Format("time of day", _CLOCK),
    Format(
        "phone",
        r"(?:\+|00)[1-9][0-9 ()./-]{5,18}[0-9]|\(?0[0-9)][0-9()./ -]{4,16}[0-9]"
        r"|\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}",
    ),
)
"""Tried in this order."""

NAMES = {one.pattern: one.name for one in FORMATS}
"""From a pattern to the format's name."""

_CLASSES = {"9": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
_MOST_SEQUENCES = 2
_MOST_SPREAD = 3
_LONGEST = 40
_PLAIN = " -_/:#,@"


def format_of(texts: Collection[str]) -> Format | None:
    """Finds the format that all of some texts have; None where they have none."""
    if not texts:
        return None
    return next((one for one in FORMATS if all(one.matches(text) for text in texts)), None)


def shape_pattern(shapes: Collection[str]) -> str | None:
    """Finds the pattern of codes of fixed shape, such as postcodes and article numbers.

    Args:
        shapes: The texts with each digit as ``9``, each capital as ``A`` and each small letter as ``a``.

    Returns:
        The pattern, or None where they have no common one, or are words or free text.

    Example:
        >>> shape_pattern(["AA-999", "AA-9999"])
        '[A-Z]{2}-[0-9]{3,4}'
    """
    if not shapes or any(not shape or len(shape) > _LONGEST for shape in shapes):
        return None
    lengths: dict[str, list[tuple[int, ...]]] = {}
    for shape in shapes:
        runs = re.findall(r"((.)\2*)", shape, flags=re.DOTALL)
        lengths.setdefault("".join(sign for _, sign in runs), []).append(tuple(len(run) for run, _ in runs))
    spread = max(max(counts) - min(counts) for seen in lengths.values() for counts in zip(*seen, strict=True))
    if (
        len(lengths) > _MOST_SEQUENCES
        or spread > _MOST_SPREAD
        or not all("9" in sequence for sequence in lengths)
    ):
        return None
    patterns = [_pattern(sequence, seen) for sequence, seen in sorted(lengths.items())]
    return "|".join(patterns)


def _pattern(sequence: str, seen: list[tuple[int, ...]]) -> str:
    parts = []
    for sign, counts in zip(sequence, zip(*seen, strict=True), strict=True):
        low, high = min(counts), max(counts)
        times = "" if low == high == 1 else f"{{{low}}}" if low == high else f"{{{low},{high}}}"
        parts.append(_CLASSES.get(sign, sign if sign in _PLAIN else re.escape(sign)) + times)
    return "".join(parts)
