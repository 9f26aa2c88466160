"""What a scheduler is told: the commands of a pass in their order, where, and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

HOME = "/lifecycle"
"""Where the lifecycle's folder is in the image of a step."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the pipeline.

    Attributes:
        name: Its name.
        words: The command behind `everloop`.
        dated: Whether it is told the time that data are taken as of.
    """

    name: str
    words: tuple[str, ...]
    dated: bool = False


STAGES = (
    Stage("check", ("check",)),
    Stage("problem", ("run", "--until", "problem"), dated=True),
    Stage("data", ("run", "--until", "data"), dated=True),
    Stage("model", ("run", "--until", "model"), dated=True),
    Stage("release", ("run",), dated=True),
    Stage("watch", ("monitor",)),
)
"""A pass in its order. Each command does what is missing up to its phase; the others were done before."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A lifecycle's pass.

    Attributes:
        lifecycle: The lifecycle's name.
        folder: The folder of its file.
        file: The file's name in it.
        every: `hourly`, `daily`, `weekly`, `monthly`, or a duration such as `12h`; None by hand.
        local: What is kept on one machine's disk, `record` and `artifacts`, which steps that run on
            several machines do not share.
    """

    lifecycle: str
    folder: Path
    file: str
    every: str | None = None
    local: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The lifecycle's name in small letters, digits and hyphens."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.lifecycle.lower()).strip("-")[:60].rstrip("-")
        return plain or "lifecycle"

    @property
    def notice(self) -> str:
        """What steps on several machines do not share; empty where they share all."""
        if not self.local:
            return ""
        return (
            f"Steps on several machines need a {' and '.join(self.local)} that they share, such as "
            "record: postgresql://... and artifacts: s3://..."
        )


def pipeline_of(spec: LifecycleSpec, file: Path) -> Pipeline:
    """Reads from a lifecycle what its scheduler has to know.

    Args:
        spec: The lifecycle.
        file: Its file, or the folder that it is in.

    Returns:
        The pipeline; it runs as often as the first `schedule:` of `monitor.retrain.on` says.
    """
    every = next((one.argument for one in spec.monitor.retrain.on if one.kind == "schedule"), None)
    places = {"record": str(spec.record), "artifacts": str(spec.artifacts)}
    local = tuple(name for name, place in places.items() if _is_local(place))
    name = "everloop.yaml" if file.is_dir() else file.name
    return Pipeline(spec.name, spec.folder.resolve(), name, every, local)


def _is_local(place: str) -> bool:
    # What a variable holds is not looked at here.
    return not place.startswith(("env:", "file:")) and (place.startswith("sqlite:") or "://" not in place)


def image_of(pipeline: Pipeline) -> dict[str, bytes]:
    """Gives the Dockerfile of the image that every step runs in; its context is the lifecycle's folder."""
    import sys
    from importlib import metadata

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    dockerfile = f"""# Built with the lifecycle's folder as its context.
FROM python:{python}-slim
RUN pip install --no-cache-dir 'everloop[all]=={metadata.version("everloop")}'
COPY . {HOME}
WORKDIR {HOME}
ENV PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="{pipeline.name}"
"""
    return {"Dockerfile": dockerfile.encode(), "Dockerfile.dockerignore": b".everloop\nexport-*\n"}
