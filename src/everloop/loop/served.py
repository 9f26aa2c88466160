"""What was served, read back from the prediction log as the arrays that are judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.deploy.release import PACKAGE_FOLDER
from everloop.loop.served_worth import SERVED_WORTH, served_actuals, served_decisions, served_today
from everloop.monitor.references import Reference
from everloop.runtime.decision import watched_score
from everloop.runtime.log import LogTables
from everloop.runtime.package import Package
from everloop.spec.frame import Frame
from everloop.table.labels import class_indices
from everloop.table.today import today_decisions
from everloop.table.worth import PRICED_TASKS, worth_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.loop.workspace import Workspace
    from everloop.measure.worth import Worth
    from everloop.record.rows import VersionRow


@dataclass(frozen=True)
class ServedVersion:
    """A version with what its package and its training say of it.

    Attributes:
        row: The version.
        folder: Its package.
        frame: The problem that it answers.
        trusted: The public keys of which one must have signed it; empty asks for no signature.
    """

    row: VersionRow
    folder: Path
    frame: Frame
    trusted: tuple[str, ...] = ()

    @classmethod
    def of(cls, workspace: Workspace, row: VersionRow) -> ServedVersion:
        """Opens a version's package and reads its frame."""
        trained = workspace.store.open(row.facts["trained"]) / "trained.json"
        frame = Frame.from_dict(json.loads(trained.read_bytes())["frame"])
        folder = workspace.store.open(row.package) / PACKAGE_FOLDER
        return cls(row, folder, frame, workspace.trusted_keys)

    @cached_property
    def package(self) -> Package:
        """The loaded package."""
        return Package(self.folder, trusted=self.trusted)

    @cached_property
    def reference(self) -> Reference:
        """What its windows are compared with."""
        return Reference.load(self.folder)

    @property
    def types(self) -> dict[str, str]:
        """The columns of a row as served, with their types."""
        return dict(self.package.contract.types)


@dataclass(frozen=True)
class ServedRows:
    """Lines of the log, all answered by one version, as arrays.

    Attributes:
        lines: The joined log: `id`, `time`, `arm`, `score`, `prediction`, `actual`, `known_at`.
        inputs: The rows as served, a column for each.
        by: The version that answered.
    """

    lines: pl.DataFrame
    inputs: pl.DataFrame
    by: ServedVersion

    @classmethod
    def of(cls, lines: pl.DataFrame, by: ServedVersion) -> ServedRows:
        """Reads the rows of log lines by the contract of a version."""
        log = LogTables(lines, lines.clear())
        return cls(lines.drop("row"), log.rows(by.types), by)

    @classmethod
    def together(cls, parts: Sequence[ServedRows]) -> ServedRows:
        """Puts parts together, of one version and at least one, by time."""
        import polars as pl

        if len(parts) == 1:
            return parts[0]
        lines = pl.concat([part.lines for part in parts])
        places = lines.with_row_index("place").sort("time", maintain_order=True)["place"]
        return cls(lines[places], pl.concat([part.inputs for part in parts])[places], parts[0].by)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """This version's scores, (n,): as served, and scored again where another version answered."""
        scores = self.lines["score"].to_numpy().astype(np.float64)
        others = np.flatnonzero((self.lines["version"] != self.by.row.number).to_numpy())
        if len(others):
            found = self.by.package.scores(self.inputs[others])
            scores[others] = watched_score(found, self.by.frame.task)
        return scores

    @property
    def decisions(self) -> NDArray[np.float64]:
        """What was decided: 0/1, class positions or numbers, (n,)."""
        if self.by.frame.task in SERVED_WORTH:
            return served_decisions(self)
        return self._numbers("prediction")

    @property
    def actuals(self) -> NDArray[np.float64]:
        """The actuals in the same form; NaN where not known yet, (n,)."""
        if self.by.frame.task in SERVED_WORTH:
            return served_actuals(self)
        return self._numbers("actual")

    def worth(self, workspace: Workspace) -> Worth | None:
        """What each decision on each row is worth."""
        if self.by.frame.task in SERVED_WORTH:
            return SERVED_WORTH[self.by.frame.task](self, workspace.spec.goal)
        return worth_of(workspace.spec.goal.value, self.by.frame, self.inputs)

    def today(self, workspace: Workspace) -> NDArray[np.float64] | None:
        """What would be decided without a model, in the form of `decisions`, (n,)."""
        rule = workspace.spec.goal.today
        if self.by.frame.task in SERVED_WORTH:
            return served_today(self, workspace.spec.goal)
        if rule is None or self.by.frame.task not in PRICED_TASKS:
            return None
        return today_decisions(rule, self.inputs, self.by.frame).astype(np.float64)

    def only(self, rows: pl.Series) -> ServedRows:
        """Gives some of the rows, by a mask."""
        return ServedRows(self.lines.filter(rows), self.inputs.filter(rows), self.by)

    def with_target(self) -> pl.DataFrame:
        """Gives the inputs with the actual as the target's column."""
        return self.inputs.with_columns(self.lines["actual"].alias(self.by.frame.target))

    def _numbers(self, column: str) -> NDArray[np.float64]:
        import polars as pl

        if self.by.frame.task == "regression":
            return self.lines[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return class_indices(self.lines[column], self.by.frame.classes)


def facts_of(finding: Any) -> dict[str, Any]:
    """Gives a window's finding as the record keeps it: the columns that moved most, not all of them."""
    facts: dict[str, Any] = finding.to_dict()
    drift = facts["drift"]
    drift["columns"] = drift["columns"][:MOST_COLUMNS]
    kept = {each["column"] for each in drift["columns"]}
    drift["distances"] = {name: found for name, found in drift["distances"].items() if name in kept}
    return facts


MOST_COLUMNS = 12
