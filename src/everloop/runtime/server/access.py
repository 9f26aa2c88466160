"""Tokens: who may predict, give feedback, administer."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from everloop.runtime.http import Refusal

if TYPE_CHECKING:
    from everloop.runtime.service.service import Service
    from everloop.runtime.service.settings import Token

_WHY = {"www-authenticate": 'Bearer realm="everloop"'}


def require_role(tokens: tuple[Token, ...], role: str | None, authorization: bytes) -> None:
    """Lets a request pass or refuses it.

    Args:
        tokens: Those that are known; with none everyone may do everything.
        role: The role that the route asks for; None is open to all.
        authorization: What the request says for itself: `Bearer TOKEN`.

    Raises:
        Refusal: 401 without a known token, 403 with one of another role.
    """
    if role is None or not tokens:
        return
    scheme, _, text = authorization.partition(b" ")
    given = sha256(text.strip()).hexdigest() if scheme.lower() == b"bearer" else ""
    # Every token is compared, so that the time says nothing about which one was near.
    roles = {token.role for token in tokens if hmac.compare_digest(token.sha256, given)}
    if not roles:
        raise Refusal(401, "A token is needed.", "Send it as 'Authorization: Bearer TOKEN'.", headers=_WHY)
    if not roles & {role, "admin"}:
        raise Refusal(403, "The token is of another role.", f"This route is for the role {role!r}.")


def admitted(services: Sequence[Service], role: str | None, authorization: bytes) -> Sequence[Service]:
    """Gives the lifecycles of which a request may ask, by the tokens of each.

    Args:
        services: What serves each lifecycle.
        role: As in `require_role`.
        authorization: As in `require_role`.

    Raises:
        Refusal: As `require_role` does, where there is none.
    """
    if role is None:
        return services
    found, refusals = [], []
    for service in services:
        try:
            require_role(service.settings.tokens, role, authorization)
        except Refusal as refusal:
            refusals.append(refusal)
        else:
            found.append(service)
    if not found:
        # That a token is of another role says more than that none is known.
        raise max(refusals, key=lambda refusal: refusal.status)
    return found
