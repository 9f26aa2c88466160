"""Redis by URL: one store for servers on many machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from everloop.core.errors import OnlineStoreUnreachable, StorageFull, UsageFault
from everloop.core.extras import require
from everloop.runtime.features.stores.closing import Closing
from everloop.runtime.features.stores.store import Capabilities, Change

SECONDS = 2.0
_MOST_ATTEMPTS = 200
_SCAN = 1000


class RedisStore(Closing):
    """Keys of one Redis database, under a prefix of their own.

    A change watches its keys and is tried again when another client was faster
    (https://redis.io/docs/latest/develop/using-commands/transactions/).

    Args:
        address: ``redis://[user:password@]host[:port]/[database][?prefix=NAME]`` or ``rediss://``.

    Raises:
        MissingExtra: When the package redis is not installed.
        UsageFault: When the address is none.
        OnlineStoreUnreachable: When it does not answer.
    """

    capabilities: ClassVar[Capabilities] = Capabilities("redis", keeps=True, shared_by="network")

    def __init__(self, address: str) -> None:
        self._redis = require("redis", extra="redis")
        url, prefix = _taken_apart(address)
        self._prefix = prefix.encode() + b":"
        try:
            self._client = self._redis.Redis.from_url(
                url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, protocol=2
            )
            where = self._client.connection_pool.connection_kwargs
        except ValueError as error:
            raise UsageFault(
                "The online store's address is none that Redis's client can read.",
                hint="such as redis://localhost:6379/0",
            ) from error
        self._name = f"{where.get('host', 'localhost')}:{where.get('port', 6379)}"
        with self._faults():
            self._client.ping()

    def __repr__(self) -> str:
        return f"RedisStore({self._name!r})"

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Gives the values of keys."""
        if not keys:
            return []
        with self._faults():
            return list(self._client.mget([self._prefix + key for key in keys]))

    def update(self, keys: Sequence[bytes], change: Change) -> None:
        """Changes values together."""
        names = [self._prefix + key for key in keys]
        if not names:
            return
        with self._faults():
            for _ in range(_MOST_ATTEMPTS):
                with self._client.pipeline() as pipe:
                    pipe.watch(*names)
                    new = change(list(pipe.mget(names)))
                    pipe.multi()
                    self._write(pipe, names, new)
                    try:
                        pipe.execute()
                        return
                    except self._redis.WatchError:
                        continue
        raise OnlineStoreUnreachable(
            f"The online store {self._name} was changed by others {_MOST_ATTEMPTS} times in a row."
        )

    @staticmethod
    def _write(pipe: Any, names: Sequence[bytes], new: Sequence[bytes | None]) -> None:
        for name, value in zip(names, new, strict=True):
            if value is None:
                pipe.delete(name)
            else:
                pipe.set(name, value)

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """Gives the keys that begin with a prefix."""
        pattern = _escaped(self._prefix + prefix) + b"*"
        with self._faults():
            found = set(self._client.scan_iter(match=pattern, count=_SCAN))
        yield from sorted(key[len(self._prefix) :] for key in found)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        # Causes are cut off: the client puts the whole address into some of them.
        errors = self._redis.exceptions
        try:
            yield
        except errors.AuthenticationError:
            raise OnlineStoreUnreachable(
                f"The online store {self._name} refuses the user or the password.",
                hint="data: {online: env:REDIS_URL}",
            ) from None
        except (errors.OutOfMemoryError, errors.ResponseError) as error:
            if "OOM" in str(error) or "maxmemory" in str(error):
                raise StorageFull(f"The online store {self._name} has no memory left.") from None
            raise OnlineStoreUnreachable(f"The online store {self._name} refuses: {error}.") from None
        except (errors.RedisError, OSError) as error:
            raise OnlineStoreUnreachable(
                f"The online store {self._name} does not answer: {type(error).__name__}.",
                hint=f"redis-cli -h {self._name.partition(':')[0]} ping",
            ) from None


def _taken_apart(address: str) -> tuple[str, str]:
    """Gives the address as the client reads it, and the prefix of keys."""
    parts = urlsplit(address)
    fields = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
    prefix = fields.pop("prefix", "everloop")
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    return parts._replace(query=query).geturl(), prefix


def _escaped(text: bytes) -> bytes:
    """Takes the meaning from the signs of Redis's patterns."""
    return b"".join(b"\\" + bytes([sign]) if sign in b"*?[]\\^-" else bytes([sign]) for sign in text)
