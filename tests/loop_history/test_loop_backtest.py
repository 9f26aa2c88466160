"""Policies on history: the same loop, each with a record of its own, compared on the same rows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import SpecFault, UsageFault
from everloop.loop.backtest import backtest
from everloop.loop.workspace import Workspace
from everloop.record.rows import RunRow
from everloop.runtime.log import read_log
from everloop.spec import load

SINCE = datetime(2024, 6, 1, tzinfo=UTC)


@pytest.mark.slow
def test_retraining_pays_where_the_world_has_changed(lifecycle: Path) -> None:
    with Workspace.open(load(lifecycle)) as workspace:
        result = backtest(workspace, ["monthly"], SINCE, every=timedelta(days=2))
        assert workspace.record.find(RunRow) == []
    never, monthly = result.policies
    assert (never.name, monthly.name, result.best.name) == ("never", "monthly", "monthly")
    assert (never.retrains, never.cost) == (0, 0.0)
    assert monthly.retrains >= 2
    assert monthly.against_never is not None
    assert monthly.against_never.low > 0
    assert monthly.cost > 0
    assert not (lifecycle / "contract.yaml").exists()
    assert result.to_dict()["best"] == "monthly"
    # Counted anew from the log and the user's own file.
    log = read_log(lifecycle / ".everloop" / "backtest" / "monthly" / "log").predictions
    raw = pl.read_csv(lifecycle / "rows.csv", try_parse_dates=True)
    both = log.join(
        raw.with_columns(pl.col("asked_at").dt.cast_time_unit("us")), left_on="time", right_on="asked_at"
    )
    values = np.where(both["prediction"] == both["bought"], 4.0, -4.0)
    assert both.height == result.decisions == (raw["asked_at"] >= SINCE).sum()
    assert monthly.value == pytest.approx(values.sum())
    assert list(monthly.months) == ["2024-06", "2024-07", "2024-08", "2024-09", "2024-10", "2024-11"]


def test_what_cannot_be_compared_is_said(lifecycle: Path) -> None:
    with Workspace.open(load(lifecycle)) as workspace:
        with pytest.raises(UsageFault, match="no policy 'wekly'") as found:
            backtest(workspace, ["wekly"])
        assert found.value.hint == "did you mean weekly?"
        with pytest.raises(UsageFault, match="ends"):
            backtest(workspace, ["weekly"], SINCE, SINCE)
    text = (lifecycle / "everloop.yaml").read_text()
    kept = [line for line in text.splitlines() if "value:" not in line]
    (lifecycle / "everloop.yaml").write_text("\n".join(kept))
    with Workspace.open(load(lifecycle)) as workspace, pytest.raises(SpecFault, match="no price"):
        backtest(workspace)
