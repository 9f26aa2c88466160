"""A package behind AWS Lambda: events of API Gateway, function URLs and load balancers, or rows alone.

An event that is an HTTP request goes through the same application as anywhere else, so contract,
protocols and metrics are the same. An event that is none is taken as the body of `POST /predict`.
"""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from everloop.core.errors import DataFault
from everloop.runtime.server.app import create_app
from everloop.runtime.service.settings import ServerSettings

LOG_VARIABLE = "EVERLOOP_LOG"
"""The folder of the prediction log; on Lambda one that outlives the instance is a mounted file system."""

_LEAST_HEADERS = {"content-type": "application/json"}


class LambdaHandler:
    """Answers events; made once for each instance of the function, outside the handler's time.

    Args:
        package: The package's folder.
        trusted: Public keys of which one must have signed it; empty asks for no signature.

    Raises:
        EverloopError: When the package is refused.
    """

    def __init__(self, package: Path, trusted: tuple[str, ...] = ()) -> None:
        folder = Path(os.environ.get(LOG_VARIABLE) or Path(tempfile.gettempdir()) / "everloop-log")
        folder.mkdir(parents=True, exist_ok=True)
        worker = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "0").rpartition("]")[2] or "0"
        settings = ServerSettings(package=str(package), log=str(folder), worker=worker, trusted=trusted)
        self._app = create_app(settings)
        self._app.start()
        self._loop = asyncio.new_event_loop()

    def __call__(self, event: Any, _context: Any = None) -> Any:
        """Answers one event.

        Args:
            event: As Lambda gives it.

        Returns:
            An HTTP answer for an HTTP event; else what `POST /predict` answers, as an object.

        Raises:
            DataFault: When rows alone are refused; the message is the problem, so that the invocation
                fails.
        """
        request = _request(event)
        answered = self._loop.run_until_complete(self._ask(request or _alone(event)))
        self._app.lifecycles.services[0].keeping.log.flush()
        if request is not None:
            return answered
        body = msgspec.json.decode(answered["body"])
        if answered["statusCode"] >= 400:
            raise DataFault(answered["body"])
        return body

    def close(self) -> None:
        """Commits the log."""
        self._app.stop()
        self._loop.close()

    async def _ask(self, scope_and_body: tuple[dict[str, Any], bytes]) -> dict[str, Any]:
        scope, body = scope_and_body
        answered: dict[str, Any] = {"isBase64Encoded": False}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered["statusCode"] = message["status"]
                answered["headers"] = {
                    name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]
                }
            else:
                answered["body"] = message["body"]

        await self._app(scope, receive, send)
        content = answered["body"]
        try:
            answered["body"] = content.decode()
        except UnicodeDecodeError:
            answered["body"] = base64.b64encode(content).decode()
            answered["isBase64Encoded"] = True
        return answered


def _request(event: Any) -> tuple[dict[str, Any], bytes] | None:
    """Reads an HTTP event of either form of API Gateway, a function URL or a load balancer."""
    if not isinstance(event, Mapping):
        return None
    context = event.get("requestContext")
    http = context.get("http") if isinstance(context, Mapping) else None
    if isinstance(http, Mapping):
        method, path = http.get("method"), event.get("rawPath")
        query = str(event.get("rawQueryString") or "")
    elif "httpMethod" in event and "path" in event:
        method, path = event["httpMethod"], event["path"]
        query = urlencode(event.get("queryStringParameters") or {})
    else:
        return None
    body = event.get("body") or ""
    content = base64.b64decode(body) if event.get("isBase64Encoded") else str(body).encode()
    return _scope(str(method), str(path), query, event.get("headers") or {}), content


def _alone(event: Any) -> tuple[dict[str, Any], bytes]:
    return _scope("POST", "/predict", "", _LEAST_HEADERS), msgspec.json.encode(event)


def _scope(method: str, path: str, query: str, headers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method.upper(),
        "path": path,
        "query_string": query.encode("ascii", "replace"),
        "headers": [
            (str(name).lower().encode("latin-1", "replace"), str(value).encode("latin-1", "replace"))
            for name, value in headers.items()
        ],
    }
