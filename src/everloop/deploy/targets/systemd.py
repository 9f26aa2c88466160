"""A systemd service on one machine, hardened: no root, a read-only system, nothing but its own log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.deploy.targets.environment import variables_of
from everloop.deploy.targets.serving_files import CODE, INSTALL, SETTINGS, serving_files, settings_of
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release


class Systemd:
    """See the module."""

    name = "systemd"
    capabilities = Capabilities("a service unit and what it starts", "systemd 250 or newer", several=True)

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the unit, an example of its variables, and the files that serve."""
        variables = "".join(f"{name}=\n" for name in variables_of(release))
        return {
            **serving_files(release, settings_of(release, log=f"/var/lib/{release.name}/log")),
            f"{release.name}.service": _unit(release).encode(),
            f"{release.name}.env.example": variables.encode(),
        }

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to install and start it."""
        name = release.name
        return (
            f"sudo cp -r . /opt/{name} && sudo sh /opt/{name}/{INSTALL} /opt/{name}/venv",
            f"sudo install -m 600 {name}.env.example /etc/{name}.env  # then fill in the tokens",
            f"sudo cp {name}.service /etc/systemd/system/ && sudo systemctl enable --now {name}",
        )


def _unit(release: Release) -> str:
    name, place = release.name, f"/opt/{release.name}"
    return f"""[Unit]
Description={release.title}, served by Everloop
After=network-online.target
Wants=network-online.target

[Service]
WorkingDirectory={place}
ExecStart={place}/venv/bin/python -m everloop.runtime.server {SETTINGS}
Environment=PYTHONPATH={place}/{CODE} PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
EnvironmentFile=/etc/{name}.env
Restart=on-failure
RestartSec=1
KillSignal=SIGTERM
TimeoutStopSec=30
DynamicUser=yes
StateDirectory={name}
MemoryMax=1G
TasksMax=64
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
CapabilityBoundingSet=
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077

[Install]
WantedBy=multi-user.target
"""
