"""How an HTTP API is read: its pages, and who asks."""

from __future__ import annotations

from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from everloop.spec.fields import Count
from everloop.spec.part import Part
from everloop.spec.secret import AddressField, OpenAddress, SecretField, read_secret

_PAGES = "expected one of next, link, page, offset and cursor"
_AUTH = (
    "expected env:NAME or file:PATH of a bearer token, or one of {bearer}, {user, password}, {header, value} "
    "and {token, client, secret}"
)
# Each way to prove who asks: the keys that it needs.
AUTH_KINDS: dict[str, tuple[str, ...]] = {
    "bearer": ("bearer",),
    "basic": ("user", "password"),
    "header": ("header", "value"),
    "oauth": ("token", "client", "secret"),
}


class HttpPages(Part):
    """How to come to the next page; one of `next`, `link`, `page`, `offset` and `cursor`."""

    next: str | None = Field(
        None, description="Where an answer has the address of the next page, such as `links.next`."
    )
    link: str | None = Field(
        None, description="Which link of the `Link` header leads to the next page; `next` as a rule."
    )
    page: str | None = Field(
        None, description="The parameter with the page's number; read until one is empty."
    )
    offset: str | None = Field(
        None, description="The parameter with the number of rows to leave out; until a page is empty."
    )
    cursor: str | None = Field(None, description="The parameter with the place that the last answer gave.")
    place: str | None = Field(
        None, description="With `cursor`: where an answer has the place, such as `meta.next_cursor`."
    )
    first: int = Field(1, ge=0, strict=True, description="With `page`: the first page's number.")
    limit: str = Field("limit", description="With `size`: the parameter with the number of rows of a page.")
    size: Count | None = Field(None, description="How many rows of a page are asked for.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, way) is not None for way in ("next", "link", "page", "offset", "cursor")) != 1:
            raise ValueError(_PAGES)
        if (self.cursor is None) != (self.place is None):
            raise ValueError("expected cursor and place together")
        return self

    @property
    def way(self) -> str:
        """Which of the ways it is."""
        return next(way for way in ("next", "link", "page", "offset", "cursor") if getattr(self, way))


class HttpAuth(Part):
    """Who asks: `env:NAME` of a bearer token, or the keys of one other way."""

    bearer: SecretField | None = Field(None, description="A token.")
    user: AddressField | None = Field(None, description="A user's name, for basic authentication.")
    password: SecretField | None = Field(None, description="The user's password.")
    header: str | None = Field(None, description="The name of a header that carries a key.")
    value: SecretField | None = Field(None, description="The key.")
    token: OpenAddress | None = Field(
        None, description="Where OAuth2 gives a token for client and secret (client credentials)."
    )
    client: AddressField | None = Field(None, description="The client's id.")
    secret: SecretField | None = Field(None, description="The client's secret.")
    scope: str | None = Field(None, description="With `token`: what the token is asked for.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"bearer": read_secret(value)}
        if not isinstance(value, (dict, cls)):
            raise ValueError(_AUTH)
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        stated = {name for name in type(self).model_fields if getattr(self, name) is not None} - {"scope"}
        if stated not in [set(names) for names in AUTH_KINDS.values()] or (self.scope and not self.token):
            raise ValueError(_AUTH)
        if self.token is not None:
            check_web_address(self.token)
        return self

    @property
    def kind(self) -> str:
        """Which of the ways it is."""
        return next(kind for kind, names in AUTH_KINDS.items() if getattr(self, names[0]) is not None)


def check_web_address(value: str) -> str:
    """Refuses what is no address of the web."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address that begins with http:// or https://")
    return value
