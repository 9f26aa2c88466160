"""What streams have in common: messages become rows, a bound ends a reading, flawed messages are named."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

from everloop.core.values import to_jsonable
from everloop.data.sources.bad_rows import BadRow
from everloop.data.sources.row_batches import RowLanding

BATCH_MESSAGES = 20_000
_INTEGERS = 2**63


class FlawedMessage(Exception):
    """A message's content cannot be read.

    Args:
        why: What is wrong with it, in words.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class StreamBatch:
    """Messages that came together.

    Attributes:
        rows: Column to value, a row for each message that can be read.
        bad: The others.
        position: Where a later reading continues after them, as JSON-able data.
        taken: Tells the other side that they are kept; None where it need not know.
    """

    rows: Sequence[Mapping[str, Any]]
    bad: Sequence[BadRow]
    position: dict[str, Any]
    taken: Callable[[], None] | None = None


@runtime_checkable
class StreamSource(Protocol):
    """A source that can be followed: its rows go on coming.

    - `follow(position)` gives batches after a position, from the beginning for None, as they come. It
      gives a batch without rows at least once a second, and ends when its caller closes it.
    - A batch that was taken is not given again after its position.
    - Errors are those of a `Source`.
    """

    def follow(self, position: dict[str, Any] | None) -> Iterator[StreamBatch]:
        """Gives what comes, without an end."""
        ...


@dataclass
class Bound:
    """Where a reading ends: after so many messages, or so much time.

    Args:
        messages: At most so many; None is without end.
        time: At most so long; None is without end.
    """

    messages: int | None
    time: timedelta | None
    _count: int = 0
    _started: float = field(default_factory=perf_counter)

    def room(self) -> int:
        """Tells how many messages may still be taken at once."""
        left = BATCH_MESSAGES if self.messages is None else self.messages - self._count
        return max(0, min(BATCH_MESSAGES, left))

    def took(self, messages: int) -> None:
        """Counts messages."""
        self._count += messages

    @property
    def reached(self) -> bool:
        """Whether the reading is over."""
        late = self.time is not None and perf_counter() - self._started >= self.time.total_seconds()
        return late or self.room() == 0


def bad_message(place: str, unit: str, number: int, flaw: FlawedMessage, content: bytes | None) -> BadRow:
    """Names a message that cannot be read."""
    return BadRow(place, number, flaw.why, (content or b"").decode("utf-8", "backslashreplace"), unit)


def land(rows: Sequence[Mapping[str, Any]], folder: Path) -> tuple[Path, ...]:
    """Writes rows as Parquet; their columns are all that any of them has, in the order of first sight."""
    if not rows:
        return ()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    landing = RowLanding(folder, columns)
    landing.add([[row.get(name) for name in columns] for row in rows])
    return landing.files()


def row_of(content: Any) -> dict[str, Any]:
    """Gives a decoded message as a row: what is nested becomes JSON text, bytes become base64.

    Raises:
        FlawedMessage: When it is no object, or holds a number that no table can hold.
    """
    if not isinstance(content, dict):
        raise FlawedMessage(f"expected an object of column to value, not {_kind(content)}")
    if len({name.lower() for name in content}) < len(content):
        raise FlawedMessage("two fields differ in small and capital letters alone")
    return {name: _plain(value, name) for name, value in content.items()}


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(to_jsonable(_without_bytes(value)), ensure_ascii=False)
    if isinstance(value, int) and not -_INTEGERS <= value < _INTEGERS:
        raise FlawedMessage(f"the field {name} holds a whole number beyond 64 bits")
    return _without_bytes(value)


def _without_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _without_bytes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_bytes(item) for item in value]
    return value


def json_row(content: bytes | None) -> dict[str, Any]:
    """Reads a message of JSON.

    Raises:
        FlawedMessage: When it is no JSON object.
    """
    import msgspec

    if not content:
        raise FlawedMessage("the message is empty")
    try:
        decoded = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise FlawedMessage(f"no JSON: {error}") from None
    return row_of(decoded)


_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)
