"""Reading the prediction log as tables, while it is being written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.clock import as_utc
from everloop.runtime.log.damage import Damage, found_in_names, gaps_told, stem, tail_told
from everloop.runtime.log.lines import ActualLine, Line, PredictionLine, RefusalLine
from everloop.runtime.log.segment import SegmentName, read_lines, segment_names
from everloop.table.labels import label_text

if TYPE_CHECKING:
    import polars as pl

_TRIES = 20
DAMAGE = "everloop.damage"
"""Under this key of a sealed part's metadata stands what of its segment was damaged."""


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
    refusals: pl.DataFrame = field(default_factory=lambda: _empty(2))
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


def read_log(folder: str | Path, since: datetime | None = None, until: datetime | None = None) -> LogTables:
    """Reads a prediction log, sealed parts and segments alike.

    Args:
        folder: Where the segments are; one that is not there is an empty log.
        since: Lines of this time and later.
        until: Lines before this time.

    Returns:
        Predictions by when they were asked for, actuals by when they became known.

    Raises:
        DataFault: When a segment is of a newer form.
    """
    return LogReader(folder).read(since, until)


class LogReader:
    """Reads a prediction log again and again: each time only what was added is decoded.

    It holds the lines since the time that was last asked for, and no others: what is older is let go, and of
    sealed parts it is not even decoded. Asking for an earlier time than before reads again.

    Args:
        folder: Where the segments are; one that is not there is an empty log.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._parts: dict[SegmentName, _Part] = {}

    @property
    def lines(self) -> int:
        """How many lines are held since the last reading."""
        return sum(table.height for part in self._parts.values() for table in part.tables.tables)

    def read(self, since: datetime | None = None, until: datetime | None = None) -> LogTables:
        """Gives what the log holds now; see `read_log`."""
        import polars as pl

        names = segment_names(self._folder) if self._folder.is_dir() else []
        since = as_utc(since) if since else None
        self._parts = {name: _read_part(self._folder, name, self._parts.get(name), since) for name in names}
        parts = [part.tables.tables for part in self._parts.values()]
        bounds = [pl.col("time") < as_utc(until)] if until else []
        tables = [
            pl.concat([_empty(index), *(part[index] for part in parts if part[index].height)])
            .filter(*bounds)
            .sort("time", maintain_order=True)
            for index in range(len(_schemas()))
        ]
        shadow = pl.col("arm") == "shadow"
        return LogTables(
            tables[0].filter(first_asked(pl.struct("id", shadow.alias("shadow")))),
            new_actuals(tables[1]),
            tables[2].unique(["id", "arm"], keep="first", maintain_order=True),
            damage=self._damage(),
        )

    def _damage(self) -> tuple[Damage, ...]:
        """What of the log cannot be read; the end of the segment that is being written is no damage."""
        last = {name.worker: name for name in sorted(self._parts)}
        found = list(found_in_names(self._folder, self._parts)) if self._folder.is_dir() else []
        for name, part in self._parts.items():
            found += part.damage
            if not part.sealed and name != last[name.worker]:
                found += tail_told(name, part.end, part.left)
        return tuple(found)


@dataclass(frozen=True)
class _Part:
    """What was read of a segment, up to the position behind its last whole line; or its sealed form.

    Attributes:
        tables: Its lines of the time `since` and later; all of them where that is None.
        end: Behind which byte the next reading goes on.
        sealed: Whether nothing comes any more.
        since: From when on lines are held.
        left: How many bytes behind `end` are no whole line.
        damage: What else of it cannot be read.
    """

    tables: LogTables
    end: int = 0
    sealed: bool = False
    since: datetime | None = None
    left: int = 0
    damage: tuple[Damage, ...] = ()

    def since_time(self, since: datetime | None) -> _Part:
        """Lets go of the lines before a time."""
        if since == self.since:
            return self
        return replace(self, tables=_later(self.tables, since), since=since)

    def lacks(self, since: datetime | None) -> bool:
        """Whether lines since a time were let go."""
        return self.since is not None and (since is None or since < self.since)


def read_segment(folder: Path, name: SegmentName, since: datetime | None = None) -> LogTables:
    """Reads one segment, sealed or not, as its lines lie; empty where it was retired.

    Args:
        folder: The log's folder.
        name: The segment.
        since: Lines of this time and later.

    Raises:
        DataFault: When it is of a newer form.
    """
    return _read_part(folder, name, None, since).tables


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
        for of_kind, schema in zip(rows, _schemas(), strict=True)
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


def _read_part(folder: Path, name: SegmentName, known: _Part | None, since: datetime | None) -> _Part:
    """Reads what is new of one segment, or its sealed form; the one may become the other meanwhile."""
    if known is not None and known.lacks(since):
        known = None
    if known is not None and known.sealed:
        return known.since_time(since)
    for _ in range(_TRIES):
        try:
            if is_sealed(folder, name) or not name.segment(folder).exists():
                tables = _read_sealed(folder, name, since)
                return _Part(tables, sealed=True, since=since, damage=tables.damage)
            return _read_open(folder, name, known, since)
        except FileNotFoundError:
            if not (name.sealed_predictions(folder).exists() or name.segment(folder).exists()):
                break
    return _Part(tables_of((), name.worker), since=since)  # retired meanwhile


def _read_open(folder: Path, name: SegmentName, known: _Part | None, since: datetime | None) -> _Part:
    found = read_lines(name.segment(folder), known.end if known else 0)
    tables = _later(tables_of(found.lines, name.worker), since)
    damage = gaps_told(name, found.gaps)
    if known is not None:
        tables, damage = _appended(known.since_time(since).tables, tables), (*known.damage, *damage)
    return _Part(tables, found.end, since=since, left=found.left, damage=damage)


def is_sealed(folder: Path, name: SegmentName) -> bool:
    """Says whether a segment's predictions are there as Parquet that can be read."""
    import polars as pl

    try:
        pl.read_parquet_schema(name.sealed_predictions(folder))
    except (FileNotFoundError, pl.exceptions.PolarsError):
        return False
    return True


def _appended(tables: LogTables, fresh: LogTables) -> LogTables:
    import polars as pl

    both = zip(tables.tables, fresh.tables, strict=True)
    return LogTables(*(pl.concat(pair) if pair[1].height else pair[0] for pair in both))


def _later(tables: LogTables, since: datetime | None) -> LogTables:
    import polars as pl

    if since is None:
        return tables
    return LogTables(*(table.filter(pl.col("time") >= since) for table in tables.tables))


def _read_sealed(folder: Path, name: SegmentName, since: datetime | None) -> LogTables:
    """Reads a sealed part; the row groups whose statistics say that they are older are left alone.

    Raises:
        FileNotFoundError: When its predictions are not there.
    """
    import polars as pl

    paths = (name.sealed_predictions(folder), name.sealed_actuals(folder), name.sealed_refusals(folder))
    damage = [Damage(stem(name), what) for what in _kept_damage(paths[0])]
    tables = []
    for index, path in enumerate(paths):
        try:
            tables.append(_read_parquet(path, index, since))
        except FileNotFoundError:
            if index == 0 or not paths[0].exists():
                raise
            tables.append(_empty(index))
            damage.append(Damage(path.name, "is not there, though its predictions are"))
        except pl.exceptions.PolarsError as error:
            tables.append(_empty(index))
            why = str(error).splitlines()[0]
            damage.append(Damage(path.name, f"cannot be read: {why}"))
    return LogTables(*tables, damage=tuple(damage))


def _read_parquet(path: Path, index: int, since: datetime | None) -> pl.DataFrame:
    import polars as pl

    found = pl.scan_parquet(path)
    table = (found if since is None else found.filter(pl.col("time") >= since)).collect()
    return table.select(list(_schemas()[index]))


def _kept_damage(path: Path) -> list[str]:
    """What was damaged when a segment was sealed, as its predictions' metadata says it."""
    import polars as pl

    try:
        return list(json.loads(pl.read_parquet_metadata(path).get(DAMAGE, "[]")))
    except pl.exceptions.PolarsError:  # the file itself cannot be read, as is found next
        return []


def _empty(index: int) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema=_schemas()[index])


def _schemas() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
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
