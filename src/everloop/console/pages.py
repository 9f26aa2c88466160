"""The page of anything that has an id."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from everloop.core.errors import NotFound
from everloop.core.ids import kind_of

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.report import Page

PAGES: dict[str, str] = {
    "run": "everloop.console.run_page:run_page",
    "version": "everloop.console.version_page:version_page",
    "window": "everloop.console.window_page:window_page",
    "decision": "everloop.console.decision_page:decision_page",
}
"""From the kind of a row to the function that builds its page from workspace and row."""

BACKTEST = "backtest"
"""The name of the last backtest's page."""

_DIGITS = 9


def page_for(workspace: Workspace, identity: str | None = None) -> Page:
    """Builds the page of a run, version, window or decision, or of the whole lifecycle.

    Args:
        workspace: The lifecycle.
        identity: An id; `v7` or `7` for a version; `backtest` for the last one; None for the lifecycle's
            whole story.

    Returns:
        The page.

    Raises:
        NotFound: When the record has nothing of that id, or the thing has no page.
    """
    from everloop.console.run_page import run_page

    if identity is None:
        return run_page(workspace)
    if identity == BACKTEST:
        return _backtest(workspace)
    row = _row(workspace, identity)
    kind = kind_of(row.id)
    if kind not in PAGES:
        raise NotFound(f"A {kind} has no page of its own; {_ones()} have.", hint=f"everloop why {row.id}")
    module, _, name = PAGES[kind].partition(":")
    page: Page = getattr(import_module(module), name)(workspace, row)
    return page


def _backtest(workspace: Workspace) -> Page:
    import json

    from everloop.console.backtest_page import backtest_page
    from everloop.loop.backtest import result_path

    try:
        result = json.loads(result_path(workspace).read_bytes())
    except FileNotFoundError:
        raise NotFound(f"{workspace.name} has no backtest yet.", hint="everloop backtest") from None
    return backtest_page(result, lifecycle=workspace.name)


def _row(workspace: Workspace, identity: str) -> Any:
    from everloop.deploy.versions import require_version
    from everloop.record.why import lookup

    digits = identity.removeprefix("v")
    if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS:
        return require_version(workspace.record, workspace.name, int(digits))
    row = lookup(workspace.record, identity)
    if row.lifecycle != workspace.name:
        raise NotFound(
            f"{identity} is of the lifecycle {row.lifecycle!r}, not of {workspace.name!r}.",
            hint="everloop status",
        )
    return row


def _ones() -> str:
    names = [f"{kind}s" for kind in PAGES]
    return f"{', '.join(names[:-1])} and {names[-1]}"
