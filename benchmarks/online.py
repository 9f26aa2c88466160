"""Reading ten features of one entity online, beside Feast with SQLite and a bare read of the same bytes.

Ours are windows and latest values, computed when they are read from the entity's events of 90 days,
typed and with their ages checked; Feast's are the last values that were written.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import Peer, python_of, started
from benchmarks.timing import Timing, interleave
from everloop.runtime.features import FeatureReader, FeatureSet, FeatureWriter, OnlineStore, open_store
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_answer import Event, answer
from everloop.table.feature_joined import SourceEvents, define_joined

COLUMNS = tuple(f"f{number}" for number in range(10))
AGGREGATES = ("sum", "avg", "min", "max", "count")
START_US, DAY_US = 1_700_000_000_000_000, 86_400_000_000
EVENTS_EACH = 20
OURS, BARE, FEAST = "everloop, LMDB", "LMDB, the bytes alone", "Feast, SQLite"


def run(options: Options) -> Report:
    """Measures a round of each in turns."""
    entities, reads = (500, 500) if options.quick else (20_000, 5_000)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        table = _write(folder, entities)
        store = opened.enter_context(open_store(f"lmdb:{folder / 'online'}"))
        reader = _fill(store, table)
        notes = (_compared(reader, table),)
        works: dict[str, Callable[[], float]] = {}
        for share, name in ((0.99, "p99"), (0.5, "p50")):
            works[f"{OURS} {name}"] = _percentile(
                lambda who: reader.read({"who": who}, _now()), entities, reads, share
            )
        keys = list(store.keys(b"history"))
        works[f"{BARE} p99"] = _percentile(lambda who: store.read([keys[who]]), len(keys), reads, 0.99)
        python = python_of("feast", install=options.peers)
        if python is not None:
            peer = opened.enter_context(started(python, "feast_online.py", str(folder), str(entities)))
            for share, name in ((0.99, "p99"), (0.5, "p50")):
                works[f"{FEAST} {name}"] = _of_peer(peer, reads // 10, share)
        else:
            notes += ("Feast was not measured; add --peers",)
        took = interleave(works, 5)
    return Report(_figures(took, entities), notes)


def _figures(took: dict[str, Timing], entities: int) -> tuple[Figure, ...]:
    what = f"10 features of one of {entities:,} entities, {EVENTS_EACH} events each"
    bare = took[f"{BARE} p99"].median * 1e6
    ours = took[f"{OURS} p99"].scaled(1e6)
    figures = [Figure(f"{what}: p99", **ours, unit="us", beside=BARE, other=bare, goal="<= 100")]
    for name in ("p99", "p50"):
        if f"{FEAST} {name}" in took:
            peer = took[f"{FEAST} {name}"].median * 1e6
            scaled = took[f"{OURS} {name}"].scaled(1e6)
            figures.append(
                Figure(
                    f"the same, beside Feast: {name}",
                    **scaled,
                    unit="us",
                    beside=FEAST,
                    other=peer,
                    goal=f"<= {peer / 10:.4f}",
                )
            )
    return tuple(figures)


def _write(folder: Path, entities: int) -> pl.DataFrame:
    """Draws events of the last 90 days."""
    random = np.random.default_rng(0)
    rows = entities * EVENTS_EACH
    moments = pl.Series(START_US + random.integers(0, 90 * DAY_US, rows))
    values = {name: random.normal(100, 20, rows).round(2) for name in COLUMNS}
    table = pl.DataFrame({"who": np.repeat(np.arange(entities), EVENTS_EACH), "time": moments, **values})
    table.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC"))).write_parquet(folder / "events.parquet")
    return table


def _now() -> int:
    return START_US + 90 * DAY_US


def _fill(store: OnlineStore, table: pl.DataFrame) -> FeatureReader:
    types = dict.fromkeys(COLUMNS, "number")
    window = {"from": "events", "by": "who", "over": "90d"}
    latest = {"from": "events", "by": "who", "within": "30d"}
    features = [
        define_joined(
            f"{name}_{place}", WindowFeature.model_validate({**window, "value": f"{name}(f{place})"}), types
        )
        for place, name in enumerate(AGGREGATES)
    ] + [
        define_joined(f"latest_{place}", AsOfFeature.model_validate({**latest, "latest": f"f{place}"}), types)
        for place in range(5, 10)
    ]
    found = FeatureSet(tuple(features), {"events": SourceEvents("time", "time")})
    writer = FeatureWriter(found, store)
    for start in range(0, table.height, 50_000):
        writer.add("events", table[start : start + 50_000].to_dicts(), now=_now())
    return FeatureReader(found.features, store)


def _compared(reader: FeatureReader, table: pl.DataFrame) -> str:
    """Holds what is read against the definition before anything is measured."""
    for who in range(100):
        rows = table.filter(pl.col("who") == who).to_dicts()
        found = reader.read({"who": who}, _now())
        for one in reader.features:
            (column,) = one.columns
            events = [Event(who, row["time"], row["time"], None, row[column]) for row in rows]
            if found[one.name] != answer(events, who, _now(), one.meaning, one.span_us):
                raise RuntimeError(f"{one.name} of {who} differs from its definition")
    return "what is read equals the definition, for 100 entities"


def _percentile(
    read: Callable[[int], object], entities: int, reads: int, share: float
) -> Callable[[], float]:
    random = np.random.default_rng(1)

    def once() -> float:
        took = []
        for who in random.integers(0, entities, reads).tolist():
            start = time.perf_counter()
            read(who)
            took.append(time.perf_counter() - start)
        return float(np.quantile(took, share))

    return once


def _of_peer(peer: Peer, reads: int, share: float) -> Callable[[], float]:
    return lambda: float(np.quantile(peer.measure(reads), share))
