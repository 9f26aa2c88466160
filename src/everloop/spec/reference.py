"""The page of the documentation that lists the lifecycle file's keys, made from the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from everloop.core.units import BOUND_PATTERN, DURATION_PATTERN, PERCENT_PATTERN, RATE_PATTERN
from everloop.spec.cleaning import CleanSpec, ColumnCleanSpec, RepeatedRows
from everloop.spec.data import AsOfFeature, DataSpec, LeakSpec, SplitSpec, WindowFeature
from everloop.spec.deploy import (
    DeploySpec,
    Hold,
    LimitsSpec,
    LogSpec,
    ServeSpec,
    SigningSpec,
    TlsSpec,
    TokensSpec,
)
from everloop.spec.fields import ALARM_PATTERN
from everloop.spec.goal import CostSpec, GoalSpec, TodayRule, ValueSpec
from everloop.spec.http import HttpAuth, HttpPages
from everloop.spec.lifecycle import EngineSpec, LifecycleSpec
from everloop.spec.model import Budget, ModelSpec
from everloop.spec.monitor import (
    ALERT_KINDS,
    AfterReleaseSpec,
    DriftSpec,
    HistorySpec,
    MonitorSpec,
    RetrainSpec,
    SilenceSpec,
    WindowSpec,
)
from everloop.spec.part import Part
from everloop.spec.problem import ImageSpec, ProblemSpec
from everloop.spec.schema import json_schema
from everloop.spec.secret import PATTERN as SECRET_PATTERN
from everloop.spec.sources import SOURCE_KINDS, StreamLimit

HEADING = """\
# The lifecycle file

<!-- Made by `python -m everloop.spec.reference` from the models. -->

`everloop.yaml` describes one ML product. It is YAML 1.2: `yes` and `no` are text, `true` and `false`
are not. Every key may be left out unless it is *required*; what is left out is inferred or has the
default below. `everloop check` tells every mistake with its line and column, and `everloop schema`
prints the JSON Schema for editors.

A secret is only ever named: `env:NAME` reads an environment variable and `file:PATH` a file, at the
moment of use. An address with a password in it is refused.

Words for values: a *duration* is written `90d`, `12h`, `2m`, `30s` or `5ms`; a *percentage* `20%`; a
*bound* `>= 0.6`, `<= 35%` or `<= 50ms`; a *rate* `10000 / month`; *SQL* is an expression over one
row, see [expressions](expressions.md).
"""
# Each heading's path in the file and its model, in the order of the page.
PARTS: tuple[tuple[str, type[Part]], ...] = (
    ("", LifecycleSpec),
    ("goal", GoalSpec),
    ("goal.today", TodayRule),
    ("goal.value", ValueSpec),
    ("goal.costs", CostSpec),
    ("problem", ProblemSpec),
    ("problem.images", ImageSpec),
    ("data", DataSpec),
    *((f"data.sources: {kind}", model) for kind, model in SOURCE_KINDS.items()),
    ("data.sources: http: pages", HttpPages),
    ("data.sources: http: auth", HttpAuth),
    ("data.sources: limit of a stream", StreamLimit),
    ("data.clean", CleanSpec),
    ("data.clean.duplicates: in some columns", RepeatedRows),
    ("data.clean.columns", ColumnCleanSpec),
    ("data.features: a window", WindowFeature),
    ("data.features: the latest value", AsOfFeature),
    ("data.split", SplitSpec),
    ("data.leaks", LeakSpec),
    ("model", ModelSpec),
    ("model.budget", Budget),
    ("deploy", DeploySpec),
    ("deploy.hold", Hold),
    ("deploy.serve", ServeSpec),
    ("deploy.serve.tokens", TokensSpec),
    ("deploy.serve.limits", LimitsSpec),
    ("deploy.serve.tls", TlsSpec),
    ("deploy.log", LogSpec),
    ("deploy.signing", SigningSpec),
    ("monitor", MonitorSpec),
    ("monitor.window", WindowSpec),
    ("monitor.drift", DriftSpec),
    *((f"monitor.alerts: {kind}", model) for kind, model in ALERT_KINDS.items()),
    ("monitor.silences", SilenceSpec),
    ("monitor.retrain", RetrainSpec),
    ("monitor.after_release", AfterReleaseSpec),
    ("monitor.retrain.history", HistorySpec),
    ("engine", EngineSpec),
)
_WRITTEN = {
    DURATION_PATTERN: "duration",
    PERCENT_PATTERN: "percentage",
    BOUND_PATTERN: "bound",
    RATE_PATTERN: "rate",
    ALARM_PATTERN: "`N false alarms in M windows`",
    SECRET_PATTERN: "`env:NAME` or `file:PATH`",
}
_NAMES = {model.__name__: path for path, model in PARTS}
_SIMPLE = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}


def reference_markdown() -> str:
    """Gives the whole page as Markdown."""
    schema = json_schema()
    parts = [HEADING]
    for path, model in PARTS:
        facts = schema if model is LifecycleSpec else _definition(schema["$defs"][model.__name__])
        parts.append(_section(path, model, facts))
    return "".join(parts)


def _definition(facts: dict[str, Any]) -> dict[str, Any]:
    """Gives a part's own form where it has a short one beside it."""
    return next((form for form in facts.get("anyOf", ()) if "properties" in form), facts)


def _section(path: str, model: type[Part], facts: Mapping[str, Any]) -> str:
    title = f"`{path}`" if path else "Top level"
    lines = [f"\n## {title}\n\n{str(model.__doc__).strip()}\n\n"]
    lines.append("| key | is | default | |\n|---|---|---|---|\n")
    for name, field in model.model_fields.items():
        key = field.alias or name
        default = "*required*" if field.is_required() or (path, key) == ("problem", "target") else ""
        kinds = list(dict.fromkeys(_types(facts["properties"][key])))
        share = any("percentage" in kind for kind in kinds)
        default = default or _default(field.get_default(call_default_factory=True), share=share)
        written = _escape(" or ".join(kinds))
        lines.append(f"| `{key}` | {written} | {_escape(default)} | {_escape(field.description or '')} |\n")
    return "".join(lines)


def _types(facts: Mapping[str, Any]) -> Iterator[str]:
    """Gives the ways in which a value may be written."""
    if "$ref" in facts:
        path = _NAMES[facts["$ref"].rpartition("/")[2]]
        yield f"[`{path}`](#{_anchor(path)})"
    elif "anyOf" in facts or "oneOf" in facts:
        for form in facts.get("anyOf", ()) or facts["oneOf"]:
            yield from _types(form)
    elif "enum" in facts or "const" in facts:
        yield from (f"`{value}`" for value in facts.get("enum", [facts.get("const")]))
    elif facts.get("type") == "array":
        yield f"list of {' or '.join(dict.fromkeys(_types(facts['items'])))}"
    elif facts.get("type") == "object":
        inner = facts.get("additionalProperties")
        yield f"names with {' or '.join(dict.fromkeys(_types(inner)))}" if isinstance(inner, dict) else "keys"
    elif "pattern" in facts and facts["pattern"] in _WRITTEN:
        yield _WRITTEN[facts["pattern"]]
    elif facts.get("type") == ["string", "number"]:
        yield "SQL or number"
    elif facts.get("type") not in (None, "null"):
        yield _SIMPLE[facts["type"]]


def _default(value: Any, *, share: bool) -> str:
    """Writes a default as people write it; a part's own defaults stand in its own table."""
    if isinstance(value, Part):
        stated = {k: v for k, v in value.model_dump(mode="json", by_alias=True).items() if v is not None}
        written = ", ".join(f"{key}: {_scalar(item)}" for key, item in stated.items())
        return f"`{{{written}}}`" if len(stated) == 1 else ""
    if value is None or value in ("", (), {}):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(_scalar(item, share=share) for item in value)}]`"
    return f"`{_scalar(value, share=share)}`"


def _scalar(value: Any, *, share: bool = False) -> str:
    if share:
        return f"{value:.0%}"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _anchor(path: str) -> str:
    return "".join(c for c in path.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference_markdown())
