"""TensorFlow Serving's REST: `POST /v1/models/{name}:predict`, as its clients speak it.

https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from everloop.core.tasks import decides_by
from everloop.runtime.http import Refusal, Request, Response
from everloop.runtime.protocols.models import (
    answer_columns,
    model_of,
    refused,
    require_rows,
    version_of,
    versions_of,
)
from everloop.runtime.protocols.route import Route
from everloop.runtime.protocols.row_forms import rows_of_columns

if TYPE_CHECKING:
    from everloop.runtime.service.service import Service

_SIGNATURE = "serving_default"
_TYPES = {"boolean": "DT_BOOL", "integer": "DT_INT64", "number": "DT_DOUBLE"}
_TEXT = "DT_STRING"


async def predict(service: Service, request: Request) -> Response:
    """Answers rows under `instances`, or columns under `inputs`."""
    version = version_of(service, request)
    limits = service.settings.limits
    body = await request.json(limits.body_bytes, limits.body_seconds)
    rows, by_column = _rows(body)
    require_rows(service, len(rows))
    served = await service.predict(rows, [None] * len(rows), request.started, version=version)
    columns = answer_columns(model_of(service, version).package.manifest, served)
    if by_column:
        return Response.of({"outputs": columns})
    each = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Response.of({"predictions": each})


async def status(service: Service, request: Request) -> Response:
    """Says which versions are available."""
    version = version_of(service, request)
    numbers = versions_of(service) if version is None else [str(version)]
    state = "AVAILABLE" if service.able else "UNLOADING"
    well = {"error_code": "OK", "error_message": ""}
    return Response.of(
        {"model_version_status": [{"version": one, "state": state, "status": well} for one in numbers]}
    )


async def metadata(service: Service, request: Request) -> Response:
    """Describes what a model takes and what it answers, as a signature."""
    package = model_of(service, version_of(service, request)).package
    manifest = package.manifest
    prediction = _TYPES["number"] if manifest.task == "regression" else _TEXT
    width = [len(manifest.classes)] if decides_by(manifest.task, "largest") else []
    signature = {
        "inputs": {
            column.name: _tensor(column.name, _TYPES.get(column.type, _TEXT)) for column in package.asked
        },
        "outputs": {
            "prediction": _tensor("prediction", prediction),
            "score": _tensor("score", _TYPES["number"], width),
            "id": _tensor("id", _TEXT),
        },
        "method_name": "tensorflow/serving/predict",
    }
    named = {"name": manifest.lifecycle, "signature_name": "", "version": str(manifest.version)}
    return Response.of(
        {"model_spec": named, "metadata": {"signature_def": {"signature_def": {_SIGNATURE: signature}}}}
    )


def _rows(body: Any) -> tuple[list[Any], bool]:
    if not isinstance(body, dict) or not body.keys() <= {"signature_name", "instances", "inputs"}:
        raise Refusal(400, "The body is no request.", "Expected an object with 'instances' or 'inputs'.")
    if body.get("signature_name", _SIGNATURE) not in ("", _SIGNATURE):
        raise Refusal(404, "The signature is unknown.", f"This server knows {_SIGNATURE!r}.")
    if ("instances" in body) == ("inputs" in body):
        raise Refusal(400, "The body is no request.", "Expected either 'instances' or 'inputs'.")
    if "instances" in body:
        if not isinstance(body["instances"], list):
            raise Refusal(400, "The instances are no list.", "Expected a list of objects.")
        return [_plain(row) for row in body["instances"]], False
    columns = body["inputs"]
    if not isinstance(columns, dict):
        raise Refusal(400, "The inputs are no object.", "Expected an object of column to values.")
    return [_plain(row) for row in rows_of_columns(columns)], True


def _plain(row: Any) -> Any:
    return {name: _value(value) for name, value in row.items()} if isinstance(row, dict) else row


def _value(value: Any) -> Any:
    """Gives a value as a row has it: bytes as text, a list of one as the one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True).decode()
        except (binascii.Error, ValueError):
            raise Refusal(400, "A value is no base64 of UTF-8 text.") from None
    return value


def _tensor(name: str, kind: str, width: list[int] | None = None) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in (-1, *(width or []))]
    return {"dtype": kind, "tensor_shape": {"dim": sizes, "unknown_rank": False}, "name": f"{name}:0"}


_MODEL = ("/v1/models/{name}", "/v1/models/{name}/versions/{version}")

ROUTES = tuple(
    route
    for path in _MODEL
    for route in (
        Route("POST", f"{path}:predict", predict, role="predict", refused=refused),
        Route("GET", f"{path}/metadata", metadata, role="predict", refused=refused),
        Route("GET", path, status, role="predict", refused=refused),
    )
)
