"""The server's description: OpenAPI 3.1 from the manifest and the contract, and a page of it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.service.settings import ServerSettings
    from everloop.table.contract import Contract

_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
}
_ID = {"type": "string", "minLength": 1, "maxLength": 200}
_PROBLEM = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("field", "rule", "expected", "type")},
            },
        },
    },
}


def describe(manifest: Manifest, contract: Contract, settings: ServerSettings) -> dict[str, Any]:
    """Gives the description of what a server answers now, as OpenAPI 3.1.

    Args:
        manifest: The champion's.
        contract: The champion's.
        settings: The server's limits and whether it asks for tokens.
    """
    schemas = {
        "Row": _row(manifest, contract),
        "Answer": _answer(manifest),
        "Feedback": _feedback(manifest),
        "Problem": _PROBLEM,
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.lifecycle,
            "version": str(manifest.version),
            "description": f"Predicts {manifest.target!r} ({manifest.task}).",
        },
        "paths": _paths(settings),
        "components": {"schemas": schemas},
    }
    if settings.tokens:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _row(manifest: Manifest, contract: Contract) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for column in manifest.inputs:
        kind = dict(_TYPES[column.type])
        if column.nullable:
            kind["type"] = [kind["type"], "null"]
        properties[column.name] = kind
    return {
        "type": "object",
        "properties": properties,
        "required": [column.name for column in manifest.inputs if not column.nullable],
        "additionalProperties": getattr(contract, "extra", "ignore") != "reject",
    }


def _answer(manifest: Manifest) -> dict[str, Any]:
    prediction: dict[str, Any] = {"type": "number"}
    score: dict[str, Any] = {"type": ["number", "null"]}
    if manifest.task != "regression":
        prediction = {"type": "string", "enum": list(manifest.classes)}
    if manifest.task == "multiclass":
        score = {"type": "array", "items": score, "description": f"One for each of {list(manifest.classes)}."}
    return {
        "type": "object",
        "required": ["id", "prediction", "score", "version"],
        "properties": {
            "id": _ID,
            "prediction": prediction,
            "score": score,
            "version": {"type": "integer"},
            "reasons": {"type": "array", "items": {"type": "object"}},
        },
    }


def _feedback(manifest: Manifest) -> dict[str, Any]:
    kinds = ["number"] if manifest.task == "regression" else ["string", "number", "boolean"]
    return {
        "type": "object",
        "required": ["id", "actual"],
        "properties": {"id": _ID, "actual": {"type": kinds}, "at": {"type": ["string", "integer"]}},
        "additionalProperties": False,
    }


def _paths(settings: ServerSettings) -> dict[str, Any]:
    row, answer, entry = _link("Row"), _link("Answer"), _link("Feedback")
    rows = _object({"rows": {"type": "array", "items": row, "maxItems": settings.limits.rows}}, "rows")
    rows["properties"]["ids"] = {"type": "array", "items": {"type": ["string", "null"]}}
    named = _object({"row": row, "id": _ID}, "row")
    answers = _object({"predictions": {"type": "array", "items": answer}}, "predictions")
    many = {"type": "array", "items": entry}
    explain = {
        "name": "explain",
        "in": "query",
        "schema": {"type": "integer", "minimum": 0, "maximum": 100},
        "description": "How many reasons to give.",
    }
    predict = _operation(
        "Answers a row or several.", {"anyOf": [answer, answers]}, {"anyOf": [row, rows, named]}
    )
    predict["parameters"] = [explain]
    taken = _object({"accepted": {"type": "integer"}}, "accepted")
    actuals = _object({"actuals": many}, "actuals")
    return {
        "/predict": {"post": predict},
        "/feedback": {"post": _operation("Takes actuals.", taken, {"anyOf": [entry, many, actuals]})},
        "/features/{source}": {
            "post": _operation(
                "Takes events of a source that features look at.", taken, {"type": ["object", "array"]}
            )
        },
        "/health/live": {"get": _operation("Says that the process answers.", {"type": "object"})},
        "/health/ready": {"get": _operation("Says whether requests are answered.", {"type": "object"})},
        "/metrics": {
            "get": _operation("Gives numbers as Prometheus text.", {"type": "string"}, kind="text/plain")
        },
        "/openapi.json": {"get": _operation("Gives this description.", {"type": "object"})},
        "/docs": {"get": _operation("Gives it as a page.", {"type": "string"}, kind="text/html")},
    }


def _link(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _operation(
    summary: str,
    answer: dict[str, Any],
    body: dict[str, Any] | None = None,
    *,
    kind: str = "application/json",
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": _link("Problem")}}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": {"description": "Done.", "content": {kind: {"schema": answer}}},
            "4XX": {"description": "The request is wrong.", "content": problem},
            "503": {"description": "Not now; come back.", "content": problem},
        },
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }}
code, pre {{ font: 14px/1.5 ui-monospace, monospace; background: #f3f4f6; border-radius: 4px; }}
pre {{ padding: .75rem; overflow: auto; }} h2 code {{ padding: .1rem .4rem; }}
</style></head>
<body><h1>{title}</h1><p>{about}</p>{paths}<h2>Forms</h2>{schemas}</body></html>
"""


def docs_page(document: dict[str, Any]) -> str:
    """Gives a description as a page that loads nothing else."""
    paths = "".join(
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        f"<h3>{escape(name)}</h3><pre>{escape(_pretty(schema))}</pre>"
        for name, schema in document["components"]["schemas"].items()
    )
    info = document["info"]
    title = f"{info['title']} v{info['version']}"
    return _PAGE.format(title=escape(title), about=escape(info["description"]), paths=paths, schemas=schemas)


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
