"""Which clusters are acted on, chosen on the rows that they were made of and priced on rows held out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from everloop.measure.acting import choose_acted
from everloop.measure.intervals import mean_interval
from everloop.model.unsupervised.outcome import with_value
from everloop.runtime.decision import acted_on
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.acting import Acting
    from everloop.measure.intervals import Interval
    from everloop.model.evaluation import Evaluation
    from everloop.model.trained import Trained


def act(
    trained: Trained,
    judged: Evaluation,
    priced: Callable[[pl.DataFrame], Acting | None],
    learned: pl.DataFrame,
    held_out: pl.DataFrame,
    required: Mapping[str, Bound],
) -> tuple[Trained, Evaluation]:
    """Chooses the clusters to act on, and says what that is worth.

    Args:
        trained: The clusters.
        judged: What is known of them.
        priced: Gives the money of acting on each row of a table.
        learned: The rows that they were made of.
        held_out: The rows that judge.
        required: What the goal requires; `positive_rate` bounds the share of rows that is acted on.

    Returns:
        The model, which carries the clusters acted on, and its evaluation in money.
    """
    classes = trained.frame.classes
    labels = trained.decide(trained.scores(learned), learned)
    acting, unseen = priced(learned), priced(held_out)
    counts = row_counts(learned, trained.frame)
    if acting is None or unseen is None:
        return trained, judged
    bound = required.get("positive_rate")
    most = bound.limit if bound is not None and bound.comparison.startswith("<") else 1.0
    chosen = choose_acted(acting.money, labels, clusters=len(classes), most=most, weights=counts)
    acted = tuple(classes[place] for place in chosen)
    rule = msgspec.structs.replace(trained.decision, acted=acted)
    share = float(np.average(np.isin(labels, chosen), weights=counts))
    said = f"Acting on cluster {', '.join(acted)} pays" if acted else "Acting on no cluster pays"
    note = f"{said} on the rows that they were made of; that is {share:.0%} of them."
    trained = replace(trained, decision=rule, notes=(*trained.notes, note))
    return trained, _priced(trained, judged, unseen, held_out, required)


def _priced(
    trained: Trained,
    judged: Evaluation,
    acting: Acting,
    rows: pl.DataFrame,
    required: Mapping[str, Bound],
) -> Evaluation:
    classes = trained.frame.classes
    labels = trained.decide(trained.scores(rows), rows)
    money = np.asarray(acting.money, dtype=np.float64)
    counts = row_counts(rows, trained.frame)
    each = np.ones(len(money)) if counts is None else counts
    clusters = tuple(
        replace(
            one,
            worth=_worth(money, each, labels == place),
            acted=one.name in trained.decision.acted,
        )
        for place, one in enumerate(judged.clusters)
    )
    chosen = acted_on(labels, classes, trained.decision)
    return with_value(
        replace(judged, clusters=clusters),
        acting.values(chosen),
        acting.today_values,
        acting.best_values,
        required,
        counts=counts,
        positive_rate=mean_interval(chosen, weights=counts),
    )


def _worth(
    money: NDArray[np.float64], each: NDArray[np.float64], member: NDArray[np.bool_]
) -> Interval | None:
    return mean_interval(money[member], weights=each[member]) if member.any() else None
