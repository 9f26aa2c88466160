"""Files behind a URL that fsspec knows, such as s3://, gs:// and memory://."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from everloop.core.errors import EverloopError, MissingExtra, SourceUnreachable, SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.core.secret import Secret
from everloop.data.sources.protocol import Surroundings
from everloop.data.sources.trying import Attempts

Result = TypeVar("Result")

CHUNK = 1 << 22
# Package of a protocol -> the extra of Everloop that brings it.
EXTRAS = {"s3": "s3", "s3a": "s3"}
# What a store says of an object that changes with its content.
MARKS = ("ETag", "etag", "md5Hash", "md5", "content_md5", "checksum")


class _NoAnswer(SourceUnreachable):
    """A store that may answer later."""


def is_remote(written: str) -> bool:
    """Tells whether a source's file is behind a URL."""
    return "://" in written


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One object of a store.

    Attributes:
        address: Its URL.
        place: Its place within the store.
        state: Its size and what the store says of its content; None where it says nothing.
    """

    address: str
    place: str
    state: tuple[int | str, ...] | None


class RemoteFiles:
    """The files of a store that a source names.

    Args:
        written: A URL, which may hold glob patterns.
        options: What the store is given, such as ``key`` and ``endpoint_url``.
        surroundings: Waits between attempts, and remembers digests of objects that the store says
            are the same.
    """

    def __init__(self, written: str, options: Mapping[str, Secret | str], surroundings: Surroundings) -> None:
        self._written = written
        self._options = options
        self._surroundings = surroundings
        self._memo = surroundings.memo

    def find(self) -> tuple[RemoteFile, ...]:
        """Finds the objects, in the order of their names; a listing is never taken from a cache.

        Raises:
            SourceUnreachable: When the store does not answer or no object is there.
            MissingExtra: When the store needs a package that is not installed.
        """
        return self._tried(self._listed)

    def _listed(self) -> tuple[RemoteFile, ...]:
        store, place = self._store()
        store.invalidate_cache()
        if glob.has_magic(place):
            listed = sorted(store.glob(place, detail=True).items())
            infos = [info for _, info in listed if info["type"] == "file"]
        else:
            infos = [store.info(place)]
        if infos and infos[0]["type"] != "file":
            raise SourceUnreadable(
                f"{self._written} is a folder; expected a file or a pattern.",
                hint=f"file: {self._written.rstrip('/')}/*.parquet",
            )
        if not infos:
            raise SourceUnreachable(f"No file matches {self._written}.")
        return tuple(
            RemoteFile(store.unstrip_protocol(info["name"]), info["name"], _state(info)) for info in infos
        )

    def digest(self, file: RemoteFile) -> str:
        """Gives the SHA-256 of an object's content, from memory where the store says it is the same."""
        if file.state is None:
            return self._tried(lambda: self._stream(file, None))
        read = partial(self._tried, lambda: self._stream(file, None))
        return self._memo.digest_of(file.address, list(file.state), read)

    def fetch(self, file: RemoteFile, target: Path) -> str:
        """Copies an object here; gives its SHA-256.

        Raises:
            SourceUnreachable: When the store does not answer.
        """
        digest = self._tried(lambda: self._stream(file, target))
        if file.state is not None:
            self._memo.digest_of(file.address, list(file.state), lambda: digest)
        return digest

    def _stream(self, file: RemoteFile, target: Path | None) -> str:
        digest = hashlib.sha256()
        store, _ = self._store()
        with store.open(file.place, "rb") as source, (target or Path(os.devnull)).open("wb") as copy:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                copy.write(chunk)
        return digest.hexdigest()

    def _tried(self, act: Callable[[], Result]) -> Result:
        """Does something with the store, several times where it does not answer."""
        attempts = Attempts(self._surroundings)
        while True:
            try:
                with self._faults():
                    return act()
            except _NoAnswer as error:
                attempts.failed(error)

    def _store(self) -> tuple[Any, str]:
        fsspec = require("fsspec", extra="train")
        options = {key: _plain(_revealed(value)) for key, value in self._options.items()}
        store, place = fsspec.core.url_to_fs(self._written, **options)
        return store, str(place)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        protocol = self._written.partition("://")[0]
        try:
            yield
        except EverloopError:
            raise
        except ImportError as error:
            extra = EXTRAS.get(protocol)
            hint = f"pip install 'everloop[{extra}]'" if extra else "pip install the package that it names"
            raise MissingExtra(f"{self._written} cannot be reached from here: {error}.", hint=hint) from None
        except FileNotFoundError:
            raise SourceUnreachable(f"The file {self._written} is not there.") from None
        except ValueError as error:
            raise SpecFault(f"{self._written} cannot be reached: {self._without_secrets(error)}.") from None
        except Exception as error:  # noqa: BLE001  (every store fails in its own way)
            refused = isinstance(error, PermissionError) or "Credentials" in type(error).__name__
            if refused:
                raise SourceUnreachable(
                    f"{self._written} may not be read: {self._without_secrets(error)}.",
                    hint="say them beside the file: {file: ..., options: {key: env:KEY, secret: env:SECRET}}",
                ) from None
            raise _NoAnswer(
                f"{self._written} does not answer: {self._without_secrets(error)}.",
                hint="look at the address and the network",
            ) from None

    def _without_secrets(self, error: Exception) -> str:
        text = (str(error) or type(error).__name__).rstrip(".")
        for value in self._options.values():
            if isinstance(value, Secret):
                text = text.replace(value.reveal(), "***")
        return text


def _state(info: Mapping[str, Any]) -> tuple[int | str, ...] | None:
    mark = next((str(info[key]) for key in MARKS if info.get(key)), None)
    return None if mark is None else (int(info.get("size") or 0), mark)


def _revealed(value: Secret | str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _plain(value: str) -> Any:
    return {"true": True, "false": False}.get(value, value)
