"""The log's lines as tables: their columns, and what is said of a line elsewhere in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.runtime.log.damage import Damage
from everloop.runtime.log.lines import ActualLine, Line, PredictionLine, RefusalLine
from everloop.table.labels import label_text

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class LogTables:
    """The log as Polars tables.

    Attributes:
        predictions: One row a line, by time: `id` (text), `time` (UTC), `version` (integer), `arm`,
            `row` (the row as served, as JSON text), `score` (number; of several classes the chosen
            one's), `scores` (list of numbers; null unless there are several classes), `prediction`
            (text; of a recommendation its items as JSON text), `latency_us`, `worker`, `chance`. What was
            asked again under the same id is left out.
        actuals: One row for each actual that says something new about its prediction, by time: `id`,
            `actual` (text), `time` (UTC), `worker`. The same actual sent again is left out; one that
            corrects another is kept beside it.
        refusals: One row for each row that an arm refused or failed on while two versions were compared,
            by time: `id`, `time` (UTC), `version`, `arm`, `kind`, `unit`, `latency_us`, `chance`, `worker`.
        damage: What of the log cannot be read.
    """

    predictions: pl.DataFrame
    actuals: pl.DataFrame
    refusals: pl.DataFrame = field(default_factory=lambda: empty_table(2))
    damage: tuple[Damage, ...] = field(default=(), kw_only=True)

    @property
    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """All three, in this order."""
        return self.predictions, self.actuals, self.refusals

    def known_actuals(self) -> pl.DataFrame:
        """Gives the latest actual of each prediction: `id`, `actual`, `known_at`, `corrections`."""
        import polars as pl

        return (
            self.actuals.group_by("id", maintain_order=True)
            .agg(
                pl.col("actual").last(),
                pl.col("time").last().alias("known_at"),
                pl.len().alias("corrections"),
            )
            .with_columns(pl.col("corrections").cast(pl.Int64) - 1)
        )

    def joined(self) -> pl.DataFrame:
        """Gives the predictions with `actual`, `known_at` and `corrections`; null where not known yet."""
        return self.predictions.join(self.known_actuals(), on="id", how="left", maintain_order="left")

    def rows(self, types: Mapping[str, str]) -> pl.DataFrame:
        """Gives the rows as served as a table beside `predictions`, row for row.

        Args:
            types: From column to its type in the words of `table.schema`.

        Returns:
            One column for each that is named; null where a row lacks it.
        """
        import polars as pl

        kinds = _polars_types()
        fields = {name: kinds[kind] for name, kind in types.items()}
        decoded = self.predictions["row"].str.json_decode(pl.Struct(fields)).struct.unnest()
        return decoded.with_columns(
            pl.col(name).str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
            for name, kind in types.items()
            if kind == "time"
        )


def first_asked(key: pl.Expr | str) -> pl.Expr:
    """Says of each line by time whether it is the first of its id.

    A client that did not hear the answer asks again under the same id: that is one prediction.
    """
    import polars as pl

    return (pl.col(key) if isinstance(key, str) else key).is_first_distinct()


def new_actuals(actuals: pl.DataFrame) -> pl.DataFrame:
    """Leaves out of actuals by time those that say again what was known of their prediction."""
    import polars as pl

    return actuals.filter(pl.col("actual").ne_missing(pl.col("actual").shift(1).over("id")))


def first_refused(refusals: pl.DataFrame) -> pl.DataFrame:
    """Leaves out of refusals by time those of the same row by the same arm."""
    return refusals.unique(["id", "arm"], keep="first", maintain_order=True)


def tables_of(lines: Sequence[Line], worker: str) -> LogTables:
    """Gives a segment's lines as tables."""
    import polars as pl

    rows: tuple[list[tuple[Any, ...]], ...] = ([], [], [])
    for line in lines:
        if isinstance(line, PredictionLine):
            rows[0].append(_prediction_row(line, worker))
        elif isinstance(line, ActualLine):
            rows[1].append((line.id, label_text(line.actual), line.time, worker))
        else:
            rows[2].append(_refusal_row(line, worker))
    made = (
        pl.DataFrame(of_kind, schema=schema, orient="row")
        for of_kind, schema in zip(rows, schemas(), strict=True)
    )
    return LogTables(*made)


def _prediction_row(line: PredictionLine, worker: str) -> tuple[Any, ...]:
    several = line.score if isinstance(line.score, tuple) else None
    score = max(several) if several else line.score
    return (
        line.id,
        line.time,
        line.version,
        line.arm,
        msgspec.json.encode(line.row).decode(),
        score,
        list(several) if several else None,
        _told(line.prediction),
        line.latency_us,
        worker,
        line.chance,
    )


def _refusal_row(line: RefusalLine, worker: str) -> tuple[Any, ...]:
    return (
        line.id,
        line.time,
        line.version,
        line.arm,
        line.kind,
        line.unit,
        line.latency_us,
        line.chance,
        worker,
    )


def _told(prediction: str | float | tuple[str, ...]) -> str | None:
    return (
        msgspec.json.encode(prediction).decode() if isinstance(prediction, tuple) else label_text(prediction)
    )


def empty_table(index: int) -> pl.DataFrame:
    """Gives a table of a kind without lines."""
    import polars as pl

    return pl.DataFrame(schema=schemas()[index])


def schemas() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Gives the columns of predictions, actuals and refusals, with their types."""
    import polars as pl

    moment, text = pl.Datetime("us", "UTC"), pl.String()
    asked = {"id": text, "time": moment, "version": pl.Int64(), "arm": text}
    predictions = {
        **asked,
        "row": text,
        "score": pl.Float64(),
        "scores": pl.List(pl.Float64()),
        "prediction": text,
        "latency_us": pl.Int64(),
        "worker": text,
        "chance": pl.Float64(),
    }
    refusals = {
        **asked,
        "kind": text,
        "unit": text,
        "latency_us": pl.Int64(),
        "chance": pl.Float64(),
        "worker": text,
    }
    return predictions, {"id": text, "actual": text, "time": moment, "worker": text}, refusals


def _polars_types() -> dict[str, Any]:
    import polars as pl

    text = pl.String()
    return {
        "boolean": pl.Boolean(),
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "text": text,
        "time": text,
    }
