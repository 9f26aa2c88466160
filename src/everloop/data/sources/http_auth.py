"""How an HTTP request proves who asks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require

if TYPE_CHECKING:
    import httpx

    from everloop.spec.http import HttpAuth


def revealed(value: Any) -> str:
    """Gives the content of a secret or an open text, at the moment of use."""
    return value if isinstance(value, str) else str(value.reveal())


def credentials(auth: HttpAuth, client: httpx.Client) -> dict[str, str]:
    """Gives the headers that prove who asks; OAuth2 asks for a token first.

    Raises:
        SourceUnreachable: When the token's server does not answer.
        SourceUnreadable: When it gives no token.
    """
    return _HEADERS[auth.kind](auth, client)


def secrets_of(auth: HttpAuth | None, others: Mapping[str, Any]) -> tuple[str, ...]:
    """Gives all texts that no message may carry."""
    named = [getattr(auth, name) for name in type(auth).model_fields] if auth else []
    hidden = [one for one in [*named, *others.values()] if hasattr(one, "reveal")]
    return tuple(one.reveal() for one in hidden)


def _bearer(auth: HttpAuth, _: httpx.Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {revealed(auth.bearer)}"}


def _basic(auth: HttpAuth, _: httpx.Client) -> dict[str, str]:
    pair = f"{revealed(auth.user)}:{revealed(auth.password)}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _header(auth: HttpAuth, _: httpx.Client) -> dict[str, str]:
    return {str(auth.header): revealed(auth.value)}


def _oauth(auth: HttpAuth, client: httpx.Client) -> dict[str, str]:
    """Asks for a token as RFC 6749, section 4.4 says, with the client in basic authentication."""
    httpx = require("httpx", extra="train")
    asked = {"grant_type": "client_credentials", **({"scope": auth.scope} if auth.scope else {})}
    pair = (revealed(auth.client), revealed(auth.secret))
    try:
        answer = client.post(str(auth.token), data=asked, auth=pair)
    except httpx.HTTPError as error:
        raise SourceUnreachable(
            f"{auth.token}, which gives the token, does not answer: {type(error).__name__}."
        ) from None
    if answer.status_code in _BUSY:
        raise SourceUnreachable(f"{auth.token}, which gives the token, answers {answer.status_code}.")
    try:
        token = answer.json()["access_token"] if answer.status_code < 300 else None
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str):
        raise SourceUnreadable(
            f"{auth.token} gives no token: it answers {answer.status_code}.",
            hint="look at client, secret and scope",
        )
    return {"Authorization": f"Bearer {token}"}


_BUSY = (429, 500, 502, 503, 504)
_HEADERS: dict[str, Callable[[HttpAuth, httpx.Client], dict[str, str]]] = {
    "bearer": _bearer,
    "basic": _basic,
    "header": _header,
    "oauth": _oauth,
}
