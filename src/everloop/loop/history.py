"""The lifecycle's own past: every row as a request would bring it, with its actual and when that came.

Nothing is hidden here: a rehearsal needs to know the actuals that the loop will only learn later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from everloop.core.clock import as_utc
from everloop.core.errors import DataFault, SpecFault, UsageFault
from everloop.core.ids import content_id
from everloop.data.snapshots import Snapshot
from everloop.data.steps import snapshot_settings, snapshot_step
from everloop.engine import Engine, Step
from everloop.table.acting import TASK as CLUSTERING
from everloop.table.acting import known_later, kpi_columns, read_kpi
from everloop.table.prices import prices_of_rows
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.loop.workspace import Workspace
    from everloop.spec import GoalSpec, LifecycleSpec

# By then every actual is known.
_HEREAFTER = datetime(9000, 1, 1, tzinfo=UTC)
_SPACE = 2**64


class Request(NamedTuple):
    """What is sent at once: rows to be predicted, or actuals to be fed back, by their places."""

    kind: Literal["predict", "feedback"]
    places: list[int]


@dataclass(frozen=True)
class History:
    """Rows of the past, in the order of their times.

    Attributes:
        rows: The rows as requests bring them: without the target or the columns that tell what came of
            acting, and without when that was known.
        facts: Beside them, row for row: `id` (of the row's content, so the same row keeps its id),
            `time`, `actual` (null where it never came; of clusters the money of acting), `known_at` (null
            likewise).
        time: The column of decision times.
    """

    rows: pl.DataFrame
    facts: pl.DataFrame
    time: str

    def __len__(self) -> int:
        return self.rows.height

    @cached_property
    def _moments(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return _microseconds(self.facts["time"]), _microseconds(self.facts["known_at"])

    def requests(self, since: datetime, until: datetime, batch: int) -> Iterator[Request]:
        """Gives what happens from `since` to before `until`, in order.

        Predictions come in batches of the given size; after each follow the actuals that came meanwhile.
        """
        times, known = self._moments
        low, high = _moment(since), _moment(until)
        asked = np.flatnonzero((times >= low) & (times < high))
        told = np.flatnonzero((known >= low) & (known < high))
        places = np.concatenate([asked, told])
        kinds = np.repeat([0, 1], [asked.size, told.size])
        order = np.lexsort((kinds, np.concatenate([times[asked], known[told]])))
        predict: list[int] = []
        feedback: list[int] = []
        for place, kind in zip(places[order].tolist(), kinds[order].tolist(), strict=True):
            (feedback if kind else predict).append(place)
            if len(predict) == batch:
                yield Request("predict", predict)
                if feedback:
                    yield Request("feedback", feedback)
                predict, feedback = [], []
        if predict:
            yield Request("predict", predict)
        if feedback:
            yield Request("feedback", feedback)


def history(
    workspace: Workspace,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    sample: float = 1.0,
    seed: int = 0,
) -> History:
    """Reads the lifecycle's rows of the past, each with its actual.

    Args:
        workspace: The lifecycle; the table is kept among its artifacts, so the next call is quick.
        since: Rows of this time and later; by default from the first.
        until: Rows before this time; by default to the last.
        sample: The share of rows to take, above 0 and up to 1. A row is in or out by its content and
            the seed alone.
        seed: Of the sample.

    Raises:
        SpecFault: When the table has no column of decision times, or nothing says what came of a row and
            when that was known.
        DataFault: When no row is left.
        UsageFault: When the share is none.
    """
    import polars as pl

    if not 0.0 < sample <= 1.0:
        raise UsageFault(f"{sample:g} is no share of the rows; expected above 0% and up to 100%.")
    snapshot, time = _past(workspace)
    moment = pl.col(time)
    bounds = [moment >= as_utc(since)] if since else []
    bounds += [moment < as_utc(until)] if until else []
    taken = snapshot.lazy().filter(moment.is_not_null(), *bounds).sort(time, maintain_order=True).collect()
    if taken.is_empty():
        raise _nothing(snapshot, since, until)
    return _sampled(_told(workspace, taken, time), sample, seed)


def time_range(workspace: Workspace) -> tuple[datetime, datetime]:
    """Gives the time of the first and of the last row of the lifecycle's past.

    Raises:
        SpecFault: When the table has no column of decision times.
        DataFault: When it has no row with one.
    """
    snapshot, _ = _past(workspace)
    if snapshot.time_range is None:
        raise _nothing(snapshot, None, None)
    first, last = snapshot.time_range
    return as_utc(first), as_utc(last)


def _past(workspace: Workspace) -> tuple[Snapshot, str]:
    """Takes the whole table, whose rows must have times and actuals of their own."""
    spec = workspace.spec
    if spec.problem.task == CLUSTERING and spec.goal.value is not None:
        _require_outcomes(spec)
    elif not spec.problem.target:
        raise SpecFault(
            "The problem's rows have no actuals of their own: a rehearsal could learn nothing.",
            hint="everloop up; windows are judged by their inputs and scores",
            place="problem",
        )
    snapshot = _snapshot(workspace)
    if snapshot.time is None:
        raise SpecFault(
            "The table has no column that says when a decision is made, so it has no history.",
            hint="problem: {time: COLUMN}",
            place="problem.time",
        )
    return snapshot, snapshot.time


def _require_outcomes(spec: LifecycleSpec) -> None:
    """Demands that the file says what of acting's price is known later only, and when."""
    problem, later, place = spec.problem, known_later(spec.goal, spec.problem), "problem.exclude"
    if not later:
        read = kpi_columns(spec.goal)
        raise SpecFault(
            f"goal.value.kpi reads {', '.join(read)}, of which clusters are made as well: nothing says what "
            "came of acting on a row."
            if read
            else "goal.value.kpi reads no column: nothing says what came of acting on a row.",
            hint=f"leave out what is known only afterwards: problem: {{exclude: [{', '.join(read)}]}}"
            if read
            else "price a column that is known only afterwards, and name it in problem.exclude",
            place=place,
        )
    if problem.label_time or problem.label_delay is not None:
        return
    raise SpecFault(
        f"goal.value.kpi reads {', '.join(later)}, and nothing says when that is known.",
        hint="problem: {label_delay: 90d}, or {label_time: COLUMN}",
        place="problem.label_delay",
    )


def _snapshot(workspace: Workspace) -> Snapshot:
    memo = workspace.state_folder / "digests.json"
    settings = snapshot_settings(
        workspace.spec,
        _HEREAFTER,
        tables=workspace.tables,
        memo=memo,
        kept=workspace.kept_folder,
        clock=workspace.clock,
    )
    settings.pop("later", None)  # of rows of which nothing came there was a decision all the same
    take = partial(snapshot_step, home=workspace.folder, kept=workspace.kept_folder, tables=workspace.tables)
    engine = Engine(workspace.record, workspace.store, workspace.clock, workspace.progress)
    return Snapshot.load(engine.run(Step("snapshot", "data", 2, take, settings)).path)


def _told(workspace: Workspace, taken: pl.DataFrame, time: str) -> History:
    """Parts the rows from what was not known when they were decided on."""
    import polars as pl

    spec = workspace.spec
    problem, later_columns = spec.problem, known_later(spec.goal, spec.problem)
    known_at = [pl.col(problem.label_time)] if problem.label_time else []
    known_at += [pl.col(time) + problem.label_delay] if problem.label_delay is not None else []
    later = pl.coalesce(known_at or [pl.col(time)])
    facts = taken.select(
        pl.col(time).dt.cast_time_unit("us").alias("time"),
        (_money(spec.goal, taken) if later_columns else taken[problem.target]).alias("actual"),
        # An actual is never fed back before its prediction was made.
        pl.max_horizontal(later, pl.when(later.is_not_null()).then(pl.col(time)))
        .dt.cast_time_unit("us")
        .alias("known_at"),
    ).with_columns(
        pl.when(pl.col("known_at").is_not_null()).then(pl.col("actual")).alias("actual"),
        pl.when(pl.col("actual").is_not_null()).then(pl.col("known_at")).alias("known_at"),
    )
    told = (problem.target, problem.label_time, *later_columns)
    rows = taken.drop(name for name in told if name)
    return History(rows, facts, time)


def _money(goal: GoalSpec, taken: pl.DataFrame) -> pl.Series:
    """Gives what acting on each row brought, null where its price cannot be told."""
    import polars as pl

    assert goal.value is not None  # noqa: S101  (columns of its price are known later)
    price = read_kpi(goal.value, schema_of(taken).types)
    money = pl.Series(prices_of_rows(taken.lazy(), (price,))[:, 0])
    return money.set(~money.is_finite(), None)


def _sampled(whole: History, sample: float, seed: int) -> History:
    """Names each row by its content, and takes the share that is asked for."""
    import polars as pl

    texts = whole.rows.select(pl.struct(pl.all()).struct.json_encode().alias("text"))
    # The second of two equal rows is another event.
    numbered = texts.select(
        (pl.col("text") + pl.cum_count("text").over("text").cast(pl.String)).alias("text")
    )
    contents = [text.encode() for text in numbered["text"]]
    kept = list(range(len(contents))) if sample == 1.0 else _drawn(contents, sample, seed)
    facts = whole.facts[kept]
    ids = [
        content_id("prediction", moment, contents[place])
        for place, moment in zip(kept, facts["time"], strict=True)
    ]
    return History(whole.rows[kept], facts.insert_column(0, pl.Series("id", ids, pl.String)), whole.time)


def _drawn(contents: list[bytes], sample: float, seed: int) -> list[int]:
    limit, key = int(sample * _SPACE), seed.to_bytes(8, "big", signed=True)
    return [
        place
        for place, content in enumerate(contents)
        if int.from_bytes(blake2b(content, digest_size=8, key=key).digest(), "big") < limit
    ]


def _nothing(snapshot: Snapshot, since: datetime | None, until: datetime | None) -> DataFault:
    span = " and ".join(
        words
        for words in (
            f"at or after {since:%Y-%m-%d %H:%M}" if since else "",
            f"before {until:%Y-%m-%d %H:%M}" if until else "",
        )
        if words
    )
    first, last = snapshot.time_range or (None, None)
    hint = f"rows are from {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first and last else None
    return DataFault(f"No row has a {snapshot.time} {span}.", hint=hint)


def _microseconds(times: pl.Series) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = times.dt.epoch("us").fill_null(np.iinfo(np.int64).min).to_numpy()
    return numbers


def _moment(time: datetime) -> int:
    return round(as_utc(time).timestamp() * 1_000_000)
