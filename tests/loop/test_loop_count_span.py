"""Counting a span of the log: the counts of the whole, in memory that does not grow with its traffic."""

import subprocess
import sys

import pytest

COUNT = """
import resource, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl

from everloop.loop.judged_window import count_span
from everloop.monitor import reference
from everloop.monitor.state import count_window
from everloop.runtime.log.tables import schemas

folder, segments, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
start, whole = datetime(2024, 1, 1, tzinfo=UTC), sys.argv[4] == "whole"
random = np.random.default_rng(0)
predictions, actuals, _ = schemas()


def rows_of(number):
    a = random.normal(size=rows)
    return pl.DataFrame({"a": a, "b": random.normal(size=rows), "site": random.choice(["n", "s"], rows)})


tables = []
for number in range(segments):
    table = rows_of(number)
    ids = [f"p{number}-{n}" for n in range(rows)]
    times = pl.Series([start + timedelta(seconds=number)]).new_from_index(0, rows)
    row = table.select(pl.struct("a", "b", "site").struct.json_encode())["a"]
    lines = pl.DataFrame(
        {
            "id": ids, "time": times, "version": 1, "arm": "champion", "row": row, "score": table["a"],
            "scores": None, "prediction": table["a"].cast(pl.String), "latency_us": 9, "worker": "0",
            "chance": 1.0,
        },
        schema_overrides=predictions,
    ).select(list(predictions))
    lines.write_parquet(folder / f"predictions-0-{number + 1:08d}.parquet")
    known = pl.DataFrame(
        {"id": ids, "actual": table["b"].cast(pl.String), "time": times, "worker": "0"},
        schema_overrides=actuals,
    )
    known.write_parquet(folder / f"actuals-0-{number + 1:08d}.parquet")
    tables.append(table) if whole else None
    del lines, known, ids, row, times, table
before = reference(rows_of(-1).select("a", "b", "site"), scores=random.normal(size=rows), actuals=random.normal(size=rows))
version = SimpleNamespace(
    types={"a": "number", "b": "number", "site": "text"}, reference=before,
    frame=SimpleNamespace(task="regression"), row=SimpleNamespace(number=1),
)
state = count_span(folder, start, start + timedelta(days=1), version)
assert state.rows == segments * rows
if whole:
    every = pl.concat(tables)
    expected = count_window(every, before, scores=every["a"], actuals=every["b"])
    assert state.histograms.keys() == expected.histograms.keys()
    for name, found in state.histograms.items():
        other = expected.histograms[name]
        assert found.counts == other.counts and found.missing == other.missing, name
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def counted(folder, segments, rows, how="parts"):
    """Counts so many segments in a process of its own; gives the most memory that it held."""
    folder.mkdir()
    words = [sys.executable, "-c", COUNT, str(folder), str(segments), str(rows), how]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_segments_add_up_to_the_whole(tmp_path):
    counted(tmp_path / "log", 5, 2_000, "whole")


@pytest.mark.slow
def test_what_counting_takes_does_not_grow_with_traffic(tmp_path):
    few, many = counted(tmp_path / "few", 10, 20_000), counted(tmp_path / "many", 50, 20_000)
    assert many < few + 60e6  # the lines of the longer log are 800,000 more, which take more than 300 MB
