"""The schedulers, by name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from everloop.integrations.pipelines.pipeline import Scheduler

SCHEDULERS: dict[str, str] = {
    "airflow": "everloop.integrations.pipelines.airflow:Airflow",
    "kubeflow": "everloop.integrations.pipelines.kubeflow:Kubeflow",
    "sagemaker_pipelines": "everloop.integrations.pipelines.sagemaker:SageMakerPipelines",
}


def open_scheduler(name: str) -> Scheduler:
    """Finds one of `SCHEDULERS`."""
    module, word = SCHEDULERS[name].split(":")
    return cast("Scheduler", getattr(import_module(module), word)())
