"""Where one lifecycle lives: its file, record, artifacts, log and routing, opened together."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from everloop.core.clock import Clock, SystemClock
from everloop.core.errors import RecordBusy
from everloop.core.files import storage_faults
from everloop.core.progress import Progress, silent
from everloop.record import open_record
from everloop.record.store import ArtifactStore
from everloop.spec import Secret

if TYPE_CHECKING:
    from everloop.loop.collecting import Collecting
    from everloop.loop.served import ServedVersion
    from everloop.record import Record
    from everloop.record.rows import VersionRow
    from everloop.spec import LifecycleSpec

STATE_FOLDER = ".everloop"


@dataclass(frozen=True)
class Workspace:
    """A lifecycle with everything that it needs to run. Close it, or use it in a `with` block.

    Attributes:
        spec: The lifecycle file.
        record: The database of what was done.
        store: The artifacts.
        clock: What tells the time.
        progress: Who is told what happens.
        tables: Tables handed in from Python, by the name of the source that each stands for.
        state: Where log, routing and locks lie, if not in `.everloop` beside the lifecycle file.
        rehearsal: Whether the past is lived again: what only people read of a pass is left out.
    """

    spec: LifecycleSpec
    record: Record
    store: ArtifactStore
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = silent
    state: Path | None = None
    tables: Mapping[str, Any] = field(default_factory=dict)
    rehearsal: bool = False
    _opened: dict[str, ServedVersion] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        spec: LifecycleSpec,
        *,
        clock: Clock | None = None,
        progress: Progress = silent,
        tables: Mapping[str, Any] | None = None,
    ) -> Workspace:
        """Opens record and artifacts as the file names them; relative places are beside the file.

        Raises:
            RecordBusy: When another process holds the record.
            RecordUnreachable: When the record's database does not answer.
        """
        with storage_faults(spec.folder / STATE_FOLDER):
            (spec.folder / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
        address = spec.record.reveal() if isinstance(spec.record, Secret) else spec.record
        record = open_record(_beside(address, spec.folder))
        store = ArtifactStore(
            _beside(spec.artifacts, spec.folder), cache=spec.folder / STATE_FOLDER / "cache"
        )
        return cls(spec, record, store, clock or SystemClock(), progress, tables=dict(tables or {}))

    @property
    def name(self) -> str:
        """The lifecycle's name."""
        return self.spec.name

    @property
    def folder(self) -> Path:
        """The folder of the lifecycle file."""
        return self.spec.folder

    @property
    def state_folder(self) -> Path:
        """Where what is not in the record lies: log, routing, locks."""
        return self.state or self.spec.folder / STATE_FOLDER

    @property
    def log_folder(self) -> Path:
        """The prediction log."""
        return self.state_folder / "log"

    @property
    def log_key_path(self) -> Path:
        """What private columns of the prediction log are hashed with."""
        return self.state_folder / "log.key"

    @property
    def online_address(self) -> str:
        """The online store of features: its address, or the reference that stands for it."""
        if self.spec.data.online is None:
            return f"lmdb:{(self.state_folder / 'online').resolve()}"
        return str(self.spec.data.online)

    @property
    def kept_folder(self) -> Path:
        """What was read of databases, APIs and streams."""
        return self.spec.folder / STATE_FOLDER / "sources"

    @property
    def joins_folder(self) -> Path | None:
        """Where a rehearsal keeps the query's answer, from which it takes one snapshot after another."""
        return self.state_folder.parent / "joins" if self.rehearsal else None

    @property
    def search_folder(self) -> Path:
        """Finished trials of a search that is under way, so that one which was killed goes on."""
        return self.state_folder / "search"

    @property
    def routing_path(self) -> Path:
        """What the server reads to know which versions serve."""
        return self.state_folder / "routing.json"

    @property
    def contract_path(self) -> Path:
        """The contract's file, `contract.yaml` where the lifecycle file names none."""
        return self.spec.folder / (self.spec.data.contract or "contract.yaml")

    @cached_property
    def trusted_keys(self) -> tuple[str, ...]:
        """The public keys of which one must have signed what serves; empty where the file names none.

        Raises:
            UsageFault: When a file is not there or holds no such key.
        """
        from everloop.loop.signing import read_public_keys

        return read_public_keys(self.spec)

    def served(self, version: VersionRow) -> ServedVersion:
        """Opens a version's package, once in this workspace's life."""
        from everloop.loop.served import ServedVersion

        if version.id not in self._opened:
            self._opened[version.id] = ServedVersion.of(self, version)
        return self._opened[version.id]

    @cached_property
    def collecting(self) -> Collecting:
        """Fetches the prediction log from its topic; see `loop.collecting`."""
        from everloop.loop.collecting import Collecting

        return Collecting(self)

    def close(self) -> None:
        """Lets go of the record and the store."""
        if "collecting" in self.__dict__:
            self.collecting.close()
        self.record.close()
        self.store.close()

    def __enter__(self) -> Self:
        """Gives the workspace itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    @contextmanager
    def sole(self, name: str) -> Iterator[None]:
        """Holds a name for this process alone, such as ``run``; a killed process lets go of it.

        Raises:
            RecordBusy: When another process holds it.
        """
        path = self.state_folder / f"{name}.lock"
        with storage_faults(path), path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RecordBusy(
                    f"Another process is at work on {self.name} ({name}).",
                    hint="everloop status; or wait until it has finished",
                ) from None
            yield


def _beside(address: str, folder: Path) -> str:
    """Resolves a relative path in an address against the lifecycle file's folder."""
    prefix = "sqlite:///"
    if address.startswith(prefix):
        path = address.removeprefix(prefix)
        return address if path.startswith("/") else f"{prefix}{(folder / path).resolve()}"
    return address if "://" in address else str((folder / address).resolve())
