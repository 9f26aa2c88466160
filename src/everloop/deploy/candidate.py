"""A packaged version, held against held-out rows: what the gate looks at."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import PackageRefused
from everloop.core.tasks import decides_by
from everloop.measure.metrics import METRICS, compute
from everloop.runtime.decision import PLAIN, acted_on, decisions_of
from everloop.runtime.package import MODEL_FILES, Package
from everloop.table.even_rows import CONTRAST_POINTS, even_rows
from everloop.table.labels import class_indices

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from everloop.measure.acting import Acting
    from everloop.measure.list_worth import ListWorth
    from everloop.measure.worth import Worth
    from everloop.spec.frame import Frame

# Enough single answers for a stable median, few enough to take well under a second.
TIMED_ROWS = 400
# Distances between so many rows are computed in well under a second.
COMPARED_ROWS = 2_000


@dataclass(frozen=True)
class Candidate:
    """A package and the rows that it is judged on; every number comes from the package itself.

    Attributes:
        folder: The package.
        rows: Held-out rows with known actuals, newer than what the version learned from.
        frame: The problem.
        worth: What decisions on them are worth; None where they have no price.
        listed: Of a recommendation: what lists are worth on them.
        acting: Of a clustering: what acting on them is worth.
        counts: What each row counts, (rows,); None where all count alike.
        opened: Gives the package where others use it too; by default it is loaded for this alone.
    """

    folder: Path
    rows: pl.DataFrame
    frame: Frame
    worth: Worth | None = None
    listed: ListWorth | None = None
    acting: Acting | None = None
    counts: NDArray[np.float64] | None = None
    opened: Callable[[], Package] | None = field(default=None, compare=False)

    @cached_property
    def package(self) -> Package:
        """The loaded package."""
        return Package(self.folder) if self.opened is None else self.opened()

    @cached_property
    def parity(self) -> dict[str, Any]:
        """The parity certificate.

        Raises:
            PackageRefused: When it is missing or cannot be read.
        """
        path = self.folder / "parity.json"
        try:
            certificate: dict[str, Any] = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise PackageRefused(f"{path} cannot be read: {error}.") from error
        return certificate

    @cached_property
    def actual(self) -> NDArray[np.float64]:
        """The actuals: 0/1, class positions, or numbers, NaN where there is none; (rows,)."""
        import polars as pl

        if not self.frame.is_labelled:
            return np.full(self.rows.height, np.nan)
        column = self.rows[self.frame.target]
        if decides_by(self.frame.task, "number"):
            return np.asarray(column.cast(pl.Float64).to_numpy(), dtype=np.float64)
        return class_indices(column, self.frame.classes)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """What the package says of the rows: (rows,) or, for several classes, (rows, k)."""
        return self._of_rows(self.package.scores(self.rows))

    @cached_property
    def decisions(self) -> NDArray[np.float64]:
        """What the package decides: 0/1, class positions, or the number that it gives."""
        manifest = self.package.manifest
        rule = manifest.decision or PLAIN
        decided = decisions_of(self.scores, self.rows, self.frame.task, manifest.threshold, rule)
        return np.asarray(decided, dtype=np.float64)

    @cached_property
    def values(self) -> NDArray[np.float64] | None:
        """What each decision is worth, (rows,) or, of lists, (entities,); None where it has no price."""
        if self.listed is not None:
            return self.listed.values(self._said(), ())
        if self.acting is not None:
            return self.acting.values(self.acted)
        return None if self.worth is None else self.worth.values(self.actual, self.decisions)

    @property
    def acted(self) -> NDArray[np.float64]:
        """Of a clustering: 1 where a row's cluster is acted on, (rows,)."""
        manifest = self.package.manifest
        return acted_on(self.decisions, manifest.classes, manifest.decision or PLAIN)

    @cached_property
    def encoded(self) -> NDArray[np.float64]:
        """The first rows as the package's plan encodes them, (at most 2,000, width)."""
        from everloop.runtime.plan_table import encode_table

        return encode_table(self.package.plan, self.rows.head(COMPARED_ROWS))

    def metric(self, name: str, *, seen_by: Candidate | None = None) -> float:
        """Measures a metric of the field, or `value_per_decision`, on the rows.

        Args:
            name: The metric.
            seen_by: Whose encoding says how far rows are apart, where the metric asks that; by default
                its own. Two packages are comparable in the same encoding alone.
        """
        if name == "value_per_decision":
            return (
                float("nan") if self.values is None else float(np.average(self.values, weights=self.counts))
            )
        if name == "positive_rate" and self.acting is not None:
            return float(np.average(self.acted, weights=self.counts))
        if METRICS[name].needs == "resamples":  # only training can measure it
            found = self.package.manifest.metrics.get(name)
            return float("nan") if found is None else found
        return compute(name, *self.evidence(name, seen_by=seen_by), self.counts_for(name))

    def evidence(self, name: str, *, seen_by: Candidate | None = None) -> tuple[Any, NDArray[np.float64]]:
        """Gives what a metric is computed from: the actuals and what the package says; see `Metric.needs`."""
        needs = METRICS[name].needs
        if needs == "lists":
            return self.lists
        if needs == "contrast":
            return self._contrast()
        if needs == "rows":
            space = (seen_by or self).encoded
            return space, self.decisions[: len(space)]
        actual = self.actual if METRICS[name].needs_actual else np.zeros(self.rows.height)
        known = ~np.isnan(actual)
        return actual[known], self.predicted_for(name)[known]

    def counts_for(self, name: str) -> NDArray[np.float64] | None:
        """Gives what each row of a metric's `evidence` counts; None where all count alike."""
        if self.counts is None:
            return None
        needs = METRICS[name].needs
        if needs == "contrast":
            return np.concatenate([self.counts, np.ones(CONTRAST_POINTS)])
        if needs == "rows":
            return self.counts[: len(self.encoded)]
        return self.counts[~np.isnan(self.actual)] if METRICS[name].needs_actual else self.counts

    def predicted_for(self, name: str) -> NDArray[np.float64]:
        """Gives what a metric of rows is computed from: scores or decisions."""
        return self.decisions if METRICS[name].needs == "decision" else self.scores

    @cached_property
    def lists(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Which listed items each entity of the rows then had, (entities, places), and how many it had."""
        import polars as pl

        from everloop.measure.recommendation import held
        from everloop.table.labels import label_texts

        entity, item = str(self.frame.entity), self.frame.target
        rows = self.rows.select(entity, item).drop_nulls()
        had = pl.DataFrame({"entity": label_texts(rows[entity]), "item": label_texts(rows[item])})
        later = had.group_by("entity").agg(pl.col("item").unique()).sort("entity")
        return held({who: set(what) for who, what in later.iter_rows()}, self._said(), ())

    def _said(self) -> dict[str, list[str]]:
        """What the package recommends to each entity of the rows, by the entity's text."""
        from everloop.table.labels import label_texts

        entity = str(self.frame.entity)
        asked = self.rows.select(entity, self.frame.target).drop_nulls().select(entity)
        asked = asked.unique(maintain_order=True)
        return dict(
            zip(label_texts(asked[entity]).to_list(), self.package.predict(asked).tolist(), strict=True)
        )

    @property
    def popular(self) -> list[str]:
        """Of a recommendation: what the package says to an entity that it does not know."""
        return [str(item) for item in np.asarray(self.package.answer({}).prediction).tolist()]

    def _contrast(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        names = [column.name for column in self.package.manifest.inputs]
        points = even_rows(self.rows, names, CONTRAST_POINTS)
        scores = self._of_rows(self.package.scores(points))
        is_row = np.repeat([1.0, 0.0], [self.rows.height, len(scores)])
        return is_row, np.concatenate([self.scores, scores])

    def _of_rows(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return scores if decides_by(self.frame.task, "largest") else scores[:, 0]

    def model_bytes(self) -> int:
        """Gives the size of what serves: the plan, and the graph or the estimator of a Python runtime."""
        names = (*MODEL_FILES[self.package.manifest.runtime], "plan.json")
        files = (self.folder / name for name in names)
        return sum(path.stat().st_size for path in files if path.exists())

    def seconds_per_answer(self) -> NDArray[np.float64]:
        """Times single answers one after another, in seconds, (at most 400,); the first ones warm up."""
        names = [column.name for column in self.package.manifest.inputs]
        sample = self.rows.head(TIMED_ROWS)
        rows = sample.select([name for name in names if name in sample.columns]).to_dicts()
        for row in rows[:20]:
            self.package.answer(row)
        seconds = []
        for row in rows:
            begun = time.perf_counter()
            self.package.answer(row)
            seconds.append(time.perf_counter() - begun)
        return np.array(seconds)
