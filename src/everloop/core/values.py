"""Values as JSON can carry them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

from everloop.core.clock import as_utc


def to_jsonable(value: Any) -> Any:  # noqa: PLR0911  (a flat table of types)
    """Turns a value into dictionaries, lists, texts, numbers, booleans and None.

    Times become ISO 8601 in UTC, durations seconds, and a number that JSON has no form for (NaN,
    infinities) becomes None. What is returned is of Python's own types exactly: numpy's double is a
    kind of float, but encoders that know floats alone do not take it.

    Raises:
        TypeError: When the value is of a type that has no such form.
    """
    if isinstance(value, Enum):
        return to_jsonable(value.value)
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return as_utc(value).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((to_jsonable(item) for item in value), key=str)
    return _from_object(value)


def _from_object(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return to_jsonable(value.to_dict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays, with numpy not imported here
        return to_jsonable(value.tolist())
    if hasattr(value, "model_dump"):
        return to_jsonable(value.model_dump(mode="json"))
    raise TypeError(f"{type(value).__name__} has no JSON form")
