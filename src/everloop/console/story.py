"""What the record says of a lifecycle, read once, so that pages are built from values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError
from everloop.record.rows import (
    AlertRow,
    DecisionRow,
    DeploymentRow,
    RolloutRow,
    RunRow,
    StepRow,
    VersionRow,
    WindowRow,
)

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.model.trained import Trained

Facts = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """A lifecycle's record, oldest first.

    Attributes:
        workspace: Where it was read from.
        runs: Every pass.
        versions: Every version.
        deployments: What served, generation after generation.
        rollouts: Every rollout.
        windows: Every window, by its start.
        alerts: Every alert.
        decisions: Every decision, in the order they were made.
        focus: The run that the story is about; None for the whole lifecycle.
    """

    workspace: Workspace
    runs: Sequence[RunRow] = ()
    versions: Sequence[VersionRow] = ()
    deployments: Sequence[DeploymentRow] = ()
    rollouts: Sequence[RolloutRow] = ()
    windows: Sequence[WindowRow] = ()
    alerts: Sequence[AlertRow] = ()
    decisions: Sequence[DecisionRow] = ()
    focus: RunRow | None = None
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, workspace: Workspace, run: RunRow | None = None) -> Story:
        """Reads a lifecycle's record.

        Args:
            workspace: The lifecycle.
            run: Tell of this run alone; its version's windows, decisions and rollouts are part of it.
        """

        def all_of(kind: type[Any], order: str = "at") -> list[Any]:
            return workspace.record.find(kind, order=order, lifecycle=workspace.name)

        whole = cls(
            workspace,
            runs=all_of(RunRow),
            versions=all_of(VersionRow, "number"),
            deployments=all_of(DeploymentRow, "generation"),
            rollouts=all_of(RolloutRow),
            windows=all_of(WindowRow, "since"),
            alerts=all_of(AlertRow),
            decisions=all_of(DecisionRow),
        )
        return whole if run is None else whole.of_run(run)

    def of_run(self, run: RunRow) -> Story:
        """Gives the story of one run: what its version met with, and nothing of other versions."""
        trained = (run.facts.get("steps") or {}).get("train")
        mine = [row for row in self.versions if trained is not None and row.facts.get("trained") == trained]
        ids = {row.id for row in mine}
        windows = [row for row in self.windows if row.version in ids]
        named = {row.id for row in windows}
        rollouts = [row for row in self.rollouts if row.challenger in ids]
        known = ids | {row.id for row in rollouts} | named
        return Story(
            self.workspace,
            runs=[run],
            versions=mine,
            deployments=[row for row in self.deployments if row.champion in ids or row.challenger in ids],
            rollouts=rollouts,
            windows=windows,
            alerts=[row for row in self.alerts if row.window in named],
            decisions=[row for row in self.decisions if known & set(_mentions(row))],
            focus=run,
        )

    @property
    def name(self) -> str:
        """The lifecycle's name."""
        return self.workspace.name

    @property
    def currency(self) -> str:
        """The money that decisions are priced in; empty where they have no price."""
        value = self.workspace.spec.goal.value
        return value.currency if value is not None else ""

    @cached_property
    def run(self) -> RunRow | None:
        """The run that goal, problem, data and model are told from: the one that made the main version."""
        if self.focus is not None:
            return self.focus
        if self.version is not None:
            for run in reversed(self.runs):
                if (run.facts.get("steps") or {}).get("train") == self.version.facts.get("trained"):
                    return run
        return self.runs[-1] if self.runs else None

    @cached_property
    def version(self) -> VersionRow | None:
        """The version that is told about: the champion, else the latest."""
        for version in reversed(self.versions):
            if version.status == "champion":
                return version
        return self.versions[-1] if self.versions else None

    def step(self, name: str) -> Facts:
        """Gives what a step of the run found; empty where the run did not come so far."""
        key = ((self.run.facts.get("steps") if self.run else None) or {}).get(name)
        return self.result_of(key) if key else {}

    def executed(self, name: str) -> StepRow | None:
        """Gives the execution that the run has a step's result from; None where it did not come so far."""
        key = ((self.run.facts.get("steps") if self.run else None) or {}).get(name)
        rows = (
            self.workspace.record.find(StepRow, key=key, status="done", order="-at", limit=1) if key else []
        )
        return rows[0] if rows else None

    def result_of(self, key: str) -> Facts:
        """Gives what the step with this key found."""
        if key not in self._kept:
            rows = self.workspace.record.find(StepRow, key=key, status=("done", "cached"), limit=1)
            self._kept[key] = dict(rows[0].facts.get("result") or {}) if rows else {}
        found: Facts = self._kept[key]
        return found

    def trained(self, version: VersionRow | None = None) -> Trained | None:
        """Gives what was trained, without its estimator; None where its files are not there."""
        from everloop.model.trained import Trained

        key = version.facts.get("trained") if version else None
        key = key or ((self.run.facts.get("steps") if self.run else None) or {}).get("train")
        if key is None:
            return None
        try:
            return Trained.load(self.workspace.store.open(str(key)), estimator=False)
        except EverloopError:
            return None

    def gate_of(self, version: VersionRow) -> DecisionRow | None:
        """Gives what the gate said of a version."""
        return self._last(lambda row: row.kind == "gate" and row.facts.get("version") == version.id)

    def label(self, identity: str | None) -> str:
        """Names a version by its number."""
        for version in self.versions:
            if version.id == identity:
                return f"v{version.number}"
        row = self.workspace.record.find(VersionRow, id=identity, limit=1) if identity else []
        return f"v{row[0].number}" if row else "nothing"

    def end(self) -> datetime | None:
        """Gives the last time that anything happened at."""
        times = [
            row.at for rows in (self.runs, self.decisions, self.windows, self.deployments) for row in rows
        ]
        times += [row.until for row in self.windows if row.until is not None]
        return max(times, default=None)

    def _last(self, wanted: Any) -> DecisionRow | None:
        return next((row for row in reversed(self.decisions) if wanted(row)), None)


def _mentions(decision: DecisionRow) -> list[str]:
    return [str(decision.facts[name]) for name in ("version", "rollout", "window") if name in decision.facts]


def interval(found: Facts | None) -> tuple[float, float, float] | None:
    """Reads a measured number of a window: low, estimate, high; None where it is not known."""
    ends = (found or {}).get("interval") or {}
    if ends.get("estimate") is None or ends.get("low") is None or ends.get("high") is None:
        return None
    return float(ends["low"]), float(ends["estimate"]), float(ends["high"])
