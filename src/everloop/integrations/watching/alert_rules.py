"""When Alertmanager calls a person: rules over what server and loop count, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any

from everloop.core.units import Bound

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

_PREDICT = 'route="/predict"'
# Where `deploy.guard` says nothing.
_ERROR_RATE = 0.01
_VIOLATIONS = 0.05
_WINDOWS_LATE = 3
_QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert.

    Attributes:
        name: Its name.
        expression: PromQL, in which `$of` stands for what picks this lifecycle's series.
        lasting: How long it has to hold.
        severity: `critical` wakes somebody, `warning` waits for the morning.
        summary: What is wrong, in a sentence.
        next: What to do about it.
    """

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str
    next: str


_ALWAYS = (
    Rule(
        "EverloopServerDown",
        'up{$of,part="server"} == 0',
        "1m",
        "critical",
        "A model server does not answer",
        "everloop status; everloop doctor",
    ),
    Rule(
        "EverloopLogFault",
        "max by (instance) (everloop_log_fault{$of}) == 1",
        "0m",
        "critical",
        "The prediction log cannot be written",
        "make room on the disk of the prediction log",
    ),
    Rule(
        "EverloopLoadFailures",
        "increase(everloop_load_failures_total{$of}[15m]) > 0",
        "0m",
        "critical",
        "A package or routing could not be loaded; the old version goes on serving",
        "everloop status",
    ),
    Rule(
        "EverloopShedding",
        "sum(rate(everloop_shed_total{$of}[5m])) > 0",
        "5m",
        "warning",
        "Requests are answered 503",
        "raise deploy.serve.workers, or add a machine",
    ),
    Rule(
        "EverloopLoopDown",
        'everloop_loop_up{$of} == 0 or up{$of,part="loop"} == 0',
        "5m",
        "critical",
        "Nobody watches: the loop does not run",
        "everloop up",
    ),
    Rule(
        "EverloopDrift",
        "everloop_window_drift_ratio{$of} > 1",
        "0m",
        "warning",
        "The last window has drifted further than the alarm budget allows",
        "everloop monitor; everloop report",
    ),
    Rule(
        "EverloopWorseThanToday",
        "everloop_window_gain_high{$of} < 0",
        "0m",
        "critical",
        "Decisions earn less than today's rule would, the whole interval",
        "everloop rollout abort, or everloop retrain",
    ),
    Rule(
        "EverloopRunFailed",
        'increase(everloop_runs_total{$of,status="failed"}[1h]) > 0',
        "0m",
        "warning",
        "A run failed",
        "everloop status",
    ),
)
_ASKED = "sum(rate(everloop_requests_total{$of," + _PREDICT + "}[5m]))"
_FAILED = "sum(rate(everloop_requests_total{$of," + _PREDICT + ',status=~"5.."}[5m]))'
_BROKEN = "sum(rate(everloop_contract_violations_total{$of}[5m]))"
_BUCKETS = "sum by (le) (rate(everloop_request_seconds_bucket{$of," + _PREDICT + "}[5m]))"


def rules_of(spec: LifecycleSpec) -> tuple[Rule, ...]:
    """Gives the alerts of a lifecycle, with the bounds that its file states."""
    return (*_ALWAYS, *_shares(spec), *_latencies(spec), *_overdue(spec))


def _shares(spec: LifecycleSpec) -> Iterator[Rule]:
    bounds = (
        ("EverloopErrors", "error_rate", _ERROR_RATE, _FAILED, "of the requests fail"),
        ("EverloopContractViolations", "contract_violations", _VIOLATIONS, _BROKEN, "break the contract"),
    )
    for name, guard, otherwise, counted, said in bounds:
        stated = spec.deploy.guard.get(guard)
        most = stated.limit if isinstance(stated, Bound) else otherwise
        yield Rule(
            name,
            f"{counted} / {_ASKED} > {most:g}",
            "5m",
            "critical" if guard == "error_rate" else "warning",
            f"More than {most:.3g} {said}",
            "everloop status",
        )


def _latencies(spec: LifecycleSpec) -> Iterator[Rule]:
    for name, share in _QUANTILES.items():
        stated = spec.deploy.guard.get(name)
        if isinstance(stated, Bound):
            yield Rule(
                f"EverloopLatency{name.rpartition('_')[2].upper()}",
                f"histogram_quantile({share}, {_BUCKETS}) > {stated.limit:g}",
                "5m",
                "warning",
                f"{name} is above {stated.limit:g} s",
                "everloop status",
            )


def _overdue(spec: LifecycleSpec) -> Iterator[Rule]:
    window = spec.monitor.window.time
    if window is not None:
        seconds = _WINDOWS_LATE * window.total_seconds()
        yield Rule(
            "EverloopNoWindow",
            f"time() - everloop_window_end_timestamp_seconds{{$of}} > {seconds:.0f}",
            "0m",
            "warning",
            f"No window was judged in the time of {_WINDOWS_LATE}",
            "everloop monitor",
        )


def expression_of(expression: str, lifecycle: str) -> str:
    """Fills in what picks a lifecycle's series."""
    return Template(expression).substitute(of=f'lifecycle="{lifecycle}"')


def rule_group(spec: LifecycleSpec) -> dict[str, Any]:
    """Gives the rules in the form of Prometheus' rule files."""
    rules = [
        {
            "alert": rule.name,
            "expr": expression_of(rule.expression, spec.name),
            "for": rule.lasting,
            "labels": {"severity": rule.severity, "lifecycle": spec.name},
            "annotations": {"summary": f"{spec.name}: {rule.summary}", "next": rule.next},
        }
        for rule in rules_of(spec)
    ]
    return {"groups": [{"name": f"everloop-{spec.name}", "rules": rules}]}
