"""An MLflow tracking server's REST interface, as far as it is used here.

Source:
    https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from everloop.core.errors import OutsideFault, ServerUnreachable, UsageFault
from everloop.core.extras import require

if TYPE_CHECKING:
    from httpx import Client, Response

_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_TIMEOUT = 60.0
_CONNECT_TIMEOUT = 5.0
_CHUNK = 1 << 20
_TOO_MANY = 429


class MlflowFault(OutsideFault):
    """MLflow answered, and what it answered is no.

    Attributes:
        reason: MLflow's own code for it, such as ``RESOURCE_DOES_NOT_EXIST``.
    """

    def __init__(self, message: str, *, reason: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class MlflowServer:
    """Speaks to a tracking server; reaches it at the first request.

    A redirect is not followed, so that a password goes nowhere but to the address that was written.

    Args:
        address: ``http://host:port/path`` or ``https://...``; ``user:password@`` before the host signs in
            by name, ``:token@`` with a token. No message shows more of it than scheme, host and port.

    Raises:
        UsageFault: When it is no such address.
        MissingExtra: When httpx is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address.strip())
            port = parts.port
        except ValueError:
            raise _not_an_address() from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise _not_an_address()
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.place = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
        httpx = require("httpx", extra="train")
        headers, auth = {}, None
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if user:
            auth = httpx.BasicAuth(user, password)
        elif password:
            headers["authorization"] = f"Bearer {password}"
        try:
            self._client: Client = httpx.Client(
                base_url=self.place + parts.path.rstrip("/"),
                headers=headers,
                auth=auth,
                timeout=httpx.Timeout(_TIMEOUT, connect=_CONNECT_TIMEOUT),
            )
        except httpx.InvalidURL:
            raise _not_an_address() from None

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Asks for something.

        Raises:
            ServerUnreachable: When the server does not answer, or is overloaded.
            MlflowFault: When it refuses.
        """
        return self._asked("GET", f"{_API}/{path}", params=parameters)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Makes or changes something; raises as `get` does."""
        return self._asked("POST", f"{_API}/{path}", json=body)

    def upload(self, file: Path, to: str) -> None:
        """Puts a file into the artifacts, through the server; raises as `get` does.

        Args:
            file: What to send.
            to: Its path below the root of the server's artifacts.
        """
        headers = {"content-length": str(file.stat().st_size), "content-type": "application/octet-stream"}
        self._asked("PUT", f"{_FILES}/{quote(to)}", content=_chunks(file), headers=headers)

    def close(self) -> None:
        """Lets go of the connections."""
        self._client.close()

    def _asked(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        import httpx

        try:
            response = self._client.request(method, path, **sent)
        except httpx.HTTPError as error:
            raise ServerUnreachable(
                f"MLflow at {self.place} does not answer: {type(error).__name__}.",
                hint="start it, or correct its address under integrations",
            ) from None
        told = _read(response)
        if response.is_success and told is None:
            raise MlflowFault(f"What answers at {self.place} is not MLflow.")
        if response.is_success:
            return told or {}
        raise self._fault(response, told or {})

    def _fault(self, response: Response, told: dict[str, Any]) -> OutsideFault:
        status, reason = response.status_code, str(told.get("error_code", ""))
        if status == _TOO_MANY or status >= 500:
            return ServerUnreachable(f"MLflow at {self.place} fails with status {status}.")
        if status in (401, 403):
            return MlflowFault(
                f"MLflow at {self.place} does not let us in (status {status}).",
                reason=reason,
                hint="put user:password@ or :token@ before the host of its address",
            )
        said = str(told.get("message", "")).partition("\n")[0] or f"status {status}"
        return MlflowFault(f"MLflow at {self.place} refuses it: {said}", reason=reason)


def _not_an_address() -> UsageFault:
    return UsageFault(
        "The address of MLflow is not one of a tracking server.",
        hint="http://127.0.0.1:5000, or env:MLFLOW_TRACKING_URI where it holds a password or token",
    )


def _read(response: Response) -> dict[str, Any] | None:
    """Reads an answer; None where it is not one of MLflow's."""
    if not response.content.strip():
        return {}
    try:
        told = response.json()
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            yield chunk
