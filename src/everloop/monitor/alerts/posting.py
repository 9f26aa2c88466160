"""JSON posted to an address, tried again with longer and longer waits."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from everloop.core.clock import Clock
from everloop.core.errors import OutsideFault, UsageFault
from everloop.core.values import to_jsonable

_TOO_MANY = 429


@dataclass(frozen=True)
class Post:
    """Posts JSON to one address, and tries again while the receiver is down.

    A redirect is not followed, so that an alert goes nowhere but to the address that was written.

    Attributes:
        kind: What the receiver is called in messages.
        address: An ``http`` or ``https`` address; it may hold a token, so no message shows its path.
        clock: Waits between tries.
        tries: How often at most.
        wait: Seconds before the second try; doubled before each later one.
        timeout: Seconds for one try.
    """

    kind: str
    address: str
    clock: Clock
    tries: int = 4
    wait: float = 0.5
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if not _is_web_address(self.address):
            raise UsageFault(
                f"The {self.kind}'s address is no http or https address without a user and blanks.",
                hint="https://host/path",
            )

    def __repr__(self) -> str:
        return f"Post({self.kind}, {self.host})"

    @property
    def host(self) -> str:
        """The address without its path, which may be secret."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def __call__(self, value: Any) -> None:
        """Posts a value.

        Raises:
            OutsideFault: When it did not arrive after all tries, or was refused.
        """
        body = json.dumps(to_jsonable(value), ensure_ascii=False).encode()
        answer = ""
        for number in range(self.tries):
            if number:
                self.clock.sleep(self.wait * 2 ** (number - 1))
            status, answer = self._post(body)
            if status is not None and 200 <= status < 300:
                return
            if status is not None and status < 500 and status != _TOO_MANY:
                raise OutsideFault(f"The {self.kind} {self.host} refuses the alert: {answer}.")
        raise OutsideFault(
            f"The {self.kind} {self.host} did not take the alert in {self.tries} tries: {answer}."
        )

    def _post(self, body: bytes) -> tuple[int | None, str]:
        """Posts once; gives the status, or None where no answer came, and the answer in words."""
        headers = {"Content-Type": "application/json", "User-Agent": "everloop"}
        request = urllib.request.Request(self.address, body, headers, method="POST")  # noqa: S310  (http and https only)
        try:
            with _OPENER.open(request, timeout=self.timeout) as response:
                return int(response.status), f"status {response.status}"
        except urllib.error.HTTPError as error:
            with error:
                return error.code, f"status {error.code}"
        except urllib.error.URLError as error:
            return None, str(error.reason)
        except (OSError, http.client.HTTPException) as error:
            return None, str(error) or type(error).__name__


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follows nothing."""


_OPENER = urllib.request.build_opener(_NoRedirect)


def _is_web_address(address: str) -> bool:
    """Tells whether urllib can ask it; what it would say of others shows the address."""
    try:
        parts = urlsplit(address)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and address.isascii()
            and address.isprintable()
            and " " not in address
        )
    except ValueError:
        return False
