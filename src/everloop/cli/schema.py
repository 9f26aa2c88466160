"""`everloop schema`."""

from __future__ import annotations

import json

from everloop.cli.output import Answer


def command() -> Answer:
    """Prints the JSON Schema of everloop.yaml, for editors and other tools.

    Example:
        everloop schema > everloop.schema.json
    """
    from everloop.spec import json_schema

    schema = json_schema()
    return Answer(schema, json.dumps(schema, indent=2))
