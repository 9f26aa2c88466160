"""What is loaded now, and the change to what the routing file says next."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import EverloopError, PackageRefused
from everloop.runtime.http import Refusal
from everloop.runtime.manifest import read_manifest
from everloop.runtime.package import Package
from everloop.runtime.plan import numbers_in_text
from everloop.runtime.routing import (
    CHALLENGER,
    CHAMPION,
    PINNED,
    Arm,
    Routing,
    choose_arm,
    read_routing,
    unit_of,
)
from everloop.runtime.service.settings import ServerLimits
from everloop.runtime.service.together import Together
from everloop.table.contract.rows import Violation
from everloop.table.labels import label_text

if TYPE_CHECKING:
    from everloop.runtime.service.bounds import Answers, VersionBound
    from everloop.table.contract import JsonRowReader, RowChecker

# A package that cannot be loaded is tried again, since a copy may still be under way.
_RETRY_SECONDS = 2.0

AT_ONCE = 0.002
"""Seconds that reasons may take of the event loop, by what a row took when its version was loaded."""

_NO_LIMITS = ServerLimits()

_STATED = "a value or null: it is a feature that is not computed here"


@dataclass(frozen=True)
class LoadedArm:
    """A version that is ready to answer.

    Attributes:
        version: Its number, as text and as number.
        package: What answers.
        checker: Holds a row against the contract.
        columns: Every column that a row may have.
        loose: Those of them that the contract does not name.
        spelled: Columns of text that are read as numbers: one may be sent as a number, too.
        computed: Features that whoever asks computes.
        joined: Features over other sources, which an online store knows where there is one.
        reader: Reads what satisfies the contract into its types, where nothing else is asked of a row.
        bound: How many of its requests may be under way; None does not bound them.
        answers: Answers rows, as `Package.answers`.
        together: Answers rows that wait at the same moment at once, where that pays.
        reasons_take: About how many seconds the reasons of a row take; endless where it gives none.
    """

    version: int
    package: Package
    checker: RowChecker
    columns: frozenset[str]
    loose: tuple[str, ...]
    spelled: frozenset[str] = frozenset()
    computed: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    reader: JsonRowReader | None = None
    bound: VersionBound | None = None
    answers: Answers = field(init=False)
    together: Together = field(init=False)
    reasons_take: float = field(init=False)

    def __post_init__(self) -> None:
        answers: Answers = self.package.answers
        if self.bound is not None:
            answers = self.bound.timed(answers)
        object.__setattr__(self, "answers", answers)
        object.__setattr__(self, "together", Together(answers))
        explains = self.package.explains
        takes = self.package.questions * self.together.seconds if explains else math.inf
        object.__setattr__(self, "reasons_take", takes)

    def normalise(
        self, row: Mapping[str, Any], *, joins: bool = False
    ) -> tuple[dict[str, Any], list[Violation]]:
        """Gives a row in the contract's types, without fields that nothing asks for, and what is wrong.

        Args:
            row: What was sent.
            joins: Whether features over other sources that are left out are read from an online store;
                otherwise the row has to say them as it has to say computed ones, if only that they are null.
        """
        taken = None if self.reader is None else self.reader.take(row)
        if taken is not None:
            return taken[0], []
        if self.spelled:
            sent = {name: label_text(row[name]) for name in self.spelled if _is_number(row.get(name))}
            row = {**row, **sent} if sent else row
        values, violations = self.checker.normalise(row)
        for name in self.loose:
            if name in row:
                values[name] = row[name]
        # A feature that is left out by mistake would be missing, and the answer another one in silence.
        stated = self.computed if joins else (*self.computed, *self.joined)
        if stated:
            violations += [
                Violation(name, "stated", _STATED, "nothing") for name in stated if name not in row
            ]
        return values, violations


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class LoadedRouting:
    """A routing whose arms are all ready.

    Attributes:
        explains_at_once: Whether every arm gives reasons, and so soon that nobody waits for them.
    """

    routing: Routing
    champion: LoadedArm
    challenger: LoadedArm | None
    reader: JsonRowReader | None = field(init=False)
    explains_at_once: bool = field(init=False)
    _entity: str | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", self._shared_reader())
        arms = [arm for arm in (self.champion, self.challenger) if arm is not None]
        object.__setattr__(self, "explains_at_once", all(arm.reasons_take <= AT_ONCE for arm in arms))
        object.__setattr__(self, "_entity", self.champion.package.manifest.entity)

    def _shared_reader(self) -> JsonRowReader | None:
        """Gives the champion's reader, where a row that it reads is one for every arm."""
        reader, other = self.champion.reader, self.challenger
        if reader is None or other is None:
            return reader
        same = other.reader is not None and other.reader.contract == reader.contract
        return reader if same and other.loose == self.champion.loose else None

    def arm_of(self, version: int) -> tuple[str, LoadedArm] | None:
        """Gives a version that a client named, if it is served, and what its answers are logged as."""
        if self.challenger is None:
            return (CHAMPION, self.champion) if version == self.champion.version else None
        served = {arm.version: arm for arm in (self.challenger, self.champion)}
        return (PINNED, served[version]) if version in served else None

    def choose(self, row: Mapping[str, Any], identity: str) -> tuple[str, LoadedArm]:
        """Says which arm answers a row, by its entity or else by the prediction's id."""
        if self.challenger is None:
            return CHAMPION, self.champion
        name = choose_arm(self.routing, self._key(row, identity))
        return (CHALLENGER, self.challenger) if name == CHALLENGER else (CHAMPION, self.champion)

    def unit(self, row: Mapping[str, Any], identity: str) -> str:
        """Gives what keeps its arm, hashed: the row's entity, or the prediction's id."""
        salt = self.routing.challenger.salt if self.routing.challenger is not None else ""
        return unit_of(self._key(row, identity), salt)

    def _key(self, row: Mapping[str, Any], identity: str) -> str:
        value = None if self._entity is None else row.get(self._entity)
        return identity if value is None else str(value)


class ArmTable:
    """Keeps what is served in step with the routing file.

    A new routing is loaded beside the old one and takes its place at once; requests under way end
    with what they began with. What cannot be loaded leaves the old one serving and is told by `fault`.

    Args:
        routing: The routing file, or None.
        package: The one package to serve, or None.
        trusted: Public keys, one of which must have signed each package; empty asks for no signature.
        limits: What bounds the requests of one version.
    """

    def __init__(
        self,
        routing: str | None,
        package: str | None,
        trusted: tuple[str, ...] = (),
        limits: ServerLimits = _NO_LIMITS,
    ) -> None:
        self._path = Path(routing) if routing is not None else None
        self._package = package
        self._trusted = trusted
        self._limits = limits
        self._seen: tuple[int, ...] | None = None
        self._tried = 0.0
        self.current: LoadedRouting | None = None
        self.fault: EverloopError | None = None
        self.failures = 0

    def load(self) -> None:
        """Loads what is to be served, once.

        Raises:
            EverloopError: When it cannot be loaded.
        """
        self._seen = self._stamp()
        self.current = self._load()

    @property
    def serving(self) -> LoadedRouting:
        """What is served now.

        Raises:
            Refusal: 503 before anything is loaded.
        """
        if self.current is None:
            raise Refusal(503, "The server is starting.", headers={"retry-after": "1"})
        return self.current

    async def follow(self, seconds: float) -> None:
        """Looks at the routing file again and again; ends when it is cancelled."""
        while self._path is not None:
            await asyncio.sleep(seconds)
            stamp = self._stamp()
            if stamp == self._seen and (
                self.fault is None or time.perf_counter() - self._tried < _RETRY_SECONDS
            ):
                continue
            await self._change(stamp)

    async def _change(self, stamp: tuple[int, ...] | None) -> None:
        self._tried = time.perf_counter()
        try:
            loaded = await asyncio.to_thread(self._load)
        except EverloopError as error:
            self.fault = error
            self.failures += stamp != self._seen
        except Exception as error:  # noqa: BLE001  (the old routing must go on serving whatever happened)
            self.fault = PackageRefused(f"The routing cannot be loaded: {error!r}")
            self.failures += stamp != self._seen
        else:
            self.current, self.fault = loaded, None
        self._seen = stamp

    def _load(self) -> LoadedRouting:
        return load_routing(self._wanted(), self._folder, self.current, self._trusted, self._limits)

    @property
    def _folder(self) -> Path:
        return self._path.parent if self._path is not None else Path()

    def _stamp(self) -> tuple[int, ...] | None:
        if self._path is None:
            return None
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    def _wanted(self) -> Routing:
        if self._path is not None:
            return read_routing(self._path)
        manifest = read_manifest(Path(str(self._package)))
        return Routing(manifest.lifecycle, 1, Arm(manifest.version, str(self._package)))


def load_routing(
    routing: Routing,
    folder: Path,
    old: LoadedRouting | None,
    trusted: tuple[str, ...] = (),
    limits: ServerLimits = _NO_LIMITS,
) -> LoadedRouting:
    """Loads a routing's packages; one that is loaded already is taken over.

    Args:
        routing: What to serve.
        folder: What relative package folders are beside.
        old: What is served now.
        trusted: Public keys, one of which must have signed each package; empty asks for no signature.
        limits: What bounds the requests of one version.

    Raises:
        EverloopError: When a package is refused or is another version than the routing says.
    """
    present = [arm for arm in (old.champion, old.challenger) if arm] if old else []
    known = {(arm.version, arm.package.folder): arm for arm in present}

    def ready(arm: Arm) -> LoadedArm:
        place = folder / arm.package
        return known.get((arm.version, place)) or _load_arm(arm, place, trusted, limits)

    challenger = ready(routing.challenger) if routing.challenger is not None else None
    return LoadedRouting(routing, ready(routing.champion), challenger)


def _load_arm(arm: Arm, folder: Path, trusted: tuple[str, ...], limits: ServerLimits) -> LoadedArm:
    from everloop.table.contract import json_row_reader, row_checker

    package = Package(folder, trusted=trusted)
    manifest = package.manifest
    if manifest.version != arm.version:
        raise PackageRefused(
            f"The routing names version {arm.version}, but {folder} is version {manifest.version}."
        )
    contract = package.contract
    entities = {feature.by for feature in package.features.features}
    names = {column.name for column in manifest.inputs} | {manifest.entity, manifest.time} | entities
    loose = tuple(sorted(name for name in names if name is not None and name not in contract.types))
    columns, spelled = frozenset((*contract.types, *loose)), numbers_in_text(package.plan)
    computed, joined = (
        tuple(column.name for column in manifest.inputs if column.origin == origin)
        for origin in ("python", "joined")
    )
    checker = row_checker(contract)
    plain = not (spelled or computed or joined)
    reader = json_row_reader(contract, checker, loose) if plain else None
    bound = limits.bound_of(str(arm.version))
    return LoadedArm(arm.version, package, checker, columns, loose, spelled, computed, joined, reader, bound)
