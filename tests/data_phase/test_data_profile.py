"""Profiles and differences, against pandas, numpy and scipy."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from everloop import data
from everloop.core.errors import DataFault

REAL = Path("../shared/data")


def random_table(rows=500, seed=0):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "n": np.where(generator.random(rows) < 0.1, np.nan, generator.normal(size=rows)),
            "i": generator.integers(-5, 5, rows),
            "t": generator.choice(["a", "b", "c", None], rows, p=[0.5, 0.3, 0.1, 0.1]).tolist(),
            "at": [
                datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=int(h))
                for h in generator.integers(0, 99, rows)
            ],
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_numbers_are_those_of_pandas(seed):
    table = random_table(seed=seed)
    found, peer = data.profile(table), table.to_pandas()
    for name in table.columns:
        column, other = found[name], peer[name]
        assert (column.rows, column.missing) == (len(other), other.isna().sum())
        assert column.distinct == other.nunique()
    for name in ("n", "i"):
        column, other = found[name], peer[name]
        assert column.mean == pytest.approx(other.mean())
        assert column.deviation == pytest.approx(other.std())
        assert (column.low, column.high) == (other.min(), other.max())
        for share, value in column.quantiles.items():
            assert value == pytest.approx(other.quantile(float(share.rstrip("%")) / 100))
        counts, _ = np.histogram(other.dropna(), bins=20)
        assert sum(column.histogram) == counts.sum()
        assert np.abs(np.array(column.histogram) - counts).sum() <= 4  # values on an edge
    assert dict(found["t"].top) == peer["t"].value_counts().to_dict()
    assert found.duplicates == pd.DataFrame(peer).duplicated().sum()


def test_what_columns_seem_to_be():
    table = pl.DataFrame(
        {
            "id": [f"row {i}" for i in range(40)],
            "same": [1] * 40,
            "none": pl.Series([None] * 40, dtype=pl.Float64),
            "income": [-999, -999, *range(30, 68)],
            "work": ["?"] * 5 + ["shop", "farm"] * 17 + ["n/a"],
            "temperature": [-9, -9, *range(-19, 19)],
        }
    )
    found = data.profile(table)
    assert [found[name].notes for name in table.columns] == [
        ("identifier",),
        ("constant",),
        ("empty",),
        (),
        (),
        (),
    ]
    assert found["income"].sentinels == {"-999": 2}
    assert found["work"].sentinels == {"?": 5, "n/a": 1}
    assert found["temperature"].sentinels == {}


def test_forms_of_a_profile():
    found = data.profile(random_table().with_columns(html=pl.lit("<b>")))
    assert json.loads(json.dumps(found.to_dict()))["rows"] == 500
    assert "500 rows, 5 columns" in str(found)
    assert "<b>" not in found._repr_html_()
    with pytest.raises(DataFault, match="no column x"):
        found["x"]


def test_few_missing_values_are_told_from_none():
    full = pl.Series(range(3000))
    found = data.profile(pl.DataFrame({"full": full, "holed": full.replace({7: None})}))
    assert "0.0%" not in str(found)
    html = found.to_html()
    assert "0.0%" not in html
    assert "1 (&lt;0.1%)" in html


def test_of_a_header_alone_it_is_said_that_there_are_no_rows():
    said = str(data.profile(pl.DataFrame({"a": [], "b": []}, schema=dict.fromkeys("ab", pl.String))))
    assert said.endswith("The table has no rows, so nothing is known of its columns: a, b")


@pytest.mark.parametrize("rows", [0, 1])
def test_small_tables(rows):
    found = data.profile(random_table()[:rows])
    assert found.rows == rows
    assert str(found)


def test_infinite_numbers_do_not_break_a_profile():
    found = data.profile(pl.DataFrame({"x": [1.0, float("inf"), float("-inf"), float("nan"), None]}))
    assert found["x"].missing == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(), max_size=30), st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30))
def test_any_table_has_a_profile(numbers, texts):
    size = min(len(numbers), len(texts))
    table = pl.DataFrame({"n": numbers[:size], "t": texts[:size]}, schema={"n": pl.Float64, "t": pl.String})
    found = data.profile(table)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found["t"].missing == sum(text is None for text in texts[:size])


def test_real_tables():
    name = REAL / "heart_disease.csv.gz"
    if not name.is_file():
        pytest.skip(f"{name} is not here")
    found = data.profile(name)
    assert found.rows == 920
    assert found["site"].distinct == 4


def test_a_table_does_not_differ_from_itself_in_another_order():
    table = random_table()
    found = data.diff(table, table.sample(fraction=1, shuffle=True, seed=1))
    assert found.same
    assert all(column.distance == 0 for column in found.columns)
    assert str(found) == "the same 500 rows"


def test_what_changed():
    before = random_table()
    after = before[:400].with_columns(
        n=pl.col("n") + 2, i=pl.col("i").cast(pl.String), t=pl.col("t").replace("c", "d"), new=pl.lit(1)
    )
    found = data.diff(before, after.drop("at"))
    assert (found.rows, found.same_rows, found.added, found.removed) == ((500, 400), None, ("new",), ("at",))
    assert found.retyped == {"i": ("integer", "text")}
    columns = {column.name: column for column in found.columns}
    clean = [table["n"].fill_nan(None).drop_nulls().to_numpy() for table in (before, after)]
    assert columns["n"].distance == pytest.approx(ks_2samp(*clean).statistic)
    assert (columns["t"].new, columns["t"].gone) == (("d",), ("c",))
    assert columns["n"].notable
    assert json.dumps(found.to_dict())
    assert "column added: new" in found._repr_html_()


def test_shared_rows_are_counted_as_often_as_both_have_them():
    before = pl.DataFrame({"a": [1, 1, 2, None]})
    after = pl.DataFrame({"a": [1, 1, 1, None, 3]})
    assert data.diff(before, after).same_rows == 3


def test_rows_are_told_apart_by_a_key():
    before = pl.DataFrame({"n": [0.5, 0.5, 0.7], "id": [1, 2, 3], "t": ["a", None, "c"]})
    after = pl.DataFrame({"id": [3, 2, 4], "t": ["c", "b", "a"], "n": [0.7, 0.5, 0.1]})
    found = data.diff(before, after)
    changes = found.changes
    assert (changes.key, changes.inferred) == (("id",), True)
    assert (changes.added, changes.removed, changes.changed, changes.columns) == (1, 1, 1, {"t": 1})
    assert changes.examples == {
        "added": [{"id": 4}],
        "removed": [{"id": 1}],
        "changed": [{"key": {"id": 2}, "column": "t", "before": None, "after": "b"}],
    }
    assert "rows by id (complete and unique in both): 1 added, 1 removed, 1 changed" in str(found)
    assert "  id 2: t missing -> 'b'" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["changes"]["changed"] == 1
    assert data.diff(before, after, key=["id", "n"]).changes.added == 1
    # Numbers that measure something are no key, however different they are.
    assert data.diff(before.select("n"), after.select("n")).changes is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("gone", "The key gone is not a column of one type in both tables; those are id, t"),
        ("t", "The key t is missing in 1 rows of the first table"),
        ("id", r"1 values of the key id are there more than once in the second table, such as id 7"),
    ],
)
def test_what_cannot_be_a_key(key, said):
    before = pl.DataFrame({"id": [1, 2], "t": ["a", None]})
    after = pl.DataFrame({"id": [7, 7], "t": ["a", "b"]})
    with pytest.raises(DataFault, match=said):
        data.diff(before, after, key=key)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_changes_are_those_of_two_dictionaries(data_):
    """Against Python's own dictionaries."""
    tables = [
        data_.draw(
            st.dictionaries(
                st.integers(0, 9),
                st.tuples(st.none() | st.floats(allow_nan=False), st.none() | st.text(max_size=2)),
            )
        )
        for _ in range(2)
    ]
    schema = {"id": pl.Int64, "n": pl.Float64, "t": pl.String}
    frames = [
        pl.DataFrame([(key, *values) for key, values in table.items()], schema=schema, orient="row")
        for table in tables
    ]
    changes = data.diff(*frames, key="id").changes
    before, after = tables
    both = before.keys() & after.keys()
    assert changes.added == len(after.keys() - before.keys())
    assert changes.removed == len(before.keys() - after.keys())
    assert changes.changed == sum(before[key] != after[key] for key in both)
    for place, name in enumerate("nt"):
        assert changes.columns.get(name, 0) == sum(before[key][place] != after[key][place] for key in both)


def test_equal_moments_and_numbers_are_equal_in_whatever_form():
    noon = datetime(2013, 5, 1, 12, tzinfo=UTC)
    before = pl.DataFrame({"id": [1], "at": [noon], "n": [2.0]})
    after = before.with_columns(
        pl.col("at").dt.cast_time_unit("ms").dt.convert_time_zone("Asia/Kolkata"),
        pl.col("id").cast(pl.Int16),
        pl.col("n").cast(pl.Float32),
    )
    assert data.diff(before, after).same
