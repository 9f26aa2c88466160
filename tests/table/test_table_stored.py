"""Tables larger than memory: a stored table is the frame, column by column."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.digest import digest_file
from everloop.table import stored
from everloop.table.labels import label_codes, label_text
from everloop.table.stored import StoredTable, aggregate, write_rows
from everloop.table.twins import firsts, repeated, row_keys


def frame_of(rows=500, seed=0):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": generator.integers(0, 5, rows),
            "b": [None if i % 7 == 0 else f"w{i % 3}" for i in range(rows)],
            "c": generator.normal(size=rows).round(1),
        }
    )


@pytest.fixture(params=["in memory", "on disk"])
def opened(request, tmp_path, monkeypatch):
    if request.param == "on disk":
        monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    frame_of().write_parquet(tmp_path / "t.parquet", row_group_size=64)
    return StoredTable.open(tmp_path / "t.parquet")


def test_a_stored_table_is_the_frame(opened):
    frame = frame_of()
    assert (opened.columns, opened.height) == (frame.columns, frame.height)
    assert all(opened[name].equals(frame[name]) for name in frame.columns)
    assert opened.lazy().collect().equals(frame)
    assert opened.select(pl.col("c").sum()).item() == pytest.approx(frame["c"].sum())


def test_masks_compose(opened):
    frame = frame_of()
    once = opened.where(frame["a"] > 1)
    kept = frame.filter(pl.col("a") > 1)
    twice = once.where(kept["c"].to_numpy() > 0)
    kept = kept.filter(pl.col("c") > 0)
    assert twice.height == kept.height
    assert twice["b"].equals(kept["b"])
    assert twice.lazy().collect().equals(kept)
    assert twice.lazy().select("a").collect().to_series().equals(kept["a"])
    assert once.where(np.zeros(once.height, dtype=bool)).height == 0


def test_several_passes_give_what_one_gives(opened, monkeypatch):
    expressions = [
        pl.len().alias("rows"),
        *(pl.col(name).n_unique().alias(f"n {name}") for name in "abc"),
        (pl.col("a") * pl.col("c")).sum().alias("both"),
    ]
    once = aggregate(opened.lazy(), expressions)
    monkeypatch.setattr(stored, "VALUES_AT_ONCE", 1)
    assert len(list(stored._groups(expressions, 500))) == 4
    assert aggregate(opened.lazy(), expressions) == {**once, "both": pytest.approx(once["both"])}


def test_equal_rows_give_equal_files(tmp_path, opened):
    digests = {
        digest_file(tmp_path / name)
        for name in ("x", "y", "z")
        if write_rows(opened.lazy(), tmp_path / name) == 500
    }
    assert len(digests) == 1


def test_any_table_can_be_one(tmp_path):
    frame = frame_of()
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    for table in (frame, frame.lazy(), frame.to_pandas(), tmp_path / "t.csv", str(tmp_path / "t.parquet")):
        assert StoredTable.of(table).height == 500


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["x", "y", None])), max_size=40))
def test_row_keys_are_the_first_positions(rows):
    table = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String}, orient="row")
    assert row_keys(table, ["a", "b"]).tolist() == [rows.index(row) for row in rows]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.booleans())), st.lists(st.one_of(st.none(), st.text(max_size=3))))
def test_label_codes_are_positions_among_sorted_texts(flags, texts):
    for values, dtype in ((flags, pl.Boolean), (texts, pl.String)):
        labels, codes = label_codes(pl.Series(values, dtype=dtype))
        assert labels == sorted({label_text(value) for value in values if value is not None})
        assert [None if code < 0 else labels[code] for code in codes] == [label_text(v) for v in values]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, 1, 2]), st.sampled_from(["x", "y", None])), max_size=30))
def test_different_values_are_counted_as_polars_does(rows):
    table = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.String}, orient="row")
    present = pl.all_horizontal(pl.col("a", "b").is_not_null())
    both = table.filter(present).select(pl.struct("a", "b").n_unique()).item() if rows else 0
    assert stored.count_distinct(table.lazy(), pl.struct("a", "b"), present) == both
    for name in ("a", "b"):
        known = table[name].drop_nulls()
        assert (
            stored.count_distinct(table.lazy(), pl.col(name), pl.col(name).is_not_null()) == known.n_unique()
        )


def test_a_large_table_is_checked_as_a_small_one(monkeypatch):
    from everloop.table.contract import ColumnRule, Contract, TableRule, checking

    frame = frame_of()
    columns = (
        ColumnRule("a", "integer", minimum=1, unique=True),
        ColumnRule("b", "text", nullable=False, allowed=("w0", "w1")),
        ColumnRule("c", "number", maximum=1, max_missing=0.1),
    )
    contract = Contract(
        columns, (TableRule("row_count", minimum=501), TableRule("unique", columns=("a", "b")))
    )
    once = checking.check(frame, contract)
    monkeypatch.setattr(checking, "ROWS_AT_ONCE", 0)
    assert checking.check(frame, contract) == once
    assert len(once.findings) >= 6


@given(st.lists(st.integers(0, 6), max_size=12))
def test_keys_that_come_again_are_marked(keys):
    numbers = np.array(keys, dtype=np.uint64)
    assert repeated(numbers).tolist() == [keys.count(key) > 1 for key in keys]
    assert firsts(numbers).tolist() == [keys.index(key) for key in keys]
