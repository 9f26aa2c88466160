"""Bad input as a user meets it: an empty folder, a file and `everloop run`."""

from __future__ import annotations

import gzip
import json
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import polars as pl
import pytest

from everloop.data.sources import trying

FILE = """\
name: odd
goal: {on_stop: continue}
problem: {target: bad}
data: {sources: {rows: {%s}}}
model: {learners: [linear], budget: {trials: 1}}
"""
NAMES = ["nr", "amount", "side", "bad"]


def rows(count: int = 200, seed: int = 0) -> list[tuple[int, float, str, str]]:
    chance = random.Random(seed)
    drawn = [(n, round(chance.gauss(0, 1), 4), chance.choice("NSEW")) for n in range(count)]
    return [(n, a, side, "yes" if a + chance.gauss(0, 1) > 0 else "no") for n, a, side in drawn]


def lines(count: int = 200) -> list[str]:
    return [",".join(NAMES), *(",".join(map(str, row)) for row in rows(count))]


def write(name: str, text: list[str], encoding: str = "utf-8") -> None:
    Path(name).write_bytes(("\n".join(text) + "\n").encode(encoding))


@pytest.fixture
def run(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def called(source: str, *words: str) -> Any:
        Path("everloop.yaml").write_text(FILE % source)
        return cli("run", "--until", "data", *words)

    return called


def width() -> str:
    text = lines()
    text[50] += ",more"
    text[90] = "77"
    write("a.csv", text)
    return "a.csv, line 51: 5 fields where the first line has 4"


def encoding() -> str:
    text = lines()
    text[40] = text[40].replace(",", ",é", 2)
    write("a.csv", text, "latin-1")
    return "a.csv, line 41: not UTF-8 text"


def null_byte() -> str:
    text = lines()
    text[40] = text[40][:3] + "\0" + text[40][3:]
    write("a.csv", text)
    return "a.csv, line 41: it holds a NUL byte"


@pytest.mark.parametrize(("broken", "lost"), [(width, 2), (encoding, 1), (null_byte, 1)])
def test_a_bad_row_is_named_and_nothing_else_is_lost(run, broken, lost) -> None:
    named = broken()
    refused = run("file: a.csv")
    assert refused.status == 3
    assert named in refused.err
    assert "bad_rows: quarantine" in refused.err or "encoding: latin-1" in refused.err
    kept = run("file: a.csv, bad_rows: quarantine", "--json")
    assert kept.status == 0, kept.err
    taken = kept.facts["steps"]["snapshot"]["facts"]
    assert (taken["rows"], taken["bad_rows"]["rows"]["rows"]) == (200 - lost, lost)
    if broken is encoding:
        assert (
            run("file: a.csv, encoding: latin-1", "--json").facts["steps"]["snapshot"]["facts"]["rows"] == 200
        )


def test_a_truncated_parquet_file_is_named_and_the_others_are_read(run) -> None:
    for place in range(3):
        pl.DataFrame(rows(200, place), schema=NAMES, orient="row").write_parquet(f"p{place}.parquet")
    Path("p1.parquet").write_bytes(Path("p1.parquet").read_bytes()[:-200])
    refused = run('file: "p*.parquet"')
    assert refused.status == 3
    assert "p1.parquet is not a whole Parquet file" in refused.err
    kept = run('file: "p*.parquet", bad_rows: quarantine, most_bad_rows: 0.5')
    assert kept.status == 0
    assert "400 rows, 4 columns; 1 file of rows kept aside" in kept.out
    assert "p1.parquet is not a whole Parquet file" in kept.out


@pytest.mark.slow
def test_a_wide_table_goes_through(run) -> None:
    chance = random.Random(0)
    wide = {f"c{place}": [chance.gauss(0, 1) for _ in range(150)] for place in range(299)}
    pl.DataFrame(wide | {"bad": [chance.choice(["yes", "no"]) for _ in range(150)]}).write_csv("wide.csv")
    facts = run("file: wide.csv", "--json").facts["steps"]
    assert len(facts["snapshot"]["facts"]["schema"]["columns"]) == 300
    assert len(facts["dataset"]["facts"]["split"]["inputs"]) == 299


def test_a_column_that_is_known_of_two_rows_goes_through(run) -> None:
    rare = pl.Series("rare", [1.5 if place in {5, 350} else None for place in range(400)])
    pl.DataFrame(rows(400), schema=NAMES, orient="row").with_columns(rare).write_csv("a.csv")
    said = run("file: a.csv")
    assert said.status == 0, said.err


@pytest.mark.parametrize("turn", [60, 340])
@pytest.mark.parametrize("text_first", [False, True])
def test_a_column_that_changes_its_type_is_told_with_its_line(run, turn, text_first) -> None:
    text = lines(400)
    for place in range(1, 401):
        if (place < turn) == text_first:
            text[place] = text[place].replace(",", ",about ", 1)
    write("a.csv", text)
    said = run("file: a.csv")
    assert said.status == 0
    assert "400 rows, 4 columns; rows: amount " in said.out
    mostly = (turn - 1 if not text_first else 401 - turn) >= 200
    if mostly:
        assert f"line {2 if text_first else turn + 1}: 'about " in said.out
    else:
        assert f"amount changes its type in {Path.cwd() / 'a.csv'}, line {turn + 1}: " in said.out


@pytest.mark.slow
def test_a_value_of_another_type_late_in_a_large_packed_file_is_kept_aside_alone(run) -> None:
    text = lines(101_000)
    text[100_500] = text[100_500].replace(",", ",about ", 1)
    Path("a.csv.gz").write_bytes(gzip.compress("\n".join(text).encode(), 1))
    said = run("file: a.csv.gz, bad_rows: quarantine", "--json")
    assert said.status == 0, said.err
    facts = said.facts["steps"]["snapshot"]["facts"]
    kinds = {column["name"]: column["type"] for column in facts["schema"]["columns"]}
    assert (facts["rows"], kinds["amount"]) == (100_999, "number")
    (kept,) = Path(".everloop").rglob("bad-rows.parquet")
    assert pl.read_parquet(kept)["line"].to_list() == [100_501]


def test_times_in_three_formats_and_two_zones_are_read(run) -> None:
    forms = ["%Y-%m-%dT%H:%M:%S+02:00", "%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M:%SZ"]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + timedelta(hours=7 * place) for place in range(400)]
    texts = [moment.strftime(forms[place % 3]) for place, moment in enumerate(times)]
    pl.DataFrame(rows(400), schema=NAMES, orient="row").with_columns(at=pl.Series(texts)).write_csv("a.csv")
    said = run("file: a.csv", "--json")
    assert said.status == 0, said.err
    steps = said.facts["steps"]
    assert "line 3: '01/01/2024 07:00'" in steps["snapshot"]["facts"]["notes"][0]
    (read,) = [one for one in steps["dataset"]["facts"]["cleaning"] if one["step"] == "type"]
    assert read["column"] == "at"
    assert read["detail"].startswith("text read as a time like ")
    assert "none" not in read["detail"]
    trained = pl.concat(
        pl.read_parquet(path) for path in Path(".everloop").rglob("*.parquet")
        if path.stem in {"train", "validation", "test"}
    )  # fmt: skip
    expected = {
        place: moment
        - timedelta(hours=2 if place % 3 == 0 else 0, seconds=moment.second if place % 3 == 1 else 0)
        for place, moment in enumerate(times)
    }
    assert dict(trained.select("nr", "at_clean").rows()) == expected


class Api:
    """An API that fails in a way before it answers; or for ever."""

    def __init__(self, failure: str, times: float) -> None:
        self.asked = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                api.asked += 1
                fails = api.asked <= times
                if fails and failure == "never":
                    api.closing.wait(30)
                    return
                status = int(failure) if fails else 200
                body = (
                    b"{}"
                    if fails
                    else json.dumps([dict(zip(NAMES, row, strict=True)) for row in rows()]).encode()
                )
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.closing = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/rows"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.mark.parametrize("failure", ["429", "500", "never"])
def test_an_api_that_fails_is_asked_again_and_then_named(run, monkeypatch, failure) -> None:
    monkeypatch.setattr(trying, "FIRST_PAUSE_SECONDS", 0.01)
    with Api(failure, times=2) as api:
        said = run(f"http: '{api.url}', timeout: 1s")
        assert said.status == 0, said.err
        assert "200 rows, 4 columns" in said.out
        assert said.err.count("Trying again") + said.out.count("Trying again") == 2
        assert api.asked == 3
    start = time.perf_counter()
    with Api(failure, times=float("inf")) as api:
        said = run(f"http: '{api.url}', timeout: 0.2s")
        assert said.status == 3
        assert api.url in said.err
        assert "Tried 4 times" in said.err
        assert api.asked == 4
    assert time.perf_counter() - start < 20
