"""Grafana: a dashboard of one lifecycle, drawn from what its server and its loop count."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.deploy.targets import Capabilities
from everloop.integrations.lifecycle_exports import Written
from everloop.integrations.watching.alert_rules import expression_of

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

_SCHEMA = 39
_WIDTH, _HEIGHT = 12, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture.

    Attributes:
        title: What it shows.
        unit: Grafana's word for the unit; `currency` is the lifecycle's own.
        series: Legend to PromQL, in which `$of` stands for what picks this lifecycle's series.
    """

    title: str
    unit: str
    series: dict[str, str]


PANELS = (
    Panel(
        "Value of a decision, by window",
        "currency",
        {
            "as served": "everloop_window_value{$of}",
            "lowest": "everloop_window_value_low{$of}",
            "highest": "everloop_window_value_high{$of}",
        },
    ),
    Panel(
        "More than today's rule",
        "currency",
        {
            "a decision": "everloop_window_gain{$of}",
            "lowest": "everloop_window_gain_low{$of}",
            "highest": "everloop_window_gain_high{$of}",
        },
    ),
    Panel("Drift, as a multiple of what is allowed", "none", {"drift": "everloop_window_drift_ratio{$of}"}),
    Panel(
        "Versions",
        "none",
        {
            "champion": "everloop_champion_version{$of}",
            "challenger": "everloop_challenger_version{$of}",
        },
    ),
    Panel(
        "Requests a second",
        "reqps",
        {"{{route}} {{status}}": "sum by (route, status) (rate(everloop_requests_total{$of}[5m]))"},
    ),
    Panel(
        "Latency of /predict",
        "s",
        {
            name: f"histogram_quantile({share}, sum by (le) "
            '(rate(everloop_request_seconds_bucket{$of,route="/predict"}[5m])))'
            for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    ),
    Panel(
        "Predictions a second",
        "ops",
        {"v{{version}} {{arm}}": "sum by (version, arm) (rate(everloop_predictions_total{$of}[5m]))"},
    ),
    Panel(
        "What broke the contract, a second",
        "ops",
        {"{{field}} {{rule}}": "sum by (field, rule) (rate(everloop_contract_violations_total{$of}[5m]))"},
    ),
    Panel("Answered 503", "ops", {"{{reason}}": "sum by (reason) (rate(everloop_shed_total{$of}[5m]))"}),
    Panel(
        "Predictions and actuals of the last window",
        "none",
        {
            "predictions": "everloop_window_predictions{$of}",
            "actuals": "everloop_window_actuals{$of}",
        },
    ),
    Panel("Decisions", "none", {"{{kind}}: {{answer}}": "everloop_decisions_total{$of}"}),
    Panel("Alerts", "none", {"{{kind}} {{severity}}": "everloop_alerts_total{$of}"}),
)


class Grafana:
    """See the module."""

    name = "grafana"
    capabilities = Capabilities("a dashboard", "Grafana", serves=False)

    def write(self, spec: LifecycleSpec, file: Path) -> Written:  # noqa: ARG002
        """Gives the dashboard."""
        text = json.dumps(dashboard(spec), indent=1) + "\n"
        return Written(
            {"dashboard.json": text.encode()},
            (
                "everloop export prometheus  # beside everloop.yaml; fills it",
                "import dashboard.json under Dashboards in Grafana",
            ),
        )


def dashboard(spec: LifecycleSpec) -> dict[str, Any]:
    """Gives the dashboard's model (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/)."""
    currency = spec.goal.value.currency if spec.goal.value is not None else None
    panels = [
        {
            "id": place + 1,
            "type": "timeseries",
            "title": panel.title,
            "datasource": _SOURCE,
            "gridPos": {
                "h": _HEIGHT, "w": _WIDTH, "x": place % 2 * _WIDTH, "y": place // 2 * _HEIGHT,
            },
            "fieldConfig": {"defaults": {"unit": _unit(panel.unit, currency)}, "overrides": []},
            "targets": [
                {
                    "refId": chr(ord("A") + number),
                    "datasource": _SOURCE,
                    "expr": expression_of(expression, spec.name),
                    "legendFormat": legend,
                }
                for number, (legend, expression) in enumerate(panel.series.items())
            ],
        }
        for place, panel in enumerate(PANELS)
    ]  # fmt: skip
    return {
        "uid": sha256(spec.name.encode()).hexdigest()[:12],
        "title": f"{spec.name} (Everloop)",
        "description": spec.goal.statement.strip(),
        "tags": ["everloop"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "time": {"from": "now-7d", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}}]
        },
        "panels": panels,
    }


def _unit(unit: str, currency: str | None) -> str:
    if unit != "currency":
        return unit
    return f"currency:{currency}" if currency else "none"
