"""The web pages and the reports: what the record says, as pages to look at.

Everything here reads; nothing is changed. `page_for` builds the page of one thing by its id, and
`create_app` serves all of them.

Example:
    >>> from everloop.console import PAGES
    >>> sorted(PAGES)
    ['decision', 'run', 'version', 'window']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.console.app import create_app
    from everloop.console.pages import PAGES, page_for

_HOMES = {
    "PAGES": "pages",
    "create_app": "app",
    "page_for": "pages",
}

__all__ = ["PAGES", "create_app", "page_for"]

__getattr__ = lazy_names(__name__, _HOMES)
