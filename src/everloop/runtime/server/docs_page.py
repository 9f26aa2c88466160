"""The server's description as a page that loads nothing else."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec

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
    """Gives a description (OpenAPI) as HTML."""
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
