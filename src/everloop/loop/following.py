"""Streams into the online store, as they come."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from everloop.core.errors import EverloopError
from everloop.core.progress import Event
from everloop.data.sources import Surroundings, source_class
from everloop.data.sources.registry import is_stream
from everloop.data.taking import source_kind
from everloop.runtime.features import FeatureWriter, open_store
from everloop.runtime.features.kept import kept_definitions
from everloop.runtime.row_fill import microseconds
from everloop.runtime.service.joining import revealed

if TYPE_CHECKING:
    from everloop.data.sources.streams import StreamBatch, StreamSource
    from everloop.loop.workspace import Workspace
    from everloop.runtime.features import OnlineStore

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


def followed_sources(workspace: Workspace) -> tuple[str, ...]:
    """Names the streams that features look at."""
    data = workspace.spec.data
    read = dict.fromkeys(getattr(feature, "source", None) for feature in data.features.values())
    return tuple(name for name in read if name in data.sources and is_stream(data.sources[name]))


@dataclass
class Following:
    """Follows streams, each in a thread of its own, from where the store says that it was.

    Events and the position after them are written in one transaction, so a follower that is killed
    loses no event and doubles none. A stream that does not answer is tried again, with pauses.

    Args:
        workspace: The lifecycle.
        sources: The streams.
    """

    workspace: Workspace
    sources: tuple[str, ...]
    taken: dict[str, int] = field(default_factory=dict)
    _store: OnlineStore | None = None
    _stop: Signal = field(default_factory=Signal)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begins.

        Raises:
            NotFound: When the store was never filled, so that it is not known what events are.
        """
        self._store = open_store(revealed(self.workspace.online_address))
        writer = FeatureWriter(kept_definitions(self._store), self._store)
        for name in self.sources:
            self.taken[name] = 0
            thread = Thread(target=self._follow, args=(name, writer), name=f"follow-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ends, after what is being written."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._store is not None:
            self._store.close()

    def _follow(self, name: str, writer: FeatureWriter) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            before = self.taken[name]
            try:
                self._take(name, writer)
            except EverloopError as error:
                self._say(f"{error.message} Following {name} again in {pause:g} s.")
                self._stop.wait(pause)
                pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
            if self.taken[name] > before:
                pause = FIRST_PAUSE_SECONDS

    def _take(self, name: str, writer: FeatureWriter) -> None:
        stored = writer.position(name)
        position = None if stored is None else json.loads(stored)
        batches = self._source(name).follow(position)
        try:
            for batch in batches:
                if batch.rows or batch.bad:
                    self._write(name, writer, batch)
                if self._stop.is_set():
                    return
        finally:
            cast("Any", batches).close()

    def _write(self, name: str, writer: FeatureWriter, batch: StreamBatch) -> None:
        now = microseconds(self.workspace.clock.now())
        added = writer.add(name, batch.rows, now=now, position=json.dumps(batch.position).encode())
        if batch.taken is not None:
            batch.taken()
        self.taken[name] += added.events
        for bad in batch.bad[:3]:
            self._say(f"{name}: {bad.sentence}")
        for flaw in added.flaws[:3]:
            self._say(
                f"{name}: an event was left out: {flaw.field} is a {flaw.type}; expected {flaw.expected}."
            )

    def _source(self, name: str) -> StreamSource:
        spec = self.workspace.spec.data.sources[name]
        make = cast("Callable[..., StreamSource]", source_class(source_kind(spec)))
        around = Surroundings(
            folder=self.workspace.folder, clock=self.workspace.clock, progress=self.workspace.progress
        )
        return make(spec, around)

    def _say(self, text: str) -> None:
        self.workspace.progress(Event("data", text, kind="notice"))
