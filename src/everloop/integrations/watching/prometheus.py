"""Prometheus: what it asks for, and the rules by which Alertmanager calls."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.deploy.targets import Capabilities
from everloop.integrations.lifecycle_exports import Written
from everloop.integrations.watching.alert_rules import rule_group

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

CONSOLE_PORT = 8710
_TOKEN_FILE = "admin.token"  # noqa: S105  (a file's name)
_RULES = "rules.yml"


class Prometheus:
    """See the module."""

    name = "prometheus"
    capabilities = Capabilities("what it asks for, and alert rules", "Prometheus, Alertmanager", serves=False)

    def write(self, spec: LifecycleSpec, file: Path) -> Written:  # noqa: ARG002
        """Gives a configuration and the rules."""
        tokens = spec.deploy.serve.tokens.references()
        files = {"prometheus.yml": _yaml(configuration(spec)), _RULES: _yaml(rule_group(spec))}
        keep = f"keep the admin's token in {_TOKEN_FILE}  # " + tokens.get("admin", "")
        commands = (
            *((keep.rstrip("# "),) if tokens else ()),
            f"promtool check rules {_RULES}",
            "everloop console  # beside everloop.yaml; answers for the loop",
            "prometheus --config.file=prometheus.yml",
        )
        return Written(files, commands)


def configuration(spec: LifecycleSpec) -> dict[str, Any]:
    """Gives the configuration: the server and, by the console, the loop."""
    serve = spec.deploy.serve
    server: dict[str, Any] = {
        "job_name": f"{spec.name}-server",
        "scheme": "https" if serve.tls else "http",
        "static_configs": [_target(spec, f"{serve.host}:{serve.port or 8700}", "server")],
    }
    if serve.tokens.references():
        server["authorization"] = {"credentials_file": _TOKEN_FILE}
    loop = {
        "job_name": f"{spec.name}-loop",
        "static_configs": [_target(spec, f"127.0.0.1:{CONSOLE_PORT}", "loop")],
    }
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [_RULES],
        "scrape_configs": [server, loop],
    }


def _target(spec: LifecycleSpec, place: str, part: str) -> dict[str, Any]:
    return {"targets": [place], "labels": {"lifecycle": spec.name, "part": part}}


def _yaml(content: dict[str, Any]) -> bytes:
    from ruamel.yaml import YAML

    text = io.StringIO()
    writer = YAML()
    writer.width = 4096
    writer.dump(content, text)
    return text.getvalue().encode()
