"""Why something happened: the chain of its causes.

Causes are the links of the record and the fields of a row that name another row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.errors import NotFound
from everloop.core.ids import kind_of
from everloop.core.values import to_jsonable
from everloop.record.rows import KINDS, REFERENCES, Row

if TYPE_CHECKING:
    from everloop.record.record import Record

SUMMARIES: dict[str, str] = {
    "run": "{status} {reason}",
    "step": "{name} ({phase}) {status} in {seconds:.1f} s",
    "version": "v{number} {status}",
    "deployment": "generation {generation}",
    "rollout": "{strategy} {state} at {share:.0%}",
    "window": "{status} {predictions} predictions, {actuals} actuals, from {since:%Y-%m-%d %H:%M}",
    "alert": "{kind} {severity}: {message}",
    "decision": "{kind}: {answer}, {reason}",
}
"""How a row of each kind is told in a line."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing in a chain, and what led to it.

    Attributes:
        id: Its id.
        kind: What it is: ``version``, ``decision``, or the word before an outside id.
        role: What it was to the thing that it led to; empty for the thing asked about.
        summary: It in a line.
        at: When it came to be, where that is known.
        facts: Its fields, as JSON carries them.
        causes: What led to it.
        repeated: Whether it is told elsewhere in the chain; its causes are left out here.
    """

    id: str
    kind: str
    role: str = ""
    summary: str = ""
    at: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    repeated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Gives the cause and all behind it as what JSON can carry."""
        return {
            "id": self.id,
            "kind": self.kind,
            "role": self.role,
            "summary": self.summary,
            "at": to_jsonable(self.at),
            "facts": self.facts,
            "repeated": self.repeated,
            "causes": [cause.to_dict() for cause in self.causes],
        }


@dataclass(frozen=True, slots=True)
class Chain:
    """A thing and the tree of its causes."""

    root: Cause

    def to_dict(self) -> dict[str, Any]:
        """Gives the tree as what JSON can carry."""
        return self.root.to_dict()

    def ids(self) -> list[str]:
        """Gives every id in the tree once, the thing itself first."""
        found: dict[str, None] = {}
        waiting = [self.root]
        while waiting:
            cause = waiting.pop()
            found.setdefault(cause.id)
            waiting.extend(reversed(cause.causes))
        return list(found)

    def to_text(self) -> str:
        """Draws the tree, a line for each cause."""
        return "\n".join(_lines(self.root, "", ""))

    def __str__(self) -> str:
        return self.to_text()


def why(
    record: Record,
    identity: str,
    *,
    facts: Mapping[str, Any] | None = None,
    causes: Iterable[tuple[str, str]] = (),
) -> Chain:
    """Walks from a thing to everything that led to it.

    Args:
        record: Where the links are.
        identity: The id of a row, or of a thing outside the record that something is known about.
        facts: What is known about a thing outside, such as a line of the prediction log.
        causes: Further causes of the thing asked about, as pairs of an id and a role; a prediction
            is resolved so, by its version.

    Returns:
        The chain. A thing that is met a second time is named, and its causes are not repeated, so
        circles end.

    Raises:
        NotFound: When neither the record nor the arguments know the thing.
    """
    started = list(causes)
    if not started and facts is None and not record.causes(identity):
        lookup(record, identity)
    seen: set[str] = set()
    return Chain(_walk(record, identity, "", dict(facts or {}), started, seen))


def lookup(record: Record, identity: str) -> Row:
    """Gives the row with this id, of whatever kind.

    Raises:
        NotFound: When no kind has it; the nearest ids of its own kind are named.
    """
    named = KINDS.get(kind_of(identity))
    kinds = ([named] if named else []) + [kind for kind in KINDS.values() if kind is not named]
    fault: NotFound | None = None
    for kind in kinds:
        try:
            return record.get(kind, identity)
        except NotFound as error:
            fault = fault or error
    if named and fault:
        raise fault
    raise NotFound(f"The record has nothing with the id {identity!r}.", hint="everloop status")


def _walk(
    record: Record,
    identity: str,
    role: str,
    facts: dict[str, Any],
    further: list[tuple[str, str]],
    seen: set[str],
) -> Cause:
    row = _row_or_nothing(record, identity)
    told = _told(identity, role, row, facts)
    if identity in seen:
        return Cause(told.id, told.kind, role, told.summary, told.at, repeated=True)
    seen.add(identity)
    led = dict.fromkeys(further)
    led.update(dict.fromkeys((link.cause, link.role) for link in record.causes(identity)))
    named = {cause for cause, _ in led}
    if row is not None:
        for field_name in REFERENCES.get(type(row), ()):
            other = getattr(row, field_name)
            if other and other not in named:
                led[(other, field_name)] = None
    behind = tuple(_walk(record, cause, its_role, {}, [], seen) for cause, its_role in led)
    return Cause(told.id, told.kind, role, told.summary, told.at, told.facts, behind)


def _row_or_nothing(record: Record, identity: str) -> Row | None:
    try:
        return lookup(record, identity)
    except NotFound:
        return None


def _told(identity: str, role: str, row: Row | None, facts: dict[str, Any]) -> Cause:
    if row is None:
        return Cause(identity, kind_of(identity) or "thing", role, facts=to_jsonable(facts))
    kind = next(word for word, row_kind in KINDS.items() if row_kind is type(row))
    values = {name: getattr(row, name) for name in _field_names(type(row))}
    shown = {name: "" if value is None else value for name, value in values.items()}
    if shown.get("since") == "":
        shown["since"] = row.at
    summary = SUMMARIES[kind].format(**shown).strip()
    known = {name: value for name, value in values.items() if name not in ("id", "at")}
    return Cause(identity, kind, role, summary, row.at, {**to_jsonable(known), **to_jsonable(facts)})


def _field_names(kind: type[Row]) -> list[str]:
    return list(kind.__dataclass_fields__)


def _lines(cause: Cause, first: str, rest: str) -> list[str]:
    role = f"{cause.role}: " if cause.role else ""
    at = f"  [{cause.at:%Y-%m-%d %H:%M}]" if cause.at else ""
    tail = "  (told above)" if cause.repeated else ""
    summary = f"  {cause.summary}" if cause.summary else ""
    lines = [f"{first}{role}{cause.id}{summary}{at}{tail}"]
    for number, behind in enumerate(cause.causes):
        last = number == len(cause.causes) - 1
        lines += _lines(behind, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
    return lines
