import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.measure.selection import values_at


@given(
    st.lists(st.lists(st.integers(-(2**50), 2**50)), min_size=1).filter(any),
    st.integers(1, 9),
    st.integers(2, 40),
)
def test_what_is_found_in_parts_is_what_stands_there_when_sorted(parts, step, bins):
    rising = sorted(number for part in parts for number in part)
    places = list(range(0, len(rising), step))
    arrays = [np.array(part, dtype=np.int64) for part in parts]
    found = values_at(places, lambda: arrays, ends=(rising[0], rising[-1]), bins=bins)
    assert found.tolist() == rising[::step]


def test_it_is_read_twice_however_far_apart_the_numbers_are():
    random = np.random.default_rng(0)
    values, read = 1_700_000_000_000_000 + random.integers(0, 30 * 86_400_000_000, 20_000), []

    def parts():
        read.append(1)
        yield from np.array_split(values, 7)

    found = values_at(np.arange(0, 20_000, 100), parts, ends=(int(values.min()), int(values.max())))
    assert found.tolist() == np.sort(values)[::100].tolist()
    assert len(read) == 2


@pytest.mark.parametrize("places", [[], [0, 2]])
def test_numbers_that_are_all_alike_are_not_read(places):
    def parts():
        raise AssertionError

    assert values_at(places, parts, ends=(7, 7)).tolist() == [7] * len(places)
