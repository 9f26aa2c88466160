"""KServe: an InferenceService whose predictor is our container, by the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from everloop.deploy.targets.docker import Docker
from everloop.deploy.targets.environment import secret_commands
from everloop.deploy.targets.manifests import yaml_of
from everloop.deploy.targets.pods import about, account, container, pod
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

PORT = 8080


class KServe:
    """See the module."""

    name = "kserve"
    capabilities = Capabilities(
        "an InferenceService and the image's build context",
        "KServe",
        rolls_out=("blue_green", "canary"),
        several=True,
    )

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the service and its account, and below `image/` the context of the image that it names."""
        release = replace(release, port=PORT)
        context = {f"image/{name}": content for name, content in Docker().files(release).items()}
        manifests = {"serviceaccount.yaml": account(release), "inferenceservice.yaml": _service(release)}
        return {name: yaml_of(manifest) for name, manifest in manifests.items()} | context

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to build the image, hand over the tokens and apply it."""
        return (
            f"docker build -t {release.image} image",
            *secret_commands(release),
            "kubectl apply -f serviceaccount.yaml -f inferenceservice.yaml",
        )


def _service(release: Release) -> dict[str, Any]:
    """Gives the service in what Knative's door lets through by default.

    That is: no hook and nothing of the pod's own fields in a container, and security said of the container
    alone. Without Knative the same is right, and KServe's canary weight is not looked at.
    """
    template = pod(release)["spec"]
    server = container(release)
    for field in ("args", "lifecycle"):
        del server[field]
    server |= {
        "name": "kserve-container",
        # KServe finds the protocol of a container by the name of its port.
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "env": [one for one in server["env"] if "fieldRef" not in one["valueFrom"]],
        "securityContext": server["securityContext"] | _of_the_container(template["securityContext"]),
    }
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        server[probe] = server[probe] | {"httpGet": server[probe]["httpGet"] | {"port": PORT}}
    predictor = {
        "minReplicas": 2,
        "maxReplicas": 10,
        **{key: template[key] for key in ("serviceAccountName", "volumes")},
        "containers": [server],
    }
    if release.strategy == "canary":
        predictor["canaryTrafficPercent"] = max(1, round(100 * release.steps[0]))
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": about(release),
        "spec": {"predictor": predictor},
    }


def _of_the_container(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what of a pod's security may be said of a container; group of volumes is the pod's alone."""
    return {key: value for key, value in stated.items() if key != "fsGroup"}
