"""The line of result that each step is told with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everloop.data.bad_rows import told
from everloop.problem.exclusions import TARGET

Facts = dict[str, Any]
TOLD = 3


def result_line(step: str, facts: Facts) -> str | None:
    """Gives a step's result in a line; None where it has none worth telling."""
    tell = LINES.get(step)
    return tell(facts) if tell else None


def _snapshot(facts: Facts) -> str:
    line = f"{facts['rows']:,} rows, {len(facts['schema'].get('columns', facts['schema']))} columns"
    if facts.get("time_range"):
        line += f", {facts['time_range'][0][:10]} to {facts['time_range'][1][:10]}"
    if facts.get("hidden_actuals"):
        line += f"; {_counted(facts['hidden_actuals'], 'actual')} not known yet"
    return "; ".join([line, *told(facts["bad_rows"]), *facts["notes"]])


def _quarantine(facts: Facts) -> str | None:
    parts = facts["quarantined"]
    if not parts:
        return None
    first, more = parts[0], f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    rows = sum(one["rows"] for one in parts)
    return (
        f"{rows:,} rows are kept out: {first['part']} is unlike all earlier parts ({first['reason']}){more}; "
        f"everloop data quarantine release {first['part']} where it is right"
    )


def _contract(facts: Facts) -> str:
    report = facts["report"]
    verb = "learned" if facts["learned"] else "held"
    warnings = [finding for finding in report["findings"] if finding["severity"] != "error"]
    line = "; not checked: ".join(
        [f"contract {verb}: {report['rows']:,} rows satisfy it", *report["unchecked"]]
    )
    if not warnings:
        return line
    columns = ", ".join(dict.fromkeys(_warned(finding) for finding in warnings[:TOLD]))
    more = f" and {len(warnings) - TOLD} more" if len(warnings) > TOLD else ""
    return f"{line}, {_counted(len(warnings), 'warning')}: {columns}{more}"


def _warned(finding: Facts) -> str:
    rows = f" ({_counted(finding['failing'], 'row')})" if finding["failing"] else ""
    return f"{finding['column'] or finding['expected']} {finding['rule']}{rows}"


def _frame(facts: Facts) -> str:
    frame, labels = facts["frame"], facts["sufficiency"]
    delay = frame["label_delay_seconds"]
    told = {
        "task": frame["task"],
        "positive": f"{frame['positive']!r} is positive" if frame["positive"] is not None else None,
        "metric": f"judged by {frame['metric']}",
        "entity": f"about {frame['entity']}" if frame["entity"] else None,
        "time": f"decided at {frame['time']}" if frame["time"] else None,
        "label_time": f"known at {frame['label_time']}" if frame["label_time"] else None,
        "label_delay": f"actuals within {delay / 3600:.1f} h" if delay else None,
    }
    reasons = frame["reasons"]
    line = ", ".join(
        f"{said} ({reasons[what]})" if what in reasons else said for what, said in told.items() if said
    )
    return f"{line}; labels: {labels['verdict']} ({labels['reason']})"


def _brief(facts: Facts) -> str:
    verdict = f"{facts['verdict']}: {'; '.join(facts['reasons'])}"
    if facts["today"] is None:
        return verdict
    today, money = facts["today"], facts["currency"]
    return (
        f"a decision is worth {today['estimate']:.2f} {money} today, {facts['perfect']:.2f} if always right; "
        f"{verdict}"
    )


def _dataset(facts: Facts) -> str:
    rows = ", ".join(f"{count:,} {part}" for part, count in facts["rows"].items())
    cleaned = _cleaned(facts["cleaning"])
    features = f"; {_counted(len(facts['features']), 'feature')}" if facts["features"] else ""
    return f"split by {facts['split']['by']}: {rows}{cleaned}{features}; {_leaks(facts['leaks'])}"


def _leaks(findings: list[Facts]) -> str:
    told = [
        f"{len(found)} {word} ({', '.join(one['name'] for one in found)})"
        for severity, word in (("waived", "waived"), ("warn", "to look at"))
        if (found := [one for one in findings if one["severity"] == severity])
    ]
    return "no leak stands in the way" + (f", {', '.join(told)}" if told else "")


_CLEANED = {
    "without target": ("row", "without target left out"),
    "duplicates": ("repeated row", "dropped"),
    "sentinel": ("value", "taken as missing"),
    "categories": ("spelling", "merged"),
    "type": ("value", "read as numbers or times"),
    "outliers": ("outlier", "clipped"),
}


def _cleaned(entries: list[Facts]) -> str:
    """Counts what cleaning did, in the order in which it does it."""
    rows: dict[str, int] = {}
    for entry in entries:
        rows[entry["step"]] = rows.get(entry["step"], 0) + entry["rows"]
    told = [
        f"{_counted(rows[step], thing)} {done}" for step, (thing, done) in _CLEANED.items() if rows.get(step)
    ]
    left_out = sum(entry["step"] == "excluded" and entry["detail"] != TARGET for entry in entries)
    told += [f"{_counted(left_out, 'column')} left out"] if left_out else []
    return f"; {', '.join(told)}" if told else ""


def _train(facts: Facts) -> str:
    line = (
        f"{facts['learner']} of {_counted(len(facts['learners_tried']), 'learner')}, "
        f"{_counted(facts['trials'], 'trial')}; {_counted(len(facts['features']), 'input')} kept, "
        f"{sum(reason != TARGET for reason in facts['left_out'].values())} left out"
    )
    pruned = facts.get("pruned_trials")
    line += f"; {_counted(pruned, 'trial')} pruned" if pruned else ""
    line += _failed(facts.get("failed_trials") or {})
    value, today = facts.get("value"), facts.get("value_today")
    if value and today:
        line += f"; on {facts['evaluated_on']} a decision is worth {value['estimate']:.2f}"
        line += f", today's {today['estimate']:.2f}"
        line += outlook_line(facts.get("outlook"))
    elif facts.get("metric"):
        line += f"; {facts['metric']} {facts['metrics'][facts['metric']]['estimate']:.4g}"
    return line


def _failed(errors: Facts) -> str:
    """Names the first trial that failed, and why; the search went on without them."""
    if not errors:
        return ""
    first = next(iter(errors.values()))
    shown = first if len(first) <= _MOST_TOLD else f"{first[: _MOST_TOLD - 1]}…"
    return f"; {_counted(len(errors), 'trial')} failed ({shown})"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word if count == 1 else f'{word}s'}"


_MOST_TOLD = 120
"""So many characters of a trial's error are told in its line; the record keeps all of them."""


def outlook_line(outlook: Facts | None) -> str:
    """Says what a month brings and when it has paid, where a volume is stated."""
    month = outlook["gain_per_month"] if outlook else None
    if outlook is None or month is None:
        return ""
    line = f"; {month['estimate']:,.0f} a month ({month['low']:,.0f} to {month['high']:,.0f})"
    days = outlook["payback_days"]
    if outlook["upfront"] and days is not None:
        line += ", paid back within a day" if days < 1 else f", paid back in {days:,.0f} days"
    return line


def _package(facts: Facts) -> str:
    parity = facts["parity"]
    how = "compiled"
    if facts.get("runtime", "graph") != "graph":
        why = parity["absent"]["graph"].rstrip(".")
        how = f"serves in a Python runtime, slower than compiled ({why})"
    return f"v{facts['version']} {how}, {facts['bytes'] / 1e6:.1f} MB; parity {_parity(parity)}"


def _parity(parity: Facts) -> str:
    rows = parity.get("rows")
    total = sum(rows.values()) if isinstance(rows, dict) else rows
    return f"proven on {total:,} rows" if isinstance(total, int) else "proven"


def _gate(facts: Facts) -> str:
    return f"gate {'passed' if facts['passed'] else 'refused'}: {facts['reason']}"


LINES: dict[str, Callable[[Facts], str | None]] = {
    "snapshot": _snapshot,
    "quarantine": _quarantine,
    "contract": _contract,
    "frame": _frame,
    "brief": _brief,
    "dataset": _dataset,
    "train": _train,
    "package": _package,
    "gate": _gate,
}
