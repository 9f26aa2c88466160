"""When something is due: an interval, five fields as of cron, or plain words, in a time zone.

    every Monday at 6          daily at 02:30         first of the month at 4
    30 2 * * 1-5               weekly                 10d

A time of day is that of the zone at the end (`every Monday at 6 Europe/Oslo`), UTC where none is named.
Where clocks are set forward, a time that is left out comes at the same distance from midnight, as in
iCalendar (RFC 5545); where they are set back, a time that comes twice is due the first time. Fields of
cron are those of POSIX, with names, ranges, lists and steps; where both day of the month and day of the
week are stated, either suffices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from everloop.core.errors import UsageFault
from everloop.core.units import parse_duration

EXAMPLES = (
    "weekly, 10d, 'every Monday at 6', 'daily at 02:30 Europe/Oslo', 'first of the month', '30 2 * * 1'"
)
INTERVALS = {"hourly": "1h", "daily": "1d", "weekly": "7d", "monthly": "30d"}
LAST = 32
"""The last day of a month, whatever its number."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDINALS = {"first": 1, "second": 2, "third": 3, "last": LAST}
_ORDINAL = re.compile(
    r"(?:the )?(?:(first|second|third|last)|(\d+)(?:st|nd|rd|th))(?: day)?(?: of (?:the|each|every) month)?"
)
_FURTHEST = 366 * 8 + 2  # from one 29 February to the next across the turn of a century


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field of cron may hold."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, ("sun", *(day[:3] for day in _DAYS[:6]))),
)


@dataclass(frozen=True)
class Schedule:
    """When something is due.

    Attributes:
        text: As it was written.
        every: An interval since the last time; None where times of the calendar are stated.
        minutes: Of the hour.
        hours: Of the day.
        days: Of the month; `LAST` is its last day.
        months: Of the year.
        weekdays: 0 is Monday.
        either: Whether day of the month or day of the week suffices.
        every_hour: Whether hours are counted as they pass, so that none comes twice or is left out.
        zone: The time zone's name.
    """

    text: str
    every: timedelta | None = None
    minutes: frozenset[int] = frozenset({0})
    hours: frozenset[int] = frozenset({0})
    days: frozenset[int] = frozenset(range(1, 32))
    months: frozenset[int] = frozenset(range(1, 13))
    weekdays: frozenset[int] = frozenset(range(7))
    either: bool = False
    every_hour: bool = False
    zone: str = "UTC"

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Reads a schedule.

        Raises:
            UsageFault: When it is none, or never comes.

        Example:
            >>> Schedule.parse("every Monday at 6").next_after(datetime(2024, 5, 1, tzinfo=UTC)).isoformat()
            '2024-05-06T06:00:00+00:00'
        """
        body, zone = _zone_of(" ".join(text.split()))
        found = _interval(body, text) or _cron(body, text) or _words(body, text)
        if found is None:
            raise UsageFault(f"{text!r} is no schedule; such as {EXAMPLES}.", hint="schedule: weekly")
        if found.every is not None and zone is not None:
            raise UsageFault(f"{text!r}: an interval has no time zone.", hint=f"schedule: {body}")
        schedule = cls(**(vars(found) | {"zone": zone or "UTC"}))
        days = (date(2024, 1, 1) + timedelta(number) for number in range(_FURTHEST))
        if schedule.every is None and not any(map(schedule._on, days)):
            raise UsageFault(f"{text!r} never comes.", hint="schedule: first of the month")
        return schedule

    def next_after(self, moment: datetime) -> datetime:
        """Gives the first time after a moment, in UTC."""
        if self.every is not None:
            return moment.astimezone(UTC) + self.every
        start = moment.astimezone(self._zone).date() - timedelta(days=1)
        for number in range(_FURTHEST + 1):
            day = start + timedelta(days=number)
            if self._on(day):
                later = [found for found in self._times(day) if found > moment]
                if later:
                    return min(later)
        raise UsageFault(f"{self.text!r} never comes after {moment:%Y-%m-%d}.")

    def due(self, since: datetime, now: datetime) -> datetime | None:
        """Gives the first time after `since` that has come by `now`; None where there is none."""
        first = self.next_after(since)
        return first if first <= now else None

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def _on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        last = (day + timedelta(days=1)).day == 1
        of_month = day.day in self.days or (LAST in self.days and last)
        of_week = day.weekday() in self.weekdays
        return (of_month or of_week) if self.either else (of_month and of_week)

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                local = datetime.combine(day, time(hour, minute), self._zone)
                first = local.astimezone(UTC)
                if not self.every_hour:
                    yield first
                elif first.astimezone(self._zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                    yield first
                    yield local.replace(fold=1).astimezone(UTC)


def _zone_of(text: str) -> tuple[str, str | None]:
    """Parts a schedule from the time zone at its end."""
    body, _, last = text.rpartition(" ")
    if not body or ("/" not in last and last != "UTC") or not last[0].isalpha():
        return text, None
    try:
        ZoneInfo(last)
    except (ValueError, OSError, KeyError):  # KeyError: there is none of that name
        near = _near_zones(last)
        hint = f"did you mean {near}?" if near else "a name such as Europe/Oslo or UTC"
        raise UsageFault(f"There is no time zone {last!r} (in {text!r}).", hint=hint) from None
    return body.removesuffix(" in"), last


def _near_zones(name: str) -> str:
    from zoneinfo import available_timezones

    from everloop.core.nearness import near_names

    return " or ".join(near_names(name, available_timezones()))


def _interval(body: str, text: str) -> Schedule | None:
    written = INTERVALS.get(body.lower(), re.sub(r"(?i)^every (?=\d)", "", body))
    try:
        every = parse_duration(written)
    except UsageFault:
        return None
    if every <= timedelta():
        raise UsageFault(f"{text!r} would be always; a time above 0 was expected.", hint="schedule: weekly")
    return Schedule(text, every=every)


def _cron(body: str, text: str) -> Schedule | None:
    parts = body.split(" ")
    if len(parts) != len(_FIELDS) or not re.match(r"[\d*]", parts[0]) or not re.match(r"[\d*]", parts[1]):
        return None
    minutes, hours, days, months, weekdays = (
        _values(part, field, text) for part, field in zip(parts, _FIELDS, strict=True)
    )
    return Schedule(
        text,
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=frozenset((number - 1) % 7 for number in weekdays),
        either=not parts[2].startswith("*") and not parts[4].startswith("*"),
        every_hour=parts[1].startswith("*"),
    )


def _values(written: str, field: _Field, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in written.split(","):
        span, _, step = part.partition("/")
        if step and (not step.isdecimal() or int(step) == 0):
            raise _wrong(part, field, text)
        if span == "*":
            low, high = field.low, field.high
        else:
            first, dash, last = span.partition("-")
            low = _number(first, field, text)
            high = _number(last, field, text) if dash else field.high if step else low
            high = 7 if dash and high == 0 and field.names[:1] == ("sun",) else high
        if low > high:
            raise _wrong(part, field, text)
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(word: str, field: _Field, text: str) -> int:
    lowered = word.lower()
    if lowered in field.names:
        return field.names.index(lowered) + (1 if field.low else 0)
    if field.name == "day of the month" and lowered == "l":
        return LAST
    if not word.isdecimal() or not field.low <= int(word) <= field.high:
        raise _wrong(word, field, text)
    return int(word)


def _wrong(word: str, field: _Field, text: str) -> UsageFault:
    return UsageFault(
        f"{text!r}: {word!r} is no {field.name}; expected {field.low} to {field.high}"
        f"{f', or {field.names[0]} to {field.names[-1]}' if field.names else ''}.",
        hint="minute hour day month weekday, such as 30 2 * * 1",
    )


def _words(body: str, text: str) -> Schedule | None:
    """Reads `every Monday at 6`, `daily at 02:30`, `first of the month` and the like."""
    day, _, clock = body.lower().partition(" at ")
    clock_minutes = _clock(clock, text) if clock else 0
    found = Schedule(text, minutes=frozenset({clock_minutes % 60}), hours=frozenset({clock_minutes // 60}))
    day = re.sub(r"^(every|each|on|weekly on|monthly on)( the)? ", "", day)
    if clock and day in ("daily", "day"):
        return found
    if day in ("weekday", "weekdays"):
        return replace(found, weekdays=frozenset(range(5)))
    ordinal = _ORDINAL.fullmatch(day)
    if ordinal is not None:
        number = _ORDINALS.get(ordinal[1]) or int(ordinal[2])
        return replace(found, days=frozenset({number})) if 1 <= number <= 31 or ordinal[1] else None
    names = re.split(r", and |, | and ", day)
    places = [_weekday(name) for name in names]
    known = frozenset(place for place in places if place is not None)
    return replace(found, weekdays=known) if None not in places else None


def _weekday(name: str) -> int | None:
    single = name.removesuffix("s")
    for place, day in enumerate(_DAYS):
        if name in (day, day[:3]) or single in (day, day[:3]):
            return place
    return None


def _clock(written: str, text: str) -> int:
    """Gives the minutes since midnight."""
    match = re.fullmatch(r"(\d{1,2})(?::(\d{2}))? ?(am|pm)?|(noon|midnight)", written)
    if match is not None and match[4]:
        return 12 * 60 if match[4] == "noon" else 0
    hour, minute = (int(match[1]), int(match[2] or 0)) if match else (99, 0)
    if match is not None and match[3]:
        hour = hour % 12 + (12 if match[3] == "pm" else 0) if 1 <= hour <= 12 else 99
    if hour > 23 or minute > 59:
        raise UsageFault(f"{text!r}: {written!r} is no time of day.", hint="at 6, at 06:30 or at 6pm")
    return hour * 60 + minute
