"""The paths of the server's description, with what each takes and gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from everloop.runtime.service.settings import ServerSettings

ID = {"type": "string", "minLength": 1, "maxLength": 200}

_JSON = "application/json"
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXT: dict[str, Any] = {"type": "string"}


class Operation(NamedTuple):
    """What one method on one path does.

    Attributes:
        paths: The paths, more than one where a part may be left out.
        method: In small letters.
        summary: What it does, in a sentence.
        answer: The schema of its answer.
        body: The schema of its body, by content type; None for none.
        kind: The content type of its answer.
        parameters: Parameters of its query.
        named: Whether the path is of the server as a whole, or itself names the lifecycle.
        refusal: The content type and the schema of a refusal.
    """

    paths: tuple[str, ...]
    method: str
    summary: str
    answer: dict[str, Any] = _OBJECT
    body: dict[str, dict[str, Any]] | None = None
    kind: str = _JSON
    parameters: tuple[dict[str, Any], ...] = ()
    named: bool = True
    refusal: tuple[str, str] = ("application/problem+json", "Problem")


def paths_of(settings: ServerSettings, under: str = "") -> dict[str, Any]:
    """Gives every path that the server answers for a lifecycle, with its methods.

    Args:
        settings: What the server is told.
        under: What stands before a path that itself names no lifecycle.
    """
    paths: dict[str, Any] = {}
    told_by_error = (one._replace(refusal=(_JSON, "Error")) for one in (*_OPEN_INFERENCE, *_TENSORFLOW))
    for operation in (*_own(settings), *told_by_error, *_INVOCATIONS, *_PAGES):
        for path in operation.paths:
            whole = path if operation.named else under + path
            paths.setdefault(whole, {})[operation.method] = _described(whole, operation)
    return paths


def _own(settings: ServerSettings) -> tuple[Operation, ...]:
    row, answer, entry = _link("Row"), _link("Answer"), _link("Feedback")
    rows = _object({"rows": {"type": "array", "items": row, "maxItems": settings.limits.rows}}, "rows")
    rows["properties"]["ids"] = {"type": "array", "items": {"type": ["string", "null"]}}
    named = _object({"row": row, "id": ID}, "row")
    answers = _object({"predictions": {"type": "array", "items": answer}}, "predictions")
    many = {"type": "array", "items": entry}
    explain = {
        "name": "explain",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "maximum": 100},
        "description": "How many reasons to give.",
    }
    taken = _object({"accepted": {"type": "integer"}}, "accepted")
    actuals = _object({"actuals": many}, "actuals")
    return (
        Operation(
            ("/predict",),
            "post",
            "Answers a row or several.",
            {"anyOf": [answer, answers]},
            {_JSON: {"anyOf": [row, rows, named]}},
            parameters=(explain,),
            named=False,
        ),
        Operation(
            ("/feedback",),
            "post",
            "Takes actuals.",
            taken,
            {_JSON: {"anyOf": [entry, many, actuals]}},
            named=False,
        ),
        Operation(
            ("/features/{source}",),
            "post",
            "Takes events of a source that features look at.",
            taken,
            {_JSON: {"type": ["object", "array"]}},
            named=False,
        ),
    )


def _link(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_TENSOR = _object(
    {
        "name": _TEXT,
        "datatype": _TEXT,
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array"},
        "parameters": _OBJECT,
    },
    "name",
    "datatype",
    "shape",
)
_INFERENCE = _object({"inputs": {"type": "array", "items": _TENSOR}, "id": _TEXT}, "inputs")
_INFERRED = _object({"outputs": {"type": "array", "items": _TENSOR}, "model_version": _TEXT}, "outputs")
_V2 = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
_OPEN_INFERENCE = (
    Operation(("/v2",), "get", "Says what the server is."),
    Operation(("/v2/health/live",), "get", "Says that the process answers."),
    Operation(("/v2/health/ready",), "get", "Says whether requests are answered."),
    Operation(_V2, "get", "Describes a model by the Open Inference Protocol."),
    Operation(tuple(f"{path}/ready" for path in _V2), "get", "Says whether a model answers."),
    Operation(
        tuple(f"{path}/infer" for path in _V2),
        "post",
        "Answers tensors, a column each, by the Open Inference Protocol.",
        _INFERRED,
        {_JSON: _INFERENCE, "application/octet-stream": {"type": "string", "format": "binary"}},
    ),
)

_V1 = ("/v1/models/{name}", "/v1/models/{name}/versions/{version}")
_INSTANCES = {
    "anyOf": [
        _object({"instances": {"type": "array", "items": _link("Row")}}, "instances"),
        _object({"inputs": _OBJECT}, "inputs"),
    ]
}
_TENSORFLOW = (
    Operation(_V1, "get", "Says which versions are available, as TensorFlow Serving does."),
    Operation(tuple(f"{path}/metadata" for path in _V1), "get", "Describes a model's signature."),
    Operation(
        tuple(f"{path}:predict" for path in _V1),
        "post",
        "Answers rows or columns, as TensorFlow Serving does.",
        body={_JSON: _INSTANCES},
    ),
)

_TABLES = {
    "anyOf": [
        _object({name: kind}, name)
        for name, kind in (
            ("dataframe_split", _OBJECT),
            ("dataframe_records", {"type": "array", "items": _link("Row")}),
            ("instances", {"type": ["array", "object"]}),
            ("inputs", {"type": ["array", "object"]}),
        )
    ]
}
_INVOCATIONS = (
    Operation(
        ("/invocations",),
        "post",
        "Answers a table, as MLflow's and SageMaker's clients send it.",
        _object({"predictions": {"type": "array"}}, "predictions"),
        {_JSON: _TABLES, "text/csv": _TEXT},
        named=False,
    ),
    Operation(
        ("/models/{name}/invoke",),
        "post",
        "Answers a table, as SageMaker asks a container of several models.",
        _object({"predictions": {"type": "array"}}, "predictions"),
        {_JSON: _TABLES, "text/csv": _TEXT},
    ),
    Operation(("/ping",), "get", "Says whether requests are answered."),
)

_PAGES = (
    Operation(("/health/live",), "get", "Says that the process answers."),
    Operation(("/health/ready",), "get", "Says whether requests are answered."),
    Operation(("/metrics",), "get", "Gives numbers as Prometheus text.", _TEXT, kind="text/plain"),
    Operation(("/models",), "get", "Names the lifecycles that are served."),
    Operation(("/models/{name}/health/ready",), "get", "Says whether a lifecycle's requests are answered."),
    Operation(("/openapi.json",), "get", "Gives this description.", named=False),
    Operation(("/docs",), "get", "Gives it as a page.", _TEXT, kind="text/html", named=False),
)


def _described(path: str, operation: Operation) -> dict[str, Any]:
    kind, schema = operation.refusal
    problem = {kind: {"schema": _link(schema)}}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            "200": {"description": "Done.", "content": {operation.kind: {"schema": operation.answer}}},
            "4XX": {"description": "The request is wrong.", "content": problem},
            "503": {"description": "Not now; come back.", "content": problem},
        },
    }
    named = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    if named or operation.parameters:
        described["parameters"] = [*named, *operation.parameters]
    if operation.body:
        content = {kind: {"schema": schema} for kind, schema in operation.body.items()}
        described["requestBody"] = {"required": True, "content": content}
    return described
