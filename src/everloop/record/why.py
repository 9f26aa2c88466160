"""Why something happened: everything that led to it.

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
from everloop.record.rows import KINDS, REFERENCES, Link, Row

if TYPE_CHECKING:
    from everloop.record.record import Record

SUMMARIES: dict[str, str] = {
    "run": "{status} {reason}",
    "step": "{name} ({phase}) {status} in {seconds:.1f} s",
    "version": "v{number} {status}",
    "deployment": "generation {generation}",
    "rollout": "{strategy} {state} at {share:.0%}",
    "window": "{status} {predictions} predictions, {actuals} actuals",
    "alert": "{kind} {severity}: {message}",
    "decision": "{kind}: {answer}, {reason}",
}
"""How a row of each kind is told in a line."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing in a chain.

    Attributes:
        id: Its id.
        kind: What it is: ``version``, ``decision``, or the word before an outside id.
        summary: It in a line.
        at: When it came to be, where that is known.
        facts: Its fields, as JSON carries them.
    """

    id: str
    kind: str
    summary: str = ""
    at: datetime | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chain:
    """A thing, everything that led to it, and how.

    Attributes:
        id: The thing that was asked about.
        causes: The thing itself and all behind it, each once, in the order of the walk.
        links: What led to what, in which role.
    """

    id: str
    causes: tuple[Cause, ...]
    links: tuple[Link, ...]

    def ids(self) -> list[str]:
        """Gives every id once, the thing itself first."""
        return [cause.id for cause in self.causes]

    def to_dict(self) -> dict[str, Any]:
        """Gives the chain as what JSON can carry, flat, since it can be deep."""
        return {
            "id": self.id,
            "causes": [to_jsonable(cause) for cause in self.causes],
            "links": [to_jsonable(link) for link in self.links],
        }

    def to_text(self, depth: int = 24) -> str:
        """Draws the chain as a tree, a line for each cause.

        Args:
            depth: How far to go back; where it ends earlier, the line says so.
        """
        return "\n".join(_drawn(self, depth))

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
        The chain; circles end where they close.

    Raises:
        NotFound: When neither the record nor the arguments know the thing.
    """
    further = [Link(cause, identity, role) for cause, role in causes]
    if not further and facts is None and not record.causes(identity):
        lookup(record, identity)
    told: dict[str, Cause] = {}
    links: dict[Link, None] = {}
    waiting = [identity]
    while waiting:
        current = waiting.pop()
        if current in told:
            continue
        row = _row(record, current)
        known = dict(facts or {}) if current == identity else {}
        told[current] = _told(current, row, known)
        found = [*(further if current == identity else ()), *_led_to(record, current, row)]
        links.update(dict.fromkeys(found))
        waiting.extend(link.cause for link in reversed(found))
    return Chain(identity, tuple(told.values()), tuple(links))


def lookup(record: Record, identity: str) -> Row:
    """Gives the row with this id, of whatever kind.

    Raises:
        NotFound: When no kind has it; the nearest ids of its own kind are named.
    """
    row = _row(record, identity)
    if row is not None:
        return row
    named = KINDS.get(kind_of(identity))
    if named is not None:
        return record.get(named, identity)
    raise NotFound(f"The record has nothing with the id {identity!r}.", hint="everloop status")


def _row(record: Record, identity: str) -> Row | None:
    named = KINDS.get(kind_of(identity))
    for kind in [named] if named else KINDS.values():
        found = record.find(kind, id=identity, limit=1)
        if found:
            return found[0]
    return None


def _led_to(record: Record, identity: str, row: Row | None) -> list[Link]:
    found = record.causes(identity)
    linked = {link.cause for link in found}
    for name in REFERENCES.get(type(row), ()) if row is not None else ():
        other = getattr(row, name)
        if other and other not in linked:
            found.append(Link(other, identity, name))
    return found


def _told(identity: str, row: Row | None, facts: dict[str, Any]) -> Cause:
    if row is None:
        return Cause(identity, kind_of(identity) or "thing", facts=to_jsonable(facts))
    kind = next(word for word, row_kind in KINDS.items() if row_kind is type(row))
    values = {name: getattr(row, name) for name in type(row).__dataclass_fields__}
    summary = SUMMARIES[kind].format(**values).strip()
    known = {name: value for name, value in values.items() if name not in ("id", "at")}
    return Cause(identity, kind, summary, row.at, {**to_jsonable(known), **to_jsonable(facts)})


def _drawn(chain: Chain, depth: int) -> list[str]:
    things = {cause.id: cause for cause in chain.causes}
    behind: dict[str, list[Link]] = {identity: [] for identity in things}
    for link in chain.links:
        behind[link.effect].append(link)
    lines: list[str] = []
    seen: set[str] = set()
    waiting = [(chain.id, "", "", "", 0)]
    while waiting:
        identity, role, first, rest, level = waiting.pop()
        if identity in seen:
            lines.append(f"{first}{role}{identity}  (told above)")
            continue
        too_deep = level >= depth and bool(behind[identity])
        seen.add(identity)
        tail = f"  (continues: everloop why {identity})" if too_deep else ""
        lines.append(f"{first}{role}{_line(things[identity])}{tail}")
        if too_deep:
            continue
        causes = behind[identity]
        for number, link in reversed(list(enumerate(causes))):
            last = number == len(causes) - 1
            corner, stem = ("└─ ", "   ") if last else ("├─ ", "│  ")
            waiting.append((link.cause, f"{link.role}: ", rest + corner, rest + stem, level + 1))
    return lines


def _line(cause: Cause) -> str:
    at = f"  [{cause.at:%Y-%m-%d %H:%M}]" if cause.at else ""
    return f"{cause.id}{'  ' if cause.summary else ''}{cause.summary}{at}"
