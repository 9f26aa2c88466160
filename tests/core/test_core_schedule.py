"""Schedules: cron held against a search minute by minute, words, time zones, and clocks that are moved."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import UsageFault
from everloop.core.schedule import Schedule

MAY = datetime(2024, 5, 1, 12, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("weekly", "2024-05-08 12:00"),
        ("10d", "2024-05-11 12:00"),
        ("every 2 weeks", "2024-05-15 12:00"),
        ("every Monday at 6", "2024-05-06 06:00"),
        ("Mondays at 6pm", "2024-05-06 18:00"),
        ("weekly on Friday at midnight", "2024-05-03 00:00"),
        ("Monday and Thursday at 6:15", "2024-05-02 06:15"),
        ("every weekday at 7", "2024-05-02 07:00"),
        ("daily at 02:30", "2024-05-02 02:30"),
        ("every day at noon", "2024-05-02 12:00"),
        ("daily at 02:30 Europe/Oslo", "2024-05-02 00:30"),
        ("every Monday at 6 in America/New_York", "2024-05-06 10:00"),
        ("first of the month", "2024-06-01 00:00"),
        ("last day of the month at 23", "2024-05-31 23:00"),
        ("monthly on the 15th at 3", "2024-05-15 03:00"),
        ("30 2 * * 1", "2024-05-06 02:30"),
        ("*/15 * * * *", "2024-05-01 12:15"),
        ("0 0 L * *", "2024-05-31 00:00"),
        ("0 6 1 jan-jun mon", "2024-05-06 06:00"),
        ("0 12 29 2 *", "2028-02-29 12:00"),
        ("0 5 * * fri-sun UTC", "2024-05-03 05:00"),
    ],
)
def test_when_it_is_due_next(text, first):
    found = Schedule.parse(text)
    assert f"{found.next_after(MAY):%Y-%m-%d %H:%M}" == first
    assert found.due(MAY, found.next_after(MAY)) == found.next_after(MAY)
    assert found.due(MAY, found.next_after(MAY) - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("every Munday", "no schedule; such as weekly", None),
        ("* * * *", "no schedule", None),
        ("", "no schedule", None),
        ("61 * * * *", "'61' is no minute; expected 0 to 59", "minute hour day month weekday"),
        ("0 0 * * fun", "'fun' is no day of the week; expected 0 to 7, or sun to sat", None),
        ("0 0 */0 * *", "is no day of the month", None),
        ("0 0 30 2 *", "never comes", None),
        ("daily at 25", "'25' is no time of day", "at 6pm"),
        ("daily at 02:30 Europe/Olso", "no time zone 'Europe/Olso'", "did you mean Europe/Oslo"),
        ("weekly Europe/Oslo", "an interval has no time zone", None),
        ("0d", "would be always", None),
    ],
)
def test_what_is_no_schedule_says_why(text, told, hint):
    with pytest.raises(UsageFault) as found:
        Schedule.parse(text)
    assert told in found.value.message
    assert hint is None or hint in (found.value.hint or "")


OSLO = ZoneInfo("Europe/Oslo")


def test_where_clocks_are_set_forward_a_time_that_is_left_out_comes_an_hour_later():
    due = Schedule.parse("daily at 02:30 Europe/Oslo").next_after(datetime(2024, 3, 31, 0, 0, tzinfo=UTC))
    assert due.astimezone(OSLO).strftime("%m-%d %H:%M") == "03-31 03:30"


def test_where_clocks_are_set_back_a_time_comes_once():
    daily, now, seen = Schedule.parse("daily at 02:30 Europe/Oslo"), datetime(2024, 10, 25, tzinfo=UTC), []
    for _ in range(4):
        now = daily.next_after(now)
        seen.append(now)
    assert [each.astimezone(OSLO).strftime("%d %H:%M") for each in seen] == [
        "25 02:30",
        "26 02:30",
        "27 02:30",
        "28 02:30",
    ]
    assert [after - before for before, after in pairwise(seen)] == [
        timedelta(hours=hours) for hours in (24, 24, 25)
    ]


def test_every_hour_is_every_hour_whatever_the_clocks_say():
    for start in (datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 10, 26, tzinfo=UTC)):
        hourly, now = Schedule.parse("0 * * * * Europe/Oslo"), start
        for _ in range(72):
            following = hourly.next_after(now)
            assert following - now == timedelta(hours=1)
            now = following


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.just("*"), st.just("*/7"), st.integers(0, 59).map(str)),
    st.one_of(st.just("*"), st.just("2-4"), st.integers(0, 23).map(str)),
    st.one_of(st.just("*"), st.just("1,15"), st.integers(1, 28).map(str)),
    st.one_of(st.just("*"), st.just("3,10")),
    st.one_of(st.just("*"), st.just("1-5"), st.integers(0, 7).map(str)),
    st.integers(0, 730 * 24 * 60).map(lambda minutes: MAY - timedelta(days=400) + timedelta(minutes=minutes)),
)
def test_cron_is_what_a_search_minute_by_minute_finds(minute, hour, day, month, weekday, now):
    found = Schedule.parse(f"{minute} {hour} {day} {month} {weekday}").next_after(now)

    def matches(text, value):
        return any(_matches(part, value) for part in text.split(","))

    def comes(moment):
        of_week = matches(weekday, moment.isoweekday()) or matches(weekday, moment.isoweekday() % 7)
        of_month = matches(day, moment.day)
        either = day != "*" and weekday != "*"
        on = (of_month or of_week) if either else (of_month and of_week)
        return (
            on
            and matches(minute, moment.minute)
            and matches(hour, moment.hour)
            and matches(month, moment.month)
        )

    assert comes(found)
    assert found > now
    # Nothing lies between: days that do not match are left out at once.
    moment = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    steps = 0
    while moment < found and steps < 3000:
        assert not comes(moment)
        moment += timedelta(minutes=1)
        steps += 1


def _matches(part, value):
    if part == "*":
        return True
    if part.startswith("*/"):
        return value % int(part[2:]) == 0
    low, _, high = part.partition("-")
    return int(low) <= value <= int(high or low)
