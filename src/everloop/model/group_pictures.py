"""Pictures and tables of parts of the rows: the slices where a model is weak, the groups of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.report import Fold, Picture, Table, Text, pictures
from everloop.report.writing import chance, money, number, plural, span

if TYPE_CHECKING:
    from everloop.measure.intervals import Interval
    from everloop.model.evaluation import Evaluation, GroupFairness, Mitigation
    from everloop.report.page import Block

_ROUNDING = 1e-9
_BETWEEN = "difference between groups, or ratio"
_ALIKE = "At 0 groups fare alike; a ratio is 1 then."


def slice_blocks(evaluation: Evaluation) -> list[Block]:
    """Draws and lists the slices of the rows on which the model does worst."""
    looked = evaluation.slices_looked_at
    if not evaluation.slices:
        said = f"Of {plural(looked, 'slice')} by one or two columns none is worse beyond chance."
        return [Text(said)] if looked else []
    places = {each.name: _ends(each.score) for each in evaluation.slices}
    level = (evaluation.score.estimate, f"all rows: {number(evaluation.score.estimate)}")
    drawn = pictures.intervals(places, x_label=evaluation.metric, level=level)
    caption = (
        f"The worst of {looked:,} slices by one or two columns, found on one half of the rows and worse on "
        "the other as well: how likely that is by chance is corrected for how many were tried there."
    )
    rows = [
        [each.name, each.rows, number(each.score.estimate), number(each.rest), chance(each.chance)]
        for each in evaluation.slices
    ]
    columns = ["slice", "rows", evaluation.metric, "on all other rows", "by chance"]
    return [Picture(drawn, caption), Table(columns, rows)]


def fairness_blocks(evaluation: Evaluation) -> list[Block]:
    """Draws how the groups of each sensitive column fare, and of each pair of columns."""
    return [block for found in evaluation.fairness for block in _of(found, evaluation.metric)]


def mitigation_blocks(evaluation: Evaluation, currency: str, per_month: float | None = None) -> list[Block]:
    """Tells what treating groups alike costs, and what it changes.

    Args:
        evaluation: With a mitigation; of one without nothing is told.
        currency: What prices are in.
        per_month: How many decisions are made in a month, where that is known.
    """
    found = evaluation.mitigation
    if found is None:
        return []
    with_it = {one.name: one.differences for one in evaluation.fairness}
    gaps = {
        columns: {
            name: (gap, with_it[columns][name])
            for name, gap in without.items()
            if name in with_it.get(columns, {}) and gap.known
        }
        for columns, without in found.without.items()
    }
    rows = [
        [f"{name.replace('_', ' ')} by {columns}", _said(without), _said(now)]
        for columns, pairs in gaps.items()
        for name, (without, now) in pairs.items()
    ]
    between = Table(["between groups", f"without {found.method}", "with"], rows)
    changes = [[name.replace("_", " "), _said(change)] for name, change in found.changes.items()]
    moved = Fold("What it changes in decisions", [Table(["metric", "with less without"], changes)])
    told = Text(price_sentence(evaluation, currency, per_month))
    drawn = [block for columns, pairs in gaps.items() for block in _with_and_without(columns, pairs)]
    return [told, *drawn, between, *_changes(found), moved]


def _with_and_without(columns: str, pairs: dict[str, tuple[Interval, Interval]]) -> list[Block]:
    places: dict[str, tuple[float, float, float]] = {}
    for name, (without, now) in pairs.items():
        called = name.replace("_", " ")  # the picture says between what groups
        places |= {f"{called}, without": _ends(without)} | ({called: _ends(now)} if now.known else {})
    if not places:
        return []
    compared = [name for name in places if name.endswith(", without")]
    drawn = pictures.intervals(places, x_label=_BETWEEN, highlight=compared)
    return [Picture(drawn, f"Between the groups of {columns}, without it and with it. {_ALIKE}")]


def _changes(found: Mitigation) -> list[Block]:
    places = {name.replace("_", " "): _ends(change) for name, change in found.changes.items() if change.known}
    if not places:
        return []
    if not any(max(abs(end) for end in ends) > _ROUNDING for ends in places.values()):
        return [Text("On these rows it changes no metric.")]
    drawn = pictures.intervals(places, x_label="with less without", level=(0.0, "as without"))
    return [Picture(drawn, "What it changes in decisions, on the same rows.")]


def price_sentence(evaluation: Evaluation, currency: str, per_month: float | None = None) -> str:
    """Says in a sentence what treating groups alike costs a decision, and a month."""
    found = evaluation.mitigation
    if found is None:
        return ""
    start = f"Groups are treated alike by {found.method}"
    if found.price is None or not found.price.known:
        return f"{start}. What that costs in money is unknown: decisions have no price."
    price = found.price
    said = f"{start}. A decision earns {money(price.estimate, currency)} less than without"
    said = f"{said} ({span(price.to_dict(), currency)}) on the same {evaluation.rows:,} rows"
    if per_month is None:
        return f"{said}."
    month = price.scaled(per_month)
    return f"{said}, {money(month.estimate, currency)} a month ({span(month.to_dict(), currency)})."


def _of(found: GroupFairness, metric: str) -> list[Block]:
    large = [group for group in found.groups if group.enough]
    if len(large) < 2:
        return [Text(f"{found.name}: fewer than two groups are large enough to be compared.")]
    shown = "positive_rate" if "positive_rate" in large[0].rates else metric
    places = {group.name: _ends(group.rates[shown]) for group in large if group.rates[shown].known}
    blocks: list[Block] = []
    if places:
        drawn = pictures.intervals(places, x_label=shown.replace("_", " "))
        blocks.append(Picture(drawn, f"Groups of {found.name}: {shown.replace('_', ' ')}."))
    names = list(dict.fromkeys(name for group in large for name in group.rates))
    rows: list[list[Any]] = [
        [group.name, group.rows, *(_said(group.rates[name]) for name in names)] for group in large
    ]
    table = Table([found.name, "rows", *(name.replace("_", " ") for name in names)], rows)
    gaps = Table(
        [f"between the groups of {found.name}", "estimate", "95 % interval"],
        [
            [name.replace("_", " "), number(gap.estimate), _span(gap)]
            for name, gap in found.differences.items()
        ],
    )
    small = [f"{group.name} ({plural(group.rows, 'row')})" for group in found.groups if not group.enough]
    blocks += [*_gap_picture(found), gaps]
    blocks.append(Fold(f"Every group of {found.name}, with intervals", [table]))
    if small:
        blocks.append(Text(f"Too small to be told about: {', '.join(small)}."))
    return blocks


def _gap_picture(found: GroupFairness) -> list[Block]:
    places = {name.replace("_", " "): _ends(gap) for name, gap in found.differences.items() if gap.known}
    if not places:
        return []
    said = f"Between the groups of {found.name}, each measure with its 95 % interval. {_ALIKE}"
    return [Picture(pictures.intervals(places, x_label=_BETWEEN), said)]


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.estimate, interval.high


def _said(interval: Interval) -> str:
    return f"{number(interval.estimate)} ({_span(interval)})"


def _span(interval: Interval) -> str:
    return f"{number(interval.low)} to {number(interval.high)}"
