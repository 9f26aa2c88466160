"""What `everloop check` prints: the problem that was derived, what it is worth, and the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.cli.output import pairs
from everloop.report.writing import plural

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

Facts = dict[str, Any]
MOST_LEFT_OUT = 4


def check_text(facts: Facts, spec: LifecycleSpec) -> str:
    """Writes the facts of a check, a thing a line."""
    frame, brief = facts["frame"], facts["brief"]
    money = f" {brief['currency']}" if brief["currency"] else ""
    stop = brief["verdict"] == "stop" and spec.goal.on_stop == "stop"
    return pairs(
        [
            ("file", f"{spec.name}: valid"),
            ("sources", ", ".join(facts["sources"])),
            ("table", f"{facts['rows']:,} rows, {len(facts['columns'])} columns"),
            ("contract", facts["contract"]),
            ("problem", _problem(frame)),
            *((f"  {name}", why) for name, why in frame["reasons"].items()),
            ("inputs", _inputs(frame)),
            ("value", _value(brief, money)),
            ("serves", _serves(facts["brought"])),
            ("required", ", ".join(f"{name} {bound}" for name, bound in brief["required"].items()) or None),
            ("signal", _signal(brief["signal"])),
            ("labels", _labels(facts["labels"], spec.goal.costs.label, money)),
            ("expected", _expected(brief, money)),
            ("cost", _cost(facts, money)),
            ("verdict", f"{brief['verdict']}: {brief['reasons'][0]}"),
            *(("", reason) for reason in brief["reasons"][1:]),
            ("next", _next(brief["verdict"], stop=stop)),
        ]
    )


def _serves(brought: list[str]) -> str | None:
    if not brought:
        return None
    return (
        f"in a Python runtime, slower than compiled, unless an estimator of {' or '.join(brought)} compiles: "
        "no learner that ships is named"
    )


def _problem(frame: Facts) -> str:
    target = f"target {frame['target']}" if frame["target"] else "no target"
    problem = f"{frame['task']}, {target}, judged by {frame['metric']}"
    problem += f", {frame['positive']!r} is positive" if frame["positive"] else ""
    return problem + (f", decided at {frame['time']}" if frame["time"] else "")


def _inputs(frame: Facts) -> str:
    out = frame["excluded"]
    shown = "; ".join(f"{name} {why}" for name, why in list(out.items())[:MOST_LEFT_OUT])
    more = f"; and {len(out) - MOST_LEFT_OUT} more" if len(out) > MOST_LEFT_OUT else ""
    return f"{plural(len(frame['inputs']), 'column')}, {len(out)} left out" + (
        f" ({shown}{more})" if out else ""
    )


def _value(brief: Facts, money: str) -> str | None:
    if brief["perfect"] is None:
        return None
    parts = [f"{brief['today']['estimate']:.2f}{money} a decision today"] if brief["today"] else []
    best = max(brief["constants"], key=brief["constants"].get, default=None)
    if best is not None:
        parts.append(f"{brief['constants'][best]:.2f}{money} always {best}")
    if brief["expected"]:
        parts.append(f"{brief['expected']['value']['estimate']:.2f}{money} by a quick model")
    return ", ".join([*parts, f"{brief['perfect']:.2f}{money} if always right"])


def _signal(signal: Facts | None) -> str | None:
    if not signal:
        return None
    line = f"a quick model's {signal['metric']} is {signal['score']:.3g}"
    if signal["rule"]:
        line += f", that of the best rule ({signal['rule']}) {signal['rule_score']:.3g}"
    return f"{line}, of shuffled labels {signal['chance_score']:.3g} (p = {signal['p_value']:.2g})"


def _labels(labels: Facts | None, price: float, money: str) -> str | None:
    if not labels:
        return None
    if not labels["ahead"]:
        return f"{labels['labels']:,}; {labels['verdict']}: {labels['reason']}"
    ahead = labels["ahead"][1]
    more, score = ahead["more"], ahead["score"]
    cost = f", which cost {more * price:,.0f}{money}" if price else ""
    return (
        f"{labels['labels']:,}; with {more:,} more{cost}: {labels['metric']} {score['estimate']:.3g} "
        f"({score['low']:.3g} to {score['high']:.3g}), now {labels['now']['estimate']:.3g}"
    )


def _expected(brief: Facts, money: str) -> str | None:
    outlook = brief["outlook"]
    if outlook is None:
        return None
    month = outlook["gain_per_month"]
    if month is None:
        gain = outlook["gain"]
        return (
            f"{gain['estimate']:.2f}{money} a decision ({gain['low']:.2f} to {gain['high']:.2f}) over "
            f"{brief['expected']['over']}; state goal.volume for a month's"
        )
    line = f"{month['estimate']:,.0f}{money} a month ({month['low']:,.0f} to {month['high']:,.0f})"
    line += f" over {brief['expected']['over']}"
    return f"{line}, training paid back {_within(outlook['payback_days'])}" if outlook["upfront"] else line


def _within(days: float | None) -> str:
    if days is None:
        return "never"
    return "within a day" if days < 1 else f"in {days:,.0f} days"


def _cost(facts: Facts, money: str) -> str | None:
    brief, parts = facts["brief"], []
    if brief["labels"]:
        parts.append(f"{brief['labels']:,.0f}{money} for the labels there are")
    if facts["training_cost"]:
        parts.append(f"{facts['training_cost']:.2f}{money} a training")
    if brief["cost_per_month"]:
        parts.append(f"{brief['cost_per_month']:.2f}{money} a month of predictions")
    return ", ".join(parts) or None


def _next(verdict: str, *, stop: bool) -> str:
    return {
        "go": "everloop run",
        "more labels": "everloop run, to see what the labels there are give",
        "rephrase": "everloop run, to see how far a model gets",
    }.get(
        verdict,
        "other columns or another target; goal: {on_stop: continue} trains all the same"
        if stop
        else "everloop run",
    )
