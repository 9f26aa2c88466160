"""`everloop why`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.reading import opened, version_number
from everloop.cli.why_text import VersionStory, evidence_text, prediction_text, tree_text

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record.why import Chain


def command(
    identity: Annotated[str, typer.Argument(metavar="ID", help="An id, or a version's number such as v7.")],
    file: LifecycleFile = DEFAULT_FILE,
    depth: Annotated[int, typer.Option(min=1, help="How far to go back.")] = 24,
    otherwise: Annotated[
        bool,
        typer.Option(help="Of a prediction: also the smallest change that would be decided otherwise."),
    ] = False,
    fixed: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column that must stay. Repeatable.")
    ] = None,
) -> Answer:
    """Walks from a prediction, version, alert, decision or any other row to all that led to it.

    Of a version it says first what each phase found, what was decided about it, and what its gate checked.

    Example:
        everloop why v1
        everloop why prediction_01JD2Q8M2V9S1R7T4W6Y8Z0A2C --otherwise
    """
    with opened(file) as workspace:
        chain = explain(workspace, identity)
        story = _story(workspace, chain)
        found, text = ({}, "") if not otherwise else _otherwise(workspace, chain, fixed or [])
    told = {} if story is None else {"story": story.to_dict()}
    return Answer(chain.to_dict() | told | found, _text(chain, story, text, depth))


def _otherwise(workspace: Workspace, chain: Chain, fixed: list[str]) -> tuple[dict[str, Any], str]:
    """Finds the smallest change of a logged row that its version decides otherwise."""
    from everloop.core.errors import UsageFault
    from everloop.core.values import to_jsonable
    from everloop.deploy.versions import require_version

    asked = chain.causes[0]
    if "row" not in asked.facts:
        raise UsageFault(
            f"{asked.id} is no prediction, so nothing could be decided otherwise.",
            hint="everloop why PREDICTION_ID --otherwise",
        )
    version = require_version(workspace.record, workspace.name, asked.facts["version"])
    package = workspace.served(version).package
    row = asked.facts["row"]
    found = package.counterfactual(json.loads(row) if isinstance(row, str) else row, fixed=fixed)
    if found is None:
        return {"otherwise": None}, "no change of up to three columns is decided otherwise"
    told = [f"  {change.column}: {change.value} -> {change.to}" for change in found.changes]
    head = f"would be {found.prediction} (score {found.score}) with the smallest change found:"
    return {"otherwise": to_jsonable(found)}, "\n".join([head, *told])


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
    """Finds an answer in the prediction log, which is read a part at a time."""
    from everloop.runtime.log import LogReader

    with LogReader(workspace.log_folder).span() as span:
        for part in span.facts():
            for moment in part.filter(part["id"] == identity)["time"]:
                for lines in span.lines(moment, moment + timedelta(microseconds=1)):
                    for line in lines.filter(lines["id"] == identity).head(1).to_dicts():
                        return line
    return None


def _story(workspace: Workspace, chain: Chain) -> VersionStory | None:
    """Tells of the version that was asked about, or that gave the answer that was asked about."""
    from everloop.deploy.versions import find_version

    asked = chain.causes[0]
    number = asked.facts.get("number" if asked.kind == "version" else "version")
    if asked.kind != "version" and "prediction" not in asked.facts:
        return None
    version = find_version(workspace.record, workspace.name, number) if isinstance(number, int) else None
    return None if version is None else VersionStory.read(workspace, version)


def _text(chain: Chain, story: VersionStory | None, otherwise: str, depth: int) -> str:
    asked = chain.causes[0]
    parts = [
        prediction_text(asked) if "prediction" in asked.facts else "",
        otherwise,
        story.to_text() if story is not None else "",
        evidence_text(asked.facts.get("facts") or {}) if asked.kind == "decision" else "",
        tree_text(chain, depth),
    ]
    return "\n\n".join(part for part in parts if part)
