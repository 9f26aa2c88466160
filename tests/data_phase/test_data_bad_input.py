"""Bad input: each row or file that cannot be read is named, refused or kept aside, and nothing else is lost."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.data.bad_rows import BAD_ROWS_FILE
from everloop.data.sources import Surroundings, open_source
from everloop.data.steps import snapshot_step
from everloop.data.taking import take_snapshot
from everloop.loop.telling import result_line
from everloop.spec import DataSpec, FileSource

START = datetime(2013, 1, 1, tzinfo=UTC)


def source(folder, name, **spec):
    return open_source("file", FileSource(file=name, **spec), Surroundings(folder=folder))


def reading_of(folder, name, **spec):
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    reading = source(folder, name, **spec).read(scratch)
    rows = pl.concat([pl.read_parquet(file) for file in reading.files])
    bad = pl.read_parquet(reading.bad_rows).rows() if reading.bad_rows else []
    return rows, [(Path(file).name, line, reason, text) for file, line, reason, text, _ in bad], reading.notes


def kept(folder, name, share=0.5, **spec):
    return reading_of(folder, name, bad_rows="quarantine", most_bad_rows=share, **spec)


def put(folder, name, content):
    content = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(content)
    return name


# What each broken file gives where bad rows are kept aside: rows, and line with reason of the others.
ROWS = {
    "width.csv": (b"a,b\n1,x\n2\n3,y,z\n4,w\n", [(1, "x"), (4, "w")],
                  [(3, "1 fields where the first line has 2"), (4, "3 fields where the first line has 2")]),
    "quote.csv": (b'a,b\n1,"open\n2,x\n3,y\n', [(2, "x"), (3, "y")], [(2, "a quote is opened and not closed")]),
    "after.csv": (b'a,b\n1,"x"y\n2,z\n', [(2, "z")], [(2, "',' expected after '\"'")]),
    "latin.csv": ("a,b\n1,x\n2,café\n3,y\n".encode("latin-1"), [(1, "x"), (3, "y")], [(3, "not UTF-8 text")]),
    "nul.csv": (b"a,b\n1,x\n2,y\0z\n3,w\n", [(1, "x"), (3, "w")], [(3, "it holds a NUL byte")]),
    "nul.csv.gz": (gzip.compress(b"a,b\n1,x\n2,y\0z\n"), [(1, "x")], [(3, "it holds a NUL byte")]),
    "value.csv": (b"a,b\n1,x\n2,y\n\"oops\nthree\",z\n4,w\n5,w\n", [(1, "x"), (2, "y"), (4, "w"), (5, "w")],
                  [(4, "a is no whole number: oops\nthree")]),
    "lines.csv": (b'a,b\n1,"x\ny"\n2\n3,"z"\n', [(1, "x\ny"), (3, "z")], [(4, "1 fields where the first line has 2")]),
    "bad.jsonl": (b'{"a": 1, "b": "x"}\n{"a": 2,\n[3]\n\n{"a": 4, "b": "y"}\n', [(1, "x"), (4, "y")],
                  [(2, "no JSON: Expecting property name enclosed in double quotes at character "),
                   (3, "no JSON object, but list")]),
    "nul.jsonl": (b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y\0"}\n', [(1, "x")], [(2, "no JSON: Invalid control character")]),
    "latin.jsonl": ('{"a": 1, "b": "x"}\n{"a": 2, "b": "é"}\n'.encode("latin-1"), [(1, "x")], [(2, "not UTF-8 text")]),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_bad_rows_are_refused_with_their_line_or_kept_aside(tmp_path, name):
    content, rows, bad = ROWS[name]
    put(tmp_path, name, content)
    found, aside, _ = kept(tmp_path, name)
    assert found.rows() == rows
    assert [(file, line) for file, line, _, _ in aside] == [(name, line) for line, _ in bad]
    assert all(found.startswith(wanted) for (_, _, found, _), (_, wanted) in zip(aside, bad, strict=True))
    assert all(text for *_, text in aside)
    if name == "value.csv":  # the column stays text, and nothing is lost
        assert reading_of(tmp_path, name)[0].height == 5
        return
    with pytest.raises(SourceUnreadable) as caught:
        reading_of(tmp_path, name)
    assert f"{tmp_path / name}, line {bad[0][0]}: {bad[0][1]}" in str(caught.value)
    assert "bad_rows: quarantine" in caught.value.hint or "encoding: latin-1" in caught.value.hint


GOOD = "a,b\n1,x\n2,y\n"
LOST = {
    "empty.csv": (b"", "is empty"),
    "blank.csv": (b"\n", "is empty"),
    "cut.csv.gz": (gzip.compress(b"a,b\n" + os.urandom(9000).hex().encode())[:-500], "not a whole gzip file"),
    "no.csv.zst": (b"a,b\n1,x\n", "not a whole zstd file"),
    "other.csv": (b"a,c\n1,x\n", "has other columns"),
    "turned.csv": (b"b,a\n1,x\n", "columns in another order"),
    "twice.csv": (b"a,A\n1,x\n", "is there twice"),
    "nul.csv": (b"a,b\0\n1,x\n", "holds a NUL byte"),
}


@pytest.mark.parametrize("name", LOST)
def test_a_file_that_cannot_be_read_loses_no_other(tmp_path, name):
    put(tmp_path, "a.csv", GOOD)
    put(tmp_path, "c.csv", GOOD)
    content, reason = LOST[name]
    put(tmp_path, f"b-{name}", content)
    with pytest.raises(SourceUnreadable, match=reason) as caught:
        reading_of(tmp_path, "*")
    assert f"b-{name}" in str(caught.value)
    found, aside, _ = kept(tmp_path, "*")
    assert found.rows() == [(1, "x"), (2, "y")] * 2
    ((file, line, told, text),) = aside
    assert (file, line, text) == (f"b-{name}", None, None)
    assert reason in told
    with pytest.raises(SourceUnreadable, match=r"1 of 3 files cannot be read, more than 0\.2"):
        kept(tmp_path, "*", share=0.2)


@pytest.mark.parametrize("damage", ["cut", "inside", "text"])
def test_a_damaged_parquet_file_loses_no_other(tmp_path, damage):
    table = pl.DataFrame({"a": [random.Random(i).random() for i in range(20_000)]})
    for name in "abc":
        table.write_parquet(tmp_path / f"{name}.parquet", compression="zstd")
    content = bytearray((tmp_path / "b.parquet").read_bytes())
    broken = {
        "cut": content[:-1000],
        "inside": content[:4] + bytes(3000) + content[3004:],
        "text": b"PAR1 no",
    }
    put(tmp_path, "b.parquet", bytes(broken[damage]))
    found, aside, _ = kept(tmp_path, "*.parquet")
    assert found.equals(pl.concat([table, table]))
    assert [(file, line) for file, line, _, _ in aside] == [("b.parquet", None)]
    with pytest.raises(SourceUnreadable):
        kept(tmp_path, "b.parquet")


def test_too_many_bad_rows_are_refused_with_the_first_ones(tmp_path):
    put(tmp_path, "a.csv", "a,b\n" + "1,x\n" * 95 + "2\n" * 5)
    with pytest.raises(SourceUnreadable, match=r"5 of 100 rows cannot be read, more than 0\.01") as caught:
        kept(tmp_path, "a.csv", share=0.01)
    assert "line 97: 1 fields" in str(caught.value)
    assert "most_bad_rows" in caught.value.hint
    found, aside, _ = kept(tmp_path, "a.csv", share=0.05)
    assert (found.height, len(aside)) == (95, 5)


ENCODED = "a,b\n1,żółć\n2,漢字\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-16-be"])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst"])
def test_encodings_with_a_mark_are_read(tmp_path, encoding, ending):
    mark = "" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    content = (mark + ENCODED).encode(encoding)
    packed = {".csv.gz": gzip.compress, ".csv.zst": lambda b: pa.compress(b, codec="zstd", asbytes=True)}
    put(tmp_path, f"a{ending}", packed.get(ending, bytes)(content))
    assert reading_of(tmp_path, f"a{ending}")[0].rows() == [(1, "żółć"), (2, "漢字")]


def test_encodings_that_are_stated_are_read(tmp_path):
    put(tmp_path, "a.csv", "a,b\n1,café\n".encode("cp1252"))
    assert reading_of(tmp_path, "a.csv", encoding="cp1252")[0].rows() == [(1, "café")]
    put(tmp_path, "a.jsonl", '{"a": "café"}\n'.encode("latin-1"))
    assert reading_of(tmp_path, "a.jsonl", encoding="latin-1")[0].rows() == [("café",)]
    with pytest.raises(SpecFault, match="no encoding 'latin-77'"):
        reading_of(tmp_path, "a.csv", encoding="latin-77")
    with pytest.raises(SourceUnreadable, match="is not ascii text"):
        reading_of(tmp_path, "a.csv", encoding="ascii")
    put(tmp_path, "odd.csv", b"\xff\xfea\x00,\x00b")
    with pytest.raises(SourceUnreadable, match=r"odd\.csv is not utf-16 text"):
        reading_of(tmp_path, "odd.csv")


def test_a_column_that_changes_its_type_half_way_is_named(tmp_path):
    put(tmp_path, "a.csv", "a,b\n" + "1,1\n" * 60 + "2,two\n" * 40)
    found, _, notes = reading_of(tmp_path, "a.csv")
    assert found["b"].to_list() == ["1"] * 60 + ["two"] * 40
    (note,) = notes
    assert "b is text: 40 of 100 values are no whole number, the first in" in note
    assert note.endswith("a.csv, line 62: 'two'")
    found, aside, notes = kept(tmp_path, "a.csv", share=0.3)
    assert (found.height, aside, len(notes)) == (100, [], 1)  # too many for odd rows: it stays text


def test_times_in_three_formats_and_two_zones(tmp_path):
    iso = ["2024-01-02 03:04:05", "2024-01-02T03:04:05+02:00", "2024-01-02T03:04:05Z", "2024-01-02"]
    put(tmp_path, "iso.csv", "\n".join(["at,b", *(f"{text},1" for text in iso)]))
    moments = reading_of(tmp_path, "iso.csv")[0]["at"].to_list()
    assert [moment.isoformat() for moment in moments] == [
        "2024-01-02T03:04:05+00:00",
        "2024-01-02T01:04:05+00:00",
        "2024-01-02T03:04:05+00:00",
        "2024-01-02T00:00:00+00:00",
    ]
    put(tmp_path, "mixed.csv", "\n".join(["at,b", *(f"{text},1" for text in iso * 5), "02/01/2024 03:04,1"]))
    found, _, notes = reading_of(tmp_path, "mixed.csv")
    assert found["at"].dtype == pl.String
    assert "1 of 21 values are no ISO 8601 time" in notes[0]
    assert "line 22: '02/01/2024 03:04'" in notes[0]
    found, aside, _ = kept(tmp_path, "mixed.csv")
    assert (found["at"].dtype, found.height) == (pl.Datetime("us", "UTC"), 20)
    assert aside == [("mixed.csv", 22, "at is no ISO 8601 time: 02/01/2024 03:04", "02/01/2024 03:04,1")]


def test_json_keys_of_several_types_are_text(tmp_path):
    put(tmp_path, "a.jsonl", '{"a": 1, "b": 1}\n{"a": "two", "b": null}\n{"a": true}\n')
    assert reading_of(tmp_path, "a.jsonl")[0].rows() == [("1", 1), ("two", None), ("true", None)]


def test_a_wide_table_is_read_whole(tmp_path):
    names = [f"c{i}" for i in range(300)]
    put(tmp_path, "a.csv", "\n".join([",".join(names), *(",".join(["1.5"] * 300) for _ in range(20)), "1,2"]))
    found, aside, _ = kept(tmp_path, "a.csv")
    assert found.shape == (20, 300)
    assert set(found.dtypes) == {pl.Float64}
    assert [(line, reason) for _, line, reason, _ in aside] == [(22, "2 fields where the first line has 300")]


def test_a_header_without_rows_and_what_is_no_file(tmp_path):
    put(tmp_path, "a.csv", "a,b\n")
    assert reading_of(tmp_path, "a.csv")[0].shape == (0, 2)
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceUnreadable, match="folder is a folder; expected a file") as caught:
        kept(tmp_path, "folder")
    assert caught.value.hint == "file: folder/*.parquet"
    with pytest.raises(SourceUnreachable, match="is not there"):
        kept(tmp_path, "b.csv")


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet", "a.xlsx"])
def test_a_file_that_may_not_be_read_is_never_kept_aside(tmp_path, name):
    put(tmp_path, name, "x")
    (tmp_path / name).chmod(0)
    with pytest.raises(SourceUnreachable, match="may not be read"):
        kept(tmp_path, name)


def test_a_file_that_may_not_be_read_is_unreachable(tmp_path, monkeypatch):
    put(tmp_path, "a.csv", GOOD)
    opens = Path.open

    def refusing(path, *arguments, **options):
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return opens(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(SourceUnreachable, match=r"a\.csv may not be read"):
        kept(tmp_path, "a.csv")


def snapshot_of(folder, **spec):
    data = DataSpec.model_validate({"sources": {"loans": {"file": "*.csv", **spec}}})
    out = folder / "out"
    out.mkdir()
    return take_snapshot(data, None, out, START, Surroundings(folder=folder, clock=SimulatedClock(START)))


def test_a_snapshot_keeps_bad_rows_beside_it_and_a_run_tells_them(tmp_path):
    put(tmp_path, "a.csv", "a,b\n" + "1,x\n" * 300 + "2\n3,y\n")
    put(tmp_path, "b.csv", "a,b\n1,x,y\n")
    taken = snapshot_of(tmp_path, bad_rows="quarantine")
    assert taken.rows == 301
    aside = pl.read_parquet(taken.folder / BAD_ROWS_FILE)
    assert aside.columns == ["source", "file", "line", "reason", "text", "unit"]
    assert aside.select("source", "line", "text").rows() == [("loans", 302, "2"), ("loans", 2, "1,x,y")]
    assert taken.bad_rows["loans"]["rows"] == 2
    assert type(taken).load(taken.folder) == taken
    line = result_line("snapshot", json.loads(json.dumps(taken.to_dict())))
    assert "2 bad rows of loans kept aside in bad-rows.parquet (a.csv, line 302: 1 fields" in line


def test_the_step_refuses_by_default_and_keeps_aside_when_asked(tmp_path):
    put(tmp_path, "a.csv", "a,b\n" + "1,x\n" * 300 + "2\n")
    given_ = {"problem": {"target": "b"}, "as_of": "2013-03-01T00:00:00Z"}
    given_["sources"] = {}
    for rule, rows in (("refuse", None), ("quarantine", 300)):
        data = {"sources": {"loans": {"file": "a.csv", "bad_rows": rule}}}
        (tmp_path / rule).mkdir()
        if rows is None:
            with pytest.raises(SourceUnreadable, match=r"a\.csv, line 302"):
                snapshot_step(tmp_path / rule, {"data": data, **given_}, {}, home=tmp_path)
            continue
        assert snapshot_step(tmp_path / rule, {"data": data, **given_}, {}, home=tmp_path)["rows"] == rows
        assert (tmp_path / rule / BAD_ROWS_FILE).is_file()


# Laws.

NAMES = st.lists(
    st.text("abcdefgXYZ_ é", min_size=1, max_size=6), min_size=1, max_size=4, unique_by=str.lower
)
TEXT = st.text(st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_good_rows_are_kept_whatever_stands_between_them(tmp_path_factory, data):
    """A file with broken lines put between its rows gives its rows, and the broken lines by number."""
    width = data.draw(st.integers(2, 4))
    words = st.text("abc xyzé", min_size=1, max_size=5).map(lambda text: f"t{text}")
    rows = data.draw(st.lists(st.tuples(*[words] * width), min_size=1, max_size=12))
    wrong = st.sampled_from(["1", ",".join("x" * (width + 1)), "t\0", "tail,\udcff"])
    lines, bad = [",".join(f"c{i}" for i in range(width))], []
    for row in rows:
        if data.draw(st.booleans()):
            lines.append(data.draw(wrong))
            bad.append(len(lines))
        lines.append(",".join(row))
    folder = tmp_path_factory.mktemp("law")
    put(folder, "a.csv", ("\n".join(lines) + "\n").encode("utf-8", errors="surrogateescape"))
    found, aside, _ = kept(folder, "a.csv", share=1.0)
    assert found.rows() == rows
    assert [line for _, line, _, _ in aside] == bad


def as_found(values):
    """What a file gives back of texts: words that mean missing are missing."""
    return [
        None if value in ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null") else value
        for value in values
    ]


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 12))
    moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda d: d.replace(microsecond=0))  # noqa: DTZ001
    kinds = {
        "integer": (st.integers(-(2**53), 2**53), pl.Int64),
        "number": (st.floats(-1e12, 1e12).map(lambda x: x + 0.5 if x == int(x) else x), pl.Float64),
        "flag": (st.booleans(), pl.Boolean),
        "moment": (moments, pl.Datetime("us")),
        "text": (TEXT.map(lambda text: f"t{text}"), pl.String),
    }
    columns = {
        "key": pl.Series(range(rows), dtype=pl.Int64)
    }  # no row is empty: Excel has no such row at its end
    for position in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(sorted(kinds)))
        values, dtype = kinds[kind]
        column = draw(st.lists(st.one_of(st.none(), values), min_size=rows, max_size=rows))
        column[0] = draw(values)  # a column without any value has no type in a text
        columns[f"{kind}_{position}"] = pl.Series(column, dtype=dtype)
    return pl.DataFrame(columns)


def write_csv(table, path):
    table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.6f")


def write_packed(table, path):
    with pa.output_stream(str(path), compression="zstd") as file:
        file.write(table.write_csv(datetime_format="%Y-%m-%d %H:%M:%S%.6f").encode())


def write_json(table, path):
    moments = pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    table.with_columns(moments).write_ndjson(path)


WRITERS = {
    "a.csv": write_csv,
    "a.csv.zst": write_packed,
    "a.jsonl": write_json,
    "a.parquet": lambda table, path: table.write_parquet(path),
    "a.xlsx": lambda table, path: table.write_excel(path),
}


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25, deadline=None)
@given(table=tables())
def test_a_table_comes_back_from_each_format(tmp_path_factory, name, table):
    folder = tmp_path_factory.mktemp("trip")
    WRITERS[name](table, folder / name)
    found, aside, notes = reading_of(folder, name)
    assert (aside, notes) == ([], ())
    assert found.columns == table.columns
    for column in table.columns:
        wanted = table[column].to_list()
        given_ = found[column].to_list()
        if column.startswith("moment"):
            given_ = [moment and moment.replace(tzinfo=None) for moment in given_]
        if column.startswith("number"):
            wanted = [value and pytest.approx(value, rel=1e-15) for value in wanted]
        assert given_ == wanted
