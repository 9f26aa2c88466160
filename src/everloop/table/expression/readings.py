"""How text is read as a number or a time: the same patterns for every engine.

A style of numbers is named by an example, ``1,234.5``; a form of times by its codes, ``%d/%m/%Y``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from everloop.core.errors import SpecFault
from everloop.table.expression.moments import EPOCH, MICROSECOND
from everloop.table.expression.patterns import quote

_SPACES = " \t\u00a0\u202f"
_MOST_SPACES, _MOST_GROUPS = 2, 5
_SPACE = f"[{_SPACES}]{{0,{_MOST_SPACES}}}"
_CODES_OF_MONEY = ("EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR")
_SIGNS_OF_MONEY = ("US$", "$", "€", "£", "¥", "₹")
_CURRENCY = "(?:" + "|".join(quote(money) for money in (*_SIGNS_OF_MONEY, *_CODES_OF_MONEY)) + ")"


@dataclass(frozen=True)
class NumberStyle:
    """How a number is spelled.

    Attributes:
        thousands: What stands between groups of three digits, or nothing.
        decimal: What stands before the fraction.
    """

    thousands: str
    decimal: str

    @property
    def pattern(self) -> str:
        """The regular expression; its groups are the sign, the digits and the percent sign.

        A currency may stand on either side, spaces anywhere between.
        """
        group = f"{quote(self.thousands)}[0-9]{{3}}"
        grouped = f"[0-9]{{1,3}}(?:{group}){{1,{_MOST_GROUPS}}}|" if self.thousands else ""
        point = quote(self.decimal)
        digits = rf"(?:(?:{grouped}[0-9]{{1,40}})(?:{point}[0-9]{{0,40}})?|{point}[0-9]{{1,40}})"
        money = f"(?:{_CURRENCY}{_SPACE})?"
        return (
            f"{_SPACE}{money}([+-]?){_SPACE}{money}({digits}(?:[eE][+-]?[0-9]{{1,2}})?)"
            f"{_SPACE}(?:(%)|{_CURRENCY})?{_SPACE}"
        )

    @property
    def ornaments(self) -> tuple[tuple[str, int], ...]:
        """All that may stand in the text beside the number, with how often at most."""
        spaces = ((letter, 6 * _MOST_SPACES + _MOST_GROUPS) for letter in _SPACES)
        money = ((letter, 3) for letter in (*_SIGNS_OF_MONEY, *_CODES_OF_MONEY))
        groups = ((self.thousands, _MOST_GROUPS),) if self.thousands.strip() else ()
        return (*spaces, *money, ("%", 1), *groups)


NUMBER_STYLES: dict[str, NumberStyle] = {
    "1,234.5": NumberStyle(",", "."),
    "1.234,5": NumberStyle(".", ","),
    "1 234.5": NumberStyle(" ", "."),
    "1 234,5": NumberStyle(" ", ","),
    "1'234.5": NumberStyle("'", "."),
}
"""Every style by its name."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_CODES: dict[str, str] = {
    "Y": "[0-9]{4}",
    "m": "(?:0?[1-9]|1[0-2])",
    "d": "(?:0?[1-9]|[12][0-9]|3[01])",
    "H": "(?:[01]?[0-9]|2[0-3])",
    "M": "[0-5]?[0-9]",
    "S": "[0-5]?[0-9]",
    "b": "(?:" + "|".join(f"[{m[0].upper()}{m[0]}]{m[1:]}" for m in MONTHS) + ")",
    "z": "[+-](?:0[0-9]|1[0-4]):?[0-5][0-9]",
}
"""What a code of a form of times stands for: year, month, day, hour, minute, second, name of month, zone."""


def number_style(name: str) -> NumberStyle:
    """Gives a style.

    Raises:
        SpecFault: There is none of this name.
    """
    style = NUMBER_STYLES.get(name)
    if style is None:
        known = ", ".join(repr(known) for known in NUMBER_STYLES)
        raise SpecFault(f"Numbers are not spelled like {name!r}.", hint=f"write one of {known}")
    return style


def time_pattern(form: str) -> str:
    """Gives the regular expression of a form of times, with a group for each code.

    Raises:
        SpecFault: The form has an unknown code, or does not name a day.
    """
    parts, codes, position = [], [], 0
    while position < len(form):
        letter = form[position]
        if letter == "%" and position + 1 < len(form):
            code = form[position + 1]
            if code not in _CODES:
                known = ", ".join(f"%{known}" for known in _CODES)
                raise SpecFault(f"The code %{code} of {form!r} is not known.", hint=f"use {known}")
            parts.append(f"({_CODES[code]})")
            codes.append(code)
            position += 2
        else:
            parts.append(quote(letter))
            position += 1
    if not ({"Y", "d"} <= set(codes) and {"m", "b"} & set(codes)) or len(set(codes)) < len(codes):
        raise SpecFault(f"The form {form!r} does not name a day once.", hint="write it like '%d/%m/%Y %H:%M'")
    return "".join(parts)


def codes_of(form: str) -> str:
    """Gives the codes of a form, in their order."""
    return "".join(form[index + 1] for index in range(len(form) - 1) if form[index] == "%")


def number_reader(name: str) -> Callable[[str], float | None]:
    """Gives the function that reads a number of a style; None where the text is none."""
    style = number_style(name)
    match = re.compile(style.pattern).fullmatch

    def read(text: str) -> float | None:
        found = match(text)
        if found is None:
            return None
        sign, digits, percent = found.groups()
        plain = digits.replace(style.thousands, "").replace(style.decimal, ".")
        number = float(plain) / 100.0 if percent else float(plain)
        return -number if sign == "-" else number

    return read


def time_reader(form: str) -> Callable[[str], int | None]:
    """Gives the function that reads a time as microseconds since 1970; None where the text is none."""
    match, codes = re.compile(time_pattern(form)).fullmatch, codes_of(form)

    def read(text: str) -> int | None:
        found = match(text)
        if found is None:
            return None
        parts = dict(zip(codes, found.groups(), strict=True))
        month = int(parts["m"]) if "m" in parts else MONTHS.index(parts["b"].lower()) + 1
        hour, minute, second = (int(parts.get(code, 0)) for code in "HMS")
        try:
            day = datetime(int(parts["Y"]), month, int(parts["d"]), hour, minute, second, tzinfo=UTC)
            moment = day - _zone(parts.get("z", "+0000"))
        except (ValueError, OverflowError):
            return None
        return (moment - EPOCH) // MICROSECOND

    return read


def _zone(text: str) -> timedelta:
    shift = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return -shift if text[0] == "-" else shift
