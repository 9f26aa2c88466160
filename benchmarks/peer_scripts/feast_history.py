"""Feast's local provider: ten features of every decision, by `get_historical_features`.

Reads a number of runs from each line of input; answers with a JSON list of seconds. For 0 it answers
with how many rows it gave back.
"""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

COLUMNS = [f"f{number}" for number in range(10)]


def main(folder: str, days: str) -> None:
    store = FeatureStore(
        config=RepoConfig(
            project="joins",
            provider="local",
            registry=f"{folder}/registry.db",
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
        ),
        repo_path=Path(folder),
    )
    who = Entity(name="who", join_keys=["who"], value_type=ValueType.INT64)
    source = FileSource(
        path=f"{folder}/events.parquet", timestamp_field="time", created_timestamp_column="created"
    )
    view = FeatureView(
        name="events",
        entities=[who],
        ttl=timedelta(days=int(days)),
        schema=[Field(name=name, dtype=Float64) for name in COLUMNS],
        source=source,
    )
    store.apply([who, view])
    asked = pd.read_parquet(f"{folder}/decisions.parquet").rename(columns={"at": "event_timestamp"})
    for line in sys.stdin:
        seconds = [ask(store, asked)[0] for _ in range(int(line))]
        print(json.dumps(seconds or [ask(store, asked)[1]]), flush=True)


def ask(store: FeatureStore, asked: pd.DataFrame) -> tuple[float, int]:
    start = time.perf_counter()
    found = store.get_historical_features(asked, [f"events:{name}" for name in COLUMNS]).to_df()
    return time.perf_counter() - start, len(found)


main(*sys.argv[1:])
