"""Pictures of how well a model ranks, predicts and decides, each from the numbers of an `Evaluation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.report import Beside, Line, Picture, Table, Text, pictures
from everloop.report.writing import number

if TYPE_CHECKING:
    from everloop.measure.intervals import Interval
    from everloop.model.evaluation import Evaluation
    from everloop.report.page import Block

_MOST_CLASSES = 20
_SHOWN_CONFUSIONS = 15


def ranking_pictures(evaluation: Evaluation) -> list[Block]:
    """Draws ROC, precision over recall, gain and lift, two beside each other."""
    drawn = [look(evaluation) for look in (_roc, _precision, _gain, _lift)]
    known = [picture for picture in drawn if picture is not None]
    return [Beside(known[k : k + 2]) for k in range(0, len(known), 2)]


def _roc(evaluation: Evaluation) -> Picture | None:
    found = evaluation.roc_curve
    if not found:
        return None
    area = evaluation.metrics.get("roc_auc")
    ours = Line(_with("the model", area), found["false_positive_rate"], found["true_positive_rate"])
    svg = pictures.lines(
        [ours, Line("chance", [0, 1], [0, 1], dashed=True)],
        x_label="false positive rate", y_label="true positive rate", width=pictures.HALF,
    )  # fmt: skip
    return Picture(svg, "ROC curve: how many negatives are disturbed to find so many positives.")


def _precision(evaluation: Evaluation) -> Picture | None:
    found = evaluation.precision_curve
    if not found:
        return None
    area = evaluation.metrics.get("average_precision")
    rate = found["precision"][-1]
    svg = pictures.lines(
        [Line(_with("the model", area), found["recall"], found["precision"])],
        level=(rate, f"chance: {number(rate)}"),
        x_label="recall", y_label="precision", width=pictures.HALF,
    )  # fmt: skip
    return Picture(svg, "Precision over recall: how right positive decisions are, the more are found.")


def _gain(evaluation: Evaluation) -> Picture | None:
    found = evaluation.gain_curve
    if not found:
        return None
    svg = pictures.lines(
        [Line("the model", found["share"], found["found"]), Line("chance", [0, 1], [0, 1], dashed=True)],
        x_label="share of rows, highest first", y_label="share of positives found", width=pictures.HALF,
    )  # fmt: skip
    return Picture(svg, "Gain: how many of the positives are among so many of the highest scores.")


def _lift(evaluation: Evaluation) -> Picture | None:
    found = evaluation.gain_curve
    if not found or len(found["share"]) < 2:
        return None
    svg = pictures.lines(
        [Line("the model", found["share"][1:], found["lift"][1:])], level=(1.0, "chance"),
        x_label="share of rows, highest first", y_label="times the average", width=pictures.HALF,
    )  # fmt: skip
    return Picture(svg, "Lift: how many times as many positives as among so many rows taken at random.")


def residual_pictures(evaluation: Evaluation) -> list[Block]:
    """Draws what is left over of a predicted number, over its size and over the prediction."""
    found = evaluation.residuals
    if not found:
        return []
    spread = pictures.histogram(
        {"residual": (found["edges"], found["shares"])}, x_label="actual less predicted", width=pictures.HALF
    )
    over = pictures.lines(
        [Line("median, and 10 % to 90 %", found["predicted"], found["middle"], found["low"], found["high"])],
        level=(0.0, "right"), x_label="predicted", y_label="actual less predicted", width=pictures.HALF,
    )  # fmt: skip
    bias = found["bias"]
    said = f"{number(bias['estimate'])} ({number(bias['low'])} to {number(bias['high'])})"
    return [
        Beside(
            [
                Picture(spread, f"What is left over; on average {said}."),
                Picture(over, "The same over the prediction: off the line it is too low or too high there."),
            ]
        )
    ]


def confusion_blocks(evaluation: Evaluation) -> list[Block]:
    """Draws what was decided for what was actual."""
    if not evaluation.confusion:
        return []
    caption = f"Decisions on the {evaluation.rows:,} held-out rows; a colour is a share of its actual class."
    if len(evaluation.classes) <= _MOST_CLASSES:
        return [Picture(pictures.confusion(evaluation.confusion, evaluation.classes), caption)]
    return _worst_confusions(evaluation)


def _worst_confusions(evaluation: Evaluation) -> list[Block]:
    pairs = [
        (count, evaluation.classes[actual], evaluation.classes[decided])
        for actual, counts in enumerate(evaluation.confusion)
        for decided, count in enumerate(counts)
        if actual != decided and count
    ]
    worst = sorted(pairs, reverse=True)[:_SHOWN_CONFUSIONS]
    if not worst:
        return [Text("No decision on the held-out rows is wrong.")]
    bars = {f"{actual}, decided {decided}": float(count) for count, actual, decided in worst}
    rows = [[actual, decided, count] for count, actual, decided in worst]
    return [
        Picture(pictures.bars(bars, x_label="rows"), "The most frequent wrong decisions."),
        Table(["actually", "decided", "rows"], rows),
    ]


def today_blocks(evaluation: Evaluation) -> list[Block]:
    """Draws what the model changes about each metric of today's decisions, on the same rows."""
    known = {name: found for name, found in evaluation.against_today.items() if found.known}
    if not known:
        return []
    places = {name: (found.low, found.estimate, found.high) for name, found in known.items()}
    svg = pictures.intervals(places, x_label="the model less today", level=(0.0, "today"))
    return [
        Picture(svg, "Against today's decisions on the same rows, each difference with its 95 % interval.")
    ]


def _with(name: str, area: Interval | None) -> str:
    return name if area is None else f"{name}: {number(area.estimate)}"
