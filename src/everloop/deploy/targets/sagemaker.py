"""A SageMaker endpoint's container: answers `POST /invocations` and `GET /ping` at port 8080."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from everloop.deploy.targets.docker import dockerfile
from everloop.deploy.targets.serving_files import SETTINGS, serving_files, settings_of
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

PORT = 8080
# SageMaker starts the container with the word `serve` behind its entry point.
_ENTRY = f"""#!/bin/sh
exec /srv/venv/bin/python -m everloop.runtime.server {SETTINGS}
"""


class SageMaker:
    """See the module."""

    name = "sagemaker"
    capabilities = Capabilities("the container of an endpoint", "Amazon SageMaker")

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the build context; SageMaker's own door decides who may ask, so there are no tokens."""
        release = replace(release, port=PORT, grpc_port=None, roles=())
        settings = settings_of(release, behind_gateway=True)
        return {
            **serving_files(release, settings),
            "serve.sh": _ENTRY.encode(),
            "Dockerfile": dockerfile(release, ("/bin/sh", "/srv/serve.sh"))
            .replace("WORKDIR /srv\n", "COPY serve.sh /srv/serve.sh\nWORKDIR /srv\n")
            .encode(),
        }

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to build it and where it goes."""
        where = f"$ACCOUNT.dkr.ecr.$AWS_REGION.amazonaws.com/{release.image}"
        image = f"PrimaryContainer={{Image={where}}}"
        model = f"{release.name}-{release.tag}"
        return (
            f"docker build -t {where} .",
            f"docker push {where}",
            f"aws sagemaker create-model --model-name {model} --execution-role-arn $ROLE {image}",
        )
