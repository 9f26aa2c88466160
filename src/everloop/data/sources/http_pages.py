"""From one page of an HTTP API to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from everloop.core.errors import SourceUnreadable
from everloop.data.sources.http_client import Page, Question

if TYPE_CHECKING:
    from everloop.spec.http import HttpPages

_MISSING = object()


class Earlier:
    """Notices that pages go round, where the reading would never end."""

    def __init__(self) -> None:
        self._asked: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        self._last = ""

    def require_new(self, page: Page) -> None:
        """Raises where a page was asked for before, or has, to the byte, what the one before it had.

        The latter is how an API answers that does not know the parameter of the page.

        Raises:
            SourceUnreadable: When it is not new.
        """
        asked = (page.question.address, tuple(sorted(page.question.parameters.items())))
        if asked in self._asked or page.digest == self._last:
            raise _unlike(page, "is one that was read already: the pages go round", "look at pages")
        self._asked.add(asked)
        self._last = page.digest if page.body else ""


def first_question(address: str, parameters: dict[str, str], pages: HttpPages | None) -> Question:
    """Asks for the first page."""
    if pages is not None:
        parameters = dict(parameters)
        if pages.size is not None:
            parameters[pages.limit] = str(pages.size)
        if pages.page is not None:
            parameters[pages.page] = str(pages.first)
        if pages.offset is not None:
            parameters[pages.offset] = "0"
    return Question(1, address, parameters)


def next_question(pages: HttpPages | None, page: Page, rows: int, rows_before: int) -> Question | None:
    """Asks for the page after one; nothing where that was the last.

    Args:
        pages: How the API divides its rows.
        page: The page that came.
        rows: How many rows it has.
        rows_before: How many rows all pages before it had.

    Raises:
        SourceUnreadable: When the next page is on another host, or is no address.
    """
    return None if pages is None else _NEXT[pages.way](pages, page, rows, rows_before)


def rows_of(page: Page, path: str | None) -> list[dict[str, Any]]:
    """Finds the rows of a page.

    Raises:
        SourceUnreadable: When there is no list of objects.
    """
    found, place = page.body, path or "the answer"
    if path is not None:
        found = at_path(page.body, path)
    elif isinstance(found, dict):
        lists = {name: value for name, value in found.items() if isinstance(value, list)}
        if len(lists) != 1:
            named = f"lists are {', '.join(lists)}" if lists else f"it has {', '.join(found) or 'nothing'}"
            raise _unlike(page, f"has {len(lists)} lists where one was expected; {named}", "rows: data.items")
        place, found = next(iter(lists.items()))
    if found is _MISSING or not isinstance(found, list):
        raise _unlike(page, f"has no list at {place}", "rows: the path to the list, such as data.items")
    for number, row in enumerate(found):
        if not isinstance(row, dict):
            raise _unlike(page, f"has a {type(row).__name__} at {place}[{number}] where an object belongs")
    return found


def at_path(body: Any, path: str) -> Any:
    """Follows a path such as `links.next` or `items.0`."""
    for key in path.split("."):
        if isinstance(body, dict) and key in body:
            body = body[key]
        elif isinstance(body, list) and key.isdigit() and int(key) < len(body):
            body = body[int(key)]
        else:
            return _MISSING
    return body


def _by_address(pages: HttpPages, page: Page, *_: int) -> Question | None:
    return _follow(page, at_path(page.body, str(pages.next)))


def _by_link(pages: HttpPages, page: Page, *_: int) -> Question | None:
    return _follow(page, page.links.get(str(pages.link)))


def _by_number(pages: HttpPages, page: Page, rows: int, _: int) -> Question | None:
    asked = page.question
    number = str(pages.first + asked.number)
    return _with(asked, {str(pages.page): number}) if rows else None


def _by_offset(pages: HttpPages, page: Page, rows: int, rows_before: int) -> Question | None:
    return _with(page.question, {str(pages.offset): str(rows_before + rows)}) if rows else None


def _by_place(pages: HttpPages, page: Page, *_: int) -> Question | None:
    place = at_path(page.body, str(pages.place))
    if place in (_MISSING, None, "", False):
        return None
    if not isinstance(place, (str, int)):
        raise _unlike(page, f"has a {type(place).__name__} at {pages.place} where a text belongs")
    return _with(page.question, {str(pages.cursor): str(place)})


def _follow(page: Page, address: Any) -> Question | None:
    if address in (_MISSING, None, "", False):
        return None
    if not isinstance(address, str):
        raise _unlike(page, f"has a {type(address).__name__} where the next page's address belongs")
    asked = page.question
    following = urljoin(asked.address, address)
    # Credentials go to the API alone.
    if _origin(following) != _origin(asked.address):
        raise _unlike(page, f"says that the next one is on another host, {_origin(following)[1]}")
    # The next page's address is whole: it has all parameters.
    return Question(asked.number + 1, following, {})


def _with(asked: Question, more: dict[str, str]) -> Question:
    return Question(asked.number + 1, asked.address, {**asked.parameters, **more})


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc


def _unlike(page: Page, what: str, hint: str | None = None) -> SourceUnreadable:
    name = page.question.name
    return SourceUnreadable(f"{name[:1].upper()}{name[1:]} {what}.", hint=hint)


_NEXT: dict[str, Callable[[HttpPages, Page, int, int], Question | None]] = {
    "next": _by_address,
    "link": _by_link,
    "page": _by_number,
    "offset": _by_offset,
    "cursor": _by_place,
}
