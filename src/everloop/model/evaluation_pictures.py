"""Every part of an evaluation with what draws it, as one table: `DRAWN`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.model.card_pictures import (
    cluster_blocks,
    feature_blocks,
    gain_picture,
    quality_pictures,
    value_picture,
)
from everloop.model.group_pictures import fairness_blocks, mitigation_blocks, slice_blocks
from everloop.model.metric_pictures import metric_blocks, requirement_blocks
from everloop.model.quality_pictures import (
    confusion_blocks,
    ranking_pictures,
    residual_pictures,
    today_blocks,
)

if TYPE_CHECKING:
    from everloop.model.evaluation import Evaluation
    from everloop.model.trained import Trained
    from everloop.report.page import Block


@dataclass(frozen=True, slots=True)
class Shown:
    """An evaluation, and what its pictures need beside it.

    Attributes:
        trained: The model.
        found: Its evaluation.
        currency: What prices are in.
        per_month: How many decisions are made in a month, where that is known.
    """

    trained: Trained
    found: Evaluation
    currency: str = ""
    per_month: float | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """Parts of an evaluation that are drawn together.

    Attributes:
        chapter: Where they stand: pages about a model set chapters one after the other.
        parts: Names of fields of `Evaluation`.
        blocks: Gives pictures and tables; none where the evaluation has no such part.
    """

    chapter: str
    parts: tuple[str, ...]
    blocks: Callable[[Shown], list[Block]]


DRAWN = (
    Drawn(
        "value",
        ("part", "rows", "value", "value_today", "best_possible"),
        lambda its: value_picture(its.found, its.currency),
    ),
    Drawn("value", ("gain",), lambda its: gain_picture(its.found, its.currency)),
    Drawn(
        "value",
        ("threshold", "value_curve", "reliability", "predicted"),
        lambda its: quality_pictures(its.found, its.currency),
    ),
    Drawn("value", ("requirements",), lambda its: requirement_blocks(its.found)),
    Drawn("value", ("against_today",), lambda its: today_blocks(its.found)),
    Drawn("metrics", ("metrics",), lambda its: metric_blocks(its.found)),
    Drawn("quality", ("roc_curve", "precision_curve", "gain_curve"), lambda its: ranking_pictures(its.found)),
    Drawn("quality", ("residuals",), lambda its: residual_pictures(its.found)),
    Drawn("quality", ("confusion", "classes"), lambda its: confusion_blocks(its.found)),
    Drawn("clusters", ("clusters",), lambda its: cluster_blocks(its.found, its.currency)),
    Drawn("weak", ("metric", "slices", "slices_looked_at"), lambda its: slice_blocks(its.found)),
    Drawn("weak", ("fairness",), lambda its: fairness_blocks(its.found)),
    Drawn(
        "mitigation", ("mitigation",), lambda its: mitigation_blocks(its.found, its.currency, its.per_month)
    ),
    Drawn(
        "features",
        ("importance",),
        lambda its: feature_blocks(its.trained.features, its.trained.frame.metric),
    ),
)
"""In the order of the pages. A part that is new is given its picture here."""


def chapter_blocks(chapter: str, shown: Shown) -> list[Block]:
    """Gives the pictures and tables of one chapter of `DRAWN`."""
    return [block for each in DRAWN if each.chapter == chapter for block in each.blocks(shown)]
