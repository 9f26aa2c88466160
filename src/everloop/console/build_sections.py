"""The sections about what was built: goal, problem, data, model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.core.tasks import TASKS
from everloop.model import card_pictures as draw
from everloop.model.card import cleaning_blocks, leak_blocks
from everloop.model.card_goal import verdict_facts, verdict_of
from everloop.model.evaluation_pictures import Shown, chapter_blocks
from everloop.report import Badge, Facts, Fold, Picture, Ref, Section, Table, Text, Verdict, pictures
from everloop.report.writing import day, moment, money, number, percent, plural

if TYPE_CHECKING:
    from everloop.console.story import Story
    from everloop.report.page import Block

_LABELS = {"enough": "yes", "more": "open", "too few": "no", "unclear": "open"}


def goal_section(story: Story) -> Section:
    """Tells what the goal is, what decisions are worth today, and whether the goal is feasible."""
    brief = story.step("brief")
    if not brief:
        return Section("Goal", [])
    blocks: list[Block] = [verdict_of(brief)]
    blocks.extend(_worth(brief, story))
    told = {
        "Rows with a label": brief["rows"],
        "Positives among them": percent(brief["base_rate"]) if brief["base_rate"] is not None else None,
        "Required": ", ".join(f"{name} {bound}" for name, bound in brief["required"].items()),
        "Decisions in a month": _whole(brief["decisions_per_month"]),
        "Perfect decisions would add": None
        if brief["room_per_month"] is None
        else f"{money(brief['room_per_month'], brief['currency'])} a month",
    }
    told |= verdict_facts(brief, story.step("train").get("outlook"))
    blocks.append(Facts({name: value for name, value in told.items() if value}))
    return Section("Goal", blocks, lead=brief["statement"])


def _worth(brief: dict[str, Any], story: Story) -> list[Block]:
    if brief["perfect"] is None:
        return []
    worth = {f"always {label!r}": value for label, value in brief["constants"].items()}
    trained = story.step("train")
    if brief["today"] is not None and not any(
        abs(value - brief["today"]["estimate"]) < 1e-9 for value in worth.values()
    ):
        worth["today's rule"] = brief["today"]["estimate"]
    if trained.get("value"):
        worth["the model, on held-out rows"] = trained["value"]["estimate"]
    worth["always right"] = brief["perfect"]
    today = brief["today"]["estimate"] if brief["today"] else None
    drawn = pictures.bars(
        worth,
        x_label=f"{brief['currency']} a decision",
        highlight=["the model, on held-out rows"],
        level=None if today is None else (today, "today"),
        write=money,
    )
    return [Picture(drawn, "What a decision is worth, between what is done today and being always right.")]


def problem_section(story: Story) -> Section:
    """Tells which problem was derived, why, and whether the labels suffice."""
    found = story.step("frame")
    if not found:
        return Section("Problem", [])
    frame, labels = found["frame"], found["sufficiency"]
    told = {
        "Task": frame["task"],
        "Target": (frame["target"] or "none")
        + (f", {frame['positive']!r} is positive" if frame["positive"] else ""),
        "Judged by": frame["metric"],
        "Decided at": frame["time"],
        "Actual known at": frame["label_time"],
        "Actuals come within": _hours(frame["label_delay_seconds"]),
        "About": frame["entity"],
        "Sensitive columns": ", ".join(frame["sensitive"]),
        "Inputs": f"{len(frame['inputs'])}: {', '.join(frame['inputs'])}",
    }
    blocks: list[Block] = [Facts({name: value for name, value in told.items() if value})]
    reasons = [[name, reason] for name, reason in frame["reasons"].items()]
    kept_out = [[name, reason] for name, reason in frame["excluded"].items()]
    tables: list[Block] = [Table(["inferred", "because"], reasons)] if reasons else []
    tables += [Table(["column that is no input", "because"], kept_out)] if kept_out else []
    if tables:
        blocks.append(Fold("What was inferred, and which columns are no inputs", tables))
    blocks.append(
        Verdict(
            _LABELS.get(labels["verdict"], "open"),
            _sentence(labels["reason"]),
            label=f"Labels: {labels['verdict']}.",
        )
    )
    blocks.extend(_learning_curve(labels))
    about = f": {frame['target']}" if frame["target"] else ""
    lead = f"{frame['task'].capitalize()}{about}, from {plural(len(frame['inputs']), 'column')}."
    return Section("Problem", blocks, lead=lead)


def _learning_curve(labels: dict[str, Any]) -> list[Block]:
    sizes, scores = labels["sizes"], labels["scores"]
    if len(sizes) < 2:
        return []
    mean = [sum(repeats) / len(repeats) for repeats in scores]
    low, high = [min(repeats) for repeats in scores], [max(repeats) for repeats in scores]
    series = [pictures.Line("measured", sizes, mean, low, high)]
    now, double = labels.get("now"), labels.get("at_double")
    if now and double and double["estimate"] is not None and now["estimate"] is not None:
        ends = [sizes[-1], 2 * sizes[-1]]
        known = [now, double]
        series.append(
            pictures.Line(
                "expected", ends, [e["estimate"] for e in known], [e["low"] for e in known],
                [e["high"] for e in known], dashed=True,
            )
        )  # fmt: skip
    drawn = pictures.lines(series, x_label="rows learned from", y_label=labels["metric"], height=2.6)
    return [
        Picture(drawn, "What a quick model learns from more and more rows: whether more labels would help.")
    ]


BY_CHANCE = (
    "no repeats: inputs hold so few combinations that rows are equal by chance; they are divided like any"
)


def data_section(story: Story) -> Section:
    """Tells which rows were taken, what they were held against, and how they were divided."""
    taken, enforced, prepared = story.step("snapshot"), story.step("contract"), story.step("dataset")
    if not taken:
        return Section("Data", [])
    told: dict[str, Any] = {
        "Snapshot": f"{taken['rows']:,} rows, as known at {moment(taken['as_of'])} UTC",
        "Sources": ", ".join(taken["sources"]),
        "Actuals not known yet": taken["hidden_actuals"] or None,
    }
    lead = f"{taken['rows']:,} rows"
    if taken.get("time_range"):
        lead += f", {day(taken['time_range'][0])} to {day(taken['time_range'][1])}"
    blocks: list[Block] = []
    if prepared:
        split = prepared["split"]
        told["Split"] = f"by {split['by']}" + "".join(
            f"; {part} from {day(start)}" for part, start in (split.get("starts") or {}).items()
        )
        told["Equal rows"] = BY_CHANCE if split.get("by_chance") else None
        told["Defined features"] = ", ".join(prepared["features"]) or None
        parts = {name: float(rows) for name, rows in prepared["rows"].items()}
        drawn = pictures.shares(parts, x_label="rows")
        blocks.append(Picture(drawn, "Learned from train, chosen by validation, judged by test."))
    if enforced:
        lead += f"; the contract was {'learned' if enforced['learned'] else 'held'}"
        blocks.extend(_contract(enforced))
    blocks.extend([*cleaning_blocks(prepared), *leak_blocks(prepared)])
    return Section("Data", [Facts({k: v for k, v in told.items() if v}), *blocks], lead=f"{lead}.")


def _contract(enforced: dict[str, Any]) -> list[Block]:
    report = enforced["report"]
    answer = "yes" if report["passed"] else "no"
    text = f"{report['rows']:,} rows were held against the contract"
    blocks: list[Block] = [Verdict(answer, f"{text}.", label="Satisfied." if report["passed"] else "Broken.")]
    rows = [
        [each.get("column"), each.get("rule"), each.get("count"), each.get("severity"), each.get("expected")]
        for each in report["findings"]
    ]
    if rows:
        blocks.append(Table(["column", "rule", "rows", "severity", "expected"], rows))
    return blocks


def model_section(story: Story) -> Section:
    """Tells what was tried, what was chosen, and what it is worth on rows that it never saw."""
    trained = story.trained(story.version)
    if trained is None:
        return Section("Model", [])
    blocks: list[Block] = []
    lead = f"{trained.learner} was chosen from {plural(len(trained.trials), 'trial')}."
    shown = None
    if trained.evaluation is not None:
        judged = TASKS[trained.frame.task].judged
        lead = f"{draw.gain_sentence(trained.evaluation, story.currency, judged=judged)} {lead}"
        monthly = story.step("brief").get("decisions_per_month")
        shown = Shown(trained, trained.evaluation, story.currency, monthly)
        blocks += chapter_blocks("value", shown)
    if trained.threshold is not None:
        blocks.append(Text(f"Threshold {number(trained.threshold)}. {trained.threshold_reason}"))
    blocks += draw.trial_blocks(trained.trials, trained.frame.metric)[:1]
    blocks.append(Fold("All trials", draw.trial_blocks(trained.trials, trained.frame.metric)[1:]))
    features = draw.feature_blocks(trained.features, trained.frame.metric)
    blocks += features[:-1]
    blocks.append(Fold("Every column, kept or left out, and why", features[-1:]))
    if shown is not None:
        metrics = chapter_blocks("metrics", shown)
        blocks.append(Fold("Metrics with their intervals", metrics[:-1] + _inside(metrics[-1])))
        blocks += chapter_blocks("clusters", shown)
        blocks.append(Fold("How it ranks, predicts and decides", chapter_blocks("quality", shown)))
        blocks += chapter_blocks("mitigation", shown)
        blocks.append(Fold("Where it does worst, and how groups fare", chapter_blocks("weak", shown)))
    blocks += _versions(story)
    return Section(
        "Model", [block for block in blocks if not (isinstance(block, Fold) and not block.blocks)], lead=lead
    )


def _inside(block: Block) -> list[Block]:
    return list(block.blocks) if isinstance(block, Fold) else [block]


def _versions(story: Story) -> list[Block]:
    if len(story.versions) < 2:
        return []
    tones = {"champion": "yes", "refused": "no", "challenger": "open"}
    rows = []
    for version in reversed(story.versions):
        found = story.result_of(version.facts.get("trained", ""))
        value, gain = found.get("value") or {}, found.get("gain") or {}
        metric = found.get("metric", "")
        rows.append(
            [
                Ref(version.id, f"v{version.number}"),
                Badge(version.status, tones.get(version.status, "plain")),
                moment(version.at),
                version.facts.get("learner"),
                value.get("estimate"),
                gain.get("estimate"),
                version.metrics.get(metric),
            ]
        )
    metric = story.step("train").get("metric", "metric")
    columns = ["version", "", "made", "learner", "value a decision", "more than today", metric]
    return [Table(columns, rows, caption="Every version, each on its own held-out rows")]


def _hours(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return f"{seconds / 86400:.1f} days" if seconds >= 2 * 86400 else f"{seconds / 3600:.1f} hours"


def _whole(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""
