"""Tables of every kind, schemas, features, prices and datasets."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from everloop.core.errors import DataFault, NotFound, SourceUnreadable, SpecFault
from everloop.table.dataset import Dataset
from everloop.table.feature import FeatureDefinition, define, derive, row_deriver
from everloop.table.prices import Prices
from everloop.table.schema import Column, Schema, schema_of
from everloop.table.tables import as_frame, as_lazy

FRAME = pl.DataFrame({"n": [1, 2, None], "x": [0.5, None, 2.0], "s": ["a", None, "c"]})
CSV = "n,x,s,at\n1,0.5,a,2024-01-01\n2,NA,,2024-01-02\n,2.0,c,\n"


def test_every_kind_of_table_is_taken_alike(tmp_path):
    for ending, write in {
        "parquet": FRAME.write_parquet,
        "csv": FRAME.write_csv,
        "jsonl": FRAME.write_ndjson,
    }.items():
        write(tmp_path / f"t.{ending}")
    kinds = [
        FRAME, FRAME.lazy(), FRAME.to_arrow(), duckdb.sql("select * from FRAME"), str(tmp_path / "t.parquet"),
        tmp_path / "t.csv", tmp_path / "t.jsonl", tmp_path / "t.*arquet",
    ]  # fmt: skip
    for kind in kinds:
        assert as_frame(kind).equals(FRAME), kind
        assert as_lazy(kind).collect().equals(FRAME)
    assert as_frame(FRAME.to_pandas()).with_columns(pl.col("n").cast(pl.Int64)).equals(FRAME)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text(CSV)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    # Whoever runs the tests may be allowed to read everything.
    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr("everloop.table.tables.os.access", lambda *_: False)
    with pytest.raises(SourceUnreadable, match=r"t\.csv may not be read") as caught:
        as_frame(tmp_path / "t.csv")
    assert caught.value.hint == f"ls -l {tmp_path / 't.csv'}"


def test_a_pandas_table_is_not_changed():
    table = pd.DataFrame({"a": [1.0, np.nan], "t": pd.to_datetime(["2024-01-01", None])})
    before = table.copy()
    assert schema_of(table).types == {"a": "number", "t": "time"}
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("pack", ["", ".gz", ".zst"])
def test_csv_knows_nulls_and_dates(tmp_path, pack):
    path = tmp_path / f"t.csv{pack}"
    if pack == ".zst":
        with pa.output_stream(str(path), compression="zstd") as stream:
            stream.write(CSV.encode())
    else:
        path.write_bytes(gzip.compress(CSV.encode()) if pack else CSV.encode())
    frame = as_frame(path)
    assert schema_of(frame).types == {"n": "integer", "x": "number", "s": "text", "at": "time"}
    assert frame.null_count().row(0) == (1, 1, 1, 1)


def test_json_lines_know_times(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"at": "2024-01-01T10:00:00+02:00"}\n{"at": null}\n{"at": "2024-01-01T10:00:00Z"}\n'
    )
    assert as_frame(tmp_path / "t.jsonl")["at"].to_list() == [
        datetime(2024, 1, 1, 8, tzinfo=UTC),
        None,
        datetime(2024, 1, 1, 10, tzinfo=UTC),
    ]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_are_seen(tmp_path, separator):
    (tmp_path / "t.csv").write_text(CSV.replace(",", separator))
    assert as_frame(tmp_path / "t.csv").columns == ["n", "x", "s", "at"]


def test_damaged_files_are_told(tmp_path):
    packed = gzip.compress(CSV.encode() * 200)
    FRAME.write_parquet(tmp_path / "whole.parquet")
    parquet = (tmp_path / "whole.parquet").read_bytes()
    files = {
        "empty.csv": (b"", DataFault, "is empty"), "cut.csv.gz": (packed[:-20], SourceUnreadable, "cut off or damaged"),
        "not.csv.gz": (b"n,x\n1,2\n", SourceUnreadable, "cannot be read"), "cut.parquet": (parquet[:-9], SourceUnreadable, "cut off or damaged"),
        "latin.csv": ("n,s\n1,é\n".encode("latin1"), SourceUnreadable, "not in UTF-8"), "wide.csv": ("n,s\n1,é\n".encode("utf-16"), SourceUnreadable, "not in UTF-8"),
        "bad.jsonl": (b'{"a": 1}\n{"a": \n', SourceUnreadable, "cannot be read"), "t.xlsx": (b"PK", DataFault, "format of t.xlsx is not known"),
        "ragged.csv": (b"a,b\n1,2,3,4\n", SourceUnreadable, "cannot be read"), "blank.csv": (b"\n\n", DataFault, "empty"),
    }  # fmt: skip
    for name, (content, fault, says) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(fault, match=says):
            as_frame(tmp_path / name)


def test_missing_files_are_told_with_the_nearest(tmp_path):
    (tmp_path / "loans.csv").write_text(CSV)
    with pytest.raises(DataFault, match="no file") as caught:
        as_lazy(tmp_path / "loan.csv")
    assert "loans.csv" in caught.value.hint
    for wrong in (tmp_path, tmp_path / "*.parquet", 5, None, {"a": [1]}):
        with pytest.raises(DataFault):
            as_lazy(wrong)


def test_a_schema_names_types_and_refuses_others():
    frame = pl.DataFrame(
        {"c": ["a"], "d": [1], "l": [[1]]}, schema_overrides={"c": pl.Categorical, "d": pl.Decimal(10, 2)}
    )
    assert schema_of(frame.drop("l")) == Schema((Column("c", "text", False), Column("d", "number", False)))
    with pytest.raises(DataFault, match=r"'l' holds List"):
        schema_of(frame)
    schema = schema_of(frame.drop("l"))
    assert Schema.from_dict(schema.to_dict()) == schema
    with pytest.raises(DataFault):
        Schema.from_dict({"columns": [{"name": "a", "type": "money"}]})


def test_features_are_one_in_tables_and_rows():
    table = pl.DataFrame({"debt": [10.0, None, 5.0], "income": [100, 50, 0]})
    definitions = define(
        {"ratio": "debt / nullif(income, 0)", "high": "ratio > 0.05"}, schema_of(table).types
    )
    derived = derive(table, definitions).collect()
    assert derived["ratio"].to_list() == [0.1, None, None]
    assert [row_deriver(definitions)(row) for row in table.to_dicts()] == derived.to_dicts()
    assert table.columns == ["debt", "income"]
    assert [FeatureDefinition.from_dict(d.to_dict()) for d in definitions] == list(definitions)
    with pytest.raises(SpecFault, match="Feature 'x'"):
        FeatureDefinition.of("x", "dept", schema_of(table).types)
    with pytest.raises(SpecFault, match="reads 'income'"):
        derive(table.drop("income"), definitions)


VALUE = SimpleNamespace(
    currency="EUR",
    true_positive="0",
    false_positive="-0.04 * amount",
    false_negative="-0.55 * amount",
    true_negative="2",
)


def test_prices_are_one_in_tables_and_rows():
    table = pl.DataFrame({"amount": [100.0, None, 1e308, 3.0]})
    prices = Prices.of(VALUE, {"amount": "number"})
    array = prices.of_table(table)
    assert array.shape == (4, 4)
    assert array[0].tolist() == [0.0, -4.0, -0.55 * 100, 2.0]
    np.testing.assert_array_equal(array, np.array([prices.of_row(row) for row in table.to_dicts()]))
    assert Prices.from_dict(prices.to_dict()) == prices
    assert prices.of_table(table.clear()).shape == (0, 4)
    constant = Prices.of(
        SimpleNamespace(
            currency="",
            **dict.fromkeys(["true_positive", "false_positive", "false_negative", "true_negative"], "1"),
        ),
        {},
    )
    assert constant.of_table(table).tolist() == [[1.0] * 4] * 4


@pytest.mark.parametrize(
    ("sql", "says"), [("amont", "no column 'amont'"), ("amount > 1", "gives boolean"), ("'x'", "gives text")]
)
def test_a_price_that_is_none_is_refused_with_its_place(sql, says):
    with pytest.raises(SpecFault, match=says) as caught:
        Prices.of(SimpleNamespace(**{**vars(VALUE), "true_positive": sql}), {"amount": "number"})
    assert caught.value.place == "goal.value.true_positive"


def test_a_price_of_a_table_without_its_column_is_refused():
    with pytest.raises(DataFault, match="'amount'"):
        Prices.of(VALUE, {"amount": "number"}).of_table(pl.DataFrame({"amounts": [1]}))


def test_a_dataset_round_trips(tmp_path):
    definitions = define({"double": "x * 2"}, schema_of(FRAME).types)
    saved = Dataset.save(
        tmp_path / "d",
        {"train": FRAME, "test": FRAME[:1]},
        features=definitions,
        split={"by": "time"},
        cleaning=[{"did": "drop"}],
    )
    loaded = Dataset.load(tmp_path / "d")
    assert loaded == saved
    assert loaded.counts == {"train": 3, "test": 1}
    assert loaded.train.equals(FRAME)
    with pytest.raises(NotFound, match="no part 'validation'"):
        _ = loaded.validation


def test_wrong_datasets_are_told(tmp_path):
    for parts in ({}, {"train": FRAME, "valid": FRAME}, {"train": FRAME, "test": FRAME.drop("n")}):
        with pytest.raises(DataFault):
            Dataset.save(tmp_path, parts)
    with pytest.raises(NotFound, match="no dataset"):
        Dataset.load(tmp_path)
    (tmp_path / "dataset.json").write_text('{"schema": 1}')
    with pytest.raises(DataFault, match="damaged"):
        Dataset.load(tmp_path)


DATA = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared real tables are not beside the repository")
@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        ("german_credit.csv.gz", 1000, 21),
        ("heart_disease.csv.gz", 920, 15),
        ("online_shoppers.csv.gz", 12_330, 18),
        ("sms_spam.csv.gz", 5572, 2),
        ("bike_hourly.csv.gz", 17_379, 11),
        ("wholesale_customers.csv", 440, 8),
        ("hospital_dirty.csv", 1000, 19),
        ("elec2.parquet", 45_312, 7),
        ("clinc150.csv.gz", 23_700, 3),
    ],
)
def test_real_tables_are_read_whole(name, rows, columns):
    frame = as_frame(DATA / name)
    assert frame.shape == (rows, columns)
    assert len(schema_of(frame)) == columns
