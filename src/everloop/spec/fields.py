"""Field types of the lifecycle file: as people write them, checked, and written back the same way."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from everloop.core.clock import parse_time
from everloop.core.errors import UsageFault
from everloop.core.schedule import EXAMPLES, Schedule
from everloop.core.units import (
    BOUND_PATTERN,
    DURATION_PATTERN,
    PERCENT_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    Bound,
    Rate,
    format_duration,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
)

ALARM_PATTERN = r"^\s*(\d+)\s+false alarms?\s+in\s+(\d+)\s+windows?\s*$"
TRIGGER_KINDS = ("drift", "performance", "value", "schedule", "labels", "contract", "rule", "python")
# Which triggers say more, and how that is written.
TRIGGER_ARGUMENTS = {
    "schedule": f"'schedule: ' with {EXAMPLES}",
    "labels": "'labels: ' with a whole number, such as 'labels: 5000'",
    "rule": "'rule: ' with a condition in SQL, such as 'rule: drift > 1.5 and days >= 14'",
    "python": "'python: ' with a file and a function, such as 'python: policy.py:when'",
}
AGAINST_PATTERN = r"^\s*(better|not worse( by (?P<amount>\d+(\.\d+)?\s*%?))?)\s*$"


@dataclass(frozen=True, slots=True)
class AlarmBudget:
    """How many false alarms are acceptable: `alarms` in so many `windows`."""

    alarms: int
    windows: int

    @property
    def rate(self) -> float:
        """False alarms for each window."""
        return self.alarms / self.windows

    def __str__(self) -> str:
        return f"{self.alarms} false alarm{'s' if self.alarms != 1 else ''} in {self.windows} windows"


@dataclass(frozen=True, slots=True)
class Against:
    """How a challenger is to compare with its champion: `not worse`, `not worse by 2%`, `better`.

    Attributes:
        better: Whether it has to be better.
        margin: How much worse it may be; None where the file leaves that open.
        percent: Whether the margin was written as a percentage.
    """

    better: bool = False
    margin: float | None = None
    percent: bool = False

    def allowed(self, tolerance: float) -> float:
        """Gives how much worse is not worse yet.

        Args:
            tolerance: That where the file leaves it open.
        """
        return 0.0 if self.better else tolerance if self.margin is None else self.margin

    def __str__(self) -> str:
        if self.better:
            return "better"
        if self.margin is None:
            return "not worse"
        return f"not worse by {100 * self.margin:g}%" if self.percent else f"not worse by {self.margin:g}"


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something that makes the loop consider a retrain: a kind and, for some, an argument."""

    kind: str
    argument: str | None = None

    def __str__(self) -> str:
        return self.kind if self.argument is None else f"{self.kind}: {self.argument}"


def _reads(kind: type, parse: Callable[[str], Any], expected: str) -> Callable[[Any], Any]:
    """Makes a validator that takes the value itself or its text."""

    def read(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise ValueError(f"expected {expected}")
        try:
            return parse(value)
        except UsageFault as fault:
            raise ValueError(f"expected {expected}") from fault

    return read


def _share(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = parse_percent(value)
        except UsageFault as fault:
            raise ValueError("expected a percentage such as 20%") from fault
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("expected a percentage from 0% to 100%")
    return float(value)


def _sql(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("expected a number or an SQL expression")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a number or an SQL expression")
    if not str(value).strip():
        raise ValueError("expected a number or an SQL expression")
    return str(value)


def _size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    try:
        size = parse_size(value if isinstance(value, str) else "")
    except UsageFault as fault:
        raise ValueError("expected a size such as 5MB or 800kB") from fault
    if not size:
        raise ValueError("expected a size of more than nothing")
    return size


def _alarm(value: Any) -> AlarmBudget:
    if isinstance(value, AlarmBudget):
        return value
    match = re.match(ALARM_PATTERN, value) if isinstance(value, str) else None
    if match is None or not 0 < int(match[1]) <= int(match[2]):
        raise ValueError("expected a budget such as '1 false alarm in 100 windows'")
    return AlarmBudget(int(match[1]), int(match[2]))


def read_trigger(value: Any) -> Trigger:
    """Reads what makes the loop consider a retrain, such as ``drift`` or ``schedule: weekly``.

    Raises:
        ValueError: When it is none.
    """
    if isinstance(value, Trigger):
        return value
    if isinstance(value, dict) and len(value) == 1:
        value = ": ".join(map(str, next(iter(value.items()))))
    if not isinstance(value, str):
        raise ValueError(f"expected one of {', '.join(TRIGGER_KINDS)}")
    kind, _, argument = (part.strip() for part in value.partition(":"))
    if kind not in TRIGGER_KINDS:
        raise ValueError(f"expected one of {', '.join(TRIGGER_KINDS)}")
    if (kind in TRIGGER_ARGUMENTS) != bool(argument):
        raise ValueError(f"expected {TRIGGER_ARGUMENTS.get(kind, repr(kind))}")
    if argument:
        _check_argument(kind, argument)
    return Trigger(kind, argument or None)


_WRITTEN = {"labels": r"[1-9]\d{0,17}", "python": r"[\w./-]+\.py\s*:\s*[A-Za-z_]\w*"}


def _check_argument(kind: str, argument: str) -> None:
    if kind in _WRITTEN and re.fullmatch(_WRITTEN[kind], argument) is None:
        raise ValueError(f"expected {TRIGGER_ARGUMENTS[kind]}")
    if kind == "schedule":
        try:
            Schedule.parse(argument)
        except UsageFault as fault:
            told = fault.message.removesuffix(".") + (f" ({fault.hint})" if fault.hint else "")
            raise ValueError(f"expected a schedule: {told}") from fault


def _guard(value: Any) -> Any:
    if isinstance(value, (Bound, Against)):
        return value
    text = value if isinstance(value, str) else ""
    against = re.match(AGAINST_PATTERN, text)
    if against is not None:
        amount = against["amount"]
        percent = amount is not None and amount.endswith("%")
        margin = None if amount is None else parse_percent(amount) if percent else float(amount)
        return Against(better=text.strip() == "better", margin=margin, percent=percent)
    try:
        return Bound.parse(text)
    except UsageFault as fault:
        told = "a bound such as '<= 1%', or 'not worse', 'not worse by 2%' or 'better'"
        raise ValueError(f"expected {told}") from fault


def _text_schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[
    timedelta,
    PlainValidator(_reads(timedelta, parse_duration, "a duration such as 90d, 2m or 5ms")),
    PlainSerializer(format_duration, return_type=str),
    _text_schema(DURATION_PATTERN, "90d"),
]
TIME_PATTERN = r"^\s*\d{4}-\d{2}-\d{2}([T ].*)?$"
Time = Annotated[
    datetime,
    PlainValidator(_reads(datetime, parse_time, "a time such as 2013-05-01 or 2013-05-01T06:00:00Z")),
    PlainSerializer(datetime.isoformat, return_type=str),
    _text_schema(TIME_PATTERN, "2013-05-01"),
]
Size = Annotated[
    int,
    PlainValidator(_size),
    PlainSerializer(format_size, return_type=str),
    _text_schema(SIZE_PATTERN, "5MB"),
]
Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": PERCENT_PATTERN},
                {"type": "number", "minimum": 0, "maximum": 1},
            ]
        }
    ),
]
BoundField = Annotated[
    Bound,
    PlainValidator(_reads(Bound, Bound.parse, "a bound such as '>= 0.6' or '<= 35%'")),
    PlainSerializer(str, return_type=str),
    _text_schema(BOUND_PATTERN, ">= 0.6"),
]
# JSON Schema knows no named groups.
_AGAINST_SCHEMA = AGAINST_PATTERN.replace("?P<amount>", "")
GuardField = Annotated[
    Bound | Against,
    PlainValidator(_guard),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": BOUND_PATTERN},
                {"type": "string", "pattern": _AGAINST_SCHEMA},
            ]
        }
    ),
]
Count = Annotated[int, Field(gt=0, strict=True)]
Amount = Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)]
RateField = Annotated[
    Rate,
    PlainValidator(_reads(Rate, Rate.parse, "a rate such as '10000 / month'")),
    PlainSerializer(str, return_type=str),
    _text_schema(RATE_PATTERN, "10000 / month"),
]
Sql = Annotated[str, BeforeValidator(_sql), WithJsonSchema({"type": ["string", "number"]})]
AlarmField = Annotated[
    AlarmBudget,
    PlainValidator(_alarm),
    PlainSerializer(str, return_type=str),
    _text_schema(ALARM_PATTERN, "1 false alarm in 100 windows"),
]
TriggerField = Annotated[
    Trigger,
    PlainValidator(read_trigger),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "string",
                    "pattern": r"^\s*(drift|performance|value|contract|(schedule|labels|rule|python):.+)$",
                },
                {"type": "object", "minProperties": 1, "maxProperties": 1},
            ]
        }
    ),
]
