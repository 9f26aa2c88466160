"""Writes a target's files into a folder: all of them or none."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.core.errors import UsageFault
from everloop.core.files import publish_folder, scratch_folder, storage_faults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from everloop.deploy.targets.target import Content, Release, Target

MARK = "everloop-export.json"
"""The file that says that a folder was exported, so that it may be written anew."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        target: The target's name.
        folder: Where.
        files: The paths in it.
        commands: What comes next, to be given in the folder.
    """

    target: str
    folder: Path
    files: tuple[str, ...]
    commands: tuple[str, ...]


def export(release: Release, target: Target, folder: Path) -> Exported:
    """Writes what a target wants; an earlier export in the same folder is replaced whole.

    Args:
        release: The version, and how it runs.
        target: Where it runs.
        folder: A folder that is not there, is empty, or holds an earlier export.

    Raises:
        UsageFault: When the folder holds something else, or the release cannot run there.
        StorageFull: When the disk has no room; what was there is untouched.
    """
    if release.beside and not target.capabilities.several:
        raise UsageFault(
            f"{target.name} takes one lifecycle; {len(release.each)} are named.",
            hint=f"everloop export {target.name} for each, or everloop export docker for all",
        )
    files = target.files(release)
    manifest = release.manifest
    mark: dict[str, object] = {"target": target.name}
    mark |= {"lifecycle": manifest.lifecycle, "version": manifest.version}
    if release.beside:
        mark["beside"] = {one.manifest.lifecycle: one.manifest.version for one in release.beside}
    write_export(folder, files, mark)
    return Exported(target.name, folder, tuple(sorted(files)), target.commands(release))


def write_export(folder: Path, files: Mapping[str, Content], mark: Mapping[str, object]) -> None:
    """Writes files into a folder, all of them or none; an earlier export in it is replaced whole.

    Args:
        folder: A folder that is not there, is empty, or holds an earlier export.
        files: The files, by their path in it.
        mark: What is kept in it of what was exported.

    Raises:
        UsageFault: When the folder holds something else.
        StorageFull: When the disk has no room; what was there is untouched.
    """
    _require_free(folder)
    with scratch_folder(folder.absolute().parent) as scratch, storage_faults(folder):
        work, replaced = scratch / "export", scratch / "replaced"
        work.mkdir()
        _write(work, {**files, MARK: json.dumps(mark, indent=1).encode() + b"\n"})
        if folder.exists():
            folder.rename(replaced)
        try:
            publish_folder(work, folder)
        except BaseException:
            if replaced.exists():
                replaced.rename(folder)
            raise


def _require_free(folder: Path) -> None:
    """Refuses a folder whose files an export would take the place of.

    Raises:
        UsageFault: When it is no folder, or holds what was not exported.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageFault(f"{folder} is no folder.", hint="--output another-folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise UsageFault(
            f"{folder} holds files that were not exported; they would be lost.",
            hint="--output another-folder",
        )


def _write(work: Path, files: Mapping[str, Content]) -> None:
    for name, content in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)
        if content_is_script(name):
            path.chmod(0o755)


def content_is_script(name: str) -> bool:
    """Says whether a file is one that is run."""
    return name.endswith(".sh")
