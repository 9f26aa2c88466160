"""Features in Python: a function of a row's columns in a file beside the lifecycle file.

The function's parameters name the columns that it reads, and its return annotation says what it gives::

    def region_risk(region: str, amount: float) -> float:
        return RISK.get(region, 0.5) * amount

The file may import modules that lie beside it, at its top. The function is run for every row of a
snapshot. A package holds no code, so where it is served the value is an
input like any other: whoever asks computes it, with the same function.
"""

from __future__ import annotations

import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType, NoneType
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault, SpecFault
from everloop.data.python_modules import code_digest, importable

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec import DataSpec
    from everloop.table.schema import ColumnType

_WRITTEN = re.compile(r"^\s*(?P<file>[\w./-]+\.py):(?P<function>[A-Za-z_]\w*)\s*$")
_TYPES: dict[type, ColumnType] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    datetime: "time",
}
# A function that gives two answers for one of so many rows is caught.
_TRIED_TWICE = 50


@dataclass(frozen=True)
class PythonFeature:
    """A feature that a function computes.

    Attributes:
        name: The feature's name.
        written: The file and the function, as the lifecycle file names them.
        digest: The SHA-256 of the file, with the local modules that it imports.
        columns: The columns that the function reads, in the order of its parameters.
        type: What it gives, in the words of `table.schema`.
        function: The function.
    """

    name: str
    written: str
    digest: str
    columns: tuple[str, ...]
    type: ColumnType
    function: Callable[..., Any]

    def to_dict(self) -> dict[str, Any]:
        """Gives what is known of it as what JSON can carry; the function stays in its file."""
        return {
            "name": self.name,
            "function": self.written,
            "digest": self.digest,
            "columns": list(self.columns),
            "type": self.type,
        }


def is_python(feature: Any) -> bool:
    """Says whether a feature of the file names a function."""
    return isinstance(feature, str) and _WRITTEN.match(feature) is not None


def python_digests(data: DataSpec, folder: Path) -> dict[str, str]:
    """Gives for each feature in Python the digest of its file and what that imports of its folder.

    No code is run.

    Raises:
        SpecFault: When a file is not there.
    """
    written = {name: str(feature) for name, feature in data.features.items() if is_python(feature)}
    return {name: code_digest(_file(name, text, folder)) for name, text in written.items()}


def load_python_features(data: DataSpec, folder: Path) -> tuple[PythonFeature, ...]:
    """Runs the files that features in Python are in, and takes their functions.

    Args:
        data: The file's part about data.
        folder: The lifecycle file's folder.

    Raises:
        SpecFault: When a file or a function is not there, fails to load, or does not say what it reads
            and gives.
    """
    modules: dict[str, ModuleType] = {}
    found = []
    for name, feature in data.features.items():
        if not is_python(feature):
            continue
        written = str(feature).strip()
        path = _file(name, written, folder)
        file, _, function = written.rpartition(":")
        if file not in modules:
            modules[file] = _run(name, path)
        columns, kind, called = _signature(name, written, getattr(modules[file], function, None))
        found.append(PythonFeature(name, written, code_digest(path), columns, kind, called))
    return tuple(found)


def compute(feature: PythonFeature, rows: pl.LazyFrame) -> pl.Series:
    """Runs a feature's function for every row.

    Args:
        feature: The feature.
        rows: Rows with the columns that it reads.

    Raises:
        SpecFault: When it reads a column that is not there, or gives two answers for one row.
        DataFault: When it fails on a row, or gives what its annotation does not say.
    """
    import polars as pl

    known = rows.collect_schema().names()
    missing = [name for name in feature.columns if name not in known]
    if missing:
        raise SpecFault(
            f"The feature {feature.name} reads {missing[0]}, which is no column of the table; "
            f"it has {', '.join(known)}.",
            hint="a parameter of the function is the name of a column",
            place=f"data.features.{feature.name}",
        )
    held = rows.select(feature.columns).collect().rows()
    values = [_answer(feature, place, row) for place, row in enumerate(held)]
    again = [_answer(feature, place, row) for place, row in enumerate(held[:_TRIED_TWICE])]
    if values[:_TRIED_TWICE] != again:
        raise SpecFault(
            f"The feature {feature.name} gives another answer each time; a feature must not.",
            hint="leave chance and the clock out of the function",
            place=f"data.features.{feature.name}",
        )
    kinds = {"boolean": pl.Boolean(), "integer": pl.Int64(), "number": pl.Float64(), "text": pl.String()}
    return pl.Series(feature.name, values, kinds.get(feature.type, pl.Datetime("us", "UTC")))


def _answer(feature: PythonFeature, place: int, row: tuple[Any, ...]) -> Any:
    try:
        value = feature.function(*row)
    except Exception as error:  # a user's function may fail in any way
        raise DataFault(
            f"{feature.written} fails on row {place}: {type(error).__name__}: {error}.",
            hint="a missing value is None",
            place=f"data.features.{feature.name}",
        ) from error
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    wanted = next(kind for kind, ours in _TYPES.items() if ours == feature.type)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        raise DataFault(
            f"{feature.written} gives a {type(value).__name__} on row {place}; it says {wanted.__name__}.",
            place=f"data.features.{feature.name}",
        )
    return value


def _file(name: str, written: str, folder: Path) -> Path:
    file = written.strip().rpartition(":")[0]
    path = folder / file
    if not path.is_file():
        raise SpecFault(
            f"The feature {name} is in {file}, which is not there.",
            hint=f"ls {path.parent}",
            place=f"data.features.{name}",
        )
    return path


def _run(name: str, path: Path) -> ModuleType:
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        with importable(path.parent):
            exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102  (the user's own)
    except Exception as error:
        raise SpecFault(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}.",
            hint=f"python {path}",
            place=f"data.features.{name}",
        ) from error
    return module


def _signature(
    name: str, written: str, function: Any
) -> tuple[tuple[str, ...], ColumnType, Callable[..., Any]]:
    place, file = f"data.features.{name}", written.rpartition(":")[0]
    if not inspect.isfunction(function):
        raise SpecFault(f"The feature {name} is {written}, and {file} has no such function.", place=place)
    parameters = inspect.signature(function).parameters.values()
    kind = _type_of(_hints(function).get("return"))
    odd = any(each.kind is not each.POSITIONAL_OR_KEYWORD for each in parameters)
    if kind is None or odd or not parameters:
        raise SpecFault(
            f"{written} must name the columns that it reads as its parameters, and say what it gives: "
            f"one of {', '.join(each.__name__ for each in _TYPES)}.",
            hint=f"def {function.__name__}(amount: float) -> float:",
            place=place,
        )
    return tuple(each.name for each in parameters), kind, function


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        return {}


def _type_of(annotation: Any) -> ColumnType | None:
    members = [each for each in typing.get_args(annotation) or (annotation,) if each is not NoneType]
    return _TYPES.get(members[0]) if len(members) == 1 else None
