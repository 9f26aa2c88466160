"""What the prediction log says of a rollout, as the arrays that its guards judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import PackageRefused
from everloop.deploy.candidate import Candidate
from everloop.deploy.guards import FROM_ACTUALS
from everloop.deploy.guards.listed import listed_values
from everloop.deploy.guards.look import Asked, Known, Look, Requests
from everloop.loop.answered import unshadowed
from everloop.loop.served import ServedRows
from everloop.loop.served_worth import SERVED_WORTH, usual_list_value
from everloop.record.rows import VersionRow
from everloop.runtime.routing import CHAMPION, PINNED, SHADOW, unit_of
from everloop.table.labels import label_texts
from everloop.table.list_worth import TASK as RECOMMENDATION
from everloop.table.worth import worth_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.loop.served import ServedVersion
    from everloop.loop.workspace import Workspace
    from everloop.measure.worth import Worth
    from everloop.record.rows import RolloutRow
    from everloop.runtime.log import LogSpan
    from everloop.spec import GoalSpec

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class RolloutLog:
    """The part of the log that belongs to a rollout.

    What is compared needs each row, in order. So of these answers the narrow columns are held, and the inputs
    as typed columns while they are looked at; nothing else of the log is.

    Attributes:
        lines: Answers with their actuals, by time, shadows included; not their rows.
        refusals: Rows that an arm did not answer.
        span: Where their rows are read.
    """

    lines: pl.DataFrame
    refusals: pl.DataFrame
    span: LogSpan

    @classmethod
    def since(cls, span: LogSpan, begun: datetime) -> RolloutLog:
        """Gives what was asked since a time, without answers that a client or a failure pinned."""
        import polars as pl

        within = (pl.col("time") >= begun) & (pl.col("arm") != PINNED)
        lines = span.facts_at_once(begun).filter(within).sort("time", maintain_order=True)
        return cls(lines, span.refusals().filter(within), span)

    def served(self, by: ServedVersion) -> ServedRows:
        """Reads the rows of what was answered, shadows apart, by the contract of a version."""
        import polars as pl

        lines = self.lines.filter(pl.col("arm") != SHADOW)
        if lines.is_empty():
            return ServedRows.of(lines.with_columns(row=pl.lit(None, pl.String)), by)
        wanted, inputs = lines.select("id"), []
        for part in unshadowed(self.span.lines(lines["time"][0], lines["time"][-1] + _MOMENT)):
            rows = part.join(wanted, on="id", how="semi", maintain_order="left")
            inputs.append(ServedRows.of(rows, by))
        there = pl.concat([part.lines["id"] for part in inputs]).to_frame().with_row_index("place")
        places = wanted.join(there, on="id", how="left", maintain_order="left")["place"]
        return ServedRows(lines, pl.concat([part.inputs for part in inputs])[places], by)


def look_of(workspace: Workspace, rollout: RolloutRow, log: RolloutLog, now: datetime) -> Look:
    """Gathers what is known of a rollout.

    Args:
        workspace: The lifecycle.
        rollout: The rollout.
        log: What was logged since it began.
        now: The time of asking.
    """
    champion, challenger = (
        workspace.served(workspace.record.get(VersionRow, str(identity)))
        for identity in (rollout.champion, rollout.challenger)
    )
    answered = log.served(champion)
    units = dict(zip(answered.lines["id"], _units(answered, rollout.id), strict=True))
    known = _known(answered, now)
    rows = answered.inputs
    worth = worth_of(workspace.spec.goal.value, champion.frame, rows)
    pair = (champion, challenger)
    return Look(
        strategy=rollout.strategy,
        requests=_requests(log, units),
        known=_known_pair(workspace, known, pair, units),
        asked=Asked(
            _candidate(champion, rows, worth),
            _candidate(challenger, rows, worth),
            _references(pair),
        ),
        usual_value=_usual_value(champion, workspace.spec.goal),
        has_entities=_shows_entities(answered),
        hidden=_hidden(workspace, pair),
        named=tuple(workspace.spec.deploy.guard),
    )


def _known(answered: ServedRows, now: datetime) -> ServedRows:
    """The rows with an actual, in the order in which it had to be there.

    Where a delay is stated, a row counts once that is over: what is known early is often of one kind only.
    """
    import polars as pl

    delay = timedelta(seconds=answered.by.frame.label_delay_seconds or 0.0)
    lines = answered.lines.with_row_index("place").filter(pl.col("actual").is_not_null())
    there = pl.max_horizontal("known_at", pl.col("time") + delay)
    places = lines.filter(there <= now).sort(there, maintain_order=True)["place"].to_numpy()
    return ServedRows(answered.lines[places], answered.inputs[places], answered.by)


def _known_pair(
    workspace: Workspace,
    known: ServedRows,
    pair: tuple[ServedVersion, ServedVersion],
    units: Mapping[str, str],
) -> Known:
    import polars as pl

    rows = known.with_target()
    worth: Worth | None = worth_of(workspace.spec.goal.value, known.by.frame, rows)
    champion, challenger = (_candidate(one, rows, worth) for one in pair)
    second = (known.lines["arm"] != CHAMPION).to_numpy()
    unit = known.lines["id"].replace_strict(units, return_dtype=pl.String).hash().to_numpy()
    own = _own_answers(workspace, known, pair, second)
    return Known(champion, challenger, second, _chances(known.lines, second), unit, own)


def _candidate(version: ServedVersion, rows: pl.DataFrame, worth: Worth | None) -> Candidate:
    return Candidate(version.folder, rows, version.frame, worth, opened=lambda: version.package)


def _own_answers(
    workspace: Workspace,
    known: ServedRows,
    pair: tuple[ServedVersion, ServedVersion],
    second: NDArray[np.bool_],
) -> dict[str, NDArray[np.float64]]:
    """What came of each answer that was given, by its own version: of lists, and of acting on clusters."""
    task = known.by.frame.task
    if task not in SERVED_WORTH:
        return {}
    found: dict[str, NDArray[np.float64]] = {}
    if task == RECOMMENDATION:
        lists = [json.loads(text) for text in known.lines["prediction"].fill_null("[]")]
        taken = label_texts(known.lines["actual"]).to_list()
        found |= listed_values(lists, taken, workspace.spec.deploy.guard)
    values = np.full(second.size, np.nan)
    for version, rows in zip(pair, (np.flatnonzero(~second), np.flatnonzero(second)), strict=True):
        answered = ServedRows(known.lines[rows], known.inputs[rows], version)
        worth = answered.worth(workspace) if rows.size else None
        if worth is not None:
            values[rows] = worth.values(answered.actuals, answered.decisions)
    if workspace.spec.goal.value is not None and np.isfinite(values).all():
        found[FROM_ACTUALS] = values
    return found


def _requests(log: RolloutLog, units: Mapping[str, str]) -> Requests:
    import polars as pl

    answered = log.lines.select(
        "time",
        "arm",
        "chance",
        pl.col("id").replace_strict(units, return_dtype=pl.String, default=None).alias("unit"),
        failed=pl.col("score").is_nan() | pl.col("score").is_null(),
        refused=pl.lit(value=False),
        seconds=pl.col("latency_us") / 1e6,
        scores=pl.col("score"),
    )
    refused = log.refusals.select(
        "time",
        "arm",
        "chance",
        "unit",
        failed=pl.col("kind") == "error",
        refused=pl.col("kind") == "contract",
        seconds=pl.lit(None, pl.Float64),
        scores=pl.lit(None, pl.Float64),
    )
    table = pl.concat([answered, refused]).sort("time", maintain_order=True)
    second = (table["arm"] != CHAMPION).to_numpy()
    return Requests(
        second=second,
        chance=_chances(table, second),
        unit=table["unit"].fill_null("").hash().to_numpy(),
        failed=table["failed"].to_numpy(),
        refused=table["refused"].to_numpy(),
        seconds=_numbers(table["seconds"]),
        scores=_numbers(table["scores"]),
    )


def _chances(table: pl.DataFrame, second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The challenger's chance at each line, from the chance of the arm that was chosen."""
    chance = _numbers(table["chance"])
    return np.where(second, chance, 1.0 - chance)


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    return np.asarray(column.fill_null(float("nan")).to_numpy(), dtype=np.float64)


def _units(rows: ServedRows, salt: str) -> list[str]:
    entity = rows.by.frame.entity
    identities: list[Any] = rows.lines["id"].to_list()
    if entity is None or entity not in rows.inputs.columns:
        return [unit_of(identity, salt) for identity in identities]
    values = rows.inputs[entity].to_list()
    return [
        unit_of(identity if value is None else str(value), salt)
        for value, identity in zip(values, identities, strict=True)
    ]


def _hidden(workspace: Workspace, pair: tuple[ServedVersion, ServedVersion]) -> tuple[str, ...]:
    private = workspace.spec.deploy.log.private
    read = {column.name for one in pair for column in one.package.manifest.inputs} if private else set()
    return tuple(name for name in private if name in read)


def _shows_entities(rows: ServedRows) -> bool:
    """Whether it can be told which rows are of one entity: not where the log leaves that column out."""
    entity = rows.by.frame.entity
    if entity is None or entity not in rows.inputs.columns:
        return True
    return rows.inputs[entity].null_count() < rows.inputs.height


def _references(pair: tuple[ServedVersion, ServedVersion]) -> Any:
    found = []
    for version in pair:
        try:
            reference = version.reference
        except PackageRefused:  # a package that was brought may have none
            found.append((np.empty(0), np.empty(0)))
            continue
        found.append((np.array(reference.scores), np.array(reference.actuals, dtype=np.float64)))
    return tuple(found)


def _usual_value(champion: ServedVersion, goal: GoalSpec) -> float | None:
    """What a decision of the champion was worth before the rollout, on rows that it had not learned from."""
    if champion.frame.task == RECOMMENDATION:
        return usual_list_value(champion, goal)
    measured = champion.row.metrics.get("value_per_decision")
    if measured is None:
        try:
            measured = champion.reference.facts.get("value_per_decision")
        except PackageRefused:
            return None
    return None if measured is None else float(measured)
