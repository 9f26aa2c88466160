"""KServe: an InferenceService whose predictor is our container, by the Open Inference Protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from everloop.deploy.targets.docker import Docker
from everloop.deploy.targets.kubernetes import about, container, pod
from everloop.deploy.targets.manifests import yaml_of
from everloop.deploy.targets.serving_files import secret_command
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

PORT = 8080


class KServe:
    """See the module."""

    name = "kserve"
    capabilities = Capabilities(
        "an InferenceService and the image's build context", "KServe", rolls_out=("blue_green", "canary")
    )

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the service, and below `image/` the context of the image that it names."""
        release = replace(release, port=PORT)
        context = {f"image/{name}": content for name, content in Docker().files(release).items()}
        return {"inferenceservice.yaml": yaml_of(_service(release))} | context

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to build the image, hand over the tokens and apply it."""
        return (
            f"docker build -t {release.image} image",
            secret_command(release),
            "kubectl apply -f inferenceservice.yaml",
        )


def _service(release: Release) -> dict[str, Any]:
    template = pod(release)["spec"]
    server = container(release) | {"name": "kserve-container"}
    # KServe finds the protocol of a container by the name of its port.
    server["ports"] = [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        server[probe] = server[probe] | {"httpGet": server[probe]["httpGet"] | {"port": PORT}}
    predictor = {
        "minReplicas": 2,
        "maxReplicas": 10,
        **{key: template[key] for key in ("serviceAccountName", "securityContext", "volumes")},
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
