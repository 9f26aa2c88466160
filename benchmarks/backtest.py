"""Four retraining policies on real history: flights, electricity and bicycles, each with its own label delay.

Flights are all 336,776 of a year, the shipped example's; the other two are lifecycle files beside this one,
on the tables in `../shared/data`.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, Options, Report
from benchmarks.flights import prepared
from everloop.core.clock import parse_time
from everloop.loop.backtest import Rehearsal, backtest
from everloop.loop.policies import USUAL
from everloop.loop.workspace import Workspace
from everloop.spec import load
from everloop.spec.model import Budget

if TYPE_CHECKING:
    from everloop.loop.compared import BacktestResult

SHARED = Path(__file__).parents[2] / "shared" / "data"
LIFECYCLES = Path(__file__).parent / "backtests"
TABLES = {"elec2": "elec2.parquet", "bike": "bike_hourly.csv.gz"}
# Each training tries one configuration: what is compared is when to retrain, not how well to search.
BUDGET = Budget(trials=1)


def run(options: Options) -> Report:
    """Measures each, or those of `options.tables`; quick: flights of two months, one in ten, and no other."""
    with tempfile.TemporaryDirectory() as name:
        folder = prepared(Path(name) / "flights")
        if options.quick:
            how = Rehearsal(
                parse_time("2013-03-01"), parse_time("2013-05-01"), sample=0.1, budget=Budget(trials=1)
            )
            return _report({"flights, quick": (folder, how)}, quick=True)
        asked = options.tables or ("flights", *TABLES)
        cases = {"336,776 flights": (folder, Rehearsal(budget=BUDGET))} if "flights" in asked else {}
        for table, file in TABLES.items():
            if table in asked and (SHARED / file).exists():
                cases[table] = (lifecycle(table, Path(name) / table), Rehearsal(budget=BUDGET))
        return _report(cases, quick=False)


def lifecycle(name: str, folder: Path) -> Path:
    """Copies a lifecycle of this benchmark beside its table; gives the folder."""
    folder.mkdir(parents=True)
    shutil.copy(LIFECYCLES / f"{name}.yaml", folder / "everloop.yaml")
    shutil.copy(SHARED / TABLES[name], folder / TABLES[name])
    return folder


def _report(cases: dict[str, tuple[Path, Rehearsal]], *, quick: bool) -> Report:
    figures, notes = [], []
    for name, (folder, how) in cases.items():
        start, computed = time.perf_counter(), _computed()
        with Workspace.open(load(folder / "everloop.yaml")) as workspace:
            result = backtest(workspace, USUAL, how)
        seconds = time.perf_counter() - start
        goal = "< 180" if name.endswith("flights") and not quick else ""
        figures.append(Figure(f"{name}, four policies", seconds, "s", goal=goal))
        notes += [f"{name}: {line}" for line in told(result)]
        notes.append(f"{name}: {_computed() - computed:.0f} s of processor time")
    return Report(tuple(figures), tuple(notes))


def _computed() -> float:
    """The processor time of this process and of those that it has waited for, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def told(result: BacktestResult) -> list[str]:
    """Gives what each policy came to, a line each, and the verdict."""
    lines = [
        f"{one.name}: {one.net:,.0f} {result.currency} after {one.cost:,.2f} of costs, "
        f"{one.retrains} retrains ({one.promoted} promoted), {one.alarms} alarms, best in {one.best_in:.0%}"
        for one in result.ranked
    ]
    return [f"{result.decisions:,} decisions", *lines, result.verdict]
