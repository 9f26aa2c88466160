"""`everloop export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFiles, Trusted
from everloop.cli.output import Answer

if TYPE_CHECKING:
    from everloop.deploy.targets import Release


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    target: Annotated[
        str | None,
        typer.Argument(metavar="TARGET", help="Where it runs, such as docker.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "--out", "-o", metavar="PATH", help="Where to write; else export-TARGET."),
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="The version; by default the champion.")] = None,
    package: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="This package, without a lifecycle; may be given again for another beside it."
        ),
    ] = None,
    trusted: Trusted = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port; else as the file says.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(metavar="ID", help="The window, of a target that takes one; else the last.")
    ] = None,
    list_targets: Annotated[bool, typer.Option("--list", help="List the targets.")] = False,
    file: LifecycleFiles = None,
) -> Answer:
    """Writes a version as the files with which it runs elsewhere; or what others are told of file or window.

    Nothing is built, sent or started. Several lifecycles are served by one server there, each under its name;
    how it listens, and its strategy, is what the first file says.

    What serves elsewhere is the same code on the same package as here, and nothing that trains. Tokens
    are read from environment variables where it runs; the files hold none.

    Example:
        everloop export --list
        everloop export docker
        everloop export kubernetes --output deploy/ --version 3
        everloop export docker --file loans/ --file churn/
        everloop export airflow
        everloop export prometheus
        everloop export evidently --window window_01JD2Q8M2V9S1R7T4W6Y8Z0A2C --out monday.json
    """
    from everloop.cli.export_window import export_window
    from everloop.cli.sign import read_trusted
    from everloop.integrations.lifecycle_exports import LIFECYCLE_EXPORTS
    from everloop.monitor.formats import known_formats

    if list_targets:
        return _listed()
    target = _known(target)
    of_version: dict[str, object] = {"--version": version, "--package": package, "--port": port}
    files = file or [DEFAULT_FILE]
    several: dict[str, object] = {"a second --file": files[1:] or None}
    if target in known_formats():
        _refuse_options(target, of_version | several, "a window")
        return export_window(target, files[0], window, output)
    _refuse_options(target, {"--window": window}, "no window")
    folder = output or Path(f"export-{target}")
    keys = read_trusted(trusted, package[0] if package else None)
    if target in LIFECYCLE_EXPORTS:
        _refuse_options(target, of_version | several, "one lifecycle file alone")
        return _of_file(target, files[0], folder)
    if package:
        releases = [_of_package(one, port, keys) for one in package]
    else:
        if files[1:]:
            _refuse_options(target, {"--version": version}, "the champions of several lifecycles")
        releases = [_of_lifecycle(one, version, port) for one in files]
    return _of_release(replace(releases[0], beside=tuple(releases[1:])), target, folder)


def _known(target: str | None) -> str:
    """Refuses a target that there is none of, with all that there are."""
    from everloop.core.errors import UsageFault
    from everloop.core.nearness import near_names
    from everloop.deploy.targets import known_targets
    from everloop.integrations.lifecycle_exports import LIFECYCLE_EXPORTS
    from everloop.monitor.formats import known_formats

    known = sorted({*known_targets(), *LIFECYCLE_EXPORTS, *known_formats()})
    if target in known:
        return str(target)
    near = near_names(target or "", known) or ["docker"]
    said = "Name a target" if target is None else f"There is no target {target!r}; known are"
    separator = ":" if target is None else ""
    raise UsageFault(f"{said}{separator} {', '.join(known)}.", hint=f"everloop export {near[0]}")


def _refuse_options(target: str, options: Mapping[str, object], source: str) -> None:
    """Refuses options about what a target is not written from."""
    from everloop.core.errors import UsageFault

    stated = [name for name, value in options.items() if value is not None]
    if stated:
        raise UsageFault(
            f"{target} is written from {source}; {' and '.join(stated)} says nothing there.",
            hint=f"everloop export {target}",
        )


def _of_release(release: Release, target: str, folder: Path) -> Answer:
    """Writes a version for the place where it runs."""
    from everloop.deploy.targets import export, open_target

    written = export(release, open_target(target), folder)
    facts = {
        "target": target,
        "lifecycle": release.manifest.lifecycle,
        "version": release.manifest.version,
        "beside": {one.manifest.lifecycle: one.manifest.version for one in release.beside},
        "folder": written.folder,
        "files": written.files,
        "commands": written.commands,
    }
    told = f"wrote {release.title} for {target} to {written.folder}"
    steps = "\n".join(f"  {line}" for line in written.commands)
    return Answer(facts, f"{told}\nNext, in {written.folder}:\n{steps}")


def _of_file(name: str, file: Path, folder: Path) -> Answer:
    """Writes what needs no version: a pass as a pipeline, alert rules, a dashboard."""
    from everloop.deploy.targets import write_export
    from everloop.integrations.lifecycle_exports import open_lifecycle_export
    from everloop.spec import load

    spec = load(file)
    written = open_lifecycle_export(name).write(spec, file)
    write_export(folder, written.files, {"target": name, "lifecycle": spec.name})
    facts = {
        "target": name,
        "lifecycle": spec.name,
        "folder": folder,
        "files": tuple(sorted(written.files)),
        "commands": written.commands,
        "notice": written.notice,
    }
    steps = "\n".join(f"  {line}" for line in written.commands)
    told = f"wrote {spec.name} for {name} to {folder}\nNext, in {folder}:\n{steps}"
    return Answer(facts, f"{told}\n{written.notice}".rstrip())


def _listed() -> Answer:
    from everloop.deploy.targets import known_targets, open_target
    from everloop.integrations.lifecycle_exports import LIFECYCLE_EXPORTS, open_lifecycle_export
    from everloop.monitor.formats import known_formats, open_format

    found: dict[str, Any] = {name: open_target(name).capabilities for name in known_targets()}
    found |= {name: open_lifecycle_export(name).capabilities for name in LIFECYCLE_EXPORTS}
    found |= {name: open_format(name) for name in known_formats()}
    width = max(len(name) for name in found)
    lines = (f"{name:<{width}}  {one.summary} ({one.platform})" for name, one in found.items())
    facts = {name: {"summary": one.summary, "platform": one.platform} for name, one in found.items()}
    return Answer({"targets": facts}, "\n".join(lines))


def _of_package(package: Path, port: int | None, trusted: tuple[str, ...]) -> Release:
    from everloop.deploy.targets import Release
    from everloop.runtime import Package

    loaded = Package(package, trusted=trusted)
    return Release(loaded.folder, loaded.manifest, port=port or 8700, trusted=trusted)


def _of_lifecycle(file: Path, version: int | None, port: int | None) -> Release:
    """Finds the version's package and how the file says that it runs."""
    from everloop.cli.reading import opened
    from everloop.deploy.targets import Release
    from everloop.deploy.versions import require_champion, require_version
    from everloop.loop.supervise import log_topic, server_limits
    from everloop.runtime.service.settings import ROLES

    with opened(file) as workspace:
        row = (
            require_champion(workspace.record, workspace.name, "export")
            if version is None
            else require_version(workspace.record, workspace.name, version)
        )
        loaded = workspace.served(row).package
        deploy = workspace.spec.deploy
        held = deploy.hold.time
        return Release(
            loaded.folder,
            loaded.manifest,
            port=port or deploy.serve.port or 8700,
            grpc_port=deploy.serve.grpc_port or None,
            durability=deploy.serve.durability,
            private=deploy.log.private,
            topic=log_topic(deploy.log),
            limits=server_limits(deploy.serve.limits),
            roles=tuple(deploy.serve.tokens.references()) or ROLES,
            trusted=workspace.trusted_keys,
            strategy=deploy.strategy,
            steps=deploy.steps,
            hold_seconds=600.0 if held is None else held.total_seconds(),
        )
