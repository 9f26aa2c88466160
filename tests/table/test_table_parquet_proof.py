"""Rules that hold by what a Parquet file says of itself: the answer is that of the rows, always."""

import math
from datetime import UTC, date, datetime

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from everloop.table.contract import ColumnRule, Contract, check
from everloop.table.contract.probes import probes_of
from everloop.table.contract.proof import proven
from everloop.table.parquet_facts import ParquetFacts

TIMES = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), datetime(1999, 1, 1, tzinfo=UTC))
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e300, math.nan, math.inf, -math.inf, None)
VALUES = {
    "double": (pl.Float64, FLOATS),
    "single": (pl.Float32, FLOATS),
    "whole": (pl.Int64, (0, 1, -1, 7, 2**62, -(2**63), None)),
    "small": (pl.Int8, (0, 1, -128, 127, None)),
    "unsigned": (pl.UInt32, (0, 1, 2**32 - 1, None)),
    "text": (pl.String, ("north", "south", "", "x" * 200, "\u00fcber", None)),
    "flag": (pl.Boolean, (True, False, None)),
    "at": (pl.Datetime("us", "UTC"), (*TIMES, None)),
    "nano": (pl.Datetime("ns"), (*(time.replace(tzinfo=None) for time in TIMES), None)),
    "day": (pl.Date, (date(2026, 1, 1), date(1960, 1, 1), None)),
    "kind": (pl.Categorical, ("north", "south", None)),
}
NUMBER_RULES = st.fixed_dictionaries(
    {
        "nullable": st.booleans(),
        "minimum": st.sampled_from([None, 0.0, -1.0, -200.0]),
        "maximum": st.sampled_from([None, 0.0, 1.0, 127.0]),
    }
)
TIME_RULES = st.fixed_dictionaries(
    {"nullable": st.booleans(), "minimum": st.sampled_from([None, *TIMES]), "maximum": st.just(TIMES[1])}
)
TEXT_RULES = st.fixed_dictionaries(
    {
        "nullable": st.booleans(),
        "allowed": st.sampled_from(
            [None, ("north", "south"), ("north", "south", "", "x" * 200, "\u00fcber")]
        ),
        "pattern": st.sampled_from([None, "[a-z]+", ".*"]),
    }
)
TYPES = {
    "double": ("number", NUMBER_RULES),
    "single": ("number", NUMBER_RULES),
    "whole": ("integer", NUMBER_RULES),
    "small": ("integer", NUMBER_RULES),
    "unsigned": ("integer", NUMBER_RULES),
    "text": ("text", TEXT_RULES),
    "flag": ("boolean", st.fixed_dictionaries({"nullable": st.booleans()})),
    "at": ("time", TIME_RULES),
    "nano": ("time", TIME_RULES),
    "day": ("time", TIME_RULES),
    "kind": ("text", TEXT_RULES),
}


@st.composite
def columns(draw, rows):
    """Draws the values of all columns, each from few of those that its type has."""
    held = {}
    for name, (dtype, values) in VALUES.items():
        few = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        drawn = draw(st.lists(st.sampled_from(few), min_size=rows, max_size=rows))
        held[name] = pl.Series(drawn, dtype=dtype, strict=False)
    return pl.DataFrame(held)


@st.composite
def contracts(draw):
    """Draws a rule for each column."""
    return Contract(tuple(ColumnRule(name, kind, **draw(rules)) for name, (kind, rules) in TYPES.items()))


def by_polars(draw, frame, path):
    options = {
        "statistics": draw(st.sampled_from([True, False, "full", {"null_count": False}, {"min": False}])),
        "row_group_size": draw(st.sampled_from([2, 7, None])),
        "compression": draw(st.sampled_from(["zstd", "snappy", "gzip", "uncompressed", "lz4", "brotli"])),
    }
    frame.write_parquet(path, **options)


def by_arrow(draw, frame, path):
    parquet.write_table(
        frame.to_arrow(),
        path,
        use_dictionary=draw(st.booleans()),
        dictionary_pagesize_limit=draw(st.sampled_from([None, 8])),
        write_statistics=draw(st.booleans()),
        row_group_size=draw(st.sampled_from([2, 7, None])),
        data_page_version=draw(st.sampled_from(["1.0", "2.0"])),
        data_page_size=draw(st.sampled_from([None, 4])),
        compression=draw(st.sampled_from(["zstd", "snappy", "gzip", "none"])),
        version=draw(st.sampled_from(["1.0", "2.6"])),
        use_deprecated_int96_timestamps=draw(st.booleans()),
    )


def by_duckdb(draw, frame, path):
    rows = duckdb.from_arrow(frame.cast({pl.Categorical: pl.String}).to_arrow())
    rows.write_parquet(str(path), compression=draw(st.sampled_from(["zstd", "snappy", "uncompressed"])))


def plain(report):
    return str(report.to_dict())


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(data=st.data(), contract=contracts(), rows=st.sampled_from([0, 1, 3, 12]))
def test_a_file_and_its_rows_get_one_verdict(tmp_path_factory, data, contract, rows):
    frame = data.draw(columns(rows))
    path = tmp_path_factory.mktemp("proof") / "table.parquet"
    write = data.draw(st.sampled_from([by_polars, by_arrow, by_duckdb]))
    write(data.draw, frame, path)
    assert plain(check(path, contract)) == plain(check(pl.read_parquet(path), contract))


GOOD = pl.DataFrame(
    {
        "amount": [1.0, 2.0, 3.0, 4.0],
        "count": [1, 2, 3, 4],
        "region": ["north", "south", "north", "south"],
        "at": [TIMES[0], TIMES[1], TIMES[0], TIMES[1]],
    }
)
RULES = Contract(
    (
        ColumnRule("amount", "number", minimum=0.0, maximum=10.0),
        ColumnRule("count", "integer", nullable=False, minimum=0, maximum=10),
        ColumnRule("region", "text", nullable=False, allowed=("north", "south"), pattern="[a-z]+"),
        ColumnRule("at", "time", nullable=False, minimum=TIMES[0], maximum=TIMES[1]),
    )
)


def unproven(path, contract=RULES):
    schema = dict(pl.read_parquet_schema(path))
    probes = probes_of(contract, schema, None)
    held = proven(probes, ParquetFacts.of(path, schema), schema)
    return {(probe.column, probe.rule) for place, probe in enumerate(probes) if place not in held}


@pytest.mark.parametrize("writer", ["polars", "arrow", "duckdb"])
def test_a_file_that_tells_enough_is_not_read(tmp_path, writer):
    path = tmp_path / "good.parquet"
    many = pl.concat([GOOD] * 500)
    if writer == "polars":
        many.write_parquet(path)
    elif writer == "arrow":
        parquet.write_table(many.to_arrow(), path)
    else:
        duckdb.from_arrow(many.to_arrow()).write_parquet(str(path))
    assert unproven(path) == set()
    assert check(path, RULES).passed


def test_missing_fractions_are_looked_for_in_the_rows(tmp_path):
    path = tmp_path / "nan.parquet"
    GOOD.with_columns(amount=pl.lit(math.nan)).write_parquet(path)
    contract = Contract((ColumnRule("amount", "number", nullable=False),))
    assert ("amount", "nullable") in unproven(path, contract)
    assert [finding.failing for finding in check(path, contract).findings] == [4]


def test_a_dictionary_may_hold_a_text_that_no_row_has(tmp_path):
    path = tmp_path / "unused.parquet"
    texts = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["north", "south", "nowhere"]))
    parquet.write_table(pa.table({"region": texts}), path)
    contract = Contract((ColumnRule("region", "text", allowed=("north", "south")),))
    assert check(path, contract).passed


def test_an_unknown_writer_is_not_believed(tmp_path):
    path = tmp_path / "unknown.parquet"
    parquet.write_table(GOOD.to_arrow(), path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"parquet-cpp-arrow version", b"parquet-unknown-1 version"))
    assert path.stat().st_size == len(content)
    assert unproven(path) >= {("amount", "minimum"), ("count", "nullable"), ("at", "maximum")}
    assert check(path, RULES).passed


def test_failures_beside_proven_rules_are_counted_and_shown(tmp_path):
    path = tmp_path / "bad.parquet"
    bad = GOOD.with_columns(
        region=pl.Series(["north", "nowhere", None, "south"]), count=pl.Series([1, -2, 3, 4])
    )
    bad.write_parquet(path)
    report = check(path, RULES)
    assert plain(report) == plain(check(bad, RULES))
    assert {(one.column, one.rule, one.failing) for one in report.findings} == {
        ("region", "allowed", 1),
        ("region", "nullable", 1),
        ("count", "minimum", 1),
    }
    assert report.broken == 2


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_pages_prove_nothing_and_break_nothing(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "table.parquet"
    GOOD.write_parquet(path)
    held = bytearray(path.read_bytes())
    chunk = parquet.read_metadata(path).row_group(0).column(2)
    start = chunk.dictionary_page_offset
    for _ in range(data.draw(st.integers(1, 4))):
        held[start + data.draw(st.integers(0, 40))] = data.draw(st.integers(0, 255))
    path.write_bytes(held)
    ParquetFacts.of(path, dict(pl.read_parquet_schema(path))).texts(["region"])
