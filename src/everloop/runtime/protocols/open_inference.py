"""The Open Inference Protocol, version 2, over HTTP: as clients of KServe, Triton and MLServer speak it.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol, with Triton's
extension for binary tensors.
"""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.runtime.http import Refusal, Request, Response
from everloop.runtime.protocols.models import (
    answer_columns,
    model_of,
    refused,
    require_rows,
    version_of,
    versions_of,
)
from everloop.runtime.protocols.route import Route, ServerRoute
from everloop.runtime.protocols.tensors import (
    COLUMN_TYPES,
    Tensor,
    answered_tensors,
    outputs_of,
    pack,
    rows_of,
    unpack,
)

if TYPE_CHECKING:
    from everloop.runtime.package import Package
    from everloop.runtime.service.lifecycles import Lifecycles
    from everloop.runtime.service.service import Service

_HEADER_LENGTH = "inference-header-content-length"
_MOST_ID = 200


class Asked(msgspec.Struct):
    """An output that a request asks for."""

    name: str
    parameters: dict[str, Any] = {}


class Inference(msgspec.Struct):
    """A request: tensors in, an id, the outputs that it asks for."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[Asked] | None = None


_DECODER = msgspec.json.Decoder(Inference)


async def infer(service: Service, request: Request) -> Response:
    """Answers tensors with tensors."""
    version = version_of(service, request)
    asked = await _read(service, request)
    package = model_of(service, version).package
    manifest = package.manifest
    rows = rows_of(asked.inputs, package.asked)
    tensors = await answer(service, rows, asked.id, version, request.started)
    wanted = _wanted(asked, tensors)
    said: dict[str, Any] = {"model_name": manifest.lifecycle, "model_version": str(manifest.version)}
    if asked.id is not None:
        said["id"] = asked.id
    everything_binary = asked.parameters.get("binary_data_output") is True
    contents: list[bytes] = []
    outputs = []
    for tensor, parameters in wanted:
        described: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if parameters.get("binary_data", everything_binary) is True:
            contents.append(pack(tensor))
            described["parameters"] = {"binary_data_size": len(contents[-1])}
        else:
            described["data"] = tensor.data
        outputs.append(described)
    head = msgspec.json.encode(said | {"outputs": outputs})
    if not contents:
        return Response(head)
    headers = {_HEADER_LENGTH: str(len(head))}
    return Response(b"".join([head, *contents]), 200, "application/octet-stream", headers)


async def answer(
    service: Service, rows: list[dict[str, Any]], identity: str | None, version: int | None, started: float
) -> list[Tensor]:
    """Answers rows as tensors: `prediction`, `score`, and the `id` that feedback names.

    Args:
        service: What serves.
        rows: The rows.
        identity: The request's id, which its row's answer takes; of several rows, each with its place.
        version: The version that the client names, if any.
        started: `time.perf_counter` when the request came.

    Raises:
        Refusal: As `Service.predict` does, and 400 for an id that is too long.
    """
    require_rows(service, len(rows))
    if identity is not None and len(identity) > _MOST_ID:
        raise Refusal(400, "An id is none.", f"Expected a text of at most {_MOST_ID} characters.")
    ids: list[str | None] = [identity or None]
    if len(rows) != 1:
        ids = [f"{identity}:{place}" if identity else None for place in range(len(rows))]
    served = await service.predict(rows, ids, started, version=version)
    manifest = model_of(service, version).package.manifest
    return answered_tensors(manifest, answer_columns(manifest, served))


def metadata_of(service: Service, package: Package) -> dict[str, Any]:
    """Describes a model: its versions, what it takes and what it answers."""
    manifest = package.manifest
    return {
        "name": manifest.lifecycle,
        "versions": versions_of(service),
        "platform": "everloop",
        "inputs": [
            {"name": column.name, "datatype": COLUMN_TYPES[column.type], "shape": [-1]}
            for column in package.asked
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1, *width]}
            for name, (datatype, width) in outputs_of(manifest).items()
        ],
    }


async def server_metadata(_lifecycles: Lifecycles, _request: Request) -> Response:
    """Says what the server is."""
    return Response.of(
        {"name": "everloop", "version": installed_version("everloop"), "extensions": ["binary_tensor_data"]}
    )


async def live(_lifecycles: Lifecycles, _request: Request) -> Response:
    """Says that the process answers."""
    return Response.of({"live": True})


async def ready(lifecycles: Lifecycles, _request: Request) -> Response:
    """Says whether requests are answered now."""
    return Response.of({"ready": lifecycles.able}, 200 if lifecycles.able else 503)


async def model_ready(service: Service, request: Request) -> Response:
    """Says whether a model's requests are answered now."""
    version_of(service, request)
    body = {"name": request.parameters["name"], "ready": service.able}
    return Response.of(body, 200 if service.able else 503)


async def model_metadata(service: Service, request: Request) -> Response:
    """Describes a model."""
    model = model_of(service, version_of(service, request))
    return Response.of(metadata_of(service, model.package))


async def _read(service: Service, request: Request) -> Inference:
    limits = service.settings.limits
    body = await request.body(limits.body_bytes, limits.body_seconds)
    length = request.header(_HEADER_LENGTH.encode())
    if length and not (length.isdigit() and len(length) < 10 and int(length) <= len(body)):
        raise Refusal(400, "The header's length is none.", f"Expected {_HEADER_LENGTH} within the body.")
    end = int(length) if length else len(body)
    try:
        asked = _DECODER.decode(body[:end])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise Refusal(400, "The body is no inference request.", f"{error}.") from None
    for tensor in asked.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(body) - end:
                raise Refusal(400, "A tensor's binary size is none.", "Expected what the body holds.")
            tensor.data = unpack(tensor, body[end : end + size])
            end += size
    if end != len(body):
        raise Refusal(400, "The body is longer than its tensors.", f"{len(body) - end} bytes belong to none.")
    return asked


def _wanted(asked: Inference, tensors: list[Tensor]) -> list[tuple[Tensor, dict[str, Any]]]:
    if asked.outputs is None:
        return [(tensor, {}) for tensor in tensors]
    known = {tensor.name: tensor for tensor in tensors}
    for output in asked.outputs:
        if output.name not in known:
            raise Refusal(400, "An output is unknown.", f"Expected one of {', '.join(known)}.")
    return [(known[output.name], output.parameters) for output in asked.outputs]


_MODEL = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")

ROUTES = (
    ServerRoute("GET", "/v2", server_metadata, role=None, refused=refused),
    ServerRoute("GET", "/v2/health/live", live, role=None, counts=False, refused=refused),
    ServerRoute("GET", "/v2/health/ready", ready, role=None, counts=False, refused=refused),
    *(Route("GET", path, model_metadata, role="predict", refused=refused) for path in _MODEL),
    *(
        Route("GET", f"{path}/ready", model_ready, role=None, counts=False, refused=refused)
        for path in _MODEL
    ),
    *(Route("POST", f"{path}/infer", infer, role="predict", refused=refused) for path in _MODEL),
)
