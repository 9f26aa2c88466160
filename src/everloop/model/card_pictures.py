"""What an evaluation looks like: pictures and tables for the model card and every page about a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.measure.metrics import METRICS
from everloop.report import Badge, Beside, Fold, Picture, Table, pictures
from everloop.report.writing import money, number, percent, span

if TYPE_CHECKING:
    from everloop.model.evaluation import Evaluation
    from everloop.model.trained import FeatureChoice, Trial
    from everloop.report.page import Block

_SHOWN_TRIALS = 15
_SHOWN_GAINS = 15
_SHOWN_TRAITS = 3
_FEWEST_FOR_A_CURVE = 3


def value_picture(evaluation: Evaluation, currency: str) -> list[Block]:
    """Draws what a decision is worth under the model, under today's rule and at best."""
    if evaluation.value is None or not evaluation.value.known:
        return []
    worth = {"the model": evaluation.value}
    if evaluation.value_today is not None and evaluation.value_today.known:
        worth["today's rule"] = evaluation.value_today
    places = {name: (value.low, value.estimate, value.high) for name, value in worth.items()}
    best = evaluation.best_possible
    level = (best, "always right") if best is not None and math.isfinite(best) else None
    drawn = pictures.intervals(
        places, x_label=f"{currency} a decision", level=level, highlight=["today's rule"], write=money
    )
    rows = f"{evaluation.rows:,} rows of the {evaluation.part} part"
    return [
        Picture(drawn, f"Value of a decision on {rows}, none of which the model was fitted on or chosen by.")
    ]


def gain_picture(evaluation: Evaluation, currency: str) -> list[Block]:
    """Draws what the model adds to a decision of today."""
    gain = evaluation.gain
    if gain is None or not gain.known:
        return []
    drawn = pictures.intervals(
        {"the model less today": (gain.low, gain.estimate, gain.high)},
        x_label=f"{currency} a decision", level=(0.0, "today"), write=money,
    )  # fmt: skip
    return [Picture(drawn, "What it adds to a decision of today: both decided on the same rows.")]


def threshold_picture(evaluation: Evaluation, currency: str, *, width: float) -> list[Block]:
    """Draws value over the threshold, with the threshold that decides."""
    found = evaluation.value_curve
    if not found or evaluation.threshold is None or len(found["thresholds"]) < _FEWEST_FOR_A_CURVE:
        return []
    at = sorted(zip(found["thresholds"], found["values"], strict=True))
    at = [(x, y) for x, y in at if x is not None and y is not None and -0.01 <= x <= 1.01]
    levels = {}
    if evaluation.value_today is not None and evaluation.value_today.known:
        levels["today's rule"] = evaluation.value_today.estimate
    drawn = pictures.curve(
        [x for x, _ in at], [y for _, y in at],
        chosen=(evaluation.threshold, f"chosen: {evaluation.threshold:.3g}"),
        levels=levels, x_label="threshold of the score", y_label=f"{currency} a decision", width=width,
    )  # fmt: skip
    caption = (
        "Value over the threshold on these rows. The threshold was chosen on other rows, "
        "so it need not stand exactly at the top."
    )
    return [Picture(drawn, caption)]


def calibration_picture(evaluation: Evaluation, *, width: float) -> list[Block]:
    """Draws what was predicted against what came."""
    found = evaluation.reliability
    if not found or not found.get("score"):
        return []
    drawn = pictures.calibration(found["score"], found["rate"], found["weight"], width=width)
    whose = " of the likeliest class" if len(evaluation.classes) > 2 else ""
    return [Picture(drawn, f"Calibration{whose}: on the dotted line, what was said is what came.")]


def quality_pictures(evaluation: Evaluation, currency: str) -> list[Block]:
    """Draws threshold and calibration beside each other, or what was predicted of a number."""

    def drawn(width: float) -> list[Block]:
        return [
            *threshold_picture(evaluation, currency, width=width),
            *calibration_picture(evaluation, width=width),
        ]

    found = drawn(pictures.HALF)
    if len(found) > 1:
        return [Beside(found)]
    if not found and evaluation.predicted:
        said, came = evaluation.predicted["predicted"], evaluation.predicted["actual"]
        points = pictures.points({"rows": (said, came)}, x_label="predicted", y_label="actual")
        return [Picture(points, "What was predicted and what came, a sample of the held-out rows.")]
    # One that stands alone is as wide as the page; drawn for half of it, it would be blown up.
    return drawn(pictures.WIDE)


def trial_blocks(trials: Sequence[Trial], metric: str) -> list[Block]:
    """Draws the search, best so far included, and lists its trials, the best first."""
    done = [trial for trial in trials if trial.score is not None]
    blocks: list[Block] = []
    if len(done) > 1:
        groups: dict[str, tuple[list[float], list[float]]] = {}
        for trial in done:
            x, y = groups.setdefault(trial.learner, ([], []))
            x.append(trial.number + 1)
            y.append(float(trial.score or 0.0))
        drawn = pictures.points(
            groups, best=_best_so_far(done, metric), x_label="trial", y_label=f"{metric} on folds"
        )
        blocks.append(Picture(drawn, f"Every trial of the search, scored by cross-validation on {metric}."))
    more = _greater_is_better(metric)
    ranked = sorted(done, key=lambda trial: float(trial.score or 0.0), reverse=more)
    ranked += [trial for trial in trials if trial.score is None]
    rows = [
        [trial.number + 1, trial.learner, trial.score, trial.rows or None, _configuration(trial)]
        for trial in ranked
    ]
    columns = ["trial", "learner", f"{metric}", "rows", "configuration"]
    blocks.append(Table(columns, rows[:_SHOWN_TRIALS], caption="The best trials first."))
    if len(rows) > _SHOWN_TRIALS:
        title = f"The other {len(rows) - _SHOWN_TRIALS} trials"
        blocks.append(Fold(title, [Table(columns, rows[_SHOWN_TRIALS:])]))
    return blocks


def feature_blocks(features: Sequence[FeatureChoice], metric: str) -> list[Block]:
    """Draws what each column brings, and lists every column with its reason."""
    gains = {each.name: each.gain for each in features if each.gain is not None}
    top = sorted(gains.items(), key=lambda item: -item[1])[:_SHOWN_GAINS]
    blocks: list[Block] = []
    if top:
        left_out = [each.name for each in features if not each.kept]
        drawn = pictures.bars(
            dict(top), x_label=f"{metric} lost when the column is shuffled", highlight=left_out,
            names=("kept", "left out"),
        )  # fmt: skip
        said = "What each column brought when columns were chosen: to a quick model, on rows it had not seen."
        blocks.append(Picture(drawn, said))
    rows = [
        [each.name, Badge("kept", "yes") if each.kept else Badge("left out"), each.gain, each.reason]
        for each in sorted(features, key=lambda each: (not each.kept, -(each.gain or 0.0), each.name))
    ]
    return [*blocks, Table(["column", "", "gain", "reason"], rows)]


def cluster_blocks(evaluation: Evaluation, currency: str = "") -> list[Block]:
    """Draws how many rows each cluster has, what sets it apart and what acting on it is worth."""
    if not evaluation.clusters:
        return []
    sizes = {f"cluster {each.name}": float(each.rows) for each in evaluation.clusters}
    rows = [
        [each.name, each.rows, percent(each.share), "; ".join(trait.sentence() for trait in each.traits)]
        for each in evaluation.clusters
    ]
    return [
        Picture(pictures.bars(sizes, x_label="rows"), "Rows of each cluster."),
        *_trait_picture(evaluation),
        Table(["cluster", "rows", "share", "what sets it apart"], rows),
        *_acting_blocks(evaluation, currency),
    ]


def _trait_picture(evaluation: Evaluation) -> list[Block]:
    named = [
        (f"{each.name}: {trait.column}" + (f" {trait.value}" if trait.value is not None else ""), trait)
        for each in evaluation.clusters
        for trait in each.traits[:_SHOWN_TRAITS]
    ]
    if not named:
        return []
    drawn = pictures.bars(
        {name: trait.distance for name, trait in named}, x_label="standard deviations from all rows"
    )
    return [Picture(drawn, "How far each cluster is from all rows, in the columns that set it apart most.")]


def _acting_blocks(evaluation: Evaluation, currency: str) -> list[Block]:
    priced = [(each, each.worth) for each in evaluation.clusters if each.worth is not None]
    if not priced:
        return []
    rows = [
        [
            each.name,
            money(worth.estimate, currency, signed=True),
            span(worth.to_dict(), currency),
            "yes" if each.acted else "no",
        ]
        for each, worth in priced
    ]
    table = Table(["cluster", "acting on one of its held-out rows", "95 % interval", "acted on"], rows)
    places = {
        f"cluster {each.name}": (worth.low, worth.estimate, worth.high)
        for each, worth in priced
        if worth.known
    }
    if not places:
        return [table]
    drawn = pictures.intervals(places, x_label=f"{currency} a row", level=(0.0, "not acting"), write=money)
    return [Picture(drawn, "What acting on a row of each cluster is worth, on held-out rows."), table]


def gain_sentence(evaluation: Evaluation, currency: str, *, judged: str = "row") -> str:
    """Says in a sentence how the model does against today, on so many of what was judged."""
    on = f"{evaluation.rows:,} held-out {judged}{'' if evaluation.rows == 1 else 's'}"
    gain = evaluation.gain
    if gain is None or not gain.known:
        score = evaluation.metrics.get(evaluation.metric)
        found = number(score.estimate) if score is not None else "not known"
        return f"{evaluation.metric} is {found} on {on}."
    verdict = "more" if gain.low > 0 else "less" if gain.high < 0 else "about the same"
    low, high = money(gain.low, signed=True), money(gain.high, currency, signed=True)
    if verdict == "about the same":
        return f"A decision is worth about the same as today: the difference lies between {low} and {high}."
    return (
        f"A decision is worth {money(abs(gain.estimate), currency)} {verdict} than today ({low} to {high}) "
        f"on {on}."
    )


def _best_so_far(done: Sequence[Trial], metric: str) -> tuple[list[float], list[float]]:
    better = max if _greater_is_better(metric) else min
    x: list[float] = []
    y: list[float] = []
    for trial in sorted(done, key=lambda trial: trial.number):
        score = float(trial.score or 0.0)
        x.append(trial.number + 1)
        y.append(better(y[-1], score) if y else score)
    return x, y


def _greater_is_better(metric: str) -> bool:
    return METRICS[metric].greater_is_better if metric in METRICS else True


def _configuration(trial: Trial) -> str:
    if trial.error is not None:
        return trial.ending
    return ", ".join(f"{name} {_short(value)}" for name, value in trial.configuration.items())


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
