"""A Docker build context, whose image holds the serving rooms, what they import, and one package."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from everloop.deploy.targets.environment import variables_of
from everloop.deploy.targets.serving_files import (
    CODE,
    INSTALL,
    PACKAGE,
    REQUIREMENTS,
    SETTINGS,
    serving_files,
    settings_of,
)
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
USER = 10001


class Docker:
    """See the module."""

    name = "docker"
    capabilities = Capabilities("a build context of an image that serves", "Docker, Podman", several=True)

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the build context."""
        return {
            **serving_files(release, settings_of(release)),
            "Dockerfile": dockerfile(release).encode(),
            ".dockerignore": b"*.md\neverloop-export.json\n",
        }

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to build and run it."""
        options = [
            "--read-only",
            f"-v {release.name}-log:/srv/log",
            f"-p {release.port}:{release.port}",
            *(f"-e {name}" for name in variables_of(release)),
        ]
        return (
            f"docker build -t {release.image} .",
            f"docker run {' '.join(options)} {release.image}",
        )


def dockerfile(release: Release, entry: tuple[str, ...] = ()) -> str:
    """Gives the Dockerfile: built in one stage, served from another without what building needs.

    Args:
        release: The version.
        entry: The command that serves, where it is another than the server's own.
    """
    server = ("/srv/venv/bin/python", "-m", "everloop.runtime.server", SETTINGS)
    words = ", ".join(f'"{word}"' for word in entry or server)
    ports = " ".join(str(port) for port in (release.port, release.grpc_port) if port is not None)
    return f"""# {release.title}
FROM python:{PYTHON}-slim AS build
COPY {REQUIREMENTS} {INSTALL} /build/
RUN sh /build/{INSTALL} /srv/venv

FROM python:{PYTHON}-slim
LABEL org.opencontainers.image.title="{release.name}" org.opencontainers.image.version="{release.tag}"
COPY --from=build /srv/venv /srv/venv
COPY {CODE} /srv/{CODE}
COPY {PACKAGE} /srv/{PACKAGE}
COPY {SETTINGS} /srv/{SETTINGS}
RUN mkdir /srv/log && chown {USER}:{USER} /srv/log
WORKDIR /srv
ENV PYTHONPATH=/srv/{CODE} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
USER {USER}
VOLUME /srv/log
EXPOSE {ports}
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/srv/venv/bin/python", "-c", \
"import urllib.request as u; u.urlopen('http://127.0.0.1:{release.port}/health/ready', timeout=2)"]
ENTRYPOINT [{words}]
"""
