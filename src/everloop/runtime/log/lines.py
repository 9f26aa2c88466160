"""The kinds of lines in the prediction log, and lines as bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec


class PredictionLine(msgspec.Struct, frozen=True, array_like=True, tag="prediction", gc=False):
    """One answer.

    Attributes:
        id: The prediction's id.
        time: When it was asked for, in microseconds since 1970, UTC.
        version: The version that answered.
        arm: `champion`, `challenger`, or `shadow` for an answer that was not given to anyone.
        row: The row as served, after the contract's normalisation; times are aware datetimes.
        score: The score, or one for each class where there are several.
        prediction: The class's text, the number, or the items that were recommended.
        latency_us: How long the answer took, in microseconds.
        chance: How likely it was, when it was asked, that this arm answers. Below 1 while a challenger
            takes a share of the requests; 1 where nothing was drawn.
    """

    id: str
    time: int
    version: int
    arm: str
    row: dict[str, Any]
    score: float | tuple[float, ...]
    prediction: str | float | tuple[str, ...]
    latency_us: int
    chance: float = 1.0


class ActualLine(msgspec.Struct, frozen=True, array_like=True, tag="actual", gc=False):
    """One true outcome, as it came back.

    Attributes:
        id: The id of the prediction that it belongs to.
        actual: The class's text or the number.
        time: When it became known, in microseconds since 1970, UTC.
    """

    id: str
    actual: str | float
    time: int


class RefusalLine(msgspec.Struct, frozen=True, array_like=True, tag="refusal", gc=False):
    """A row that an arm did not answer, written while two versions are compared; the row is not kept.

    Attributes:
        id: The prediction's id.
        time: When it was asked for, in microseconds since 1970, UTC.
        version: The version that should have answered.
        arm: As in `PredictionLine`.
        kind: `contract` where the row violates the version's contract, `error` where the version failed.
        unit: What keeps its arm, hashed: the entity, or the id where there is none.
        latency_us: How long it took to fail, in microseconds.
        chance: As in `PredictionLine`.
    """

    id: str
    time: int
    version: int
    arm: str
    kind: str
    unit: str
    latency_us: int
    chance: float = 1.0


Line = PredictionLine | ActualLine | RefusalLine

Written = Line | tuple[Any, ...]
"""A line as it is appended; a tuple is what `short_lines` says."""

SCHEMA = {
    "prediction": list(PredictionLine.__struct_fields__),
    "actual": list(ActualLine.__struct_fields__),
    "refusal": list(RefusalLine.__struct_fields__),
}

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Line)


plainly: Callable[[Written], bytes] = _ENCODER.encode
"""Gives a line as MessagePack, where MessagePack can hold what is in it."""
UNHOLDABLE = (OverflowError, TypeError, UnicodeEncodeError, RecursionError)
"""What `plainly` raises otherwise."""
DEEPEST = 64
"""How deep what is nested in a row is kept where it cannot be kept as it is."""


def encode_line(line: Written) -> bytes:
    """Gives a line as MessagePack, whatever is in it: it is written after its request was answered.

    What MessagePack cannot hold is kept as near as it can: a whole number beyond 64 bits as a double, which
    is what a model was given of it, a value of an unknown type as its text, and what is nested deeper than
    `DEEPEST` as three dots.
    """
    try:
        return plainly(line)
    except UNHOLDABLE:
        if isinstance(line, tuple):
            return plainly(_holdable(line, DEEPEST + 1))
        fields = {name: _holdable(getattr(line, name)) for name in line.__struct_fields__}
        return plainly(msgspec.structs.replace(line, **fields))


def _holdable(value: Any, left: int = DEEPEST) -> Any:
    if not isinstance(value, dict | list | tuple):
        return _plain(value)
    if not left:
        return "..."
    if isinstance(value, dict):
        return {_plain(str(name)): _holdable(part, left - 1) for name, part in value.items()}
    return tuple(_holdable(part, left - 1) for part in value)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | datetime():
            return value
        case int():
            return int(value) if -(2**63) <= value < 2**64 else _double(value)
        case float():
            return float(value)
        case _:
            return str(value).encode(errors="backslashreplace").decode()


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def decode_line(payload: bytes | memoryview) -> Line:
    """Reads what `encode_line` gave.

    Raises:
        msgspec.DecodeError: When the payload is no line.
    """
    line: Line = _DECODER.decode(payload)
    return line
