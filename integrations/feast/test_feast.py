# ruff: noqa: D101, D102, D103, INP001, S101, S603
"""A Feast repository as a source, online and offline, and a lifecycle written as one."""

import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource
from feast.types import Bool, Float64, Int64, String
from feast.value_type import ValueType

from everloop import data
from everloop.core.clock import SimulatedClock
from everloop.core.errors import SourceUnreachable, SpecFault
from everloop.integrations.feast import export, online_rows
from everloop.runtime.features import FeatureReader, FeatureSet, FeatureWriter, open_store
from everloop.spec import FeastSource, parse
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import SourceEvents, define_joined
from everloop.testing.source_suite import SourceSuite

pytestmark = pytest.mark.filterwarnings("ignore")  # Feast's own, in its dependencies' newer versions

START = datetime(2026, 1, 1, tzinfo=UTC)
STORE = """\
project: tests
provider: local
registry: data/registry.db
online_store: {type: sqlite, path: data/online.db}
offline_store: {type: file}
entity_key_serialization_version: 3
"""
TYPES = {pl.Int64: Int64, pl.Float64: Float64, pl.String: String, pl.Boolean: Bool}


def apply(folder):
    feast = Path(sys.executable).with_name("feast")
    done = subprocess.run(
        [str(feast), "-c", str(folder), "apply"],
        capture_output=True,
        text=True,
        check=False,
        env={"FEAST_USAGE": "False", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def repository(folder, table, *, key, time, created=None):
    """Writes a repository with one view over a table."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    table.write_parquet(folder / "data" / "rows.parquet")
    (folder / "feature_store.yaml").write_text(STORE)
    entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
    view = FeatureView(
        name="scores",
        entities=[entity],
        ttl=timedelta(days=30),
        schema=[Field(name=name, dtype=TYPES[kind]) for name, kind in table.schema.items() if kind in TYPES],
        source=FileSource(
            name="rows",
            path="data/rows.parquet",
            timestamp_field=time,
            created_timestamp_column=created or "",
        ),
    )
    FeatureStore(repo_path=str(folder)).apply([entity, view])


class TestFeastView(SourceSuite):
    kind = "feast"

    def offer(self, table, folder):
        repository(folder / "repo", table, key="id", time="at")
        return FeastSource(feast="repo", view="scores")

    def withdraw(self, folder):
        (folder / "repo" / "feature_store.yaml").unlink()


def scores(rows=300, seed=3):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "customer": generator.integers(0, 25, rows),
            "score": generator.normal(size=rows).round(4),
            "event_timestamp": [
                START + timedelta(seconds=int(s)) for s in generator.integers(0, 90 * 86400, rows)
            ],
        }
    ).with_columns(created=pl.col("event_timestamp"))


def decisions(rows=200, seed=5):
    generator = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "customer": generator.integers(0, 28, rows),
            "decided_at": [
                START + timedelta(seconds=int(s)) for s in generator.integers(0, 120 * 86400, rows)
            ],
            "bad": ["no", "yes"] * (rows // 2),
        }
    )


def historical(folder, asked, features):
    """What Feast's own point-in-time join gives, in the order of the decisions."""
    rows = (
        asked.with_row_index("row")
        .rename({"decided_at": "event_timestamp"})
        .select("row", "customer", "event_timestamp")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        job = FeatureStore(repo_path=str(folder)).get_historical_features(
            entity_df=rows.to_pandas(), features=features
        )
        found = pl.DataFrame(pl.from_arrow(job.to_arrow())).with_columns(pl.col("row").cast(pl.UInt32))
    # Feast leaves out decisions for which it has no value.
    return rows.select("row").join(found, on="row", how="left", maintain_order="left")


SPEC = """
name: loans
problem: {target: bad, time: decided_at}
data:
  sources:
    loans: {file: loans.parquet}
    scores: {feast: repo, view: scores, time: event_timestamp}
  table: select * from loans
  features:
    score: {from: scores, by: customer, latest: score, within: 30d}
"""


def test_a_lifecycle_sees_what_feasts_own_join_gives(tmp_path):
    repository(tmp_path / "repo", scores(), key="customer", time="event_timestamp", created="created")
    decisions().write_parquet(tmp_path / "loans.parquet")
    clock = SimulatedClock(START + timedelta(days=400))
    table = data.snapshot(parse(SPEC, tmp_path), tmp_path / "s", clock=clock).table()
    expected = historical(tmp_path / "repo", table, ["scores:score"])["score"]
    assert table["score"].to_list() == expected.to_list()
    assert 0 < table["score"].null_count() < table.height


def test_online_values_are_rows_of_the_source(tmp_path):
    """Pushed as events they give what Feast's online store gives."""
    repository(tmp_path, scores(), key="customer", time="event_timestamp", created="created")
    end = START + timedelta(days=90)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = FeatureStore(repo_path=str(tmp_path))
        store.materialize(START - timedelta(days=1), end)
        asked = [{"customer": number} for number in range(28)]
        answer = store.get_online_features(features=["scores:score"], entity_rows=asked).to_dict()
    rows = online_rows(tmp_path, "scores", asked)
    assert {row["customer"] for row in rows} == set(scores()["customer"].to_list())
    spec = parse(SPEC, tmp_path)
    feature = define_joined("score", spec.data.features["score"])
    features = FeatureSet((feature,), {"scores": SourceEvents("event_timestamp", "event_timestamp")})
    now = int(end.timestamp() * 1e6)
    with open_store("memory:") as online:
        FeatureWriter(features, online).add("scores", rows, now=now)
        reader = FeatureReader(features.features, online)
        wide = {row["customer"]: row["event_timestamp"] for row in rows}
        for entity, value in zip(asked, answer["score"], strict=True):
            moment = wide.get(entity["customer"], end)
            assert reader.read(entity, at=int(moment.timestamp() * 1e6))["score"] == value


EXPORTED = """
name: loan-default
problem: {target: bad, time: decided_at}
data:
  sources:
    loans: {file: loans.parquet}
    payments: {file: payments.parquet, time: paid_at, known: booked_at, key: payment}
  table: select * from loans
  features:
    paid: {from: payments, by: customer, over: 20d, value: sum(amount)}
    often: {from: payments, by: customer, over: 7d, value: count(*)}
    last: {from: payments, by: customer, latest: kind, within: 15d}
    ratio: paid / 100
"""


def payments(rows=240, seed=11):
    """Payments that are booked late, some of them corrected afterwards."""
    generator = np.random.default_rng(seed)
    paid = [START + timedelta(seconds=int(s)) for s in generator.integers(0, 90 * 86400, rows)]
    table = pl.DataFrame(
        {
            "payment": range(rows),
            "customer": generator.integers(0, 25, rows),
            "amount": generator.exponential(50, rows).round(2),
            "kind": generator.choice(["card", "cash", None], rows).tolist(),
            "paid_at": paid,
            "booked_at": [
                moment + timedelta(hours=int(h))
                for moment, h in zip(paid, generator.integers(0, 96, rows), strict=True)
            ],
        }
    )
    corrected = table.head(60).with_columns(
        pl.col("amount") * 2, pl.col("booked_at") + timedelta(days=4), pl.col("paid_at") - timedelta(days=1)
    )
    return pl.concat([table, corrected])


def test_a_lifecycle_is_a_repository_that_feast_applies_and_joins_alike(tmp_path):
    payments().write_parquet(tmp_path / "payments.parquet")
    decisions().write_parquet(tmp_path / "loans.parquet")
    spec = parse(EXPORTED, tmp_path)
    views = export(spec, tmp_path / "repo")
    assert views == ("payments_by_customer",)
    apply(tmp_path / "repo")
    names = ("paid", "often", "last")
    found = historical(tmp_path / "repo", decisions(), [f"payments_by_customer:{name}" for name in names])
    types = {"amount": "number", "kind": "text", "customer": "integer", "payment": "integer"}
    defined = [define_joined(name, spec.data.features[name], types) for name in names]
    events = EventTable(payments(), SourceEvents("paid_at", "booked_at", ("payment",)))
    expected = join_features(decisions(), "decided_at", defined, {"payments": events})
    for name in names:
        # Before its first event an entity has no row in Feast, where a count is 0.
        ours = [value or None for value in expected[name]] if name == "often" else expected[name].to_list()
        theirs = [value or None for value in found[name]] if name == "often" else found[name].to_list()
        assert theirs == ours, name
        assert any(value is not None for value in theirs)
    # An export is repeatable, and replaces the earlier one.
    before = (tmp_path / "repo" / "features.py").read_text()
    export(spec, tmp_path / "repo")
    assert (tmp_path / "repo" / "features.py").read_text() == before


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(SourceUnreachable, match=r"is no Feast repository: feature_store\.yaml"):
        online_rows(tmp_path, "scores", [])
    repository(tmp_path, scores(), key="customer", time="event_timestamp")
    with pytest.raises(SourceUnreachable, match="has no feature view other; it has scores"):
        online_rows(tmp_path, "other", [])
    alone = "name: x\nproblem: {target: bad}\ndata: {sources: {rows: {file: rows.csv}}}\n"
    with pytest.raises(SpecFault, match="no feature over another source"):
        export(parse(alone, tmp_path), tmp_path / "out")
