"""The model card: what is on record about a version, as one self-contained page.

The sections follow "Model Cards for Model Reporting" (Mitchell et al., FAT* 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from everloop.core.tasks import TASKS
from everloop.model import card_pictures as draw
from everloop.model.card_costs import cost_blocks
from everloop.model.card_goal import verdict_blocks
from everloop.model.card_limits import told_limits
from everloop.model.card_origin import making_section
from everloop.model.evaluation_pictures import Shown, chapter_blocks
from everloop.model.explanation_pictures import effect_blocks, robustness_blocks
from everloop.report import (
    Bullets,
    Facts,
    Figures,
    Fold,
    Page,
    Picture,
    Section,
    Table,
    Text,
    Told,
    pictures,
    render,
)
from everloop.report.writing import day, moment, money, number, plural, span

if TYPE_CHECKING:
    from everloop.model.card_facts import CardFacts
    from everloop.model.evaluation import Evaluation
    from everloop.model.trained import Trained
    from everloop.report.page import Block

_FEW_EXPLAINED = 10


def card_html(trained: Trained, facts: CardFacts) -> str:
    """Writes the model card; the same arguments give the same bytes.

    Args:
        trained: The model.
        facts: What the record says around it. What is not on record is said to be unknown.

    Returns:
        One HTML document.

    Raises:
        MissingExtra: When Jinja2 or Matplotlib is not installed.
    """
    return render(card_page(trained, facts))


def card_page(trained: Trained, facts: CardFacts) -> Page:
    """Builds the card as a page."""
    name = facts.lifecycle if facts.version is None else f"{facts.lifecycle} v{facts.version}"
    made = "" if facts.created is None else f", made {moment(facts.created)} UTC"
    return Page(
        title=name,
        subtitle=f"Model card{made}{f', owner {facts.owner}' if facts.owner else ''}",
        sections=card_sections(trained, facts),
        footer="Everything on this card comes from the record of the run that made the version.",
        lead=_gain(trained, trained.evaluation, facts) if trained.evaluation else "",
        summary=[_figures(trained, facts)],
        origin=facts.origins.of("train"),
    )


def card_sections(trained: Trained, facts: CardFacts) -> list[Section]:
    """Gives the card's sections; those that nothing is known for say so in the last one."""
    sections = [
        _purpose(trained, facts),
        _verdict(facts),
        _value(trained, facts),
        _metrics(trained, facts),
        _clusters(trained, facts),
        _groups(trained, facts),
        _data(facts),
        _explanation(facts),
        _robustness(facts),
        _features(trained, facts),
        _search(trained, facts),
        _costs(trained, facts),
        _limits(trained, facts),
        making_section(facts.origins, trained.seed, facts.version),
    ]
    return [section for section in sections if section.blocks]


def _figures(trained: Trained, facts: CardFacts) -> Figures:
    found = trained.evaluation
    shown = [("learner", trained.learner, plural(len(trained.trials), "trial"))]
    if found is not None and found.value is not None:
        ends = span(found.value.to_dict(), facts.currency)
        shown.append(("value of a decision", money(found.value.estimate, facts.currency), ends))
    if found is not None and found.gain is not None:
        ends = span(found.gain.to_dict(), facts.currency)
        shown.append(("more than today", money(found.gain.estimate, facts.currency, signed=True), ends))
    if found is not None and found.metric in found.metrics:
        shown.append((found.metric, number(found.score.estimate), span(found.score.to_dict())))
    if trained.threshold is not None:
        shown.append(("threshold", number(trained.threshold), "positive from this score on"))
    kept = sum(each.kept for each in trained.features)
    shown.append(("columns read", str(kept), f"{len(trained.features) - kept} left out"))
    return Figures(shown)


def _purpose(trained: Trained, facts: CardFacts) -> Section:
    frame, brief = trained.frame, facts.brief
    answer = {
        "binary": f"whether {frame.target} is {frame.positive}",
        "regression": frame.target,
        "anomaly": "how unusual a row is, and whether that is enough to look at it",
        "clustering": "which rows are alike, and which kind a row is of",
        "recommendation": f"which {frame.target} whom {frame.entity} names is likely to have next",
    }
    by = facts.origins
    framed = {
        "Answers": answer.get(frame.task, f"which class {frame.target} is"),
        "Task": frame.task,
        "Items" if frame.task == "recommendation" else "Classes": ", ".join(frame.classes) or None,
        "Judged by": frame.metric,
        "A row counts": frame.weight,
        "Decided at": frame.time,
        "About": frame.entity,
    }
    asked = {
        "One decision for all": "; ".join(
            f"always {k}: {money(v, facts.currency)}" for k, v in _constants(brief)
        ),
        "Required": ", ".join(f"{name} {bound}" for name, bound in (brief.get("required") or {}).items()),
    }
    told = {name: value for name, value in (framed | asked).items() if value}
    shown = Facts({**told, **by.told({name: told[name] for name in framed if name in told}, "frame")})
    statement = str(brief.get("statement") or "The goal is not stated on record.")
    threshold: list[Block] = []
    if trained.threshold is not None:
        text = f"A decision is positive from a score of {number(trained.threshold)} on."
        threshold = [Text(Told(f"{text} {trained.threshold_reason}".strip(), by.of("train")))]
    return Section("Purpose", [shown, *threshold], lead=statement, origin=by.of("brief"))


def _verdict(facts: CardFacts) -> Section:
    blocks = verdict_blocks(facts.brief, facts.outlook, facts.origins)
    lead = "The verdict on the goal, and what it rests on."
    return Section("Is it worth doing", blocks, lead=lead, origin=facts.origins.of("brief"))


def _constants(brief: Mapping[str, Any]) -> list[tuple[str, float]]:
    return list((brief.get("constants") or {}).items())


def _value(trained: Trained, facts: CardFacts) -> Section:
    found = trained.evaluation
    if found is None:
        return Section("Value", [])
    title = "Value" if found.value is not None else "Calibration" if found.reliability else "Predictions"
    return Section(
        title,
        _chapters(trained, facts, "value"),
        lead=_gain(trained, found, facts),
        origin=facts.origins.of("train"),
    )


def _gain(trained: Trained, found: Evaluation, facts: CardFacts) -> str:
    return draw.gain_sentence(found, facts.currency, judged=TASKS[trained.frame.task].judged)


def _metrics(trained: Trained, facts: CardFacts) -> Section:
    found = trained.evaluation
    if found is None:
        return Section("Metrics", [])
    judged = plural(found.rows, TASKS[trained.frame.task].judged)
    return Section(
        "Metrics",
        _chapters(trained, facts, "metrics", "quality"),
        lead=f"Measured on {judged} of the {found.part} part, each with its 95 % interval.",
        origin=facts.origins.of("train"),
    )


def _clusters(trained: Trained, facts: CardFacts) -> Section:
    return Section(
        "Clusters",
        _chapters(trained, facts, "clusters"),
        lead="What sets each apart, in the columns as they came.",
        origin=facts.origins.of("train"),
    )


def _groups(trained: Trained, facts: CardFacts) -> Section:
    lead = "Where the model does worse than on all rows"
    if trained.evaluation is not None and trained.evaluation.fairness:
        lead += ", and how the groups of each sensitive column fare"
    blocks = _chapters(trained, facts, "weak", "mitigation")
    return Section("Slices and groups", blocks, lead=f"{lead}.", origin=facts.origins.of("train"))


def _chapters(trained: Trained, facts: CardFacts, *chapters: str) -> list[Block]:
    if trained.evaluation is None:
        return []
    shown = Shown(trained, trained.evaluation, facts.currency, facts.brief.get("decisions_per_month"))
    return [block for chapter in chapters for block in chapter_blocks(chapter, shown)]


def _data(facts: CardFacts) -> Section:
    taken, prepared = facts.snapshot, facts.dataset
    blocks: list[Block] = []
    told: dict[str, Any] = {}
    if taken:
        told |= {"Snapshot": f"{taken['rows']:,} rows, known at {moment(taken.get('as_of'))} UTC"}
        told["Sources"] = ", ".join(taken.get("sources") or ())
        if taken.get("time_range"):
            first, last = taken["time_range"]
            told["Time range"] = f"{day(first)} to {day(last)}"
        hidden = taken.get("hidden_actuals")
        told["Actuals not known yet"] = f"{hidden:,}" if hidden else None
        told = facts.origins.told(told, "snapshot")
    if prepared:
        told["Split by"] = (prepared.get("split") or {}).get("by")
        told["Defined features"] = ", ".join(prepared.get("features") or ()) or None
        parts = {name: float(rows) for name, rows in prepared["rows"].items()}
        drawn = pictures.shares(parts, x_label="rows")
        blocks.append(
            Picture(
                drawn, "Learned from the train part, chosen by the validation part, judged by the test part."
            )
        )
        blocks.extend([*cleaning_blocks(prepared), *leak_blocks(prepared)])
    shown = {name: value for name, value in told.items() if value}
    origin = facts.origins.of("dataset")
    return Section("Data", [Facts(shown), *blocks] if shown else blocks, origin=origin)


def cleaning_blocks(prepared: Mapping[str, Any]) -> list[Block]:
    """Lists what cleaning did and what was kept out."""
    rows = [
        [
            entry.get("step"),
            entry.get("column"),
            entry.get("rows") or None,
            entry.get("detail"),
            entry.get("undo"),
        ]
        for entry in prepared.get("cleaning") or ()
    ]
    if not rows:
        return []
    return [
        Fold(
            f"What cleaning did: {plural(len(rows), 'entry').replace('entrys', 'entries')}",
            [Table(["step", "column", "rows", "detail", "undone by"], rows)],
        )
    ]


def leak_blocks(prepared: Mapping[str, Any]) -> list[Block]:
    """Lists the leaks that were waived, with the reason, and those to look at."""
    rows = [
        [one["name"], one["severity"], one.get("reason"), one["message"]]
        for one in prepared.get("leaks") or ()
    ]
    if not rows:
        return []
    return [
        Fold(
            f"Leaks that did not block: {len(rows)}",
            [Table(["leak", "severity", "reason", "what was found"], rows)],
        )
    ]


def _explanation(facts: CardFacts) -> Section:
    found = facts.explained
    if found is None:
        return Section("What moves the scores", [])
    lead = "No column moves the scores."
    strong = [one.column for one in found.effects if one.size.estimate > 0]
    if strong:
        alone = (
            f", by what it says of {plural(found.rows, 'row')} alone" if found.rows < _FEW_EXPLAINED else ""
        )
        lead = f"Most of all {', '.join(strong[:3])}{alone}."
    return Section(
        "What moves the scores", effect_blocks(found), lead=lead, origin=facts.origins.of("explain")
    )


def _robustness(facts: CardFacts) -> Section:
    found = facts.explained
    blocks = [] if found is None else robustness_blocks(found, facts.currency)
    lead = "What it costs when inputs are missing, noisy or unknown."
    return Section("Robustness", blocks, lead=lead, origin=facts.origins.of("explain"))


def _costs(trained: Trained, facts: CardFacts) -> Section:
    blocks = cost_blocks(trained if facts.timed else None, facts.brief, facts.currency, facts.origins)
    return Section("Energy and cost", blocks, origin=facts.origins.of("train"))


def _features(trained: Trained, facts: CardFacts) -> Section:
    kept = sum(each.kept for each in trained.features)
    lead = f"The model reads {plural(kept, 'column')} of {len(trained.features)}."
    blocks = draw.feature_blocks(trained.features, trained.frame.metric)
    return Section("Features", blocks, lead=lead, origin=facts.origins.of("train"))


def _search(trained: Trained, facts: CardFacts) -> Section:
    if not trained.trials:
        return Section("What was tried", [])
    learners = sorted({trial.learner for trial in trained.trials})
    lead = (
        f"{plural(len(trained.trials), 'trial')} of {', '.join(learners)}; "
        f"{trained.learner} was chosen. Seed {trained.seed}."
    )
    notes: list[Block] = [Bullets(trained.notes)] if trained.notes else []
    blocks = [*draw.trial_blocks(trained.trials, trained.frame.metric), *notes]
    return Section("What was tried", blocks, lead=lead, origin=facts.origins.of("train"))


def _limits(trained: Trained, facts: CardFacts) -> Section:
    return Section(
        "Limits",
        [Bullets(told_limits(trained, facts))],
        lead="What the model should not be trusted with, and what is not known.",
    )
