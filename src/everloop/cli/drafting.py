"""Writing a new lifecycle file: what was inferred, why, and what else can be said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from everloop.core.units import format_duration
from everloop.spec.frame import Frame

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
# YAML takes these for something else than text, in one version or another.
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}
_EXCLUDED_SHOWN = 12
_CLASSED = ("binary", "multiclass")
_LEARNERS = {
    "clustering": "k_means, gaussian_mixture, hdbscan",
    "anomaly": "isolation_forest, ecod",
    "recommendation": "popularity, item_item, implicit_factors",
}
# What asks for a retrain where actuals come.
_ASKS = "[drift, performance, value]"


def draft(name: str, source: str, frame: Frame, rows: int, files: Sequence[str] = ()) -> str:
    """Writes the text of a lifecycle file.

    Args:
        name: The lifecycle's name.
        source: The data's path, from the file's folder.
        frame: What was inferred.
        rows: How many rows there are.
        files: Columns that name images or sounds.

    Returns:
        YAML that runs as it stands.
    """
    learners = _LEARNERS.get(frame.task, "linear, lightgbm, random_forest")
    tail = _TAIL.format(asks=_ASKS if frame.target else "[drift]", learners=learners)
    parts = (_head(name), _goal(frame), _problem(frame), _data(source, frame, rows, files), tail)
    return "\n".join(parts)


def scalar(text: str) -> str:
    """Writes a text as YAML, in quotes where YAML would take it for something else.

    Example:
        >>> scalar("region"), scalar("no"), scalar("12")
        ('region', '"no"', '"12"')
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """Writes a text as YAML in double quotes; what cannot be seen is written by its number."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _head(name: str) -> str:
    return (
        "# What Everloop does with this file: everloop run. What can be said in it: docs/lifecycle-file.md\n"
        f"name: {name}\n"
        "# owner: team@example.com\n"
    )


def _goal(frame: Frame) -> str:
    lines = ["goal:", '  statement: ""                      # the goal in a sentence']
    lines += _PRICED[frame.task](frame) if frame.task in _PRICED else []
    return "\n".join([*(_in_a_line(line) for line in lines), ""])


def _of_two(frame: Frame) -> list[str]:
    negative, positive = frame.classes
    return [
        "  # With prices the threshold is chosen by money; gate, rollout and monitor judge by it.",
        "  # A price is a number or an SQL expression over the row's columns, such as -0.55 * amount.",
        f"  # today: {{always: {scalar(negative)}}}     # what is decided without a model",
        "  # value:",
        "  #   currency: EUR",
        f"  #   true_positive: 0        # decided {positive}, and it was",
        f"  #   false_positive: -1      # decided {positive}, but it was {negative}",
        f"  #   false_negative: -5      # decided {negative}, but it was {positive}",
        f"  #   true_negative: 0        # decided {negative}, and it was",
        '  # require: {value_per_decision: ">= -0.5"}',
        "  # volume: 10000 / month",
        "  # capacity: 200 / day      # at most so many positive decisions",
    ]


def _of_several(frame: Frame) -> list[str]:
    first, second = (scalar(name) for name in frame.classes[:2])
    return [
        "  # With prices the class of the greatest expected worth is decided; all later steps judge by it.",
        "  # A price is a number or an SQL expression over the row's columns.",
        f"  # today: {{always: {first}}}     # what is decided without a model",
        "  # value:",
        "  #   currency: EUR",
        "  #   outcomes:               # the actual class: {the decided class: its worth}",
        f"  #     {first}: {{{first}: 1, {second}: -1}}",
        f"  #     {second}: {{{first}: -5, {second}: 1}}",
        "  #   otherwise: -1           # of what is not named",
    ]


def _of_a_number(frame: Frame) -> list[str]:
    return [
        "  # Where errors up and down do not cost the same, the number that costs least is given.",
        "  # A worth is an SQL expression over the row's columns, `actual` and `predicted`.",
        f"  # today: {{column: COLUMN}}   # what is taken for {frame.target} without a model",
        "  # value:",
        "  #   currency: EUR",
        "  #   over_prediction: -1 * (predicted - actual)",
        "  #   under_prediction: -3 * (actual - predicted)",
    ]


_PRICED = {"binary": _of_two, "multiclass": _of_several, "regression": _of_a_number}


def _problem(frame: Frame) -> str:
    delay = frame.label_delay_seconds
    keys = [
        ("target", scalar(frame.target) if frame.target else "", ""),
        ("task", frame.task, frame.reasons.get("task", "")),
        (
            "positive",
            scalar(frame.positive) if frame.target and frame.positive is not None else "",
            frame.reasons.get("positive", ""),
        ),
        ("optimise", frame.metric, frame.reasons.get("metric", "")),
        ("entity", scalar(frame.entity) if frame.entity else "", frame.reasons.get("entity", "")),
        ("time", scalar(frame.time) if frame.time else "", frame.reasons.get("time", "")),
        (
            "label_time",
            scalar(frame.label_time) if frame.label_time else "",
            frame.reasons.get("label_time", ""),
        ),
        (
            "label_delay",
            format_duration(timedelta(seconds=round(delay))) if delay else "",
            frame.reasons.get("label_delay", ""),
        ),
    ]
    lines = ["problem:"]
    for key, value, reason in keys:
        if value:
            lines.append(_in_a_line(f"  {key}: {value}{f'    # {reason}' if reason else ''}"))
    if not frame.time:
        lines.append(
            "  # time: COLUMN          # when a decision is made; no complete column of times was found"
        )
    lines.append("  # sensitive: [COLUMN]   # groups that must be treated alike")
    if frame.excluded:
        lines.append("  # Not learned from:")
        shown = list(frame.excluded.items())[:_EXCLUDED_SHOWN]
        lines += [_in_a_line(f"  #   {column}: {why}") for column, why in shown]
        more = len(frame.excluded) - len(shown)
        lines += [f"  #   and {more} more"] if more > 0 else []
    return "\n".join([*lines, ""])


def _data(source: str, frame: Frame, rows: int, files: Sequence[str]) -> str:
    split = "time" if frame.time else "stratified" if frame.task in _CLASSED else "random"
    named = ", ".join(scalar(column) for column in files)
    outliers = "keep" if frame.task == "anomaly" else "clip"
    lines = [
        "data:",
        "  sources:",
        f"    rows: {{file: {quoted(source)}}}    # {rows:,} rows",
        *([f"  files: [{named}]    # images or sounds beside this file"] if files else []),
        "  # table: select * from rows            # SQL over the sources, to join or to filter",
        "  contract: contract.yaml                # learned by the first run, then yours to edit",
        f"  clean: {{duplicates: {_repeated(frame)}, outliers: {outliers}, missing: impute}}",
        "  # features:",
        "  #   ratio: a / nullif(b, 0)            # SQL over the row; the same in training and serving",
        f"  split: {{by: {split}, validation: 20%, test: 20%}}",
    ]
    return "\n".join([*lines, ""])


def _repeated(frame: Frame) -> str:
    """Rows of events may be alike without being one."""
    return "keep" if frame.task == "recommendation" else "drop"


def _in_a_line(text: str) -> str:
    """Keeps a column's odd name from ending a comment."""
    return "".join(c if c.isprintable() else " " for c in text)


_TAIL = """\
model:
  # learners: [{learners}]    # by default all that ship
  budget: 60s                                      # or {{trials: 50}}, the same result each time
  select_features: true

deploy:
  strategy: canary                                 # blue_green, canary, ab, bandit, shadow
  steps: [5%, 25%, 50%, 100%]
  hold: {{requests: 500}}
  guard: {{error_rate: "<= 1%"}}
  serve: {{host: 127.0.0.1, port: 8700}}

monitor:
  window: 1d                                       # or {{predictions: 1000}}
  drift: {{alarm: "1 false alarm in 100 windows"}}
  # alerts: [{{webhook: env:ALERT_URL}}, {{file: alerts.jsonl}}]
  retrain: {{on: {asks}, approve: automatic}}
"""
