"""`everloop why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.reading import opened, version_number

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record.why import Chain


def command(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or a version's number such as v7.")],
    file: LifecycleFile = DEFAULT_FILE,
    depth: Annotated[int, typer.Option(min=1, help="How far to go back.")] = 24,
) -> Answer:
    """Walks from a prediction, version, alert, decision or any other row to all that led to it.

    Example:
        everloop why v1
        everloop why prediction_01JD2Q8M2V9S1R7T4W6Y8Z0A2C
    """
    with opened(file) as workspace:
        chain = explain(workspace, identity)
    return Answer(chain.to_dict(), _told(chain, depth))


def explain(workspace: Workspace, identity: str) -> Chain:
    """Gives the chain behind an id, a version's number or a prediction in the log.

    Raises:
        NotFound: When neither the record nor the prediction log knows it.
    """
    from everloop.core.errors import NotFound
    from everloop.deploy.versions import find_version, require_version
    from everloop.record.why import why

    record = workspace.record
    number = version_number(identity)
    if number is not None:
        return why(record, require_version(record, workspace.name, number).id)
    try:
        return why(record, identity)
    except NotFound:
        line = _logged(workspace, identity)
        if line is None:
            raise
    version = find_version(record, workspace.name, line["version"])
    return why(record, identity, facts=line, causes=[(version.id, "version")] if version else [])


def _logged(workspace: Workspace, identity: str) -> dict[str, Any] | None:
    from everloop.runtime.log import read_log

    joined = read_log(workspace.log_folder).joined()
    found = joined.filter(joined["id"] == identity).to_dicts()
    return found[0] if found else None


def _told(chain: Chain, depth: int) -> str:
    text = chain.to_text(depth)
    asked = chain.causes[0]
    if "prediction" not in asked.facts:
        return text
    known = "time", "arm", "prediction", "score", "actual", "known_at", "row"
    lines = [f"  {name}: {asked.facts[name]}" for name in known if asked.facts.get(name) is not None]
    return "\n".join([text, "", f"{asked.id} was answered by v{asked.facts['version']}:", *lines])
