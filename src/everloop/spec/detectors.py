"""Detectors that answer at each event, as `monitor.drift.detectors` names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

DETECTOR_OPTIONS: dict[str, tuple[str, ...]] = {
    "adwin": ("delta", "clock", "max_buckets", "min_window_length", "grace_period"),
    "page_hinkley": ("min_instances", "delta", "threshold", "alpha"),
    "kswin": ("alpha", "window_size", "stat_size"),
}
"""Each detector with its options, by the names of river, where they are explained."""

_EXPECTED = "expected one of {known}, or with options such as {{adwin: {{delta: 0.001}}}}"


@dataclass(frozen=True)
class DetectorChoice:
    """A detector and the options that the file gives it.

    Attributes:
        kind: ``adwin``, ``page_hinkley`` or ``kswin``.
        options: By river's names; whole numbers stay whole.
    """

    kind: str
    options: dict[str, float] = field(default_factory=dict)


def _choice(value: Any) -> DetectorChoice:
    if isinstance(value, DetectorChoice):
        return value
    expected = _EXPECTED.format(known=", ".join(DETECTOR_OPTIONS))
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(expected)
    kind, options = next(iter(value.items()))
    if kind not in DETECTOR_OPTIONS or not isinstance(options, dict):
        raise ValueError(expected)
    for name, number in options.items():
        if name not in DETECTOR_OPTIONS[kind]:
            raise ValueError(f"expected options of {kind}: {', '.join(DETECTOR_OPTIONS[kind])}")
        if isinstance(number, bool) or not isinstance(number, (int, float)) or number <= 0:
            raise ValueError(f"expected a number above 0 for {kind}.{name}")
    return DetectorChoice(kind, dict(options))


def _written(choice: DetectorChoice) -> Any:
    return {choice.kind: choice.options} if choice.options else choice.kind


DetectorField = Annotated[
    DetectorChoice,
    PlainValidator(_choice),
    PlainSerializer(_written),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(DETECTOR_OPTIONS)},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                    "properties": {
                        kind: {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {name: {"type": "number"} for name in options},
                        }
                        for kind, options in DETECTOR_OPTIONS.items()
                    },
                },
            ]
        }
    ),
]
