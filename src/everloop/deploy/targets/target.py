"""What a target is: a place where a version runs, written as the files that the place wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from everloop.core.errors import UsageFault
from everloop.runtime.features.definitions import FEATURES_NAME
from everloop.runtime.service.settings import ROLES, ServerLimits, TopicSettings

if TYPE_CHECKING:
    from everloop.runtime.manifest import Manifest

Content: TypeAlias = bytes | Path
"""A file's content, or the file that is copied."""


@dataclass(frozen=True, slots=True)
class Release:
    """A version that is to run somewhere, and how.

    Attributes:
        package: Its package's folder.
        manifest: What the package says of itself.
        port: Where HTTP is answered.
        grpc_port: Where gRPC is answered too; None is nowhere.
        durability: `buffer` or `fsync`.
        private: Columns that the prediction log does not show, each with `hash` or `drop`.
        topic: The topic that the prediction log is sent to, if to any.
        limits: What may be asked at once.
        roles: The roles that have a token.
        trusted: The public keys of which one must have signed the package; empty asks for no signature.
        strategy: How a new version takes over.
        steps: The challenger's share of the requests, step by step.
        hold_seconds: How long a step lasts at least, where the file says a time.
        beside: Versions of other lifecycles that the same server answers for. Port, strategy and everything
            else that is of the server or the place alone is what the first one says.

    Raises:
        UsageFault: When two of them have one name.
    """

    package: Path
    manifest: Manifest
    port: int = 8700
    grpc_port: int | None = None
    durability: str = "buffer"
    private: Mapping[str, str] = field(default_factory=dict)
    topic: TopicSettings | None = None
    limits: ServerLimits = field(default_factory=ServerLimits)
    roles: tuple[str, ...] = ROLES
    trusted: tuple[str, ...] = ()
    strategy: str = "canary"
    steps: tuple[float, ...] = (0.05, 0.25, 0.5, 1.0)
    hold_seconds: float = 600.0
    beside: tuple[Release, ...] = ()

    def __post_init__(self) -> None:
        names = [one.name for one in self.each]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageFault(f"Two lifecycles of one server are called {twice[0]!r}.", hint="name each once")

    @property
    def each(self) -> tuple[Release, ...]:
        """What the server answers for, this one first."""
        return (self, *self.beside)

    @property
    def title(self) -> str:
        """What is served, to be read."""
        return ", ".join(f"{one.manifest.lifecycle} v{one.manifest.version}" for one in self.each)

    @property
    def joins(self) -> bool:
        """Whether the model reads features of other sources from an online store."""
        return (self.package / FEATURES_NAME).is_file()

    @property
    def name(self) -> str:
        """The lifecycle's name as a label of DNS: small letters, digits and hyphens, at most 50."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.manifest.lifecycle.lower()).strip("-")[:50].rstrip("-")
        return plain if plain[:1].isalpha() else f"model-{plain}".rstrip("-")

    @property
    def tag(self) -> str:
        """The version as a tag, such as `v7`; of several lifecycles those of all, `v7-v2`."""
        return "-".join(f"v{one.manifest.version}" for one in self.each)

    @property
    def image(self) -> str:
        """The image's name and tag."""
        return f"{self.name}:{self.tag}"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can do, as data.

    Attributes:
        summary: What it is, in a line.
        platform: Whose files they are.
        serves: Whether what is written answers requests.
        rolls_out: The strategies that the place itself carries out.
        several: Whether several lifecycles can be served by one server there.
    """

    summary: str
    platform: str
    serves: bool = True
    rolls_out: tuple[str, ...] = ()
    several: bool = False


@runtime_checkable
class Target(Protocol):
    """A place where a version runs.

    `files` gives everything that the place wants, by its path in the folder. It reads the package and
    this installation, and nothing else: the same release gives the same files. No file holds a secret;
    what needs one names the variable that it is read from. Nothing is built, sent or started.

    Attributes:
        name: The word for it in `everloop export`.
        capabilities: What it can do.
    """

    name: str
    capabilities: Capabilities

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the files, by their path in the folder.

        Raises:
            UsageFault: When the release cannot run there; the message says why.
        """

    def commands(self, release: Release, /) -> tuple[str, ...]:
        """Gives the commands that come next, to be given in the folder."""
