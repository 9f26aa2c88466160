"""Which function answers which path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from everloop.runtime.http import Refusal, Request, Response
from everloop.runtime.protocols.route import UNDER, Route, ServerRoute


class RouteTable:
    """Finds routes by path; a plain path by one look-up, one with parameters by its pattern."""

    def __init__(self, routes: Iterable[Route | ServerRoute]) -> None:
        self._plain: dict[str, dict[str, Route | ServerRoute]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route | ServerRoute]]] = {}
        self._refused: dict[str, Callable[[Refusal], Response]] = {}
        for route in routes:
            self._add(route.path, route)
            if not route.path.startswith(UNDER):
                self._refused[_first(route.path)] = route.refused
            if isinstance(route, Route) and "{name}" not in route.path:
                self._add(UNDER + route.path, route)

    def _add(self, path: str, route: Route | ServerRoute) -> None:
        if "{" in path:
            pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
            self._patterns.setdefault(path, (pattern, {}))[1][route.method] = route
        else:
            self._plain.setdefault(path, {})[route.method] = route

    def refused(self, path: str) -> Callable[[Refusal], Response]:
        """Gives how a path is refused: as the protocol says that its first part belongs to."""
        return self._refused.get(_first(path), Refusal.response)

    def find(self, request: Request) -> Route | ServerRoute:
        """Gives the route that a request asks for, and puts its parameters into the request.

        Raises:
            Refusal: 404 for an unknown path, 405 for a method that the path has not.
        """
        by_method = self._plain.get(request.path) or self._match(request)
        method = "GET" if request.method == "HEAD" else request.method
        if method in by_method:
            return by_method[method]
        allowed = ", ".join(sorted(by_method))
        raise Refusal(405, "The path has no such method.", f"Expected {allowed}.", headers={"allow": allowed})

    def _match(self, request: Request) -> dict[str, Route | ServerRoute]:
        for pattern, by_method in self._patterns.values():
            found = pattern.fullmatch(request.path)
            if found:
                request.parameters = found.groupdict()
                return by_method
        raise Refusal(404, "There is no such path.", "GET /openapi.json lists the paths.")


def _first(path: str) -> str:
    return path[1:].partition("/")[0]
