"""Scoring ten million rows of a file by `everloop predict`, beside bare onnxruntime on the same graph.

The model has 15 numbers and 5 categories with missing values and 200 boosted trees. Ours is the whole
process: it starts, reads the file, prepares, scores, decides and writes. onnxruntime's is the least that
one could do: the rows are vectors in memory already, and nothing but the graph is run, on all processors.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Options, Report
from benchmarks.timing import everloop_command, interleave, output_of, peak_memory
from everloop.model import package, search

ROWS, DIFFERENT, TRAINING_ROWS = 10_000_000, 1_000_000, 20_000
NUMBERS, CATEGORIES, TREES = 15, 5, 200

BARE = """
import sys, time
import numpy as np, onnxruntime
model, vectors, rows, threads = sys.argv[1], np.load(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
start, done = time.perf_counter(), 0
while done < rows:
    session.run(["score"], {"x": vectors})
    done += len(vectors)
print((time.perf_counter() - start) * rows / done)
"""


def run(options: Options) -> Report:
    """Measures both in turns."""
    rows, different, rounds = (40_000, 20_000, 1) if options.quick else (ROWS, DIFFERENT, 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = _trained()
        package(trained, folder / "package", sample=table(500, seed=0))
        asked = table(different, seed=1).drop("y")
        _write(asked, rows, folder / "rows.parquet")
        np.save(folder / "vectors.npy", trained.encode(asked.head(65_536)))
        del asked
        peaks: list[int] = []
        took = interleave({"ours": lambda: _ours(folder, peaks), "bare": lambda: _bare(folder, rows)}, rounds)
        scored = pl.scan_parquet(folder / "scored.parquet").select(pl.len()).collect().item()
    assert scored == rows, "every row is scored once"
    what = f"{rows:,} rows x {NUMBERS + CATEGORIES} columns, {TREES} trees"
    bare = took["bare"].median
    rate = rows / took["ours"].median
    figures = (
        Figure(
            f"{what}: everloop predict, the whole process",
            **took["ours"].scaled(1.0),
            unit="s",
            beside="bare onnxruntime, vectors ready",
            other=bare,
            goal=f"<= {1.3 * bare:.4f}",
        ),
        Figure(f"{what}: rows a second", rate, "", beside="bare onnxruntime", other=rows / bare),
        Figure(f"{what}: peak", max(peaks) / 2**30, "GiB", goal="< 2"),
    )
    return Report(figures, (f"Parquet to Parquet, keeping one column, on {_processors()} processors.",))


def table(rows: int, seed: int) -> pl.DataFrame:
    """Makes rows: numbers and categories, one in twenty of each missing."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {"id": np.arange(rows)}
    odds = np.zeros(rows)
    for number in range(NUMBERS):
        values = random.gamma(2, 3, rows)
        odds += (number % 3 - 1) * (values - 6) / 6
        values[random.random(rows) < 0.05] = np.nan
        columns[f"n{number}"] = values
    for number in range(CATEGORIES):
        codes = random.integers(0, 5 * (number + 1), rows)
        odds += 0.3 * (codes % 3 - 1)
        texts = np.array([f"value {code}" for code in range(5 * (number + 1))], dtype=object)[codes]
        texts[random.random(rows) < 0.05] = None
        columns[f"c{number}"] = pl.Series(texts.tolist(), dtype=pl.String)
    columns["y"] = np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return pl.DataFrame(columns, nan_to_null=True)


def _trained() -> Any:
    """Gives a model as a search makes it, its trees fitted again to be as many as the figure says."""
    import lightgbm

    training = table(TRAINING_ROWS, seed=0)
    found = search(
        training.drop("id"), target="y", learners=["lightgbm"], budget={"trials": 1}, select_features=False
    ).trained
    trees = lightgbm.LGBMClassifier(n_estimators=TREES, num_leaves=31, n_jobs=1, verbose=-1)
    trees.fit(found.encode(training), (training["y"] == "yes").to_numpy().astype(int))
    return replace(found, estimator=trees)


def _write(rows: pl.DataFrame, count: int, path: Path) -> None:
    import pyarrow.parquet as pq

    arrow = rows.to_arrow()
    with pq.ParquetWriter(path, arrow.schema, compression="zstd") as writer:
        for _ in range(count // rows.height):
            writer.write_table(arrow, row_group_size=250_000)


def _ours(folder: Path, peaks: list[int]) -> float:
    command = [*everloop_command(), "predict", str(folder / "rows.parquet"), "--keep", "id", "--json"]
    command += ["--package", str(folder / "package"), "--output", str(folder / "scored.parquet")]
    start = time.perf_counter()
    peak, _ = peak_memory(command)
    peaks.append(peak)
    return time.perf_counter() - start


def _bare(folder: Path, rows: int) -> float:
    """Runs a fifth of the rows, as each takes as long as another, and gives the seconds of all."""
    words = [folder / "package" / "score.onnx", folder / "vectors.npy", str(rows // 5), str(_processors())]
    return 5 * float(output_of([sys.executable, "-c", BARE, *words]))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
