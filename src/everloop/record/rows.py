"""What the record keeps: frozen rows, one kind for each thing that can be asked about later.

Every row has an `id` (see `everloop.core.ids`), the `lifecycle` it belongs to and the time `at`
which it came to be (aware, UTC). A row is changed by `dataclasses.replace` and `Record.put`.
`facts` hold what a kind has no field for, as JSON can carry it. Fields that name another row hold
its `id`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Row:
    """What all rows have."""

    id: str
    lifecycle: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RunRow(Row):
    """One pass through the phases; `phase` is the last one it came to."""

    status: Literal["running", "done", "failed", "interrupted"] = "running"
    phase: str = ""
    as_of: datetime | None = None
    reason: str = ""
    finished_at: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRow(Row):
    """One step of a run: executed (`done`), taken from an earlier execution (`cached`) or `failed`.

    `facts` of a finished step: `result` (what its function returned), `artifact` (the digest of its
    files), `bytes`, `settings` and `inputs` (name -> key).
    """

    run: str = ""
    name: str = ""
    phase: str = ""
    key: str = ""
    status: Literal["done", "cached", "failed"] = "done"
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionRow(Row):
    """A registered model: a package with a number, counted from 1 within its lifecycle.

    `package` is the package's folder or its key in the artifact store, `digest` its manifest's.
    """

    number: int = 0
    run: str = ""
    package: str = ""
    digest: str = ""
    status: Literal["candidate", "champion", "challenger", "retired", "refused"] = "candidate"
    metrics: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeploymentRow(Row):
    """Which versions serve from this generation on; `champion` and `challenger` are version ids."""

    generation: int = 0
    champion: str | None = None
    challenger: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RolloutRow(Row):
    """The passage from a champion to a challenger, which has come to `step` and serves `share`."""

    champion: str | None = None
    challenger: str = ""
    strategy: str = ""
    state: str = ""
    step: int = 0
    share: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WindowRow(Row):
    """A span of the prediction log that is judged together; `since` is in it, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    version: str | None = None
    status: str = ""
    predictions: int = 0
    actuals: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertRow(Row):
    """A window's finding that deserves attention."""

    window: str | None = None
    kind: str = ""
    severity: str = ""
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def silenced(self) -> str:
        """Why nobody is told of it; empty where somebody is."""
        return str(self.facts.get("silenced", ""))

    @property
    def said(self) -> str:
        """What pages and lists show of it."""
        return f"{self.message} (silenced: {self.silenced})" if self.silenced else self.message


@dataclass(frozen=True, slots=True)
class DecisionRow(Row):
    """What was decided, and why; `facts` are the evidence."""

    kind: str = ""
    answer: str = ""
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeasurementRow:
    """One number about a row: a parameter, a metric. Written by `Record.measure`."""

    owner: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Link:
    """One row (or a thing outside the record, by its id) led to another, in a role."""

    cause: str
    effect: str
    role: str


KINDS: dict[str, type[Row]] = {
    "run": RunRow,
    "step": StepRow,
    "version": VersionRow,
    "deployment": DeploymentRow,
    "rollout": RolloutRow,
    "window": WindowRow,
    "alert": AlertRow,
    "decision": DecisionRow,
}
"""The kinds of rows under the words that their ids begin with."""

UNIQUE: dict[type[Row], tuple[str, ...]] = {
    VersionRow: ("lifecycle", "number"),
    DeploymentRow: ("lifecycle", "generation"),
}
"""Fields of which no two rows of a kind may have the same values."""

REFERENCES: dict[type[Row], tuple[str, ...]] = {
    StepRow: ("run",),
    VersionRow: ("run",),
    DeploymentRow: ("champion", "challenger"),
    RolloutRow: ("champion", "challenger"),
    WindowRow: ("version",),
    AlertRow: ("window",),
}
"""Fields that hold the id of a row that this one came from."""
