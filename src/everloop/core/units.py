"""Durations, percentages, bounds and rates, as people write them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from everloop.core.errors import UsageFault

_SECONDS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_WORDS = {"second": "s", "minute": "m", "hour": "h", "day": "d", "week": "w"}
_PER_MONTH = {
    "second": 30 * 86400.0,
    "minute": 30 * 1440.0,
    "hour": 30 * 24.0,
    "day": 30.0,
    "week": 30 / 7,
    "month": 1.0,
    "quarter": 1 / 3,
    "year": 1 / 12,
}
DURATION_PATTERN = r"^\s*\d+(\.\d+)?\s*(us|ms|s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)\s*$"
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*(B|kB|MB|GB|KiB|MiB|GiB)\s*$"
PERCENT_PATTERN = r"^\s*\d+(\.\d+)?\s*%\s*$"
BOUND_PATTERN = r"^\s*(<=|>=|<|>)\s*-?\d+(\.\d+)?([eE][+-]?\d+)?\s*(%|us|ms|s|m|h|d|w)?\s*$"
RATE_PATTERN = r"^\s*\d+(\.\d+)?\s*(/|per)\s*(second|minute|hour|day|week|month|quarter|year)\s*$"
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def parse_duration(text: str) -> timedelta:
    """Reads a duration, such as ``90d``, ``2m``, ``5ms`` or ``2 weeks``.

    Raises:
        UsageFault: When the text is no duration.

    Example:
        >>> parse_duration("90d").days
        90
    """
    if not re.match(DURATION_PATTERN, text):
        raise UsageFault(f"{text!r} is not a duration.", hint="such as 90d, 12h, 2m, 30s or 5ms")
    number, unit = re.match(r"\s*([\d.]+)\s*(\w+)", text).groups()  # type: ignore[union-attr]
    unit = _WORDS.get(unit.removesuffix("s"), unit) if len(unit) > 2 else unit
    try:
        return timedelta(seconds=float(number) * _SECONDS[unit])
    except OverflowError:
        raise UsageFault(f"{text!r} is longer than any duration can be.", hint="such as 90d") from None


def format_duration(duration: timedelta) -> str:
    """Writes a duration in the largest unit that leaves a whole number.

    Example:
        >>> format_duration(timedelta(hours=36))
        '36h'
    """
    microseconds = round(duration.total_seconds() * 1e6)
    for unit in ("d", "h", "m", "s", "ms"):
        size = round(_SECONDS[unit] * 1e6)
        if microseconds and microseconds % size == 0:
            return f"{microseconds // size}{unit}"
    return f"{microseconds}us" if microseconds else "0s"


def parse_size(text: str) -> int:
    """Reads a size in bytes, such as ``5MB``, ``800 kB`` or ``2MiB``.

    Raises:
        UsageFault: When the text is no size.

    Example:
        >>> parse_size("1.5MB")
        1500000
    """
    match = re.match(SIZE_PATTERN, text)
    if match is None:
        raise UsageFault(f"{text!r} is not a size.", hint="such as 5MB, 800kB or 2MiB")
    return round(float(text.strip().removesuffix(match[2]).strip()) * _BYTES[match[2]])


def format_size(size: int) -> str:
    """Writes a number of bytes in the largest decimal unit that it fills.

    Example:
        >>> format_size(5_300_000)
        '5.3MB'
    """
    unit = next((unit for unit in ("GB", "MB", "kB") if size >= _BYTES[unit]), "B")
    return f"{size / _BYTES[unit]:.4g}{unit}"


def parse_percent(text: str) -> float:
    """Reads a percentage as a share: ``20%`` is 0.2.

    Raises:
        UsageFault: When the text is no percentage.
    """
    if not re.match(PERCENT_PATTERN, text):
        raise UsageFault(f"{text!r} is not a percentage.", hint="such as 20%")
    # Divided as decimal text, so that 7% is the number written 0.07.
    return float(f"{text.strip().removesuffix('%').strip()}e-2")


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that a number must keep, such as ``>= 0.6``, ``<= 1%`` or ``<= 50ms`` (in seconds)."""

    comparison: str
    limit: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Reads a bound.

        Raises:
            UsageFault: When the text is no bound.

        Example:
            >>> Bound.parse("<= 35%").holds(0.3)
            True
        """
        match = re.match(r"^\s*(<=|>=|<|>)\s*(.+?)\s*$", text)
        if match is None or not re.match(BOUND_PATTERN, text):
            raise UsageFault(f"{text!r} is not a bound.", hint="such as '>= 0.6', '<= 35%' or '<= 50ms'")
        comparison, amount = match.groups()
        if amount.endswith("%"):
            limit = float(f"{amount.removesuffix('%').strip()}e-2")
        elif amount[-1].isalpha():
            limit = parse_duration(amount.removeprefix("-")).total_seconds()
        else:
            limit = float(amount)
        return cls(comparison, limit, f"{comparison} {amount}")

    def holds(self, number: float) -> bool:
        """Says whether a number keeps the bound; NaN never does."""
        return _COMPARISONS[self.comparison](number, self.limit)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happens, such as ``10000 / month``; a month has 30 days."""

    count: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Reads a rate.

        Raises:
            UsageFault: When the text is no rate.

        Example:
            >>> Rate.parse("10 / day").per_month
            300.0
        """
        if not re.match(RATE_PATTERN, text):
            raise UsageFault(f"{text!r} is not a rate.", hint="such as '10000 / month'")
        count, unit = re.split(r"/|per", text)
        return cls(float(count), unit.strip())

    @property
    def per_month(self) -> float:
        """The rate in events a month."""
        return self.count * _PER_MONTH[self.unit]

    def __str__(self) -> str:
        return f"{self.count:g} / {self.unit}"
