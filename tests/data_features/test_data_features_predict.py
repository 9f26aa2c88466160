"""`everloop predict` makes the features that a file lacks, as they were known at each row's decision."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from everloop.cli import main
from everloop.cli.predict import champion_features
from everloop.data import file_features

ROW = ["customer", "asked_at", "amount", "region"]


@pytest.fixture
def trained(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "risks.py").write_text('RISK = {"north": 0.1, "south": 0.7}\n')
    code = (folder / "features.py").read_text()
    (folder / "features.py").write_text(
        "from risks import RISK\n" + code.replace('RISK = {"north"', 'R = {"north"')
    )
    assert main(["run"]) == 0
    return champion_features(Path("everloop.yaml")).package


def refused(capsys, *words, status=2):
    capsys.readouterr()
    assert main(["predict", *words]) == status
    return capsys.readouterr().err


@pytest.mark.slow
def test_what_is_scored_from_a_file_is_what_the_snapshot_says(trained, monkeypatch, capsys):
    monkeypatch.setattr(file_features, "SLICE_ROWS", 250)
    asked = pl.read_csv("loans.csv").select(ROW).sample(fraction=1.0, shuffle=True, seed=0)
    asked.write_csv("new.csv")
    assert main(["predict", "new.csv", "-o", "scored.parquet"]) == 0
    scored = pl.read_parquet("scored.parquet")
    assert scored.columns == [*ROW, "prediction", "score"]
    assert scored.drop("asked_at", "prediction", "score").equals(asked.drop("asked_at"))
    (taken,) = [
        path.parent for path in Path(".everloop/artifacts").rglob("table.parquet") if "snapshot" in str(path)
    ]
    rows = pl.read_parquet(taken / "table.parquet")
    assert {"paid_20d", "risk"} <= set(rows.columns)
    expected = rows.select("customer", "amount", score=trained.scores(rows)[:, 0])
    both = scored.select("customer", "amount", "score").sort(pl.all())
    assert both.equals(expected.sort(pl.all()))

    # What a file has is taken as it is; one feature is enough to change what follows from it.
    asked.with_columns(paid_20d=pl.lit(1e6), risk=pl.lit(None, pl.Float64)).write_parquet("stated.parquet")
    assert main(["predict", "stated.parquet", "-o", "stated.csv"]) == 0
    assert not pl.read_csv("stated.csv")["score"].equals(scored["score"])

    # Without its time a row is decided now, years after the last event.
    asked.drop("asked_at").write_parquet("now.parquet")
    assert main(["predict", "now.parquet", "-o", "now-scored.parquet"]) == 0

    capsys.readouterr()
    asked.drop("customer").write_csv("nobody.csv")
    told = refused(capsys, "nobody.csv", "-o", "x.csv")
    assert "looks at customer, which the file does not have" in told
    assert not Path("x.csv").exists()

    package = trained.folder
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    told = refused(capsys, "../new.csv", "-o", "x.csv", "--package", str(package))
    assert "made from a lifecycle's sources" in told
    assert "--file everloop.yaml; or give the file a column" in told
    assert main(["predict", "../new.csv", "-o", "x.csv", "--package", str(package), "--file", ".."]) == 0
    monkeypatch.chdir("..")

    Path("risks.py").write_text('RISK = {"north": 0.2, "south": 0.7}\n')
    told = refused(capsys, "new.csv", "-o", "y.csv")
    assert (
        "the feature risk, which is features.py:risk, which has changed since the model was trained" in told
    )
    text = Path("everloop.yaml").read_text()
    Path("everloop.yaml").write_text(text.replace("over: 20d, value: sum", "over: 21d, value: sum"))
    Path("risks.py").write_text('RISK = {"north": 0.1, "south": 0.7}\n')
    told = refused(capsys, "new.csv", "-o", "y.csv")
    assert "the feature paid_20d, which is defined otherwise in everloop.yaml now" in told
    assert "everloop run; or give the file a column paid_20d" in told
