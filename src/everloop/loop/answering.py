"""Answers rows of the past in this process, by the routing and the packages that a server would use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.loop.hindsight import decision_by
from everloop.runtime.log.lines import ActualLine, PredictionLine, RefusalLine
from everloop.runtime.log.privacy import Privacy, key_in
from everloop.runtime.log.writing import PredictionLog
from everloop.runtime.routing import SHADOW, chance_of, read_routing
from everloop.runtime.row_fill import microseconds
from everloop.runtime.service.arms import LoadedArm, LoadedRouting, load_routing
from everloop.runtime.service.taking import NUMBERS_COME
from everloop.table.labels import label_text

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    import polars as pl

    from everloop.loop.history import History
    from everloop.loop.workspace import Workspace


class Answering:
    """Writes the prediction log that a server would have written. Close it at the end.

    Args:
        workspace: The lifecycle; its routing file says who answers.
        rows: The rows of the past.

    Attributes:
        decided: What each row was answered, shadows apart, and of clusters whether that one is acted on (see
            `everloop.loop.hindsight.decision_by`); None where it was not asked, or refused.
    """

    def __init__(self, workspace: Workspace, rows: History) -> None:
        self._path, self._trusted = workspace.routing_path, workspace.trusted_keys
        self._log = PredictionLog(workspace.log_folder)
        private = workspace.spec.deploy.log.private
        self._privacy = Privacy(private, key_in(workspace.log_key_path) if private else b"")
        self._rows = rows
        self._numbers_come = False
        self._routing: LoadedRouting | None = None
        self._refused: set[int] = set()
        self._told: list[int] = []
        self.decided: list[str | float | tuple[str, ...] | None] = [None] * len(rows)

    def span(self, since: datetime, until: datetime) -> None:
        """Answers the rows of a span of time, and feeds back the actuals that came in it."""
        routing = load_routing(read_routing(self._path), self._path.parent, self._routing, self._trusted)
        self._routing = routing
        self._numbers_come = routing.champion.package.manifest.task in NUMBERS_COME
        for request in self._rows.requests(since, until, 1000):
            if request.kind == "predict":
                self._predict(routing, request.places)
            else:
                self._feed_back(request.places)
        self._log.flush()

    def actuals_known(self) -> pl.Series:
        """Gives when the actuals that were fed back became known, rising."""
        return self._rows.facts["known_at"][self._told].sort()

    def close(self) -> None:
        """Lets go of the log."""
        self._log.close()

    def _predict(self, routing: LoadedRouting, places: list[int]) -> None:
        taken = np.array(places)
        asked, facts = self._rows.rows[taken].to_dicts(), self._rows.facts[taken]
        groups: dict[str, list[tuple[int, str, int, dict[str, Any]]]] = {}
        loaded: dict[str, LoadedArm] = {}
        for place, row, identity, time in zip(places, asked, facts["id"], facts["time"], strict=True):
            name, arm = routing.choose(row, identity)
            values, violations = arm.normalise(row)
            if violations:
                self._refused.add(place)
                self._note_refusal(routing, arm.version, name, identity, row, microseconds(time))
                continue
            groups.setdefault(name, []).append((place, identity, microseconds(time), values))
            loaded[name] = arm
        challenger = routing.routing.challenger
        if challenger is not None and challenger.strategy == SHADOW and routing.challenger is not None:
            groups[SHADOW] = [one for group in groups.values() for one in group]
            loaded[SHADOW] = routing.challenger
        for name, group in groups.items():
            arm = loaded[name]
            table = self._rows.rows[[place for place, *_ in group]]
            answers = arm.package.answers([values for *_, values in group], table)
            for (place, identity, moment, values), answer in zip(group, answers, strict=True):
                if name != SHADOW:
                    self.decided[place] = decision_by(arm.package.manifest, answer.prediction)
                self._log.append(
                    PredictionLine(
                        identity,
                        moment,
                        arm.version,
                        name,
                        self._privacy.row(values),
                        answer.score,
                        answer.prediction,
                        0,
                        chance_of(routing.routing, name) if name != SHADOW else 1.0,
                    )
                )

    def _note_refusal(
        self, routing: LoadedRouting, version: int, name: str, identity: str, row: dict[str, Any], time: int
    ) -> None:
        if routing.challenger is None:
            return
        unit, chance = routing.unit(self._privacy.row(row), identity), chance_of(routing.routing, name)
        self._log.append(RefusalLine(identity, time, version, name, "contract", unit, 0, chance))

    def _feed_back(self, places: list[int]) -> None:
        taken = self._rows.facts[np.array(places)].select("id", "actual", "known_at")
        for place, (identity, actual, known_at) in zip(places, taken.iter_rows(), strict=True):
            if place not in self._refused:
                self._told.append(place)
                told = float(actual) if self._numbers_come else str(label_text(actual))
                self._log.append(ActualLine(identity, told, microseconds(known_at)))
