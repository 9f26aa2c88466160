"""Manifests of Kubernetes as YAML."""

from __future__ import annotations

import io
from typing import Any


def yaml_of(*documents: dict[str, Any]) -> bytes:
    """Writes manifests as YAML, one after another, keys in their order."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.default_flow_style = False
    writer.width = 4096
    out = io.StringIO()
    writer.dump_all(documents, out)
    return out.getvalue().encode()
