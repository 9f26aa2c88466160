"""Rules and dashboards name what server and loop count: a misspelt name would be silent for ever."""

import re

import pytest

from everloop.console.loop_metrics import FAMILIES as LOOP
from everloop.integrations.watching.alert_rules import rules_of
from everloop.integrations.watching.grafana import PANELS
from everloop.runtime.service.metrics import FAMILIES as SERVER
from everloop.spec import parse

FILE = """
name: loans
problem: {target: late}
data: {sources: {rows: {file: rows.csv}}}
deploy: {guard: {error_rate: "<= 3%", latency_p50: "<= 5ms", latency_p95: "<= 9ms", latency_p99: "<= 20ms"}}
"""
LABELS = {family.name: set(family.labels) for family in (*SERVER, *LOOP)} | {
    "up": {"part", "instance"},
    "everloop_request_seconds_bucket": {"route", "le"},
}
SELECTOR = re.compile(r"\b(up|everloop_\w+)\{\$of([^}]*)\}")


def expressions():
    found = {f"rule {rule.name}": rule.expression for rule in rules_of(parse(FILE))}
    for panel in PANELS:
        found |= {f"panel {panel.title}: {legend}": text for legend, text in panel.series.items()}
    return found


@pytest.mark.parametrize("name", expressions())
def test_every_series_is_one_that_is_counted_and_has_the_labels_that_pick_it(name):
    expression = expressions()[name]
    picked = SELECTOR.findall(expression)
    assert picked
    assert len(picked) == expression.count("everloop_") + len(re.findall(r"\bup\{", expression))
    for metric, labels in picked:
        assert metric in LABELS
        assert set(re.findall(r"(\w+)=", labels)) <= LABELS[metric] | {"part"}
    for grouping in re.findall(r"by \(([^)]*)\)", expression):
        known = set().union(*(LABELS[metric] for metric, _ in picked)) | {"instance"}
        assert {label.strip() for label in grouping.split(",")} <= known
