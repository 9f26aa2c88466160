"""TorchServe: what a `.mar` archive holds, and how it is made and served."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from everloop.deploy.targets.serving_files import CODE, PACKAGE, REQUIREMENTS, serving_files
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

STORE, CONFIGURATION, MANIFEST = "model-store", "config.properties", "MAR-INF/MANIFEST.json"
_HANDLER = f'''"""What TorchServe's workers call: `handle`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "{CODE}"))

from everloop.runtime.torchserve import TorchServeHandler  # noqa: E402

_ANSWER = TorchServeHandler(HERE / "{PACKAGE}", trusted={{trusted}})


def handle(data, context):
    return _ANSWER(data, context)
'''
_CONFIGURATION = """# Loopback alone; put a gateway that knows who may ask before it.
inference_address=http://127.0.0.1:8080
management_address=http://127.0.0.1:8081
metrics_address=http://127.0.0.1:8082
default_workers_per_model=1
disable_system_metrics=true
"""


class TorchServe:
    """See the module.

    The archive holds the package and the rooms that serve it: the answers are those of any other place, and
    PyTorch itself computes nothing.
    """

    name = "torchserve"
    capabilities = Capabilities("a .mar archive with a handler", "TorchServe")

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives what goes into the archive, and the server's configuration."""
        manifest = {
            "createdOn": release.manifest.created,
            "runtime": "python",
            "archiverVersion": "0.12.0",
            "model": {
                "modelName": release.name,
                "modelVersion": str(release.manifest.version),
                "handler": "handler.py:handle",
            },
        }
        return {
            **serving_files(release),
            "handler.py": _HANDLER.format(trusted=release.trusted).encode(),
            MANIFEST: json.dumps(manifest, indent=2).encode(),
            CONFIGURATION: _CONFIGURATION.encode(),
        }

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how the archive is made, which is a zip, and served."""
        archive = f"{release.name}.mar"
        parts = f"MAR-INF handler.py {CODE} {PACKAGE}"
        how = f"--model-store {STORE} --models {archive} --ts-config {CONFIGURATION}"
        return (
            f"python3 -m pip install -r {REQUIREMENTS} torchserve torch setuptools pyyaml",
            f"mkdir -p {STORE} && python3 -m zipfile -c {STORE}/{archive} {parts}",
            f"torchserve --start --foreground --disable-token-auth {how}",
        )
