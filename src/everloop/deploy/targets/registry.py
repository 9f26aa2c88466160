"""The targets, by name."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from everloop.core.errors import UsageFault
from everloop.core.nearness import near_names

if TYPE_CHECKING:
    from everloop.deploy.targets.target import Target

ENTRY_POINTS = "everloop.targets"

TARGETS: dict[str, str] = {
    "docker": "everloop.deploy.targets.docker:Docker",
    "kserve": "everloop.deploy.targets.kserve:KServe",
    "kubernetes": "everloop.deploy.targets.kubernetes:Kubernetes",
    "lambda": "everloop.deploy.targets.aws_lambda:AwsLambda",
    "onnx": "everloop.deploy.targets.onnx:Onnx",
    "sagemaker": "everloop.deploy.targets.sagemaker:SageMaker",
    "systemd": "everloop.deploy.targets.systemd:Systemd",
    "tensorflow_serving": "everloop.deploy.targets.tensorflow_serving:TensorFlowServing",
    "torchserve": "everloop.deploy.targets.torchserve:TorchServe",
}


def known_targets() -> tuple[str, ...]:
    """Lists the targets that can be exported to here."""
    return tuple(sorted({*TARGETS, *_plugins()}))


def open_target(name: str) -> Target:
    """Finds a target.

    Raises:
        UsageFault: When there is none of that name; those that are known are listed.
    """
    if name in TARGETS:
        module, word = TARGETS[name].split(":")
        return cast("Target", getattr(import_module(module), word)())
    plugin = _plugins().get(name)
    if plugin is None:
        known = known_targets()
        near = near_names(name, known)
        raise UsageFault(
            f"There is no target {name!r}; known are {', '.join(known)}.",
            hint=f"everloop export {near[0]}" if near else f"everloop export {known[0]}",
        )
    return cast("Target", plugin.load()())


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
