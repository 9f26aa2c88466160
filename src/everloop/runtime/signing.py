"""Signatures over a package's manifest: who released it, by ed25519.

The manifest names every file with its digest, so a signature over the manifest covers the package. It is
kept beside it in `signature.json`, where several keys may have signed: while a key is being replaced, the
old one and the new one are both trusted. Keys are files of PEM as OpenSSL makes them
(https://www.rfc-editor.org/rfc/rfc8410); signatures are those of https://www.rfc-editor.org/rfc/rfc8032.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.errors import PackageRefused, UsageFault
from everloop.core.extras import require
from everloop.core.files import write_file
from everloop.runtime.json_form import encode_json
from everloop.runtime.manifest import SIGNATURE_NAME, manifest_bytes

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE_FORMAT = 1
ALGORITHM = "ed25519"
_EXTRA = "signing"
_MOST_BYTES = 2**16
_KEY_BYTES = 32
_NAME_DIGITS = 16
_MAKE = "everloop sign new keys/release"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one key says of a manifest.

    Attributes:
        key: The key's name, as `key_name` gives it.
        signature: 64 bytes in base64.
        algorithm: How it was made.
    """

    key: str
    signature: str
    algorithm: str = ALGORITHM


class Signatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of `signature.json`."""

    signatures: tuple[Signature, ...]
    format: int = SIGNATURE_FORMAT


def new_key() -> tuple[bytes, bytes]:
    """Makes a key.

    Returns:
        The private and the public half, each as PEM.

    Raises:
        MissingExtra: Where the package `cryptography` is not installed.
    """
    private, form = _ed25519().Ed25519PrivateKey.generate(), _serialization()
    hidden = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    shown = private.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    return hidden, shown


def write_key(private: Path, public: Path) -> str:
    """Makes a key and writes its halves, the private one readable by its owner alone.

    Returns:
        The key's name.

    Raises:
        UsageFault: When either file is there already: a key that was in use would be lost.
    """
    for path in (private, public):
        if path.exists():
            raise UsageFault(f"{path} is there already.", hint="name another file")
    hidden, shown = new_key()
    private.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(hidden)
    write_file(public, shown)
    return key_name(public_key(shown, str(public)))


def public_key(pem: bytes, place: str) -> str:
    """Reads a public key.

    Args:
        pem: The content of its file.
        place: The file, for the message.

    Returns:
        Its 32 bytes in base64, as a server is told it.

    Raises:
        UsageFault: When it is no public key of ed25519.
    """
    form = _serialization()
    try:
        key = form.load_pem_public_key(pem)
    except _no_key() as error:
        hint = "give the public half, not the private one" if b"PRIVATE" in pem else None
        raise UsageFault(f"{place} is no public key in PEM: {_first_line(error)}.", hint=hint) from None
    if not isinstance(key, _ed25519().Ed25519PublicKey):
        raise UsageFault(f"{place} holds a key of another kind than {ALGORITHM}.", hint=_MAKE)
    return base64.b64encode(key.public_bytes_raw()).decode()


def key_name(key: str) -> str:
    """Gives the name of a public key: the first digits of the SHA-256 of its 32 bytes."""
    return sha256(base64.b64decode(key)).hexdigest()[:_NAME_DIGITS]


def private_key_name(pem: str, place: str) -> str:
    """Gives the name of the public half of a private key.

    Raises:
        UsageFault: When it is no private key of ed25519.
    """
    return key_name(_public_half(_private(pem, place)))


def sign_package(folder: Path, pem: str, place: str) -> Signature:
    """Signs a package's manifest; a signature by the same key is replaced, others stay.

    Args:
        folder: The package, whole: what its files are is not looked at here.
        pem: The private key.
        place: Where the key is, for messages.

    Returns:
        The signature.

    Raises:
        PackageRefused: When there is no manifest, or the signatures that are there cannot be read.
        UsageFault: When it is no private key of ed25519.
    """
    private = _private(pem, place)
    made = private.sign(manifest_bytes(folder))
    signature = Signature(key_name(_public_half(private)), base64.b64encode(made).decode())
    others = (one for one in read_signatures(folder) if one.key != signature.key)
    write_file(folder / SIGNATURE_NAME, encode_json(Signatures((*others, signature))))
    return signature


def read_signatures(folder: Path) -> tuple[Signature, ...]:
    """Reads a package's signatures without judging them; none where the file is not there.

    Raises:
        PackageRefused: When the file cannot be read.
    """
    path = folder / SIGNATURE_NAME
    if not os.path.lexists(path):
        return ()
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise PackageRefused(f"{path} is no file of signatures.")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Signatures)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise PackageRefused(f"{path} cannot be read: {error}.") from None
    if found.format > SIGNATURE_FORMAT:
        raise PackageRefused(f"{path} is of a newer form than is known.", hint="pip install -U everloop")
    return found.signatures


def signed_by(folder: Path, manifest: bytes, trusted: Sequence[str]) -> str | None:
    """Tells which trusted key signed a package; None where none of them did.

    Args:
        folder: The package.
        manifest: The bytes of its manifest that are going to be used.
        trusted: Public keys, as `public_key` gives them.

    Returns:
        The key's name.

    Raises:
        PackageRefused: When a signature is said to be by one of the keys and is not.
        MissingExtra: Where the package `cryptography` is not installed.
    """
    keys = {key_name(key): key for key in trusted}
    for one in read_signatures(folder):
        if one.key not in keys or one.algorithm != ALGORITHM:
            continue
        if not _fits(one, keys[one.key], manifest):
            raise PackageRefused(
                f"The signature by the key {one.key} in {folder} is not one over its manifest.",
                place=str(folder / SIGNATURE_NAME),
                hint="copy the package again from where it was released",
            )
        return one.key
    return None


def require_signature(folder: Path, manifest: bytes, trusted: Sequence[str]) -> str:
    """Refuses a package that no trusted key has signed; else gives the key's name.

    Args:
        folder: The package.
        manifest: The bytes of its manifest that are going to be used.
        trusted: Public keys, as `public_key` gives them.

    Raises:
        PackageRefused: When none of the keys signed it, or a signature does not fit.
    """
    found = signed_by(folder, manifest, trusted)
    if found is not None:
        return found
    names = ", ".join(one.key for one in read_signatures(folder))
    signed = f"signed by {names}, which nobody here trusts" if names else "not signed"
    raise PackageRefused(
        f"{folder} is {signed}; a signature by {' or '.join(map(key_name, trusted))} is required.",
        place=str(folder / SIGNATURE_NAME),
        hint=f"everloop sign package {folder} --key KEY.pem",
    )


def _fits(signature: Signature, key: str, manifest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    public = _ed25519().Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
    try:
        public.verify(base64.b64decode(signature.signature, validate=True), manifest)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _private(pem: str, place: str) -> Any:
    form = _serialization()
    try:
        key = form.load_pem_private_key(pem.encode(), password=None)
    except _no_key():
        # The library's message may quote what it was given, and that is a secret.
        raise UsageFault(
            f"{place} holds no private key in PEM, or one behind a password.", hint=_MAKE
        ) from None
    if not isinstance(key, _ed25519().Ed25519PrivateKey):
        raise UsageFault(f"{place} holds a key of another kind than {ALGORITHM}.", hint=_MAKE)
    return key


def _public_half(private: Any) -> str:
    return base64.b64encode(private.public_key().public_bytes_raw()).decode()


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def _ed25519() -> Any:
    return require("cryptography.hazmat.primitives.asymmetric.ed25519", extra=_EXTRA)


def _serialization() -> Any:
    return require("cryptography.hazmat.primitives.serialization", extra=_EXTRA)


def _no_key() -> tuple[type[Exception], ...]:
    unsupported: type[Exception] = require("cryptography.exceptions", extra=_EXTRA).UnsupportedAlgorithm
    return ValueError, TypeError, unsupported
