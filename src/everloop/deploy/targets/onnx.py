"""The portable graph alone: from raw columns to the calibrated score, for any ONNX runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import UsageFault
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

GRAPH = "model.onnx"


class Onnx:
    """See the module."""

    name = "onnx"
    capabilities = Capabilities(
        "the portable graph, its certificate and its inputs", "any ONNX runtime", serves=False
    )

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives graph, certificate and manifest, which tells inputs, classes and threshold."""
        if not (release.package / GRAPH).is_file():
            raise UsageFault(
                f"Version {release.manifest.version} has no {GRAPH}: a part of it has no form in a graph; "
                "parity.json says which.",
                hint="everloop export docker",
            )
        return {name: release.package / name for name in (GRAPH, "parity.json", "manifest.json")}

    def commands(self, _release: Release) -> tuple[str, ...]:
        """Gives how to open it."""
        inputs = f"o.InferenceSession('{GRAPH}').get_inputs()"
        return (f'python -c "import onnxruntime as o; print([(i.name, i.type) for i in {inputs}])"',)
