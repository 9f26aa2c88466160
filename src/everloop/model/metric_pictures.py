"""Pictures and tables of an evaluation's metrics, and of what is required of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from everloop.measure.metrics import METRICS
from everloop.report import Badge, Beside, Fold, Picture, Table, pictures
from everloop.report.writing import number

if TYPE_CHECKING:
    from everloop.measure.intervals import Interval
    from everloop.model.evaluation import Evaluation, Requirement
    from everloop.report.page import Block

_IN_UNITS = ("rmse", "mae", "median_absolute_error", "pinball_10", "pinball_90")
"""Errors that are counted in what is predicted, and are of one size."""
_UNBOUNDED = ("log_loss", "max_error", "rmsle", *_IN_UNITS)
"""What may lie between 0 and 1, and means nothing by it."""


def metric_blocks(evaluation: Evaluation) -> list[Block]:
    """Draws every metric with its interval, and lists them.

    Those between -1 and 1 share an axis, as do errors in the unit of what is predicted; each of the others
    has one of its own.
    """
    known = {name: value for name, value in evaluation.metrics.items() if value.known}
    bounded = {
        name: value
        for name, value in known.items()
        if name not in _UNBOUNDED and value.low >= -1 and value.high <= 1
    }
    errors = {name: known[name] for name in _IN_UNITS if name in known}
    blocks: list[Block] = []
    if bounded:
        drawn = pictures.intervals(_places(bounded))
        blocks.append(Picture(drawn, "Metrics with their 95 % intervals."))
    if errors:
        said = "Errors in the unit of what is predicted, each with its 95 % interval: less is better."
        blocks.append(Picture(pictures.intervals(_places(errors)), said))
    blocks += _on_their_own({name: value for name, value in known.items() if name not in bounded | errors})
    rows = [
        [name, number(v.estimate), number(v.low), number(v.high), _better(name)]
        for name, v in evaluation.metrics.items()
    ]
    table = Table(["metric", "estimate", "low", "high", "better is"], rows)
    return [*blocks, Fold("All metrics as a table", [table])] if blocks else [table]


def requirement_blocks(evaluation: Evaluation) -> list[Block]:
    """Draws how far what is required is kept on the held-out rows, and lists it."""
    if not evaluation.requirements:
        return []
    rows = [
        [item.name, item.bound, number(item.number), Badge("holds", "yes") if item.holds else _missed(item)]
        for item in evaluation.requirements
    ]
    table = Table(["required", "bound", "found", ""], rows)
    places: dict[str, tuple[float, float, float]] = {}
    for item in evaluation.requirements:
        limit = item.limit
        if limit > 0 and math.isfinite(item.number):
            low, found, high = _ends(item, evaluation)
            places[_asked(item)] = low / limit, found / limit, high / limit
    if not places:
        return [table]
    missed = [_asked(item) for item in evaluation.requirements if not item.holds]
    drawn = pictures.intervals(places, x_label="times the bound", level=(1.0, "the bound"), highlight=missed)
    said = "What is required, as many times its bound as was found; in the second colour where it is missed."
    return [Picture(drawn, said), table]


def _on_their_own(found: dict[str, Interval]) -> list[Block]:
    """Draws each on its own scale, two beside each other; a last one is as wide as the page."""
    names = list(found)
    single = names[-1:] if len(names) % 2 else []
    drawn = [
        Picture(
            pictures.intervals(
                _places({name: found[name]}), width=pictures.WIDE if name in single else pictures.HALF
            ),
            f"{name} on its own scale: {_better(name)} is better.",
        )
        for name in names
    ]
    pairs: list[Block] = [Beside(drawn[k : k + 2]) for k in range(0, len(drawn) - 1, 2)]
    return [*pairs, *drawn[len(names) - len(single) :]]


def _places(found: dict[str, Interval]) -> dict[str, tuple[float, float, float]]:
    return {name: (value.low, value.estimate, value.high) for name, value in found.items()}


def _ends(item: Requirement, evaluation: Evaluation) -> tuple[float, float, float]:
    """Gives the interval of what is required, where it has one."""
    value = evaluation.metrics.get(item.name)
    if item.name == "value_per_decision":
        value = evaluation.value
    if value is None or not value.known or value.estimate != item.number:
        return item.number, item.number, item.number
    return value.low, value.estimate, value.high


def _asked(item: Requirement) -> str:
    # Where the name is too long for its line, the bound goes to the next one whole.
    return f"{item.name} {str(item.bound).replace(' ', chr(0xA0))}"


def _better(name: str) -> str:
    return ("more" if METRICS[name].greater_is_better else "less") if name in METRICS else ""


def _missed(item: Requirement) -> Badge:
    return Badge("not known", "open") if math.isnan(item.number) else Badge("missed", "no")
