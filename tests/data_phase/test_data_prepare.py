"""From a snapshot to a dataset: cleaning, features, split and leaks together."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop import data
from everloop.core.clock import SimulatedClock
from everloop.core.errors import DataFault, SpecFault
from everloop.data.steps import dataset_settings, dataset_step, snapshot_settings, snapshot_step
from everloop.spec import parse
from everloop.spec.frame import Frame
from everloop.table.dataset import Dataset
from everloop.table.feature import row_deriver

START = datetime(2013, 1, 1, tzinfo=UTC)
SPEC = """
name: loans
problem: {target: defaulted, time: at}
data:
  sources: {loans: {file: loans.csv}}
  %s
"""


def loans(rows=400, seed=0):
    generator = np.random.default_rng(seed)
    income = generator.integers(20, 90, rows).astype(float)
    return pl.DataFrame(
        {
            "id": [f"L{i}" for i in range(rows)],
            "at": [START + timedelta(hours=i) for i in range(rows)],
            "income": np.where(generator.random(rows) < 0.1, -999.0, income),
            "debt": generator.exponential(10, rows).round(3),
            "work": generator.choice(["?", "shop", "farm"], rows),
            "same": ["x"] * rows,
            "defaulted": np.where(
                generator.random(rows) < 0.1, None, generator.choice(["yes", "no"], rows)
            ).tolist(),
        }
    )


def frame_of(inputs=("income", "debt", "work", "same"), **changes):
    excluded = {"id": "an identifier"}
    given = {
        "time": "at",
        "inputs": tuple(inputs),
        "excluded": excluded,
        "positive": "yes",
        "metric": "roc_auc",
    }
    return Frame(**{"task": "binary", "target": "defaulted", "classes": ("no", "yes"), **given, **changes})


def prepared(folder, table, frame=None, more=""):
    table.write_csv(folder / "loans.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    spec = parse(SPEC % more, folder)
    taken = data.snapshot(spec, folder / "snapshots", clock=SimulatedClock(START + timedelta(days=900)))
    return data.prepare(taken, frame or frame_of(), spec, folder / "dataset")


def test_what_was_done_is_in_the_log(tmp_path):
    table = loans()
    dataset = prepared(tmp_path, pl.concat([table, table[350:]]), more="features: {ratio: debt / income}")
    log = {(entry["step"], entry.get("column")): entry for entry in dataset.cleaning}
    assert log["without target", None]["rows"] == pl.concat([table, table[350:]])["defaulted"].null_count()
    assert log["duplicates", None]["rows"] == table[350:]["defaulted"].count()
    assert log["excluded", "id"]["detail"] == "an identifier"
    assert "one value" in log["excluded", "same"]["detail"]
    train = dataset.train
    assert log["sentinel", "income"]["rows"] == (train["income"] == -999).sum() > 0
    assert log["sentinel", "work"]["rows"] == (train["work"] == "?").sum() > 0
    assert [feature.name for feature in dataset.features] == ["income_clean", "work_clean", "ratio"]
    assert dataset.split["by"] == "time"
    assert dataset.split["inputs"] == ["income", "debt", "work"]
    assert sum(dataset.counts.values()) + dataset.split["twins"] == table["defaulted"].count()
    assert Dataset.load(dataset.folder) == dataset


def test_sentinels_are_missing_in_every_part_and_in_serving_alike(tmp_path):
    dataset = prepared(tmp_path, loans())
    derive = row_deriver(dataset.features)
    for part in ("train", "validation", "test"):
        rows = dataset.table(part)
        assert (rows["income_clean"].is_null() == (rows["income"] == -999)).all()
        for row in rows.head(20).drop("income_clean", "work_clean").iter_rows(named=True):
            wider = derive(row)
            assert (wider["income_clean"] is None) == (row["income"] == -999)
            assert (wider["work_clean"] is None) == (row["work"] == "?")


def test_sentinels_are_found_on_the_training_part_alone(tmp_path):
    late = pl.col("at") > START + timedelta(hours=300)
    table = loans().with_columns(income=pl.when(late).then(-999.0).otherwise(pl.col("debt")))
    assert [f.name for f in prepared(tmp_path, table).features] == ["work_clean"]


def test_keep_means_keep(tmp_path):
    table = loans()
    dataset = prepared(tmp_path, pl.concat([table, table]), more="clean: {duplicates: keep, missing: keep}")
    assert {entry["step"] for entry in dataset.cleaning} == {"without target", "excluded"}
    assert dataset.features == ()


def test_leaks_block(tmp_path):
    table = loans().with_columns(reason=pl.when(pl.col("defaulted") == "yes").then(pl.lit("lost")))
    with pytest.raises(data.LeakFound, match="reason alone tells defaulted"):
        prepared(tmp_path, table, frame_of(("debt", "reason")))
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("{debt: {from: loans, by: id, over: 90d, value: sum(debt)}}", "has the name of a column"),
        ("{score: {from: loans, by: id, latest: dept}}", "feature score: There is no column 'dept'"),
        ("{risk: 'features.py:risk'}", "feature risk is in features.py, which is not there"),
        ("{debt: income * 2}", "has the name of a column"),
        ("{ratio: debt / incom}", "Feature 'ratio'"),
        ("{ratio: 'debt /'}", "Feature 'ratio'"),
    ],
)
def test_features_that_cannot_be(tmp_path, features, message):
    with pytest.raises(SpecFault, match=message):
        prepared(tmp_path, loans(), more=f"features: {features}")


def test_rows_without_any_target(tmp_path):
    with pytest.raises(DataFault, match="None of the 400 rows has its defaulted"):
        prepared(tmp_path, loans().with_columns(defaulted=pl.lit(None, dtype=pl.String)))


def test_a_frame_of_another_table(tmp_path):
    with pytest.raises(SpecFault, match="names elsewhere"):
        prepared(tmp_path, loans(), frame_of(("debt", "elsewhere")))


def test_equal_content_is_kept_once(tmp_path):
    loans().write_csv(tmp_path / "loans.csv")
    spec = parse(SPEC % "", tmp_path)
    clock = SimulatedClock(START + timedelta(days=900))
    first = data.snapshot(spec, tmp_path / "s", clock=clock)
    clock.sleep(3600)
    second = data.snapshot(spec, tmp_path / "s", clock=clock)
    assert first.folder == second.folder
    assert second.as_of > first.as_of
    assert len(list((tmp_path / "s").iterdir())) == 1


def test_steps_do_what_the_functions_do_and_their_settings_are_json(tmp_path):
    dataset = prepared(tmp_path, loans(), more="features: {ratio: debt / income}")
    spec = parse(SPEC % "features: {ratio: debt / income}", tmp_path)
    as_of = START + timedelta(days=900)
    settings = snapshot_settings(spec, as_of, memo=tmp_path / "memo.json")
    assert json.loads(json.dumps(settings)) == settings
    assert settings == snapshot_settings(spec, as_of, memo=tmp_path / "memo.json")
    folders = {name: tmp_path / f"step-{name}" for name in ("snapshot", "frame", "dataset")}
    for folder in folders.values():
        folder.mkdir()
    facts = snapshot_step(folders["snapshot"], settings, {}, home=tmp_path)
    assert facts["rows"] == 400
    frame_of().save(folders["frame"])
    done = dataset_step(folders["dataset"], json.loads(json.dumps(dataset_settings(spec))), folders)
    assert json.loads(json.dumps(done)) == done
    assert done["rows"] == dict(dataset.counts)
    again = Dataset.load(folders["dataset"])
    for part in ("train", "validation", "test"):
        assert again.table(part).equals(dataset.table(part))


def test_changed_content_changes_the_settings(tmp_path):
    loans().write_csv(tmp_path / "loans.csv")
    spec = parse(SPEC % "", tmp_path)
    before = snapshot_settings(spec, START)
    loans(seed=1).write_csv(tmp_path / "loans.csv")
    assert snapshot_settings(spec, START) != before
