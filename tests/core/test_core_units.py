import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core import Bound, Rate, UsageFault, format_duration, parse_duration, parse_percent


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90d", 7_776_000),
        ("2m", 120),
        ("5ms", 0.005),
        ("2 weeks", 1_209_600),
        ("1 hour", 3600),
        ("0.5s", 0.5),
        ("250us", 25e-5),
    ],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text).total_seconds() == pytest.approx(seconds)


@given(st.integers(0, 10**15))
def test_a_written_duration_is_read_back(microseconds):
    duration = timedelta(microseconds=microseconds)
    assert parse_duration(format_duration(duration)) == pytest.approx(duration, abs=timedelta(microseconds=1))


@pytest.mark.parametrize("text", ["", "90", "d", "-3d", "3 months", "1e3s", "90 d d"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageFault, match="is not a duration"):
        parse_duration(text)


def test_percentages_are_shares_to_the_last_bit():
    assert parse_percent("7%") == 0.07
    assert parse_percent(" 20 % ") == 0.2
    with pytest.raises(UsageFault, match="is not a percentage"):
        parse_percent("20")


@pytest.mark.parametrize(
    ("text", "holds", "breaks"),
    [
        (">= 0.6", 0.6, 0.59),
        ("<= 1%", 0.01, 0.011),
        ("<= 50ms", 0.05, 0.051),
        ("> -26", -25.9, -26),
        ("< 1e3", 999, 1000),
    ],
)
def test_bounds_hold_and_break(text, holds, breaks):
    bound = Bound.parse(text)
    assert bound.holds(holds)
    assert not bound.holds(breaks)
    assert not bound.holds(math.nan)


@pytest.mark.parametrize("text", ["0.6", "=> 1", ">= many", ">=", "== 1"])
def test_what_is_no_bound_is_refused(text):
    with pytest.raises(UsageFault, match="is not a bound"):
        Bound.parse(text)


def test_rates_count_a_month_of_thirty_days():
    assert Rate.parse("10000 / month").per_month == 10_000
    assert Rate.parse("2 per day").per_month == 60
    with pytest.raises(UsageFault, match="is not a rate"):
        Rate.parse("often")
