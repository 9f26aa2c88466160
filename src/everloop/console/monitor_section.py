"""The section about what happened afterwards: value, drift, alerts, decisions over time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.console.story import interval
from everloop.measure.budget import beyond
from everloop.report import Badge, Fold, Picture, Ref, Section, Table, pictures
from everloop.report.writing import MISSING, day, moment, money, number, plural

if TYPE_CHECKING:
    from everloop.console.story import Story
    from everloop.record.rows import DecisionRow, WindowRow
    from everloop.report.page import Block

NO_WINDOW = "No window has been judged yet: nothing was served, or the first window is not over."
_SHOWN_DECISIONS = 12
_SPAN_TONES = {"promoted": "yes", "rolled_back": "no", "aborted": "no", "taken_back": "no"}


def monitor_section(story: Story) -> Section:
    """Tells what windows were worth, how far they drifted, and what was decided about it."""
    if not story.windows:
        blocks = [*_alerts(story), *_decisions(story)]
        return Section("Monitor", blocks, lead=NO_WINDOW if blocks else "")
    blocks = [
        *value_blocks(story),
        *drift_blocks(story),
        *_alerts(story),
        *_decisions(story),
        Fold(f"Every window ({len(story.windows)})", [window_table(story)]),
    ]
    return Section("Monitor", blocks, lead=_lead(story))


def served_gain(windows: list[WindowRow]) -> tuple[float, int] | None:
    """Sums what served decisions with a known actual were worth more than today's, and counts them."""
    total, decisions = 0.0, 0
    for row in windows:
        gain = interval(row.facts.get("against_today"))
        if gain is not None:
            total += gain[1] * row.actuals
            decisions += row.actuals
    return (total, decisions) if decisions else None


def value_blocks(story: Story) -> list[Block]:
    """Draws value per decision over time against today's, and what it adds up to."""
    windows = [row for row in story.windows if interval(row.facts.get("value")) and row.since]
    if not windows:
        return _metric_blocks(story)
    at = [_middle(row) for row in windows]
    found = [interval(row.facts["value"]) or (0.0, 0.0, 0.0) for row in windows]
    series = [
        pictures.Line(
            "as served, with its 95 % interval",
            at,
            [v[1] for v in found],
            [v[0] for v in found],
            [v[2] for v in found],
        )
    ]
    gains = [interval(row.facts.get("against_today")) for row in windows]
    if any(gains):
        today = [v[1] - g[1] if g else None for v, g in zip(found, gains, strict=True)]
        series.append(pictures.Line("today's rule on the same rows", at, today, dashed=True))
    drawn = pictures.lines(series, y_label=f"{story.currency} a decision", lanes=lanes(story))
    caption = (
        "What a decision was worth, window by window, beside what today's rule would have earned. "
        "Below: which version served, rollouts (green: promoted, red: taken back), retrains and alerts."
    )
    blocks: list[Block] = [Picture(drawn, caption)]
    if any(gains):
        blocks.append(_added_up(story, windows))
    return blocks


def _added_up(story: Story, windows: list[WindowRow]) -> Block:
    x: list[datetime] = [row.since for row in windows[:1] if row.since]
    y: list[float | None] = [0.0]
    for row in windows:
        gain = interval(row.facts.get("against_today"))
        if gain is not None and row.until is not None:
            x.append(row.until)
            y.append((y[-1] or 0.0) + gain[1] * row.actuals)
    drawn = pictures.lines(
        [pictures.Line("added to today's", x, y)],
        y_label=story.currency,
        level=(0.0, "today's rule"),
        height=2.2,
    )
    total = plural((served_gain(windows) or (0.0, 0))[1], "decision")
    return Picture(
        drawn,
        f"The same added up: what {total} with a known actual earned more than today's rule would have.",
    )


def _metric_blocks(story: Story) -> list[Block]:
    """Where decisions have no price, the metrics over time."""
    names = list(dict.fromkeys(name for row in story.windows for name in row.facts.get("performance") or {}))
    series = []
    for name in names[:1]:
        known = [(row, interval(row.facts["performance"].get(name))) for row in story.windows]
        pairs = [(_middle(row), found) for row, found in known if found]
        if pairs:
            ends = [list(part) for part in zip(*(found for _, found in pairs), strict=True)]
            series.append(pictures.Line(name, [x for x, _ in pairs], ends[1], ends[0], ends[2]))
    if not series:
        return []
    drawn = pictures.lines(series, y_label=series[0].name, lanes=lanes(story))
    return [Picture(drawn, f"{series[0].name} of each window, from the actuals that are known.")]


def lanes(story: Story) -> list[pictures.Lane]:
    """Gives what happened besides, a lane for each kind."""
    retrains = [row for row in story.decisions if row.kind == "retrain" and row.answer == "retrain"]
    refused = [row for row in story.decisions if row.kind == "gate" and row.answer == "refused"]
    found = [
        pictures.Lane("serving", spans=_serving(story)),
        pictures.Lane("rollout", spans=_rollouts(story)),
        pictures.Lane("retrain", [pictures.Mark(row.at, "retrain") for row in retrains]),
        pictures.Lane("gate refused", [pictures.Mark(row.at, "refused", bad=True) for row in refused]),
        pictures.Lane("alerts", [pictures.Mark(row.at, row.kind, bad=True) for row in story.alerts]),
    ]
    return [lane for lane in found if lane.marks or lane.spans]


def _serving(story: Story) -> list[pictures.Span]:
    changes: list[tuple[datetime, str]] = []
    for row in story.deployments:
        if row.champion and (not changes or changes[-1][1] != row.champion):
            changes.append((row.at, row.champion))
    end = story.end()
    spans: list[pictures.Span] = []
    for (since, version), until in zip(changes, [*(at for at, _ in changes[1:]), end], strict=True):
        if until is not None and until > since:
            spans.append(
                pictures.Span(since, until, story.label(version), "other" if len(spans) % 2 else "plain")
            )
    return spans


def _rollouts(story: Story) -> list[pictures.Span]:
    spans = []
    for row in story.rollouts:
        end = row.updated_at if row.state in _SPAN_TONES else story.end()
        if end is not None and end > row.at:
            spans.append(
                pictures.Span(row.at, end, story.label(row.challenger), _SPAN_TONES.get(row.state, "open"))
            )
    return spans


def drift_blocks(story: Story) -> list[Block]:
    """Draws drift against what is allowed in each window, and the columns of the worst one."""
    judged = [row for row in story.windows if _ratio(row) is not None]
    if not judged:
        return []
    drawn = pictures.columns(
        [_middle(row) for row in judged],
        [_ratio(row) for row in judged],
        flagged=[row.facts["drift"]["status"] == "drift" for row in judged],
        level=(1.0, "alarm"),
        names=("within what is allowed", "beyond: an alarm"),
        y_label="drift / allowed",
        ratio=True,
    )
    caption = (
        "How far each window is from its version's reference, as a multiple of what the alarm budget allows."
    )
    worst = max(judged, key=lambda row: _ratio(row) or 0.0)
    return [Picture(drawn, caption), *column_blocks(worst, "The window that drifted most")]


def column_blocks(row: WindowRow, title: str) -> list[Block]:
    """Draws how far each column of a window moved."""
    drift = row.facts.get("drift") or {}
    moved: dict[str, float] = {}
    for each in drift.get("columns") or ():
        if each["standardised"] is not None:
            moved[each["column"]] = max(each["standardised"], moved.get(each["column"], float("-inf")))
    if not moved:
        return []
    threshold = drift.get("threshold")
    falling = dict(sorted(moved.items(), key=lambda item: -item[1]))
    count = beyond(list(falling.values()), threshold) if threshold is not None else 0
    moved_most = list(falling)[:count] if drift.get("status") == "drift" else []
    drawn = pictures.bars(
        moved,
        x_label="how rare, in powers of ten: 2 is one window in a hundred",
        highlight=moved_most,
        level=None if threshold is None else (threshold, f"allowed by the alarm budget: {number(threshold)}"),
        names=("within what is allowed", "moved") if moved_most else ("", ""),
    )
    return [Picture(drawn, f"{title}, {day(row.since)} to {day(row.until)}: how far each column moved.")]


def window_table(story: Story) -> Table:
    """Lists the windows, the latest first."""
    rows = []
    for row in reversed(story.windows):
        value, gain = interval(row.facts.get("value")), interval(row.facts.get("against_today"))
        status = (row.facts.get("drift") or {}).get("status", "")
        rows.append(
            [
                Ref(row.id, f"{day(row.since)} to {day(row.until)}"),
                story.label(row.version),
                row.predictions,
                row.actuals,
                value[1] if value else None,
                gain[1] if gain else None,
                Badge(status, "no" if status == "drift" else "yes" if status == "none" else "plain"),
            ]
        )
    money_ = f"{story.currency} a decision".strip()
    return Table(["window", "version", "predictions", "actuals", money_, "more than today", "drift"], rows)


def decision_rows(decisions: list[DecisionRow]) -> Table:
    """Lists decisions, the latest first, with their reasons."""
    rows = [
        [moment(row.at), row.kind, Ref(row.id, row.answer.replace("_", " ")), row.reason]
        for row in decisions[::-1]
    ]
    return Table(["at", "decision", "answer", "reason"], rows)


def _decisions(story: Story) -> list[Block]:
    acted = [row for row in story.decisions if row.answer != "nothing"]
    blocks: list[Block] = []
    if acted:
        shown = decision_rows(acted[-_SHOWN_DECISIONS:])
        blocks.append(Table(shown.columns, shown.rows, caption="What was decided, the latest first"))
    if len(story.decisions) > len(acted[-_SHOWN_DECISIONS:]):
        title = f"Every decision, those to do nothing included ({len(story.decisions)})"
        blocks.append(Fold(title, [decision_rows(list(story.decisions))]))
    return blocks


def alert_table(story: Story, caption: str = "") -> Table:
    """Lists the alerts, the latest first; each leads to its window."""
    rows = [[moment(row.at), row.kind, Ref(row.window or "", row.said)] for row in story.alerts[::-1]]
    return Table(["at", "kind", "what was found"], rows, caption)


def _alerts(story: Story) -> list[Block]:
    if not story.alerts:
        return []
    return [Fold(f"Every alert ({len(story.alerts)})", [alert_table(story)])]


def _lead(story: Story) -> str:
    windows = list(story.windows)
    drifted = sum((row.facts.get("drift") or {}).get("status") == "drift" for row in windows)
    retrains = sum(row.kind == "retrain" and row.answer == "retrain" for row in story.decisions)
    promoted = sum(row.state == "promoted" for row in story.rollouts)
    lead = (
        f"{plural(len(windows), 'window').capitalize()} judged, {drifted or 'none'} drifted; "
        f"{plural(retrains, 'retrain')}, {plural(promoted, 'promotion')}."
    )
    gain = served_gain(windows)
    if gain is not None:
        verb = "earned" if gain[0] >= 0 else "lost"
        lead = f"Served decisions {verb} {money(abs(gain[0]), story.currency)} against today's rule. {lead}"
    return lead


def _ratio(row: WindowRow) -> float | None:
    drift: dict[str, Any] = row.facts.get("drift") or {}
    statistic, threshold = drift.get("statistic"), drift.get("threshold")
    if drift.get("status") not in ("drift", "none") or not threshold or statistic is None:
        return None
    return max(float(statistic) / float(threshold), 1e-3)


def _middle(row: WindowRow) -> datetime:
    if row.since is None or row.until is None:
        return row.at
    return row.since + (row.until - row.since) / 2


def measured(found: dict[str, Any] | None, *, unit: str = "") -> str:
    """Writes a measured number of a window with its interval, or why it is not known."""
    ends = interval(found)
    if found and found.get("status") == "silent":
        return f"silent: {found.get('note')}"
    if ends is None:
        return str((found or {}).get("status") or MISSING)
    return f"{number(ends[1])}{f' {unit}' if unit else ''} ({number(ends[0])} to {number(ends[2])})"
