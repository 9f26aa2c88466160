import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum, IntEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core import SimulatedClock, SystemClock, UsageFault, as_utc, new_id, parse_time
from everloop.core.clock import Clock
from everloop.core.digest import digest_file, digest_value
from everloop.core.ids import kind_of
from everloop.core.values import to_jsonable


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: float
    when: datetime


def test_values_become_json():
    when = datetime(2013, 5, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert to_jsonable(
        {
            "a": (1, math.nan, math.inf),
            2: Point(np.float64(0.5), when),
            "c": Colour.RED,
            "d": Path("x/y"),
            "e": {"b", "a"},
        }
    ) == {
        "a": [1, None, None],
        "2": {"x": 0.5, "when": "2013-05-01T00:00:00Z"},
        "c": "red",
        "d": "x/y",
        "e": ["a", "b"],
    }
    assert to_jsonable([date(2013, 5, 1), timedelta(minutes=1), np.array([1, 2])]) == [
        "2013-05-01",
        60.0,
        [1, 2],
    ]
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_jsonable(object())


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(-3), -3),
        (np.uint8(3), 3),
        (np.bool_(True), True),
        (np.str_("é"), "é"),
        (np.float64("nan"), None),
        (IntEnum("Grade", "A B").B, 2),
    ],
)
def test_numbers_of_other_kinds_become_plain_ones(value, plain):
    found = to_jsonable({"value": [value]})["value"][0]
    assert found == plain
    assert type(found) is type(plain)


@given(st.dictionaries(st.text(), st.integers()))
def test_a_digest_does_not_know_the_order(mapping):
    assert digest_value(mapping) == digest_value(dict(reversed(mapping.items())))


def test_a_digest_knows_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert (
        digest_file(tmp_path / "file") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert digest_value([1]) != digest_value(["1"])


def test_ids_sort_by_time_and_say_their_kind():
    early = new_id("run", datetime(2013, 1, 1, tzinfo=UTC))
    late = new_id("run", datetime(2013, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert early < late
    assert kind_of(late) == "run"
    assert len(early) == len("run_") + 26
    assert new_id("run", datetime(2013, 1, 1, tzinfo=UTC)) != early


def test_ids_of_one_moment_sort_in_the_order_in_which_they_were_given_out():
    early, late = (datetime(2013, 1, 1, hour, tzinfo=UTC) for hour in (0, 1))
    made = [new_id("decision", early) for _ in range(500)]
    assert made == sorted(set(made))
    assert new_id("decision", late) > made[-1] > made[0] > new_id("alert", early)


def test_ids_of_one_moment_differ_in_every_thread_and_in_what_was_forked():
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    with ThreadPoolExecutor(4) as threads:
        made = [
            one
            for part in threads.map(lambda _: [new_id("p", moment) for _ in range(2000)], range(4))
            for one in part
        ]
    assert len(set(made)) == 8000
    assert {letter for one in made for letter in one[12:]} == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    code = """
import os
from datetime import UTC, datetime
from everloop.core.ids import new_id, new_id_at
moment = datetime(2013, 1, 1, tzinfo=UTC)
new_id_at("p", 0), new_id("p", moment)
child = os.fork()
if child:
    os.waitpid(child, 0)
made = [*(new_id_at("p", 0) for _ in range(300)), *(new_id("p", moment) for _ in range(300))]
print("\\n".join(made), flush=True)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert len(set(told.split())) == 1200


def test_clocks_tell_utc_and_never_go_back():
    clock = SimulatedClock(datetime(2013, 5, 1))  # noqa: DTZ001
    clock.advance_to(datetime(2013, 4, 1, tzinfo=UTC))
    clock.sleep(-5)
    assert clock.now() == datetime(2013, 5, 1, tzinfo=UTC)
    clock.sleep(90)
    assert clock.now() == datetime(2013, 5, 1, 0, 1, 30, tzinfo=UTC)
    assert isinstance(clock, Clock)
    assert SystemClock().now().tzinfo is UTC


def test_times_are_read_as_utc():
    assert parse_time("2013-05-01") == datetime(2013, 5, 1, tzinfo=UTC)
    assert parse_time("2013-05-01T02:00:00+02:00") == datetime(2013, 5, 1, tzinfo=UTC)
    assert as_utc(datetime(2013, 5, 1, 2, tzinfo=timezone(timedelta(hours=2)))).hour == 0
    with pytest.raises(UsageFault, match="'yesterday' is not a time"):
        parse_time("yesterday")
