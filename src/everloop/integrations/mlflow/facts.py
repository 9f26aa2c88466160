"""What MLflow is told about a run: parameters, metrics and tags, from what its steps found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop.record.rows import RunRow

Steps = Mapping[str, Mapping[str, Any]]

# By which a run is recognised; its value is the run's id.
RUN_TAG = "everloop.run"
STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_TRAIN_PARAMETERS = ("learner", "seed", "threshold", "evaluated_on", "metric", "calibrated", "trials")
_INTERVALS = {"value": "value_per_decision", "value_today": "value_per_decision_today", "gain": "gain"}
# What MLflow keeps at most: https://mlflow.org/docs/latest/api_reference/rest-api.html#request-limits
MOST_TAG, MOST_PARAMETER = 5000, 6000
MOST_PARAMETERS = 100


@dataclass(frozen=True)
class RunFacts:
    """A run as MLflow keeps one.

    Attributes:
        parameters: Settings, as text.
        metrics: Finite numbers.
        tags: All else.
    """

    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def run_facts(run: RunRow, steps: Steps) -> RunFacts:
    """Gives what is told about a run.

    Args:
        run: The run.
        steps: Each step that it reached, to what the step found.
    """
    parameters = {name: _text(value, MOST_PARAMETER) for name, value in _parameters(steps)}
    metrics = {name: float(value) for name, value in _metrics(steps) if _is_number(value)}
    tags = {name: _text(value, MOST_TAG) for name, value in _tags(run, steps) if value not in (None, "")}
    return RunFacts(dict(list(parameters.items())[:MOST_PARAMETERS]), metrics, tags)


def _parameters(steps: Steps) -> Iterator[tuple[str, Any]]:
    train, frame = steps.get("train", {}), steps.get("frame", {}).get("frame", {})
    for name in ("task", "target"):
        if frame.get(name) is not None:
            yield name, frame[name]
    for name in _TRAIN_PARAMETERS:
        if train.get(name) is not None:
            yield name, train[name]
    if train.get("features") is not None:
        yield "inputs", ", ".join(train["features"])
    split = steps.get("dataset", {}).get("split", {})
    if split.get("by"):
        yield "split", split["by"]
    for name, value in sorted(train.get("configuration", {}).items()):
        yield f"configuration.{name}", value


def _metrics(steps: Steps) -> Iterator[tuple[str, Any]]:
    train = steps.get("train", {})
    for name, interval in train.get("metrics", {}).items():
        yield from _interval(name, interval)
    for key, name in _INTERVALS.items():
        yield from _interval(name, train.get(key) or {})
    for part, rows in steps.get("dataset", {}).get("rows", {}).items():
        yield f"rows.{part}", rows
    package = steps.get("package", {})
    yield "package_bytes", package.get("bytes")
    yield "parity_largest_difference", package.get("parity", {}).get("largest_difference")


def _interval(name: str, interval: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield name, interval.get("estimate")
    yield f"{name}.low", interval.get("low")
    yield f"{name}.high", interval.get("high")


def _tags(run: RunRow, steps: Steps) -> Iterator[tuple[str, Any]]:
    yield RUN_TAG, run.id
    yield "everloop.lifecycle", run.lifecycle
    yield "everloop.reason", run.reason
    yield "everloop.as_of", run.as_of.isoformat() if run.as_of else None
    yield "everloop.version", steps.get("package", {}).get("version")
    gate = steps.get("gate", {})
    if gate:
        yield "everloop.gate", "passed" if gate.get("passed") else "refused"
        yield "everloop.gate_reason", gate.get("reason")
    yield "everloop.error", run.facts.get("error", {}).get("message")
    yield "everloop.steps", json.dumps(run.facts.get("steps", {}))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any, most: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
