"""A corrupted day is kept out of training, with its reason on record, until a person releases it."""

import polars as pl
import pytest

from everloop.core.errors import NotFound, UsageFault
from everloop.data.snapshots import Snapshot
from everloop.loop.quarantine import kept_out, release_part
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record.rows import DecisionRow
from everloop.record.why import why

DAY = "2024-01-25"


@pytest.fixture
def corrupted(folder):
    rows = pl.read_csv(folder / "rows.csv")
    wrong = pl.col("asked_at").str.starts_with(DAY)
    rows.with_columns(a=pl.when(wrong).then(pl.col("a") * 1000).otherwise(pl.col("a"))).write_csv(
        folder / "rows.csv"
    )


def used(workspace, result):
    """The rows that the dataset is made of."""
    prepared = workspace.store.open(result.steps["dataset"].key)
    parts = [pl.read_parquet(path) for path in prepared.glob("*.parquet")]
    return pl.concat(parts, how="diagonal_relaxed")


def test_clean_data_pass_whole(workspace):
    result = run_once(workspace, until="problem")
    judged = result.steps["quarantine"].facts
    assert (judged["span"], judged["quarantined"]) == ("day", [])
    assert judged["judged"] >= 15
    assert kept_out(workspace) == []
    assert result.steps["contract"].facts["report"]["rows"] == result.steps["snapshot"].facts["rows"]


def test_a_corrupted_day_is_kept_out_until_it_is_released(workspace, corrupted):
    told = []
    with Workspace.open(workspace.spec, clock=workspace.clock, progress=told.append) as watched:
        result = run_once(watched, until="data")
    rows = result.steps["snapshot"].facts["rows"]
    (part,) = result.steps["quarantine"].facts["quarantined"]
    assert (part["part"], part["rows"]) == (DAY, 30)
    assert part["reason"].startswith("a: ")
    assert any(f"30 rows are kept out: {DAY}" in event.message for event in told)
    assert result.steps["contract"].facts["report"]["rows"] == rows - 30
    assert used(workspace, result).filter(pl.col("a").abs() > 50).is_empty()
    snapshot = Snapshot.load(workspace.store.open(result.steps["quarantine"].key), verify=True)
    assert (snapshot.rows, snapshot.lazy().select(pl.len()).collect().item()) == (rows - 30, rows - 30)
    out = pl.read_parquet(snapshot.folder / "quarantined.parquet")
    assert out["asked_at"].dt.strftime("%Y-%m-%d").unique().to_list() == [DAY]

    (found,) = kept_out(workspace)
    assert (found.part, found.decision.answer, found.released) == (DAY, "quarantined", None)
    assert found.decision.facts["unlike"][0]["column"] == "a"
    assert "quarantine" in str(why(workspace.record, found.decision.id).to_dict())
    again = run_once(workspace, until="data")
    assert again.executed == []
    assert len(workspace.record.find(DecisionRow, lifecycle=workspace.name)) == 1

    decision = release_part(workspace, DAY, by="ann", reason="a new unit")
    assert decision.reason == f"ann released {DAY}: a new unit"
    assert kept_out(workspace)[0].released == decision
    (workspace.folder / "contract.yaml").unlink()
    freed = run_once(workspace, until="data")
    assert freed.steps["quarantine"].facts["released"] == [DAY]
    assert freed.steps["contract"].facts["report"]["rows"] == rows
    assert not used(workspace, freed).filter(pl.col("a").abs() > 50).is_empty()
    with pytest.raises(UsageFault, match="released already, by ann"):
        release_part(workspace, found.decision.id, by="ben")
    with pytest.raises(NotFound, match="2024-01-26"):
        release_part(workspace, "2024-01-26", by="ben")
