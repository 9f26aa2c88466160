"""The past of clusters that are acted on: what came of a row is hidden until it was known, then it is money."""

import json
import os
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.core.errors import DataFault, SpecFault
from everloop.data.api import snapshot
from everloop.data.snapshots import Snapshot
from everloop.loop.backtest import Rehearsal, backtest
from everloop.loop.history import history
from everloop.loop.policies import policies_of
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.record import open_record
from everloop.record.rows import RunRow, StepRow, WindowRow
from everloop.runtime.log import read_log
from everloop.spec import load, parse

os.environ.setdefault("OMP_NUM_THREADS", "1")

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
CHANGED, SINCE, DELAY = START + 90 * DAY, START + 80 * DAY, 5 * DAY
RULE = "days >= 55"
FILE = """
name: kinds
goal:
  value: {currency: EUR, kpi: 0.2 * later - 3}
  costs: {label: 0.01}
problem: {task: clustering, exclude: [later], time: asked_at, label_delay: 5d}
data: {sources: {rows: {file: rows.csv}}}
model: {learners: [k_means], budget: {trials: 1}, select_features: false}
deploy: {strategy: blue_green, hold: {requests: 20}}
monitor: {window: 15d, retrain: {history: {last: 40d}}}
"""


def visitors(count: int = 640) -> pl.DataFrame:
    """Two kinds of customers, four a day: from a day on the other kind is the one that pays."""
    random = np.random.default_rng(0)
    times = [START + timedelta(hours=6 * place) for place in range(count)]
    kind = random.choice(2, count, p=[0.6, 0.4])
    pays = np.where(np.array([time >= CHANGED for time in times]), 1 - kind, kind)
    return pl.DataFrame(
        {
            "asked_at": times,
            "visits": random.normal(np.where(kind, 14.0, 4.0), 1.0),
            "age": random.normal(np.where(kind, 35.0, 60.0), 3.0),
            "later": random.gamma(4.0, np.where(pays, 10.0, 1.0)),
        }
    )


def written(folder: Path, file: str = FILE, rows: pl.DataFrame | None = None) -> Path:
    """Writes a lifecycle; nothing of it is run."""
    (folder / "everloop.yaml").write_text(file)
    (visitors() if rows is None else rows).write_csv(folder / "rows.csv")
    return folder


@dataclass
class Lived:
    """What the command wrote and said."""

    folder: Path
    told: str

    @property
    def state(self) -> Path:
        return self.folder / ".everloop" / "backtest"

    @property
    def result(self) -> dict:
        return json.loads((self.state / "result.json").read_bytes())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    folder, said = written(tmp_path_factory.mktemp("kinds")), StringIO()
    options = ["--since", f"{SINCE:%Y-%m-%d}", "--every", "15d", "--jobs", "1"]
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(said):
        patched.chdir(folder)
        assert main(["backtest", "--policy", RULE, *options]) == 0
    return Lived(folder, said.getvalue())


@pytest.mark.slow
def test_a_policy_earns_the_price_of_the_rows_whose_cluster_its_version_acted_on(lived: Lived) -> None:
    never, rule = lived.result["policies"]
    assert (never["name"], never["retrains"], rule["name"]) == ("never", 0, RULE)
    assert (rule["retrains"], rule["promoted"]) == (1, 1)
    money = visitors().select("asked_at", money=0.2 * pl.col("later") - 3)
    for policy, folder in ((never, "never"), (rule, next(lived.state.glob("rule-*")).name)):
        log = read_log(lived.state / folder / "log").predictions.filter(pl.col("arm") != "shadow")
        acted = acted_by_version(lived, folder)
        flags = [said in acted[version] for version, said in log.select("version", "prediction").iter_rows()]
        both = log.with_columns(acted=pl.Series(flags)).join(money, left_on="time", right_on="asked_at")
        assert both.height == lived.result["decisions"] == money.filter(pl.col("asked_at") >= SINCE).height
        assert policy["value"] == pytest.approx(both.filter("acted")["money"].sum())
    # The kind that pays has changed; whoever retrains acts on the other one.
    assert rule["value"] > never["value"]


def acted_by_version(lived: Lived, policy: str) -> dict[int, list[str]]:
    """Which clusters each version acts on, from the packages themselves."""
    found = {}
    for path in (lived.folder / ".everloop" / "artifacts").rglob("manifest.json"):
        manifest = json.loads(path.read_bytes())
        found[(manifest["version"], manifest["lineage"]["trained"])] = manifest["decision"]["acted"]
    with open_record(f"sqlite:///{lived.state / policy / 'record.db'}") as record:
        trained = [row.key for row in record.find(StepRow, name="train")]
    return {version: acted for (version, key), acted in found.items() if key in trained}


@pytest.mark.slow
def test_nothing_is_learned_of_a_row_before_it_is_known_what_came_of_it(lived: Lived) -> None:
    folder = next(lived.state.glob("rule-*"))
    with open_record(f"sqlite:///{folder / 'record.db'}") as record:
        runs = {row.id: row.as_of for row in record.find(RunRow)}
        steps = [(runs[row.run], row.key) for row in record.find(StepRow, name="snapshot")]
        windows = record.find(WindowRow)
    with Workspace.open(load(lived.folder)) as workspace:
        taken = [(as_of, Snapshot.load(workspace.store.open(key))) for as_of, key in steps]
    assert len(taken) == 2
    for as_of, found in taken:
        assert found.table()["asked_at"].max() == as_of - DELAY
        assert found.hidden_actuals == 5 * 4 - 1
    log = read_log(folder / "log")
    assert all("later" not in row for row in log.predictions["row"].cast(pl.String))
    known = log.predictions.join(log.known_actuals(), on="id")
    assert (known["known_at"] - known["time"]).unique().to_list() == [DELAY]
    assert any(window.facts["value"]["status"] == "known" for window in windows)


@pytest.mark.slow
def test_table_and_page_say_what_value_means(lived: Lived) -> None:
    page = (lived.folder / "backtest.html").read_text()
    for text in (lived.told, page):
        assert "What acting would have changed in them the past does not tell" in text
        assert RULE in text or RULE.replace(">", "&gt;") in text


def test_rows_are_asked_without_what_came_of_them(tmp_path: Path) -> None:
    rows = visitors(80)
    with Workspace.open(load(written(tmp_path, rows=rows))) as workspace:
        past = history(workspace)
    assert past.rows.columns == ["asked_at", "visits", "age"]
    assert past.facts["actual"].to_list() == pytest.approx((0.2 * rows["later"] - 3).to_list())
    assert (past.facts["known_at"] - past.facts["time"]).unique().to_list() == [DELAY]


def test_a_row_of_which_nothing_came_is_asked_and_not_learned_from(tmp_path: Path) -> None:
    known = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("asked_at") + 9 * DAY)
    rows = visitors(80).with_columns(told_at=known)
    file = FILE.replace("label_delay: 5d", "label_time: told_at")
    with Workspace.open(load(written(tmp_path, file, rows))) as workspace:
        past = history(workspace)
    assert past.rows.columns == ["asked_at", "visits", "age"]
    assert past.facts["actual"].null_count() == past.facts["known_at"].null_count() == 40
    as_of = START + 15 * DAY
    taken = snapshot(load(tmp_path), tmp_path / "snapshots", as_of)
    assert (
        taken.table()["asked_at"].to_list() == rows.filter(pl.col("told_at") <= as_of)["asked_at"].to_list()
    )
    with pytest.raises(DataFault, match="later was known"):
        snapshot(load(tmp_path), tmp_path / "snapshots", START + 3 * DAY)


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        (("exclude: [later], ", ""), "kpi reads later, of which clusters are made", "exclude: [later]"),
        ((", label_delay: 5d", ""), "reads later, and nothing says when", "label_delay: 90d"),
        (("kpi: 0.2 * later - 3", "kpi: 3"), "kpi reads no column", "price a column"),
        (("value: {currency: EUR, kpi: 0.2 * later - 3}", "volume: 9 / day"), "no price", "kpi: SQL"),
    ],
)
def test_clusters_whose_past_tells_nothing_are_refused(tmp_path, change, said, hint) -> None:
    folder = written(tmp_path, FILE.replace(*change), visitors(40))
    with Workspace.open(load(folder)) as workspace, pytest.raises(SpecFault, match=said) as found:
        backtest(workspace, ["monthly"], Rehearsal(SINCE))
    assert hint in found.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("data: {", "data: {features: {half: later / 2}, "), "The feature half reads later"),
        (("goal:", "goal:\n  today: {rule: later > 9}"), "Today's rule reads later"),
        (("{window: 15d,", "{drift: {segments: [later]},"), "asked for by later"),
    ],
)
def test_what_is_known_only_afterwards_is_read_by_the_price_alone(change, said) -> None:
    assert not refusals(parse(FILE))
    (fault,) = refusals(parse(FILE.replace(*change)))
    assert said in fault.message


def test_a_usual_policy_asks_by_what_clusters_have() -> None:
    _, pays = policies_of(["pays"], parse(FILE))
    assert [trigger.kind for trigger in pays.on] == ["drift", "value"]
    (labels,) = policies_of(["labels: 500"], parse(FILE))[1:]
    assert not refusals(labels.applied(parse(FILE)))


@pytest.mark.parametrize(
    ("problem", "hint"),
    [
        ("{task: regression, target: later}", "over_prediction"),
        ("{task: anomaly}", "problem: {task: binary}"),
    ],
)
def test_what_would_price_a_task_is_said_where_nothing_does(tmp_path, problem, hint) -> None:
    text = FILE.replace("value: {currency: EUR, kpi: 0.2 * later - 3}", "volume: 9 / day")
    kept = [f"problem: {problem}" if line.startswith("problem:") else line for line in text.splitlines()]
    folder = written(tmp_path, "\n".join(kept).replace("learners: [k_means], ", ""), visitors(40))
    with Workspace.open(load(folder)) as workspace, pytest.raises(SpecFault, match="no price") as found:
        backtest(workspace)
    assert hint in found.value.hint
