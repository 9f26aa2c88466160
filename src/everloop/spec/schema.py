"""The lifecycle file's JSON Schema, for editors and other tools."""

from __future__ import annotations

from typing import Any

from everloop.spec.lifecycle import LifecycleSpec
from everloop.spec.secret import PATTERN as SECRET_PATTERN

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Forms that a validator of ours takes beside the part's own keys.
_SHORT_FORMS: dict[str, dict[str, Any]] = {
    "HttpAuth": {"type": "string", "pattern": SECRET_PATTERN},
    "Budget": {"type": "string", "examples": ["2m"]},
    "WindowSpec": {"type": "string", "examples": ["1d"]},
    "HistorySpec": {"const": "growing"},
}


def json_schema() -> dict[str, Any]:
    """Gives the JSON Schema (draft 2020-12) of the lifecycle file."""
    schema = LifecycleSpec.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    for name, short in _SHORT_FORMS.items():
        definitions[name] = {
            "anyOf": [short, definitions[name]],
            "description": definitions[name]["description"],
        }
    return {"$schema": DIALECT, "title": "everloop.yaml"} | {k: v for k, v in schema.items() if k != "title"}
