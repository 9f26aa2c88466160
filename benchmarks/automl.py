"""Searches for a model by Everloop and its peers, on the same rows, in the same time.

    .venv/bin/python -m benchmarks automl --peers --tables german_credit,diamonds --seconds 60

What was measured is kept in `.venv-benchmarks/automl.jsonl`, a line for each table, seed, budget and
system, and is not measured again until its line is taken out: so the comparison can be made table by table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.automl_tables import METRICS, TABLES, TARGET, split_table
from benchmarks.figures import Figure, Options, Report, text_table
from benchmarks.peers import ENVIRONMENTS, SCRIPTS, python_of

KEPT = ENVIRONMENTS / "automl.jsonl"
OURS = "everloop"
PEERS = ("autogluon", "flaml", "h2o")
QUICK_TABLES = ("wine",)
QUICK_SECONDS = 5.0
OVERTIME = 4.0
"""A system that takes so many times its budget, and two minutes for its start, has failed."""

START_SECONDS = 120.0
FIRST_SECONDS = 10.0
"""By then there is a model that could be used, on the largest table too."""


def run(options: Options) -> Report:
    """Compares; what was measured before is read."""
    names = options.tables or (QUICK_TABLES if options.quick else tuple(TABLES))
    seconds = options.seconds or (QUICK_SECONDS if options.quick else 60.0)
    found = _kept()
    for name in names:
        for seed in options.seeds:
            _measure(name, seed, seconds, found, options)
    mine = [row for row in found.values() if row["seconds"] == seconds and row["table"] in names]
    print(_table_of(mine))
    return Report(tuple(_figures(mine, seconds)), tuple(_notes(mine)))


def _measure(name: str, seed: int, seconds: float, found: dict[str, Any], options: Options) -> None:
    systems = [OURS, *PEERS]
    if options.systems:
        systems = [system for system in systems if system in options.systems]
    pythons = {
        system: Path(sys.executable) if system == OURS else python_of(system, install=options.peers)
        for system in systems
        if _key(name, seed, seconds, system) not in found
    }
    todo = {system: python for system, python in pythons.items() if python is not None}
    if not todo:
        return
    with tempfile.TemporaryDirectory() as folder:
        parts = split_table(name, seed, Path(folder), install=options.peers)
        if parts is None:
            return
        for system, python in todo.items():
            row = {"table": name, "seed": seed, "seconds": seconds, "system": system}
            row |= _asked(python, system, name, parts, seconds, seed, Path(folder))
            found[_key(name, seed, seconds, system)] = row
            print(f"   {json.dumps(row)}", flush=True)
            KEPT.parent.mkdir(parents=True, exist_ok=True)
            with KEPT.open("a") as file:
                file.write(json.dumps(row) + "\n")


def _asked(
    python: Path, system: str, name: str, parts: tuple[Path, Path], seconds: float, seed: int, folder: Path
) -> dict[str, Any]:
    """Runs a system's script in a process of its own, and judges what it predicted."""
    task = TABLES[name].task
    out = folder / f"{system}.json"
    script = str(SCRIPTS / f"automl_{system}.py")
    train, test = map(str, parts)
    asked = {"train": train, "test": test, "target": TARGET, "task": task, "metric": METRICS[task]}
    asked |= {"seconds": seconds, "seed": seed, "out": str(out)}
    # The interpreter's own settings are no part of a peer's environment.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    start = time.perf_counter()
    try:
        done = subprocess.run(
            [str(python), script, json.dumps(asked)],
            check=False,
            capture_output=True,
            text=True,
            timeout=OVERTIME * seconds + START_SECONDS,
            env=clean,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        return {"error": "it did not end", "whole": time.perf_counter() - start}
    whole = time.perf_counter() - start
    if not out.exists():
        lines = (done.stderr or done.stdout).strip().splitlines()
        return {"error": lines[-1] if lines else f"it ended with {done.returncode}", "whole": whole}
    said = json.loads(out.read_text())
    actual = pl.read_parquet(parts[1])[TARGET]
    return {
        "score": _score(task, actual, said),
        "whole": whole,
        "fit": said["fit"],
        "predict": said["predict"],
        "told": said["told"],
        "first": said.get("first"),
    }


def _score(task: str, actual: pl.Series, said: dict[str, Any]) -> float:
    """Judges predictions by scikit-learn, so that no system is judged by its own metric."""
    from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

    if task == "regression":
        return float(root_mean_squared_error(actual.to_numpy(), np.array(said["prediction"])))
    labels = sorted({_label(value) for value in actual.to_list()} | {_label(one) for one in said["classes"]})
    places = [labels.index(_label(one)) for one in said["classes"]]
    chances = np.zeros((len(actual), len(labels)))
    chances[:, places] = said["chances"]
    index = np.array([labels.index(_label(value)) for value in actual.to_list()])
    if task == "binary":
        return float(roc_auc_score(index, chances[:, 1]))
    chances = np.clip(chances, 1e-15, 1)
    return float(log_loss(index, chances / chances.sum(axis=1, keepdims=True), labels=range(len(labels))))


def _label(value: Any) -> str:
    """Spells a label alike, whether a system read 1, 1.0 or true."""
    text = str(value)
    known = {"True": "1", "true": "1", "False": "0", "false": "0"}
    return known.get(text, text.removesuffix(".0"))


def _key(name: str, seed: int, seconds: float, system: str) -> str:
    return f"{name} {seed} {seconds:g} {system}"


def _kept() -> dict[str, Any]:
    if not KEPT.exists():
        return {}
    rows = [json.loads(line) for line in KEPT.read_text().splitlines()]
    return {_key(row["table"], row["seed"], row["seconds"], row["system"]): row for row in rows}


def _by_split(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    splits: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in rows:
        splits.setdefault((row["table"], row["seed"]), {})[row["system"]] = row
    return splits


def _ranks(systems: dict[str, dict[str, Any]], task: str) -> dict[str, float]:
    """Ranks the systems of one split from 1, ties shared; one that failed is last."""
    sign = -1.0 if task == "binary" else 1.0
    worth = {name: sign * row.get("score", sign * float("inf")) for name, row in systems.items()}
    return {
        name: 1 + sum(w < mine for w in worth.values()) + (sum(w == mine for w in worth.values()) - 1) / 2
        for name, mine in worth.items()
    }


def _table_of(rows: list[dict[str, Any]]) -> str:
    systems = [name for name in (OURS, *PEERS) if any(row["system"] == name for row in rows)]
    lines = []
    for (name, seed), found in sorted(_by_split(rows).items()):
        metric = METRICS[TABLES[name].task]
        cells = [_cell(found.get(system)) for system in systems]
        lines.append((f"{name} ({seed})", metric, *cells))
    return text_table(("table (seed)", "metric", *systems), lines)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if "error" in row:
        return "failed"
    return f"{row['score']:.5g} in {row['fit']:.0f} s"


def _figures(rows: list[dict[str, Any]], seconds: float) -> Iterable[Figure]:
    """Gives the mean rank of ours beside each peer's over the splits that both were given."""
    splits = _by_split(rows)
    for peer in PEERS:
        shared = [
            _ranks({name: found[name] for name in (OURS, peer)}, TABLES[table].task)
            for (table, _), found in splits.items()
            if {OURS, peer} <= set(found)
        ]
        if shared:
            ours, theirs = (float(np.mean([one[name] for one in shared])) for name in (OURS, peer))
            what = f"mean rank on {len(shared)} splits at {seconds:g} s"
            yield Figure(what, ours, "", beside=peer, other=theirs, goal=f"<= {theirs}")
    mine = [row for row in rows if row["system"] == OURS]
    if mine:
        first = max((row.get("first") or 0.0 for row in mine), default=0.0)
        yield Figure("slowest first model", first, "s", goal=f"<= {FIRST_SECONDS}")
        yield Figure("failures", sum("error" in row for row in mine), "", goal="<= 0")
        slowest = max(row.get("fit", row["whole"]) for row in mine)
        yield Figure(
            "slowest search", slowest, "s", beside="budget", other=seconds, goal=f"<= {1.1 * seconds}"
        )


def _notes(rows: list[dict[str, Any]]) -> Iterable[str]:
    """Tells what each system reached on each split, and why one failed."""
    for (name, seed), found in sorted(_by_split(rows).items()):
        reached = "; ".join(
            f"{system} {_cell(found[system])}" for system in (OURS, *PEERS) if system in found
        )
        yield f"{name} (seed {seed}), {METRICS[TABLES[name].task]}: {reached}"
    for row in rows:
        if "error" in row:
            yield f"{row['system']} on {row['table']} (seed {row['seed']}): {row['error']}"
