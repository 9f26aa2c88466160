"""Where the library takes in packages and estimators: what the suites are run over."""

from __future__ import annotations

from pathlib import Path

ROW = {"amount": 1.0}


def library(folder: Path, scratch: Path) -> None:
    """`everloop.runtime.Package`, with everything that is read when it is used."""
    from everloop.runtime.package import Package

    del scratch  # nothing is written
    package = Package(folder)
    _ = package.contract, package.features
    package.answers([ROW])
    package.explain(ROW)


def unverified(folder: Path, scratch: Path) -> None:
    """The same without the digests of what serving does not read."""
    from everloop.runtime.package import Package

    del scratch
    package = Package(folder, verify=False)
    _ = package.contract, package.features
    package.explain(ROW)


def server(folder: Path, scratch: Path) -> None:
    """`everloop.runtime.server`, as a process or mounted."""
    import asyncio

    from everloop.runtime.server import ServerSettings, mounted_asgi

    model = mounted_asgi(ServerSettings(package=str(folder), log=str(scratch / "log")))

    async def start() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(_: object) -> None:
            return None

        scope = {"type": "http", "method": "GET", "path": "/health/ready", "query_string": b"",
                 "headers": [], "root_path": "", "client": ("127.0.0.1", 1)}  # fmt: skip
        await model(scope, receive, send)
        await model.close()

    asyncio.run(start())


def estimator(file: Path, _: Path) -> None:
    """A `pipeline.skops`, which explanation and retraining read."""
    from everloop.model.estimator_file import load_estimator

    load_estimator(file)
