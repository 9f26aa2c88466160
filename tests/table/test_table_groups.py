import numpy as np
import polars as pl

from everloop.table.groups import MISSING, crossed_groups, crossings, group_texts, groups_of


def test_values_are_groups_and_rows_without_one_are_the_last():
    found = groups_of(pl.Series(["b", "a", None, "b"]))
    assert list(found) == ["a", "b", MISSING]
    assert found["b"].tolist() == [True, False, False, True]


def test_a_number_with_many_values_is_cut_at_its_quartiles():
    numbers = pl.Series([*map(float, range(100)), None, float("nan")])
    found = groups_of(numbers)
    assert list(found) == ["below 24.75", "24.75 to 49.5", "49.5 to 74.25", "74.25 or more", MISSING]
    assert [int(rows.sum()) for rows in found.values()] == [25, 25, 25, 25, 2]
    assert np.array_equal(sum(rows.astype(int) for rows in found.values()), np.ones(102))


def test_infinities_and_nothing_do_not_stop_it():
    numbers = pl.Series([*map(float, range(30)), float("inf"), float("-inf")])
    assert sum(int(rows.sum()) for rows in groups_of(numbers).values()) == 32
    assert list(groups_of(pl.Series([None, None], dtype=pl.Float64))) == [MISSING]


def test_groups_cross():
    table = pl.DataFrame({"sex": ["f", "m", "f"], "old": [True, False, None]})
    assert crossings(["a", "b", "c"]) == (("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"))
    assert crossed_groups(table, ("sex", "old")).tolist() == ["f, true", "m, false", f"f, {MISSING}"]
    assert group_texts(table["sex"]).tolist() == ["f", "m", "f"]
