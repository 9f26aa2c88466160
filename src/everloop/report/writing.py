"""Numbers, money and times as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MISSING = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NO-BREAK SPACE}"


def number(value: float | None, *, signed: bool = False) -> str:
    """Writes a number with as many digits as a reader needs.

    Example:
        >>> number(0.123456), number(1234567.0), number(12.345)
        ('0.1235', '1,234,567', '12.35')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if value == 0 or size >= 1000:
        text = f"{size:,.0f}"
    elif size >= 1:
        text = f"{size:,.2f}".removesuffix(".00")
    elif size >= 1e-4:
        text = f"{size:.4f}".rstrip("0").rstrip(".")
    else:
        text = f"{size:.2g}"
    return _with_sign(value, text, signed=signed)


def money(value: float | None, currency: str = "", *, signed: bool = False) -> str:
    """Writes an amount: cents below 1,000, millions in words.

    Example:
        >>> money(12.5), money(1234.5), money(0.1, signed=True)
        ('12.50', '1,234', '+0.10')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size >= 1e6:
        text = f"{size / 1e6:,.2f}{_THIN}million"
    else:
        text = f"{size:,.0f}" if size >= 1000 else f"{size:,.2f}"
    text = _with_sign(value, text, signed=signed)
    return f"{text}{_THIN}{currency}" if currency else text


def percent(share: float | None) -> str:
    """Writes a share as a percentage.

    Example:
        >>> percent(0.3133), percent(0.004)
        ('31%', '0.4%')
    """
    if share is None or not math.isfinite(share):
        return MISSING
    size = abs(share)
    digits = 0 if size >= 0.1 or size == 0 else 1 if size >= 0.001 else 2
    return _with_sign(share, f"{size:.{digits}%}", signed=False)


def share_of(part: float, whole: float) -> str:
    """Writes how much of a whole a part is; what is little is no 0, and what is not all no 100%.

    Example:
        >>> share_of(0, 9), share_of(1, 5000), share_of(1, 8), share_of(4999, 5000)
        ('0', '<0.1%', '12.5%', '>99.9%')
    """
    share = part / whole if whole else 0.0
    if share in (0.0, 1.0):
        return "100%" if share else "0"
    if share < 0.001:
        return "<0.1%"
    return ">99.9%" if share > 0.999 else f"{share:.1%}"


def chance(value: float | None) -> str:
    """Writes how likely something is by chance; what is all but impossible is no 0.

    Example:
        >>> chance(0.0312), chance(0.0)
        ('0.031', '< 0.001')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def span(interval: Mapping[str, float | None] | None, currency: str | None = None) -> str:
    """Writes where a number lies: its low and its high end.

    Args:
        interval: With `low`, `estimate` and `high`; None where it is not known.
        currency: Write the ends as money.
    """
    if not interval or interval.get("low") is None or interval.get("high") is None:
        return "interval not known"
    write = number if currency is None else money
    return f"{write(interval['low'])} to {write(interval['high'])}"


def day(moment: datetime | str | None) -> str:
    """Writes a day, such as 2013-05-01."""
    return MISSING if moment is None else str(moment)[:10]


def moment(time: datetime | str | None) -> str:
    """Writes a time to the minute, in UTC."""
    if time is None:
        return MISSING
    return str(time)[:16].replace("T", " ")


def count(value: Any) -> str:
    """Writes a whole number."""
    return MISSING if value is None else f"{int(value):,}"


def sentence(text: str) -> str:
    """Ends a text with a full stop where it has no end of its own, so that another may follow.

    Example:
        >>> sentence("loans.csv has no rows"), sentence("Is it there?")
        ('loans.csv has no rows.', 'Is it there?')
    """
    told = text.rstrip()
    return told if told.endswith((".", "!", "?")) else f"{told.rstrip(',:;')}."


def plural(amount: int, thing: str) -> str:
    """Writes an amount of things.

    Example:
        >>> plural(1, "window"), plural(0, "window"), plural(1200, "row")
        ('1 window', 'no windows', '1,200 rows')
    """
    return f"{amount:,} {thing}" if amount == 1 else f"{amount:,} {thing}s" if amount else f"no {thing}s"


def _with_sign(value: float, text: str, *, signed: bool) -> str:
    if value < 0 and text.strip("0.,%"):
        return _MINUS + text
    return f"+{text}" if signed and value > 0 else text
