"""Large and packed text files: read as they stream, with the answer of small ones."""

import gzip
import sys
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from everloop.core.errors import SourceUnreadable
from everloop.table import as_frame, text_tables
from everloop.table.parsed import parsed_once

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.larger_than_memory import make_csv
from benchmarks.timing import peak_memory

ROWS = 400
FRAME = pl.DataFrame(
    {
        "nr": range(ROWS),
        "share": [place / 7 for place in range(ROWS)],
        "town": ["Ulm", "Köln"] * (ROWS // 2),
        "at": [datetime.fromisoformat(f"2026-01-{1 + place % 28:02d}T10:00:00") for place in range(ROWS)],
    }
)


@pytest.fixture
def large(monkeypatch):
    """Makes every text file too large to be read at once."""
    monkeypatch.setattr(text_tables, "EAGER_BYTES", 1000)
    monkeypatch.setattr(text_tables, "TYPED_ROWS", 50)


def write(path, content):
    packing = text_tables.PACKED.get(path.suffix)
    if packing == "gzip":
        # Packed quickly: Arrow packs tightly, which takes six times as long and says nothing of reading.
        path.write_bytes(gzip.compress(content, 1))
        return path
    with pa.output_stream(str(path), compression=packing) as stream:
        stream.write(content)
    return path


def content_of(ending):
    if ending.startswith(".csv"):
        return FRAME.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S").encode()
    return FRAME.with_columns(pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_ndjson().encode()


ENDINGS = [".csv", ".csv.gz", ".csv.zst", ".jsonl", ".jsonl.gz", ".jsonl.zst"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_large_file_is_read_as_a_small_one(tmp_path, monkeypatch, ending):
    path = write(tmp_path / f"rows{ending}", content_of(ending))
    small = as_frame(path)
    assert small.with_columns(pl.col("at").dt.replace_time_zone(None)).equals(FRAME)
    monkeypatch.setattr(text_tables, "EAGER_BYTES", 1000)
    assert not text_tables.is_large(write(tmp_path / f"few{ending}", content_of(ending)[:900]))
    assert text_tables.is_large(path)
    with parsed_once(path) as parsed:
        assert parsed != path
        assert pl.read_parquet(parsed).equals(small)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    ("early", "late", "dtype"),
    [
        ("7", "x7", pl.String), ("7", "7.5", pl.Float64), ("7", "", pl.Int64), ("7.5", "x", pl.String),
        ("true", "yes", pl.String), ("2026-01-31", "31/01/2026", pl.String),
        ("2026-01-31T10:00:00", "soon", pl.String), ("2026-01-31", "", pl.Date),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_csv_column_that_changes_its_type_late_has_one_that_all_values_have(
    tmp_path, early, late, dtype, ending
):
    rows = ["nr,value", *(f"{place},{early if place < 300 else late}" for place in range(ROWS))]
    with parsed_once(write(tmp_path / f"rows{ending}", "\n".join(rows).encode())) as parsed:
        found = pl.read_parquet(parsed)
    assert found["value"].dtype == dtype
    assert found["nr"].to_list() == list(range(ROWS))
    assert found["value"].null_count() == (100 if late == "" else 0)
    if dtype == pl.String:
        assert (found["value"][0], found["value"][-1]) == (early, late)


@pytest.mark.usefixtures("large")
def test_a_json_key_that_changes_or_comes_late_is_there(tmp_path):
    lines = [f'{{"nr": {place if place < 300 else chr(34) + "x" + chr(34)}}}' for place in range(399)]
    lines.append('{"nr": 1, "late": 2.5}')
    with parsed_once(write(tmp_path / "rows.jsonl.zst", "\n".join(lines).encode())) as parsed:
        found = pl.read_parquet(parsed)
    assert found.schema == {"nr": pl.String, "late": pl.Float64}
    assert (found["nr"][0], found["nr"][-2], found["late"][-1]) == ("0", "x", 2.5)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("ending", [".csv.gz", ".jsonl.gz"])
def test_a_large_packed_file_that_is_cut_off_is_named(tmp_path, ending):
    packed = gzip.compress(content_of(ending))
    path = tmp_path / f"rows{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(SourceUnreadable, match=r"rows.*cut off"), parsed_once(path) as parsed:
        as_frame(parsed)


PART = """
import sys
from pathlib import Path
from everloop.table import text_tables
from everloop.table.parsed import parsed_once
text_tables.EAGER_BYTES = 0
with parsed_once(Path(sys.argv[1])) as parsed:
    print(parsed.stat().st_size)
"""
# Held, a row is some 200 bytes of CSV or 400 of JSON, and 300 of values besides.
SIZES, MOST_BYTES_OF_A_ROW = (150_000, 600_000), 250


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv.gz", ".jsonl.zst"])
def test_memory_does_not_grow_with_a_packed_file(tmp_path, ending):
    peaks = []
    for rows in SIZES:
        path = tmp_path / f"rows-{rows}{ending}"
        plain = path.with_suffix("")
        make_csv(tmp_path / "rows.csv", rows)
        if ".jsonl" in ending:
            pl.scan_csv(tmp_path / "rows.csv").sink_ndjson(plain)
        else:
            (tmp_path / "rows.csv").rename(plain)
        write(path, plain.read_bytes())
        # What an allocator keeps for its threads differs from run to run; the least is what is needed.
        peaks.append(min(peak_memory([sys.executable, "-c", PART, path])[0] for _ in range(2)))
    grown = (peaks[1] - peaks[0]) / (SIZES[1] - SIZES[0])
    assert grown < MOST_BYTES_OF_A_ROW, (grown, peaks)
