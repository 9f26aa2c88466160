"""Batch scoring: every format in and out, whole or not at all, and on from where it was stopped."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.core.errors import DataFault, SourceUnreadable, UsageFault
from everloop.loop.scoring import FileRows, score_rows
from everloop.loop.scoring.kept import kept_beside

READ = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
}


KILLS = 3


class Stopped(Exception):
    """Stands for whatever ends a process."""


def stop_at(event_number, seen=None):
    seen = [] if seen is None else seen

    def progress(event):
        seen.append(event)
        if len([one for one in seen if one.kind == "progress"]) == event_number:
            raise Stopped

    return progress


def expected(package, asked):
    scores = package.scores(asked)[:, 0]
    prediction = np.where(scores >= package.manifest.threshold, "yes", "no")
    return asked.with_columns(pl.Series("prediction", prediction), pl.Series("score", scores))


def same(found, wanted):
    assert found.columns == wanted.columns
    assert found["id"].to_list() == wanted["id"].to_list(), "a row was lost, doubled or moved"
    assert found["prediction"].to_list() == wanted["prediction"].to_list()
    np.testing.assert_allclose(found["score"].to_numpy(), wanted["score"].to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("source", ["rows.parquet", "rows.csv", "rows.jsonl", "row*.parquet"])
@pytest.mark.parametrize("ending", list(READ))
def test_every_format_in_and_out(package, asked, home, source, ending):
    output = home / f"scored{ending}"
    assert score_rows(package, FileRows(home / source), output, part_rows=900) == asked.height
    same(READ[ending](output), expected(package, asked))
    assert not list(home.glob(".*")), "nothing is left beside the output"


@pytest.mark.parametrize("source", ["rows.parquet", "rows.csv"])
def test_what_was_scored_before_it_stopped_is_not_scored_again(package, asked, home, source, monkeypatch):
    output = home / "scored.parquet"
    for at in (1, 3, 2):  # each goes on where the one before ended
        with pytest.raises(Stopped):
            score_rows(package, FileRows(home / source), output, part_rows=500, progress=stop_at(at))
        assert not output.exists()
    scored = []
    given = type(package).scores
    monkeypatch.setattr(
        type(package), "scores", lambda own, part: scored.append(len(part)) or given(own, part)
    )
    told = []
    score_rows(package, FileRows(home / source), output, part_rows=500, progress=told.append)
    monkeypatch.undo()
    assert sum(scored) <= asked.height - 3 * 500
    assert "goes on where it was stopped" in told[0].message
    same(pl.read_parquet(output), expected(package, asked))
    assert not list(home.glob(".*"))


def test_other_rows_another_package_and_fresh_begin_anew(package, asked, home):
    output = home / "scored.csv"

    def stopped(**more):
        told = []
        with pytest.raises(Stopped):
            score_rows(
                package,
                FileRows(home / "rows.parquet"),
                output,
                part_rows=500,
                progress=stop_at(2, told),
                **more,
            )
        return any(event.kind == "notice" for event in told)

    assert not stopped()
    assert stopped()
    assert not stopped(fresh=True)
    fewer = asked.head(1_200).with_columns(pl.col("amount") * 2)
    fewer.write_parquet(home / "rows.parquet")
    assert not stopped(), "the file is another one"
    score_rows(package, FileRows(home / "rows.parquet"), output, part_rows=500)
    same(pl.read_csv(output), expected(package, fewer))


def test_a_part_that_the_disk_lost_is_scored_again(package, asked, home):
    output = home / "scored.parquet"
    with pytest.raises(Stopped):
        score_rows(package, FileRows(home / "rows.parquet"), output, part_rows=500, progress=stop_at(3))
    parts = sorted((home / ".scored.parquet.scoring").glob("from-*.arrow"))
    assert len(parts) == 3
    parts[0].write_bytes(b"")
    parts[1].write_bytes(parts[1].read_bytes()[:100])
    score_rows(package, FileRows(home / "rows.parquet"), output, part_rows=500)
    same(pl.read_parquet(output), expected(package, asked))


CHILD = """
import sys, time
from pathlib import Path
from everloop.loop.scoring import FileRows, score_rows
from everloop.runtime import Package

def progress(event):
    print(event.message, flush=True)
    time.sleep(0.02)

score_rows(Package(sys.argv[1]), FileRows(sys.argv[2]), Path(sys.argv[3]), part_rows=100, progress=progress)
"""


@pytest.mark.slow
def test_killed_at_any_moment_no_row_is_lost_or_doubled(package, asked, home):
    output = home / "scored.parquet"
    command = [sys.executable, "-c", CHILD, str(package.folder), str(home / "rows.csv"), str(output)]
    chance, kills = random.Random(0), 0
    while not output.exists():
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        after = chance.randint(1, 16)
        for _ in range(after):
            if not child.stdout.readline():
                break
        if kills < KILLS:
            child.send_signal(signal.SIGKILL)
            kills += 1
        _, said = child.communicate(timeout=60)
        assert child.returncode in (0, -signal.SIGKILL), said
    assert kills == KILLS
    same(pl.read_parquet(output), expected(package, asked))
    assert not list(home.glob(".*"))


def test_two_processes_do_not_score_into_one_output(package, home):
    with kept_beside(home, "scored.csv"), pytest.raises(UsageFault, match="Another process scores into"):
        score_rows(package, FileRows(home / "rows.csv"), home / "scored.csv")


def test_rows_that_cannot_be_read_or_scored_are_told(package, asked, home):
    whole = (home / "rows.parquet").read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 3 : len(whole) // 2] = b"\xff" * (len(whole) // 2 - len(whole) // 3)
    (home / "broken.parquet").write_bytes(bytes(broken))
    with pytest.raises(SourceUnreadable, match=r"broken\.parquet is damaged"):
        score_rows(package, FileRows(home / "broken.parquet"), home / "out.csv", part_rows=500)
    (home / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceUnreadable, match=r"cut\.parquet"):
        score_rows(package, FileRows(home / "cut.parquet"), home / "out.csv")
    asked.with_columns(pl.col("amount").cast(pl.String)).write_parquet(home / "texts.parquet")
    with pytest.raises(DataFault, match="amount"):
        score_rows(package, FileRows(home / "texts.parquet"), home / "out.csv")
    with pytest.raises(UsageFault, match=r"must end in \.parquet, \.csv, \.jsonl or \.ndjson"):
        score_rows(package, FileRows(home / "rows.csv"), home / "out.xlsx")
    (home / "folder.csv").mkdir()
    with pytest.raises(UsageFault, match=r"folder\.csv is a folder"):
        score_rows(package, FileRows(home / "rows.csv"), home / "folder.csv")
    assert not (home / "out.csv").exists()


def test_the_verb_says_how_to_go_on_after_ctrl_c(package, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    words = ["predict", "rows.csv", "-o", "scored.jsonl", "--package", str(package.folder), "--keep", "id"]
    given = type(package).scores

    def interrupted(own, part):
        if Path(".scored.jsonl.scoring").is_dir() and part.height:
            raise KeyboardInterrupt
        return given(own, part)

    monkeypatch.setattr(type(package), "scores", interrupted)
    assert main(words) == 130
    said = capsys.readouterr().err
    assert "What was finished is kept" in said
    assert "everloop predict rows.csv -o scored.jsonl" in said
    monkeypatch.undo()
    monkeypatch.chdir(home)
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == pl.read_ndjson("scored.jsonl").height
    assert pl.read_ndjson("scored.jsonl").columns == ["id", "prediction", "score"]


@pytest.mark.parametrize("ending", list(READ))
def test_a_header_alone_gives_an_output_without_rows(package, tmp_path, ending):
    (tmp_path / "header.csv").write_text("id,amount,region\n")
    assert score_rows(package, FileRows(tmp_path / "header.csv"), tmp_path / f"out{ending}") == 0
    if ending in (".csv", ".parquet"):
        assert READ[ending](tmp_path / f"out{ending}").columns == [
            "id",
            "amount",
            "region",
            "prediction",
            "score",
        ]
    else:
        assert not (tmp_path / f"out{ending}").read_text()


def test_a_header_that_lacks_a_column_of_the_model_is_refused(package, tmp_path):
    (tmp_path / "header.csv").write_text("id,region\n")
    with pytest.raises(DataFault, match="lacks the column"):
        score_rows(package, FileRows(tmp_path / "header.csv"), tmp_path / "out.csv")
