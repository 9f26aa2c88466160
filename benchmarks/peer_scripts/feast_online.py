"""Feast with SQLite as its online store: ten features of one entity, by `get_online_features`.

Reads a number of reads from each line of input; answers with a JSON list of the seconds of each.
"""

import contextlib
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

COLUMNS = [f"f{number}" for number in range(10)]


def main(folder: str, entities: str) -> None:
    store = FeatureStore(
        config=RepoConfig(
            project="online",
            provider="local",
            registry=f"{folder}/registry.db",
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
        ),
        repo_path=Path(folder),
    )
    who = Entity(name="who", join_keys=["who"], value_type=ValueType.INT64)
    source = FileSource(path=f"{folder}/events.parquet", timestamp_field="time")
    schema = [Field(name=name, dtype=Float64) for name in COLUMNS]
    view = FeatureView(name="events", entities=[who], ttl=timedelta(days=3650), schema=schema, source=source)
    store.apply([who, view])
    with contextlib.redirect_stdout(sys.stderr):  # its progress
        store.materialize(datetime(2023, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))
    names, random = [f"events:{name}" for name in COLUMNS], np.random.default_rng(0)
    for line in sys.stdin:
        asked = random.integers(0, int(entities), int(line)).tolist()
        print(json.dumps([read(store, names, one) for one in asked]), flush=True)


def read(store: FeatureStore, names: list[str], who: int) -> float:
    start = time.perf_counter()
    found = store.get_online_features(features=names, entity_rows=[{"who": who}]).to_dict()
    seconds = time.perf_counter() - start
    assert len(found) == len(names) + 1
    return seconds


main(*sys.argv[1:])
