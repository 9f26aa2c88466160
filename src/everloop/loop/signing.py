"""Who signs what a lifecycle releases, and whose signatures it trusts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.core.errors import UsageFault
from everloop.runtime.signing import key_name, private_key_name, public_key

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec


@dataclass(frozen=True, slots=True)
class Signer:
    """The key that signs.

    Attributes:
        name: The key's name.
        pem: Its private half; never shown or kept.
        place: Where it is, as the file says.
    """

    name: str
    pem: str
    place: str

    def __repr__(self) -> str:
        """Shows the name alone."""
        return f"Signer({self.name})"


def read_public_keys(spec: LifecycleSpec) -> tuple[str, ...]:
    """Reads the public keys of which one must have signed what serves; empty where the file names none.

    Raises:
        UsageFault: When a file cannot be read or holds no such key.
    """
    stated = spec.deploy.signing
    if stated is None:
        return ()
    found = []
    for name in stated.trusted:
        path = spec.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageFault(
                f"The public key {name} cannot be read: {error.strerror}.",
                hint="everloop sign new keys/release",
                place="deploy.signing.trusted",
            ) from None
        found.append(public_key(content, name))
    return tuple(found)


def signer_of(spec: LifecycleSpec) -> Signer | None:
    """Reads the key that signs what this lifecycle makes; None where nothing is signed.

    Raises:
        OutsideFault: When the key is not where the file says.
        UsageFault: When it is no key, or none of those that are trusted.
    """
    stated = spec.deploy.signing
    if stated is None:
        return None
    place = str(stated.key)
    pem = stated.key.reveal()
    name = private_key_name(pem, place)
    if name not in map(key_name, read_public_keys(spec)):
        raise UsageFault(
            f"The key {name} signs here, and its public half is not among those that are trusted.",
            hint="name the public half too",
            place="deploy.signing.trusted",
        )
    return Signer(name, pem, place)
