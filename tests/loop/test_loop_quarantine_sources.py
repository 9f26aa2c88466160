"""A corrupted file, or increment, is kept out of training until a person releases it; no time is needed."""

import json
import sqlite3

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.data.snapshots import Snapshot
from everloop.data.steps import snapshot_settings
from everloop.loop.quarantine import kept_out, release_part
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.spec import load

FILE = """
name: parts
goal: {today: {always: "no"}}
problem: {target: bad, positive: "yes"}
data: {sources: {rows: %s}}
model: {learners: [linear], budget: {trials: 1}}
"""
FORMS = {"csv": "write_csv", "parquet": "write_parquet", "jsonl": "write_ndjson"}


def part(number, rows=80):
    random = np.random.default_rng(number)
    a = random.normal(size=rows)
    bad = random.random(rows) < 1 / (1 + np.exp(-2 * a))
    return pl.DataFrame(
        {
            "nr": np.arange(rows) + number * rows,
            "a": a,
            "site": random.choice(["north", "south"], rows),
            "bad": np.where(bad, "yes", "no"),
        }
    )


DAMAGES = {
    "distribution": lambda rows: rows.with_columns(pl.col("a") * 1000),
    "missing": lambda rows: rows.with_columns(pl.when(pl.col("nr") % 2 == 0).then(pl.col("a")).alias("a")),
    "volume": lambda rows: pl.concat([rows] * 6),
    "values": lambda rows: rows.with_columns(site=pl.lit("SOUTH")),
}


def files(folder, form, damage):
    (folder / "in").mkdir()
    for number in range(16):
        rows = DAMAGES[damage](part(number)) if number == 14 else part(number)
        getattr(rows, FORMS[form])(folder / "in" / f"week-{number:02}.{form}")
    (folder / "everloop.yaml").write_text(FILE % f"{{file: in/week-*.{form}}}")


@pytest.mark.parametrize(
    ("form", "damage"),
    [("csv", "distribution"), ("parquet", "missing"), ("jsonl", "volume"), ("csv", "values")],
)
def test_a_corrupted_file_is_kept_out(tmp_path, form, damage):
    files(tmp_path, form, damage)
    name = f"rows:week-14.{form}"
    with Workspace.open(load(tmp_path)) as workspace:
        result = run_once(workspace, until="problem")
        facts = result.steps["quarantine"].facts
        assert (facts["span"], facts["parts"], facts["judged"]) == (None, 16, 4)
        (found,) = facts["quarantined"]
        assert found["part"] == name
        snapshot = Snapshot.load(workspace.store.open(result.steps["quarantine"].key), verify=True)
        whole = pl.concat([part(n) for n in range(16) if n != 14])
        assert snapshot.table().sort("nr")["nr"].to_list() == whole["nr"].to_list()
        out = pl.read_parquet(snapshot.folder / "quarantined-0.parquet")
        assert out["nr"].unique().sort().to_list() == part(14)["nr"].to_list()
        assert [one.part for one in kept_out(workspace)] == [name]
        assert run_once(workspace, until="problem").executed == []
        release_part(workspace, name, by="ann")
        freed = run_once(workspace, until="problem")
        assert freed.steps["quarantine"].facts["released"] == [name]
        assert freed.steps["contract"].facts["report"]["rows"] == sum(
            pl.scan_csv(path).collect().height if form == "csv" else 80
            for path in (tmp_path / "in").iterdir()
        ) + (400 if damage == "volume" else 0)


def test_files_that_are_alike_pass_whole(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(40):
        part(number).write_csv(tmp_path / "in" / f"{number:02}.csv")
    (tmp_path / "everloop.yaml").write_text(FILE % "{file: 'in/*.csv'}")
    with Workspace.open(load(tmp_path)) as workspace:
        facts = run_once(workspace, until="problem").steps["quarantine"].facts
        assert (facts["parts"], facts["judged"], facts["quarantined"]) == (40, 28, [])


def test_a_corrupted_increment_is_kept_out_through_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = "{sql: select * from loans, url: 'sqlite:///loans.db', cursor: nr}"
    (tmp_path / "everloop.yaml").write_text(FILE % source)
    address = f"sqlite:///{tmp_path}/loans.db"
    for number in range(15):
        rows = DAMAGES["distribution"](part(number)) if number == 14 else part(number, 60 + 40 * (number % 2))
        rows = rows.with_columns(nr=pl.int_range(pl.len()) + number * 1000)
        write(address, rows)
        if number < 14:
            with Workspace.open(load(tmp_path)) as workspace:  # what a run reads is kept as an increment
                snapshot_settings(workspace.spec, workspace.clock.now(), kept=workspace.kept_folder)
    assert main(["run", "--until", "data", "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)["steps"]["quarantine"]["facts"]
    assert [one["part"] for one in judged["quarantined"]] == ["rows:15"]
    assert main(["data", "quarantine", "list"]) == 0
    assert "rows:15  kept out" in capsys.readouterr().out
    assert main(["data", "quarantine", "release", "rows:15", "--reason", "a new unit"]) == 0
    assert main(["run", "--until", "data", "--json"]) in {0, 1}
    assert main(["data", "quarantine", "list"]) == 0
    assert "released" in capsys.readouterr().out


def write(address, rows):
    with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
        database.execute("create table if not exists loans (nr integer, a real, site text, bad text)")
        database.executemany("insert into loans values (?, ?, ?, ?)", rows.rows())
    database.close()
