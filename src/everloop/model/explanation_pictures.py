"""Pictures of what moves a model's scores, and of what disturbed inputs cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.report import Beside, Fold, Line, Picture, Table, Text, pictures
from everloop.report.writing import number, percent, plural

if TYPE_CHECKING:
    from everloop.model.explanation import Dependence, Explanation
    from everloop.report.page import Block

_SHOWN = 15
_SWARM = 12
_NAMES = {"missing": "missing", "noise": "noisy", "unknown": "never seen"}


def effect_blocks(found: Explanation) -> list[Block]:
    """Draws which columns move the scores, in which rows, and how the scores go over them."""
    strong = [one for one in found.effects if one.size.estimate > 0]
    if not strong:
        return []
    sizes = {one.column: (one.size.low, one.size.estimate, one.size.high) for one in strong[:_SHOWN]}
    drawn = pictures.intervals(sizes, x_label=f"mean size of the effect on {found.output}")
    swarm = {one.column: (one.effects, one.places) for one in strong[:_SWARM] if one.effects}
    said = (
        f"How far each column moves {found.output} from what it is where the column is not known: Shapley "
        f"values of {plural(found.rows, 'row')}, {plural(found.orders, 'order')} of the columns each."
    )
    lost = {one.column: _between(one.loss) for one in found.permuted}
    columns = ["column", "mean size of its effect", f"{found.metric} lost when shuffled"]
    rows = [[one.column, _between(one.size), lost.get(one.column)] for one in found.effects]
    return [
        Picture(drawn, said),
        Picture(
            pictures.swarm(swarm, x_label=f"effect on {found.output}"),
            "The same row by row: a dot is a row; its colour is the column's value in it, from low (blue) to "
            "high (red), and grey where values have no order.",
        ),
        *_shuffled(found),
        *_pairs([_over(one, found.output) for one in found.dependence if len(one.at) > 1]),
        Fold("Every column's effect", [Table(columns, rows)]),
    ]


def _shuffled(found: Explanation) -> list[Block]:
    known = {one.column: _ends(one.loss) for one in found.permuted if one.loss.known}
    if not known:
        return []
    drawn = pictures.intervals(
        dict(list(known.items())[:_SHOWN]), x_label=f"{found.metric} lost", level=(0.0, "nothing lost")
    )
    said = (
        "What the model owes to each column: what is lost when its values are shuffled over held-out rows. "
        "A column may move the scores and help nothing, and one that says the same may stand in for it."
    )
    return [Picture(drawn, said)]


def _over(one: Dependence, output: str) -> Block:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in one.at)
    caption = f"Over {one.column}: {output}, all else as it is; the band holds 80 % of the rows."
    if numbers:
        line = Line("mean", one.at, one.mean, one.low, one.high)
        return Picture(
            pictures.lines([line], x_label=one.column, y_label=output, width=pictures.HALF), caption
        )
    places = {
        str(value): (low, mean, high)
        for value, low, mean, high in zip(one.at, one.low, one.mean, one.high, strict=True)
    }
    return Picture(pictures.intervals(places, x_label=output, width=pictures.HALF), caption)


def _pairs(blocks: list[Block]) -> list[Block]:
    return [Beside(blocks[k : k + 2]) for k in range(0, len(blocks), 2)]


def robustness_blocks(found: Explanation, currency: str) -> list[Block]:
    """Draws what missing, noisy and unknown inputs cost, in the metric and in money."""
    if not found.robustness:
        return []
    named = {_name(one.column, one.kind, found): one for one in found.robustness}
    lost = {name: _ends(one.loss) for name, one in named.items() if one.loss.known}
    strongest = dict(list(lost.items())[:_SHOWN])
    blocks: list[Block] = []
    if strongest:
        drawn = pictures.intervals(strongest, x_label=f"{found.metric} lost", level=(0.0, "undisturbed"))
        blocks.append(
            Picture(
                drawn,
                "What a disturbed input costs. "
                f"Noise is {number(found.noise)} standard deviations of the column.",
            )
        )
    rows: list[list[Any]] = [
        [
            name,
            number(one.loss.estimate),
            None if one.value is None else number(one.value.estimate),
            percent(one.changed) if one.changed <= 1 else number(one.changed),
        ]
        for name, one in named.items()
    ]
    columns = [
        "disturbed",
        f"{found.metric} lost",
        f"{currency} lost a decision".strip(),
        "decisions that change",
    ]
    blocks.append(Fold("Every disturbance", [Table(columns, rows)]))
    return blocks or [Text("Nothing could be disturbed.")]


def _name(column: str, kind: str, found: Explanation) -> str:
    if column:
        return f"{column} {_NAMES[kind]}"
    return f"{percent(found.missing)} of all fields missing" if kind == "missing" else "all numbers noisy"


def _between(interval: Any) -> str:
    return f"{number(interval.estimate)} ({number(interval.low)} to {number(interval.high)})"


def _ends(interval: Any) -> tuple[float, float, float]:
    return interval.low, interval.estimate, interval.high
