"""The server's description: OpenAPI 3.1 from the manifest and the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.core.tasks import decides_by
from everloop.runtime.server.openapi_paths import ID, paths_of

if TYPE_CHECKING:
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.package import Package
    from everloop.runtime.service.settings import ServerSettings

_TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "text": {"type": "string"},
    "time": {"type": "string", "format": "date-time"},
}
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
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def describe(package: Package, settings: ServerSettings, under: str = "") -> dict[str, Any]:
    """Gives the description of what a server answers now for a lifecycle, as OpenAPI 3.1.

    Args:
        package: The champion.
        settings: The server's limits and whether it asks for tokens.
        under: What stands before paths that themselves name no lifecycle.
    """
    manifest = package.manifest
    schemas = {
        "Row": _row(package, stored=settings.online is not None),
        "Answer": _answer(manifest),
        "Feedback": _feedback(manifest),
        "Problem": _PROBLEM,
        "Error": _ERROR,
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.lifecycle,
            "version": str(manifest.version),
            "description": f"Predicts {manifest.target!r} ({manifest.task})."
            if manifest.target
            else f"Answers a question of the kind {manifest.task}.",
        },
        "paths": paths_of(settings, under),
        "components": {"schemas": schemas},
    }
    if settings.tokens:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _row(package: Package, *, stored: bool) -> dict[str, Any]:
    """Describes a row; features that are not computed here have to be said, if only that they are null."""
    said = ("python",) if stored else ("python", "joined")
    properties: dict[str, Any] = {}
    for column in package.asked:
        kind = dict(_TYPES[column.type])
        if column.nullable:
            kind["type"] = [kind["type"], "null"]
        properties[column.name] = kind
    return {
        "type": "object",
        "properties": properties,
        "required": [column.name for column in package.asked if not column.nullable or column.origin in said],
        "additionalProperties": package.contract.extra != "reject",
    }


def _answer(manifest: Manifest) -> dict[str, Any]:
    prediction: dict[str, Any] = {"type": "number"}
    score: dict[str, Any] = {"type": ["number", "null"]}
    if not decides_by(manifest.task, "number"):
        prediction = {"type": "string", "enum": list(manifest.classes)}
    if decides_by(manifest.task, "items"):
        prediction = {"type": "array", "items": {"type": "string"}, "description": "The best item first."}
        score = {"type": "array", "items": score, "description": "One for each item of the list."}
    if decides_by(manifest.task, "largest"):
        score = {"type": "array", "items": score, "description": f"One for each of {list(manifest.classes)}."}
    return {
        "type": "object",
        "required": ["id", "prediction", "score", "version"],
        "properties": {
            "id": ID,
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
        "properties": {"id": ID, "actual": {"type": kinds}, "at": {"type": ["string", "integer"]}},
        "additionalProperties": False,
    }
