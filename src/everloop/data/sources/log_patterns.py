"""What a line of a log looks like: patterns by name, a user's own, and the times in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from everloop.core.clock import as_utc
from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names

_QUOTED = r'(?:[^"\\]|\\.)*'
# Name -> the forms of a line, tried in this order. Groups with one name are one column.
PATTERNS: dict[str, tuple[str, ...]] = {
    # https://httpd.apache.org/docs/2.4/logs.html: Common Log Format, with referer and agent where they
    # are there. A request that is none (a port scan) is kept as it is.
    "combined": (
        (
            r"(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "
            rf'"(?:(?P<method>[A-Z]+) (?P<path>\S+)(?: (?P<protocol>HTTP/[\d.]+))?|(?P<request>{_QUOTED}))" '
            rf'(?P<status>\d{{3}}) (?P<bytes>\d+|-)(?: "(?P<referer>{_QUOTED})" "(?P<agent>{_QUOTED})")?\s*'
        ),
    ),
    # RFC 5424, then RFC 3164, whose time has no year and no zone, or is ISO 8601 in newer daemons.
    "syslog": (
        (
            r"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<process>\S+) "
            r"(?P<message_id>\S+) (?P<data>-|(?:\[.*?\])+)(?: (?P<message>.*))?"
        ),
        (
            r"(?:<(?P<priority>\d{1,3})>)?(?P<time>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+) "
            r"(?P<host>\S+) (?P<app>[^\s:\[]+)(?:\[(?P<process>\d+)\])?: (?P<message>.*)"
        ),
    ),
}
# How a log writes a time -> how it is read. {year} stands before one that has none.
TIME_FORMATS: tuple[tuple[str, str], ...] = (
    (r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", "%d/%b/%Y:%H:%M:%S %z"),
    (r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d", "%d/%b/%Y:%H:%M:%S"),
    (r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "%Y/%m/%d %H:%M:%S"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\.\d+ \d{4}", "%a %b %d %H:%M:%S.%f %Y"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", "%a %b %d %H:%M:%S %Y"),
    (r"[A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d", "{year} %b %d %H:%M:%S"),
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|[+-]\d\d:?\d\d))?)?")
# Missing in logs.
NOTHING = "-"


@dataclass(frozen=True)
class LogPattern:
    """A compiled pattern.

    Attributes:
        name: As the lifecycle file says it.
        forms: The forms of a line.
        columns: The names of their groups, in their order.
    """

    name: str
    forms: tuple[re.Pattern[str], ...]
    columns: tuple[str, ...]

    def fields(self, line: str) -> dict[str, str | None] | None:
        """Gives the fields of a line, the missing ones as None; None where it does not match."""
        for form in self.forms:
            match = form.fullmatch(line)
            if match is not None:
                return match.groupdict()
        return None


def read_pattern(written: str) -> LogPattern:
    """Compiles a pattern by its name, or a regular expression with named groups.

    Raises:
        SpecFault: When it is no regular expression, or names no group.
    """
    place = "pattern"
    try:
        forms = tuple(re.compile(form) for form in PATTERNS.get(written, (written,)))
    except re.error as error:
        raise SpecFault(f"The pattern is no regular expression: {error}.", place=place) from None
    columns = tuple(dict.fromkeys(name for form in forms for name in form.groupindex))
    if not columns:
        near = near_names(written, PATTERNS)
        raise SpecFault(
            f"The pattern {written!r} is neither {', '.join(PATTERNS)} nor a regular expression with "
            "named groups.",
            hint=f"did you mean {near[0]}?" if near else r"such as (?P<time>\S+) (?P<level>\w+) (?P<text>.*)",
            place=place,
        )
    return LogPattern(written, forms, columns)


def time_reader(latest: datetime) -> Callable[[str], datetime | None]:
    """Gives a function that reads a time as logs write it; None for what is none.

    A time without a zone is UTC. One without a year is of the last year in which it is not later
    than a day after `latest`.
    """
    forms = [(re.compile(form), how) for form, how in TIME_FORMATS]

    @lru_cache(maxsize=65_536)
    def read(text: str) -> datetime | None:
        if _ISO.fullmatch(text):
            return _moment(lambda: datetime.fromisoformat(text.replace(",", ".").replace(" Z", "Z")))
        for form, how in forms:
            if form.fullmatch(text):
                return _dated(text, how, latest) if how.startswith("{year}") else _parsed(text, how)
        return None

    return read


def _parsed(text: str, how: str) -> datetime | None:
    return _moment(lambda: datetime.strptime(text, how))  # noqa: DTZ007  (as_utc says the zone)


def _dated(text: str, how: str, latest: datetime) -> datetime | None:
    # Four years, so that the 29th of February is found.
    for year in range(latest.year + 1, latest.year - 4, -1):
        moment = _parsed(f"{year} {text}", how.replace("{year}", "%Y"))
        if moment is not None and moment <= latest + timedelta(days=1):
            return moment
    return None


def _moment(read: Callable[[], datetime]) -> datetime | None:
    try:
        moment = read()
    except (ValueError, OverflowError):
        return None
    return as_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
