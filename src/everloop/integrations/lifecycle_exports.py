"""What is written from the lifecycle file alone: pipelines, rules and dashboards of systems elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    from everloop.deploy.targets import Capabilities
    from everloop.spec import LifecycleSpec

LIFECYCLE_EXPORTS: dict[str, str] = {
    "airflow": "everloop.integrations.pipelines.airflow:Airflow",
    "grafana": "everloop.integrations.watching.grafana:Grafana",
    "kubeflow": "everloop.integrations.pipelines.kubeflow:Kubeflow",
    "prometheus": "everloop.integrations.watching.prometheus:Prometheus",
    "sagemaker_pipelines": "everloop.integrations.pipelines.sagemaker:SageMakerPipelines",
}


@dataclass(frozen=True, slots=True)
class Written:
    """What is written for a system.

    Attributes:
        files: The files, by their path in the folder.
        commands: The commands that come next, to be given in the folder.
        notice: What has to be known besides.
    """

    files: Mapping[str, bytes]
    commands: tuple[str, ...] = ()
    notice: str = ""


@runtime_checkable
class LifecycleExport(Protocol):
    """A system that is told of a lifecycle.

    Attributes:
        name: The word for it in `everloop export`.
        capabilities: What it is, in a line.
    """

    name: str
    capabilities: Capabilities

    def write(self, spec: LifecycleSpec, file: Path, /) -> Written:
        """Gives the files, the same for the same lifecycle; nothing is sent or started.

        Args:
            spec: The lifecycle.
            file: Its file, or the folder that it is in.
        """


def open_lifecycle_export(name: str) -> LifecycleExport:
    """Finds one of `LIFECYCLE_EXPORTS`."""
    module, word = LIFECYCLE_EXPORTS[name].split(":")
    return cast("LifecycleExport", getattr(import_module(module), word)())
