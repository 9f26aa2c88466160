"""TensorFlow Serving: the portable graph as a SavedModel with a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import UsageFault
from everloop.deploy.targets.target import Capabilities
from everloop.deploy.targets.tensorflow_graph import saved_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

GRAPH = "model.onnx"


class TensorFlowServing:
    """See the module.

    The signature takes the raw columns, each (n, 1), as `model.onnx` does: numbers in double precision with
    NaN for null, texts, and images as their decoded numbers; it gives ``score``. Contract, threshold and log
    are Everloop's own server's, which speaks the same protocol: here is the model alone.
    """

    name = "tensorflow_serving"
    capabilities = Capabilities("a SavedModel with a signature", "TensorFlow Serving", serves=False)

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the model under its name and version, and the certificate of the graph that it was made of.

        Raises:
            UsageFault: When the version has no portable graph, or one whose operators have no twin.
        """
        graph = release.package / GRAPH
        if not graph.is_file():
            raise UsageFault(
                f"Version {release.manifest.version} has no portable graph; parity.json says why.",
                hint="everloop export docker",
            )
        folder = f"{release.name}/{release.manifest.version}"
        return {
            f"{folder}/saved_model.pb": saved_model(graph.read_bytes()),
            "parity.json": release.package / "parity.json",
        }

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how it is served."""
        name = release.name
        mount = f'-v "$PWD/{name}:/models/{name}" -e MODEL_NAME={name}'
        return (f"docker run --rm -p 127.0.0.1:8501:8501 {mount} tensorflow/serving",)
