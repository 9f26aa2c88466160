"""The Open Inference Protocol, version 2, over gRPC: the same answers as over HTTP."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Refusal
from everloop.runtime.protocols.inference_messages import CONTENTS, message_classes
from everloop.runtime.protocols.models import model_of, version_asked
from everloop.runtime.protocols.open_inference import answer, metadata_of
from everloop.runtime.protocols.tensors import BYTES, Tensor, pack, rows_of, unpack

if TYPE_CHECKING:
    from everloop.runtime.service.lifecycles import Lifecycles
    from everloop.runtime.service.service import Service

Method = Callable[["Service", Any], Awaitable[Any]]


class Methods:
    """The methods of `GRPCInferenceService`: a message in, a message out.

    Raises:
        MissingExtra: When protobuf is not installed.
    """

    def __init__(self) -> None:
        self.messages = message_classes()
        self.of_server: dict[str, Callable[[Lifecycles], Any]] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
        }
        """The methods that ask of the server as a whole; open to all."""
        self.of_model: dict[str, tuple[Method, str, str | None]] = {
            "ModelReady": (self._model_ready, "name", None),
            "ModelMetadata": (self._model_metadata, "name", "predict"),
            "ModelInfer": (self._infer, "model_name", "predict"),
        }
        """The others, each with the field that names the lifecycle and the role that it asks for."""

    def _server_live(self, _lifecycles: Lifecycles) -> Any:
        return self.messages["ServerLiveResponse"](live=True)

    def _server_ready(self, lifecycles: Lifecycles) -> Any:
        return self.messages["ServerReadyResponse"](ready=lifecycles.able)

    def _server_metadata(self, _lifecycles: Lifecycles) -> Any:
        return self.messages["ServerMetadataResponse"](name="everloop", version=installed_version("everloop"))

    async def _model_ready(self, service: Service, request: Any) -> Any:
        version_asked(service, request.version)
        return self.messages["ModelReadyResponse"](ready=service.able)

    async def _model_metadata(self, service: Service, request: Any) -> Any:
        version = version_asked(service, request.version)
        described = metadata_of(service, model_of(service, version).package)
        return self.messages["ModelMetadataResponse"](**described)

    async def _infer(self, service: Service, request: Any) -> Any:
        started = time.perf_counter()
        version = version_asked(service, request.model_version)
        package = model_of(service, version).package
        manifest = package.manifest
        rows = rows_of(_tensors(request), package.asked)
        found = await answer(service, rows, request.id or None, version, started)
        wanted = [one.name for one in request.outputs] or [tensor.name for tensor in found]
        known = {tensor.name: tensor for tensor in found}
        response = self.messages["ModelInferResponse"](
            model_name=manifest.lifecycle, model_version=str(manifest.version), id=request.id
        )
        for name in wanted:
            if name not in known:
                raise Refusal(400, "An output is unknown.", f"Expected one of {', '.join(known)}.")
            _put(response, known[name], raw=bool(request.raw_input_contents))
        return response


def _tensors(request: Any) -> list[Tensor]:
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise Refusal(400, "The raw contents do not fit the inputs.", "Expected one for each input.")
    tensors = []
    for place, given in enumerate(request.inputs):
        tensor = Tensor(given.name, given.datatype, list(given.shape))
        if raw:
            tensor.data = unpack(tensor, raw[place])
        elif tensor.datatype in CONTENTS:
            tensor.data = list(getattr(given.contents, CONTENTS[tensor.datatype]))
            if tensor.datatype == BYTES:
                tensor.data = [_text(given.name, content) for content in tensor.data]
        tensors.append(tensor)
    return tensors


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refusal(400, "A tensor cannot be read.", f"{name[:100]!r}: a text is not UTF-8.") from None


def _put(response: Any, tensor: Tensor, *, raw: bool) -> None:
    output = response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    if raw:
        response.raw_output_contents.append(pack(tensor))
        return
    values = [str(value).encode() for value in tensor.data] if tensor.datatype == BYTES else tensor.data
    getattr(output.contents, CONTENTS[tensor.datatype]).extend(values)
