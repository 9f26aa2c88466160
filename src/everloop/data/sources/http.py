"""HTTP APIs that answer with JSON, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.clock import parse_time
from everloop.core.digest import digest_value
from everloop.core.errors import SourceUnreadable, SpecFault, UsageFault
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.data.sources.http_auth import revealed
from everloop.data.sources.http_client import Page, PageReader, Question
from everloop.data.sources.http_pages import Earlier, first_question, next_question, rows_of
from everloop.data.sources.protocol import Capabilities, Increment, Surroundings
from everloop.data.sources.row_batches import RecordLanding
from everloop.data.sources.sql_position import first_value, missing_cursor, position_of

if TYPE_CHECKING:
    from everloop.spec import HttpSource


@dataclass(frozen=True)
class Api:
    """The rows of an API's pages.

    A field's type is the one that all its values have; times stay text, since JSON has none, and
    objects and lists stay JSON. A page that does not come is asked for again. With a cursor and
    `since` only rows from the last value on are asked for; without `since` all pages are read, and
    those rows are kept that are not kept yet.
    """

    spec: HttpSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="http",
        reads="an HTTP API that answers with JSON, page by page",
        cheap_fingerprint=False,
        keeps_order=True,
        needs_network=True,
        incremental=True,
        retries_itself=True,
    )

    def identity(self) -> dict[str, Any]:
        """Names the address and what is asked; secrets by their references."""
        parameters = {name: str(value) for name, value in self.spec.parameters.items()}
        headers = {name: str(value) for name, value in self.spec.headers.items()}
        place = [self.spec.http, parameters, headers, self.spec.rows]
        return {"api": digest_value(place)[:16], "cursor": self.spec.cursor}

    def read_after(self, position: dict[str, Any] | None, scratch: Path) -> Iterator[Increment]:
        """Reads all pages, as one increment.

        Raises:
            SourceUnreachable: When a page does not come after some attempts; it and its status are named.
            SourceUnreadable: When a page is no JSON, or has no rows where they should be.
        """
        landing, cursor = RecordLanding(scratch / "records"), self.spec.cursor
        last = None if position is None else first_value(position, None)
        for page, rows in self._pages(position):
            landing.add(rows)
            if cursor is not None and rows:
                last = _latest(page, rows, cursor, last)
            message = f"{landing.rows:,} rows from {page.question.number:,} pages"
            self.surroundings.progress(Event("data", message, facts={"rows": landing.rows}))
        if cursor is None:
            yield Increment(landing.files(), None)
        elif landing.rows:
            yield Increment(landing.files(), position_of(cursor, last), cursor)

    def _pages(self, position: dict[str, Any] | None) -> Iterator[tuple[Page, list[dict[str, Any]]]]:
        parameters = {name: revealed(value) for name, value in self.spec.parameters.items()}
        if self.spec.since is not None and position is not None:
            parameters[self.spec.since] = _since(position, self.spec.late)
        question: Question | None = first_question(self.spec.http, parameters, self.spec.pages)
        before, earlier = 0, Earlier()
        with PageReader(self.spec, self.surroundings) as reader:
            while question is not None:
                page = reader.read(question)
                earlier.require_new(page)
                rows = rows_of(page, self.spec.rows)
                yield page, rows
                question = next_question(self.spec.pages, page, len(rows), before)
                before += len(rows)


def _latest(page: Page, rows: list[dict[str, Any]], cursor: str, last: Any) -> Any:
    values = [row.get(cursor) for row in rows]
    if None in values:
        raise missing_cursor(cursor)
    try:
        return max(values if last is None else [*values, last])
    except TypeError:
        kinds = sorted({type(value).__name__ for value in [*values, last] if value is not None})
        name = page.question.name
        raise SourceUnreadable(
            f"{name[:1].upper()}{name[1:]} has a cursor {cursor} of several types: {', '.join(kinds)}."
        ) from None


def _since(position: dict[str, Any], late: timedelta | None) -> str:
    last = str(position["last"])
    if late is None:
        return last
    try:
        return str(to_jsonable(parse_time(last) - late))
    except UsageFault:
        raise SpecFault(
            f"late is a span of time, and the cursor {position['cursor']} is {last!r}, which is no time."
        ) from None
