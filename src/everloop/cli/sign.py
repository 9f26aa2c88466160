"""`everloop sign`: keys, and who signed a package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from everloop.cli.output import Answer

PackageFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The package.")]


def new(
    name: Annotated[Path, typer.Argument(metavar="NAME", help="The files' name, without an ending.")],
) -> Answer:
    """Makes a key: NAME.pem signs and is kept secret, NAME.pub.pem is what others trust.

    Example:
        everloop sign new keys/release
    """
    from everloop.core.files import storage_faults
    from everloop.runtime.signing import write_key

    private, public = name.with_name(f"{name.name}.pem"), name.with_name(f"{name.name}.pub.pem")
    with storage_faults(private):
        key = write_key(private, public)
    told = f"wrote the key {key}: {private} signs (keep it secret), {public} is what is trusted"
    return Answer({"key": key, "private": private, "public": public}, told)


def package(
    folder: PackageFolder,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The private key, in PEM.")],
) -> Answer:
    """Signs a package whose files are those that its manifest names; other keys' signatures stay.

    Example:
        everloop sign package package/ --key keys/release.pem
    """
    from everloop.core.files import storage_faults
    from everloop.core.secret import Secret
    from everloop.runtime.manifest import read_manifest
    from everloop.runtime.package import read_files
    from everloop.runtime.signing import sign_package

    manifest = read_manifest(folder)
    read_files(folder, manifest, verify=True)
    with storage_faults(folder):
        made = sign_package(folder, Secret(f"file:{key}").reveal(), str(key))
    facts = {"package": folder, "key": made.key, "lifecycle": manifest.lifecycle, "version": manifest.version}
    return Answer(facts, f"{manifest.lifecycle} v{manifest.version} is signed by {made.key}")


def check(
    folder: PackageFolder,
    trusted: Annotated[
        list[Path], typer.Option(metavar="FILE", help="A public key in PEM; may be given again.")
    ],
) -> Answer:
    """Tells which of the keys signed a package; ends with status 1 where none did or a file was changed.

    Example:
        everloop sign check package/ --trusted keys/release.pub.pem
    """
    from everloop.runtime.manifest import Manifest, manifest_bytes
    from everloop.runtime.package import read_files
    from everloop.runtime.signing import require_signature

    said = manifest_bytes(folder)
    key = require_signature(folder, said, read_trusted(trusted, folder))
    manifest = Manifest.from_json(said)
    read_files(folder, manifest, verify=True)
    facts = {"package": folder, "key": key, "lifecycle": manifest.lifecycle, "version": manifest.version}
    return Answer(facts, f"{manifest.lifecycle} v{manifest.version} is whole, and signed by {key}")


def read_trusted(files: list[Path] | None, package: Path | None) -> tuple[str, ...]:
    """Reads the public keys in these files, of which one must have signed a package.

    Raises:
        UsageFault: When one cannot be read or holds no such key, or no package is named.
    """
    from everloop.core.errors import UsageFault
    from everloop.runtime.signing import public_key

    if files and package is None:
        raise UsageFault(
            "--trusted goes with --package; a lifecycle names its keys itself.",
            hint="state deploy.signing.trusted in the lifecycle file",
        )
    found = []
    for path in files or ():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageFault(f"The public key {path} cannot be read: {error.strerror}.") from None
        found.append(public_key(content, str(path)))
    return tuple(found)


COMMANDS: dict[str, Callable[..., Answer]] = {"new": new, "package": package, "check": check}
"""The verbs of `everloop sign`."""
