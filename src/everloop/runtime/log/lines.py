"""The two kinds of lines in the prediction log."""

from __future__ import annotations

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
    """

    id: str
    time: int
    version: int
    arm: str
    row: dict[str, Any]
    score: float | tuple[float, ...]
    prediction: str | float | tuple[str, ...]
    latency_us: int


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


Line = PredictionLine | ActualLine

SCHEMA = {
    "prediction": list(PredictionLine.__struct_fields__),
    "actual": list(ActualLine.__struct_fields__),
}

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Line)


def encode_line(line: Line) -> bytes:
    """Gives a line as MessagePack."""
    return _ENCODER.encode(line)


def decode_line(payload: bytes | memoryview) -> Line:
    """Reads what `encode_line` gave.

    Raises:
        msgspec.DecodeError: When the payload is no line.
    """
    line: Line = _DECODER.decode(payload)
    return line
