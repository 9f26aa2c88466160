"""What a model card says of limits: what is not known, and where the model is known to be weak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.tasks import TASKS
from everloop.report import Told
from everloop.report.writing import day, number, percent, plural

if TYPE_CHECKING:
    from everloop.model.card_facts import CardFacts
    from everloop.model.trained import Trained

_FEW_ROWS = 500


def limits(trained: Trained, facts: CardFacts) -> list[str]:
    """Says what is not known, and where the model is known to be weak."""
    return [told.text for told in told_limits(trained, facts)]


def told_limits(trained: Trained, facts: CardFacts) -> list[Told]:
    """Gives the same sentences with the steps that their figures come from."""
    return [
        Told(sentence, facts.origins.of(step))
        for look, step in _LIMITS.items()
        for sentence in look(trained, facts)
    ]


def _time_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del trained
    if facts.snapshot.get("time_range"):
        first, last = facts.snapshot["time_range"]
        seen = f"It has seen rows of {day(first)} to {day(last)}."
        return [f"{seen} How it does under conditions that did not occur then is unknown."]
    return ["The time range of its rows is unknown, so how fast it ages is unknown as well."]


def _evidence_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del facts
    found = trained.evaluation
    if found is None:
        return ["How it does on rows that it never saw is unknown: it was not evaluated."]
    sentences = []
    if found.part != "test":
        sentences.append("There is no test part; the numbers come from cross-validation and may flatter.")
    if found.rows < _FEW_ROWS:
        judged = plural(found.rows, TASKS[trained.frame.task].judged)
        sentences.append(f"The numbers rest on {judged}; read the intervals, not the estimates.")
    missed = [item.name for item in found.requirements if not item.holds]
    if missed:
        sentences.append(f"It misses what is required of {', '.join(missed)}.")
    return sentences


def _verdict_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del trained
    verdict = facts.brief.get("verdict")
    if not verdict:
        return ["Whether its goal is worth pursuing is unknown: no brief is on record."]
    return (
        []
        if verdict == "go"
        else [f"The verdict on its goal was {verdict}, and it was trained all the same."]
    )


def _value_limit(trained: Trained, facts: CardFacts) -> list[str]:
    found = trained.evaluation
    if not TASKS[trained.frame.task].supervised and (found is None or found.value is None):
        return ["What its answers are worth in money is unknown: nothing that came of them is known."]
    if found is None or found.value is None:
        return ["What its decisions are worth in money is unknown: decisions have no price."]
    if found.gain is None:
        return ["Whether it is worth more than what is decided today is unknown: today's rule is not stated."]
    if found.gain.known and found.gain.low <= 0:
        return ["That it is worth more than what is decided today is not shown: the interval includes none."]
    share = found.best_possible
    if share is None or found.value_today is None or found.value is None:
        return []
    room = share - found.value_today.estimate
    gained = percent(found.gain.estimate / room) if room > 0 else "an unknown part"
    return [f"It earns {gained} of what perfect decisions would add to today's {facts.currency}.".strip()]


def _group_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del facts
    found = trained.evaluation
    sentences = []
    if not trained.frame.sensitive:
        sentences.append("How groups of people fare is unknown: no sensitive column is named.")
    elif found is None or not found.fairness:
        sentences.append("How the groups of the sensitive columns fare is unknown: it was not measured.")
    if found is not None and found.slices:
        worst = found.slices[0]
        sentences.append(
            f"It does worst where {worst.name}: {found.metric} is "
            f"{number(worst.score.estimate)} on {worst.rows:,} rows, {number(worst.rest)} on all others."
        )
    return sentences


def _label_limit(trained: Trained, facts: CardFacts) -> list[str]:
    labels = facts.labels
    if TASKS[trained.frame.task].decides == "items":
        return []
    if labels and labels["verdict"] == "not needed":
        return _unlabelled_limit(labels["labels"])
    if not labels:
        return ["Whether more labels would help is unknown."]
    if labels["verdict"] == "enough":
        return []
    reason = str(labels["reason"])
    return [f"Labels: {labels['verdict']}. {reason[:1].upper()}{reason[1:]}."]


def _unlabelled_limit(labels: int) -> list[str]:
    if labels:
        return [f"It learned from no label; {labels:,} labels chose it and judge it."]
    return ["No labels judge it: whether what it finds is what you look for is for you to say."]


def _leak_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del trained
    waived = [one for one in facts.dataset.get("leaks") or () if one["severity"] == "waived"]
    return [f"A leak was waived, {one['name']}: {one['reason']}. Its numbers may flatter." for one in waived]


def _calibration_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del facts
    if trained.frame.task == "binary" and trained.calibration is None:
        return ["Its scores were not calibrated; they rank rows, and are no chances."]
    return []


def _weight_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del facts
    if trained.frame.weight is None or trained.frame.task == "recommendation":
        return []
    if not TASKS[trained.frame.task].supervised:
        return [
            (
                f"Rows count by {trained.frame.weight}: in what is learned, in what was chosen, in shares "
                "and medians, in metrics, values and their intervals."
            )
        ]
    return [
        (
            f"Rows count by {trained.frame.weight}: in learning, in what was chosen, in metrics, values and "
            "their intervals. Slices, the matrix of decisions and the spread of residuals count each "
            "row once."
        )
    ]


def _runtime_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del trained
    return [facts.runtime] if facts.runtime else []


def _origin_limit(trained: Trained, facts: CardFacts) -> list[str]:
    del trained
    return [] if facts.steps else ["Which run made its figures is unknown: none is on record."]


_LIMITS = {
    _runtime_limit: "train",
    _time_limit: "snapshot",
    _evidence_limit: "train",
    _verdict_limit: "brief",
    _value_limit: "train",
    _group_limit: "train",
    _label_limit: "frame",
    _leak_limit: "dataset",
    _calibration_limit: "train",
    _weight_limit: "frame",
    _origin_limit: "train",
}
"""What is looked for, and the step that the sentences' figures come from."""
