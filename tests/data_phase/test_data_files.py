"""Files of every kind and logs: the conformance suite for each, and what each alone must do."""

from __future__ import annotations

import gzip
import uuid
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import fsspec
import polars as pl
import pyarrow as pa
import pytest
import xlsxwriter

from everloop.core.clock import SimulatedClock
from everloop.core.errors import MissingExtra, SourceUnreachable, SourceUnreadable, SpecFault
from everloop.data.sources import DigestMemo, Surroundings, open_source
from everloop.data.taking import take_snapshot
from everloop.spec import DataSpec, FileSource, LogSource
from everloop.testing.source_suite import SourceSuite, example_table

NOW = datetime(2013, 6, 15, 12, tzinfo=UTC)


def csv_of(table):
    return table.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ").encode()


class TestZstd(SourceSuite):
    kind = "file"

    def offer(self, table, folder):
        with pa.output_stream(str(folder / "rows.csv.zst"), compression="zstd") as file:
            file.write(csv_of(table))
        return FileSource(file="rows.csv.zst")

    def withdraw(self, folder):
        (folder / "rows.csv.zst").unlink()


class TestUtf16(SourceSuite):
    kind = "file"

    def offer(self, table, folder):
        (folder / "rows.csv").write_bytes(csv_of(table).decode().encode("utf-16"))
        return FileSource(file="rows.csv")

    def withdraw(self, folder):
        (folder / "rows.csv").unlink()


class TestExcel(SourceSuite):
    kind = "file"
    loose: ClassVar = {"amount": "XlsxWriter writes 16 digits"}

    def offer(self, table, folder):
        with xlsxwriter.Workbook(folder / "rows.xlsx") as book:
            book.set_properties({"created": NOW.replace(tzinfo=None)})  # else the second of writing
            table.with_columns(pl.col("at").dt.replace_time_zone(None)).write_excel(book)
        return FileSource(file="rows.xlsx")

    def withdraw(self, folder):
        (folder / "rows.xlsx").unlink()


class TestMemoryUrl(SourceSuite):
    kind = "file"

    def offer(self, table, folder):
        half = table.height // 2
        for name, part in (("a", table[:half]), ("b", table[half:])):
            with fsspec.open(f"memory://{folder.name}/rows-{name}.csv.gz", "wb") as file:
                # Without it the header holds the second of writing, and equal rows are other bytes.
                file.write(gzip.compress(csv_of(part), mtime=0))
        return FileSource(file=f"memory://{folder.name}/rows-*.csv.gz")

    def withdraw(self, folder):
        fsspec.filesystem("memory").rm(f"/{folder.name}", recursive=True)


class TestLog(SourceSuite):
    kind = "log"
    loose: ClassVar = {"note": "a line of a log has no line breaks, and its end no blanks"}

    def offer(self, table, folder):
        lines = [
            f"{row['id']}|{row['amount'] if row['amount'] is not None else '-'}|"
            f"{(row['note'] or '-').replace(chr(10), ' ')}|{str(row['paid']).replace('None', '-')}|"
            f"{row['at']:%d/%b/%Y:%H:%M:%S +0000}\n"
            for row in table.iter_rows(named=True)
        ]
        (folder / "rows.log").write_text("".join(lines))
        pattern = r"(?P<id>[^|]*)\|(?P<amount>[^|]*)\|(?P<note>[^|]*)\|(?P<paid>[^|]*)\|(?P<at>[^|]*)"
        return LogSource(log="rows*.log", pattern=pattern)

    def withdraw(self, folder):
        (folder / "rows.log").unlink()

    def test_a_table_without_rows_has_its_columns(self, tmp_path):
        (tmp_path / "rows.log").write_text("\n")
        spec = self.offer(example_table(0), tmp_path)
        assert self.rows(self.reopen(spec, tmp_path), tmp_path / "scratch").columns == example_table().columns


# Excel.


def read(folder, spec, *, as_of=None, memo=None):
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir()
    around = Surroundings(folder=folder, clock=SimulatedClock(NOW), memo=memo or DigestMemo(), as_of=as_of)
    kind = "log" if isinstance(spec, LogSource) else "file"
    reading = open_source(kind, spec, around).read(scratch)
    bad = pl.read_parquet(reading.bad_rows).drop("unit").rows() if reading.bad_rows else []
    return pl.concat([pl.read_parquet(file) for file in reading.files]), bad, reading


def workbook(path, **sheets):
    import xlsxwriter

    with xlsxwriter.Workbook(str(path)) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for position, row in enumerate(rows):
                sheet.write_row(position, 0, row)


def test_a_sheet_by_its_name(tmp_path):
    workbook(tmp_path / "a.xlsx", one=[["a"], [1]], two=[["b", "c"], ["x", 2.5], ["NA", 3]])
    assert read(tmp_path, FileSource(file="a.xlsx"))[0].rows() == [(1,)]
    assert read(tmp_path, FileSource(file="a.xlsx", sheet="two"))[0].rows() == [("x", 2.5), (None, 3.0)]
    with pytest.raises(SourceUnreadable, match=r"has no sheet three; it has one, two"):
        read(tmp_path, FileSource(file="a.xlsx", sheet="three"))


def test_odd_cells_and_broken_workbooks(tmp_path):
    workbook(tmp_path / "a.xlsx", one=[["a", "b"], *[[i, "x"] for i in range(20)], ["none", "y"]])
    found, _, reading = read(tmp_path, FileSource(file="a.xlsx"))
    assert (found["a"].dtype, found.height) == (pl.String, 21)
    assert "1 of 21 values are no whole number" in reading.notes[0]
    assert "line 22: 'none'" in reading.notes[0]
    (tmp_path / "b.xlsx").write_bytes(b"PK but no workbook")
    spec = FileSource(file="*.xlsx", bad_rows="quarantine", most_bad_rows=0.6)
    found, bad, _ = read(tmp_path, spec)
    assert (found["a"].dtype, found.height) == (pl.Int64, 20)
    assert [(line, text) for _, line, _, text in bad] == [(None, None), (22, "none, y")]
    with pytest.raises(SourceUnreadable, match=r"b\.xlsx is not a readable Excel workbook"):
        read(tmp_path, FileSource(file="*.xlsx"))


# URLs.


def test_what_is_wrong_with_a_url(tmp_path):
    with pytest.raises(SourceUnreachable, match="No file matches memory://nowhere"):
        read(tmp_path, FileSource(file="memory://nowhere/*.csv"))
    with pytest.raises(SourceUnreachable, match="is not there"):
        read(tmp_path, FileSource(file="memory://nowhere/a.csv"))
    fsspec.filesystem("memory").pipe_file("/place/a.csv", b"a\n1\n")
    with pytest.raises(SourceUnreadable, match="is a folder"):
        read(tmp_path, FileSource(file="memory://place"))
    with pytest.raises(SpecFault, match="cannot be reached: Protocol not known"):
        read(tmp_path, FileSource(file="nosuch://place/a.csv"))


def test_a_store_without_its_package_names_the_extra(tmp_path, monkeypatch):
    def missing(url, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtra, match="Install s3fs") as caught:
        read(tmp_path, FileSource(file="s3://bucket/a.csv"))
    assert caught.value.hint == "pip install 'everloop[s3]'"


def test_secrets_of_a_store_are_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("STORE_SECRET", "geheim-1")

    def failing(url, **options):
        assert options == {"secret": "geheim-1", "anon": False}
        raise ConnectionError(f"refused {options['secret']}")

    monkeypatch.setattr(fsspec.core, "url_to_fs", failing)
    spec = FileSource(file="s3://bucket/a.csv", options={"secret": "env:STORE_SECRET", "anon": "false"})
    with pytest.raises(SourceUnreachable, match=r"refused \*\*\*. Tried 4 times") as caught:
        read(tmp_path, spec)
    assert "geheim" not in f"{caught.value} {caught.value.__cause__} {spec!r}"


def test_an_object_that_its_store_says_is_the_same_is_not_read_again(tmp_path, monkeypatch):
    store = fsspec.filesystem("memory")
    store.pipe_file("/known/a.csv", b"a\n1\n")
    described = type(store).info

    def info(self, path, **options):
        return {**described(self, path, **options), "ETag": "1"}

    monkeypatch.setattr(type(store), "info", info)
    memo = DigestMemo()
    source = open_source("file", FileSource(file="memory://known/a.csv"), Surroundings(memo=memo))
    first = source.fingerprint()
    monkeypatch.setattr(type(store), "open", None)
    assert source.fingerprint() == first


# Logs.

COMBINED = """\
127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"
::1 - - [10/Oct/2000:13:55:37 -0700] "POST /a\\"b HTTP/1.1" 404 -
10.0.0.9 - - [10/Oct/2000:13:55:38 -0700] "\\x16\\x03\\x01" 400 226 "-" "-"
no line of such a log
10.0.0.9 - - [10/Oct/2000:20:55:39 +0000] "-" 408 0 "-" "-"
"""


def test_combined_logs(tmp_path):
    (tmp_path / "access-1.log").write_text(COMBINED)
    found, bad, _ = read(tmp_path, LogSource(log="access-*.log", most_bad_rows=0.2))
    rows = found.select(
        "host", "user", "time", "method", "path", "request", "status", "bytes", "agent"
    ).rows()
    start = datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC)
    second = timedelta(seconds=1)
    assert rows == [
        (
            "127.0.0.1",
            "frank",
            start,
            "GET",
            "/apache_pb.gif",
            None,
            200,
            2326,
            "Mozilla/4.08 [en] (Win98; I ;Nav)",
        ),
        ("::1", None, start + second, "POST", '/a\\"b', None, 404, None, None),
        ("10.0.0.9", None, start + 2 * second, None, None, "\\x16\\x03\\x01", 400, 226, None),
        ("10.0.0.9", None, start + 3 * second, None, None, None, 408, 0, None),
    ]
    assert bad == [
        (str(tmp_path / "access-1.log"), 4, "it does not match the pattern combined", "no line of such a log")
    ]
    with pytest.raises(SourceUnreadable, match=r"1 of 5 rows cannot be read, more than 0\.01"):
        read(tmp_path, LogSource(log="access-*.log"))
    with pytest.raises(SourceUnreadable, match=r"access-1\.log, line 4: it does not match"):
        read(tmp_path, LogSource(log="access-*.log", bad_rows="refuse"))


SYSLOG = """\
<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed
<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - [a b="c"][d] with data
<34>Oct 11 22:14:15 mymachine su: 'su root' failed
Feb  5 17:32:18 10.0.0.99 sshd[77]: Accepted
2013-06-01T01:02:03+02:00 host cron[5]: done
Feb 29 01:00:00 leap
"""


def test_syslog_of_both_kinds_and_times_without_a_year(tmp_path):
    (tmp_path / "a.log").write_text(SYSLOG)
    found, bad, _ = read(tmp_path, LogSource(log="a.log", pattern="syslog", most_bad_rows=0.5))
    assert [moment.isoformat() for moment in found["time"]] == [
        "2003-10-11T22:14:15.003000+00:00",
        "2003-08-24T12:14:15.000003+00:00",
        "2012-10-11T22:14:15+00:00",  # in 2013 it would be after now
        "2013-02-05T17:32:18+00:00",
        "2013-05-31T23:02:03+00:00",
    ]
    assert found["app"].to_list() == ["su", "myproc", "su", "sshd", "cron"]
    assert found["process"].to_list() == [None, 8710, None, 77, 5]
    assert found["priority"].to_list() == [34, 165, 34, None, None]
    assert found["message"].to_list()[:3] == ["'su root' failed", "with data", "'su root' failed"]
    assert [line for _, line, *_ in bad] == [6]
    leap = "Feb 29 01:00:00 leap cron: x\n"
    (tmp_path / "b.log").write_text(leap)
    assert read(tmp_path, LogSource(log="b.log", pattern="syslog"))[0]["time"][0].year == 2012


def test_times_of_other_logs(tmp_path):
    lines = ["2013-06-01 10:00:00,250 a", "2013/06/01 10:00:00 b", "Sat Jun 01 10:00:00.5 2013 c", "- d"]
    (tmp_path / "a.log").write_text("\n".join(lines))
    found, _, _ = read(tmp_path, LogSource(log="a.log", pattern=r"(?P<when>.*) (?P<what>\w)"))
    start = datetime(2013, 6, 1, 10, tzinfo=UTC)
    assert found["when"].to_list() == [
        start + timedelta(milliseconds=250), start, start + timedelta(milliseconds=500), None,
    ]  # fmt: skip


def lines_at(*moments):
    return "".join(f"{moment:%Y-%m-%dT%H:%M:%SZ} x\n" for moment in moments)


def test_within_is_by_the_snapshots_time(tmp_path):
    (tmp_path / "a.log").write_text(
        lines_at(NOW - timedelta(days=3), NOW - timedelta(hours=25), NOW - timedelta(hours=23), NOW)
        + "someday y\n"
    )
    spec = LogSource(log="a.log", pattern=r"(?P<time>\S+) (?P<what>\w)", within="1d", most_bad_rows=0.3)
    found, bad, reading = read(tmp_path, spec)
    assert found.height == 2
    assert [(line, reason) for _, line, reason, _ in bad] == [(5, "time is no time: 'someday'")]
    earlier, _, first = read(tmp_path, spec, as_of=NOW - timedelta(days=1))
    assert earlier.height == 3
    assert first.fingerprint != reading.fingerprint
    around = Surroundings(folder=tmp_path, clock=SimulatedClock(NOW + timedelta(minutes=1)))
    assert open_source("log", spec, around).fingerprint() == reading.fingerprint  # no line crossed the edge
    with pytest.raises(SpecFault, match="the pattern has no group time"):
        read(tmp_path, LogSource(log="a.log", pattern=r"(?P<when>\S+) (?P<what>\w)", within="1d"))
    named = LogSource(log="a.log", pattern=r"(?P<when>\S+) \w", within="1d", time="when", most_bad_rows=0.3)
    assert read(tmp_path, named)[0].height == 2


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("combind", "neither combined, syslog nor", "did you mean combined?"),
        (r"\S+ (\w+)", "with named groups", None),
        (r"(?P<a>", "no regular expression", None),
    ],
)
def test_patterns_that_are_none(tmp_path, pattern, message, hint):
    (tmp_path / "a.log").write_text("x\n")
    with pytest.raises(SpecFault, match=message) as caught:
        read(tmp_path, LogSource(log="a.log", pattern=pattern))
    assert hint is None or caught.value.hint == hint


def test_numbers_of_logs_that_change_are_named(tmp_path):
    (tmp_path / "a.log").write_text("".join(f"{i} x\n" for i in range(60)) + "n/a x\n")
    spec = LogSource(log="a.log", pattern=r"(?P<n>\S+) (?P<x>\S+)", most_bad_rows=0.05)
    found, bad, _ = read(tmp_path, spec)
    assert found["n"].dtype == pl.Int64
    assert [(line, reason, text) for _, line, reason, text in bad] == [
        (61, "n is no whole number: n/a", "n/a x")
    ]


def test_a_log_is_a_source_of_a_snapshot(tmp_path):
    (tmp_path / "a.log").write_text(lines_at(NOW - timedelta(hours=2), NOW - timedelta(hours=1)) + "no\n")
    out = tmp_path / "out"
    out.mkdir()
    source = {
        "log": "*.log",
        "pattern": r"(?P<time>\S+) (?P<what>x)",
        "within": "90m",
        "most_bad_rows": "50%",
    }
    data = DataSpec.model_validate({"sources": {"web": source}})
    taken = take_snapshot(data, None, out, NOW, Surroundings(folder=tmp_path))
    assert (taken.rows, taken.bad_rows["web"]["rows"]) == (1, 1)
