"""What a server is told: what to serve, where, for whom and within which limits."""

from __future__ import annotations

import ipaddress
from hashlib import sha256
from pathlib import Path

import msgspec

from everloop.core.errors import UsageFault
from everloop.core.files import write_file
from everloop.core.secret import Secret
from everloop.runtime.json_form import encode_json
from everloop.runtime.service.bounds import VersionBound

CLOCKS = ("system", "events")
ROLES = ("predict", "feedback", "admin")


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token's role and its SHA-256 in hexadecimal; the token itself is not kept.

    An `admin` may do everything.
    """

    role: str
    sha256: str


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Transport security: whose certificates are shown and asked for. All three are files of PEM.

    Attributes:
        certificate: The server's certificate, with the chain behind it.
        key: Its private key.
        clients: Certificates of the authorities whose clients are let in (mTLS); None lets everyone in.
    """

    certificate: str
    key: str
    clients: str | None = None

    def contents(self) -> tuple[bytes, bytes, bytes | None]:
        """Reads certificate, key and authorities.

        Raises:
            UsageFault: When a file cannot be read.
        """
        clients = None if self.clients is None else _content(self.clients)
        return _content(self.certificate), _content(self.key), clients


class TopicSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A topic that the prediction log's lines are sent to.

    Attributes:
        address: `kafka://HOST:PORT/TOPIC`.
        options: Further options of librdkafka; a value may be `env:NAME` or `file:PATH`.
        outage: What happens while the brokers do not confirm: `refuse` answers 503, `disk` keeps the lines in
            `outbox` below the log's folder and sends them later.
        outage_bytes: With `disk`, as many bytes may wait before requests are answered 503.
    """

    address: str
    options: dict[str, str] = {}
    outage: str = "refuse"
    outage_bytes: int = 2**30


class ServerLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one client may ask of a server.

    Attributes:
        head_bytes: The most bytes of a request's line and header fields together.
        body_bytes: The largest body.
        body_seconds: How long a body may take to arrive, a request's head before it, and the first request
            of a connection.
        rows: The most rows in a request.
        concurrent: The most requests at the same time; more are answered 503.
        version_requests: The most requests of one version at the same time; None does not bound them.
        version_wait: How many seconds the rows of one version that are under way may take together, by what
            a row costs at present, before more are answered 503; None does not bound them.
        durable_seconds: How long an answer waits for the disk, with `fsync`, before it is a 503.
        retry_after: The seconds that a 503 asks the client to wait.
    """

    head_bytes: int = 64 * 2**10
    body_bytes: int = 4 * 2**20
    body_seconds: float = 10.0
    rows: int = 1000
    concurrent: int = 512
    version_requests: int | None = None
    version_wait: float | None = None
    durable_seconds: float = 5.0
    retry_after: int = 1

    @property
    def bounds_versions(self) -> bool:
        """Whether the requests of one version are bounded."""
        return self.version_requests is not None or self.version_wait is not None

    def bound_of(self, version: str) -> VersionBound | None:
        """Gives what bounds the requests of a version, where they are bounded."""
        if not self.bounds_versions:
            return None
        return VersionBound(version, self.version_requests, self.version_wait)


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a server is told.

    Attributes:
        routing: The routing file that says what to serve; or
        package: the one package to serve.
        log: The prediction log's folder.
        topic: The topic that lines are sent to instead; the folder then holds what is of this machine alone.
        private: Columns that the log does not show, each with `hash` or `drop`; see `runtime.log.privacy`.
        log_key: The key that hashes are made with: its file, or `env:NAME`; beside the log where it is None.
        online: The online store of features: its address, or a reference such as `env:REDIS_URL`.
        host: The address to listen on; beyond loopback only with tokens or certificates of clients.
        port: The port; 0 takes a free one.
        reuse_port: Whether other workers listen on the same port, so that the system spreads requests.
        worker: The name of this process in the log.
        durability: `buffer` answers when the line is in the log's buffer, `fsync` when it is on disk.
        clock: `system`, or `events` for a rehearsal of history: the time is that of the row.
        time_column: With `events`, the column that holds it; else the manifest's time column.
        grpc_port: Where gRPC is answered; 0 takes a free port, None answers none.
        tls: The certificates of HTTPS, and of gRPC; None serves in the clear.
        tokens: Who may do what; empty lets everyone on loopback do everything.
        secrets: Role to where its token is, `env:NAME` or `file:PATH`, read when the server starts.
        trusted: Public keys, one of which must have signed what is served; empty asks for no signature.
        behind_gateway: Whether a platform in front of the server decides who reaches it, so that it may
            listen beyond loopback without knowing anyone.
        limits: What one client may ask.
        poll_seconds: How often the routing file is looked at.
        drain_seconds: How long a stop waits for requests that are under way.
        ready_file: Where to write the URL and process id once ready.
        beside: Further lifecycles that the same process answers for, by their names. What is said here of
            host, ports, certificates, worker and draining is said for all of them.
    """

    routing: str | None = None
    package: str | None = None
    log: str
    topic: TopicSettings | None = None
    private: dict[str, str] = {}
    log_key: str | None = None
    online: str | None = None
    host: str = "127.0.0.1"
    port: int = 8700
    reuse_port: bool = False
    worker: str = "0"
    durability: str = "buffer"
    clock: str = "system"
    time_column: str | None = None
    grpc_port: int | None = None
    tls: Tls | None = None
    tokens: tuple[Token, ...] = ()
    secrets: dict[str, str] = {}
    trusted: tuple[str, ...] = ()
    behind_gateway: bool = False
    limits: ServerLimits = ServerLimits()
    poll_seconds: float = 0.2
    drain_seconds: float = 10.0
    ready_file: str | None = None
    beside: tuple[ServerSettings, ...] = ()

    def __post_init__(self) -> None:
        if (self.routing is None) == (self.package is None):
            raise UsageFault("A server serves a routing file or one package; exactly one of them is named.")
        if self.clock not in CLOCKS:
            raise UsageFault(f"The server's clock is {self.clock!r}; expected one of {CLOCKS}.")
        for role in (*(token.role for token in self.tokens), *self.secrets):
            if role not in ROLES:
                raise UsageFault(f"A token has the role {role!r}; expected one of {ROLES}.")
        shown = self.tls is not None and self.tls.clients is not None
        for one in self.each():
            known = self.behind_gateway or shown or bool(one.tokens) or bool(one.secrets)
            require_known_clients(self.host, known=known)
        if self.beside:
            _require_apart(self)

    def each(self) -> tuple[ServerSettings, ...]:
        """Gives what is said of each lifecycle, this one first."""
        return (self, *self.beside)

    def for_worker(self, worker: str) -> ServerSettings:
        """Gives the settings of one of several processes, whose name in every log is its own."""
        beside = tuple(msgspec.structs.replace(one, worker=worker) for one in self.beside)
        return msgspec.structs.replace(self, worker=worker, beside=beside)

    def with_secrets(self) -> ServerSettings:
        """Reads the tokens that `secrets` name; what they are is hashed, and nowhere kept.

        Raises:
            OutsideFault: When one cannot be read.
            UsageFault: When one is empty.
        """
        found = {role: Secret(reference).reveal() for role, reference in self.secrets.items()}
        for role, token in found.items():
            if not token:
                raise UsageFault(f"The token of the role {role!r} is empty.", place=self.secrets[role])
        tokens = (*self.tokens, *(Token(role, hash_token(token)) for role, token in found.items()))
        beside = tuple(one.with_secrets() for one in self.beside)
        return msgspec.structs.replace(self, tokens=tokens, secrets={}, beside=beside)

    def save(self, path: Path) -> None:
        """Writes the settings as JSON."""
        write_file(path, encode_json(self))

    @staticmethod
    def load(path: Path) -> ServerSettings:
        """Reads settings.

        Raises:
            UsageFault: When the file is not there or is wrong.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=ServerSettings)
        except (OSError, msgspec.DecodeError, RecursionError) as error:
            raise UsageFault(f"The server's settings {path} cannot be read: {error}.") from None


def require_known_clients(host: str, *, known: bool) -> None:
    """Refuses to listen beyond loopback where it is not known who asks.

    Args:
        host: The address.
        known: Whether tokens, clients' certificates or a platform in front say who may ask.

    Raises:
        UsageFault: When anyone could ask.
    """
    if not known and not _is_loopback(host):
        raise UsageFault(
            f"The server may not listen on {host} without tokens: anyone could ask it.",
            hint="state deploy.serve.tokens (or deploy.serve.tls.clients), or listen on 127.0.0.1",
        )


def _require_apart(settings: ServerSettings) -> None:
    """Refuses lifecycles beside each other that share a log, or of which one asks for more than is done."""
    if any(one.beside for one in settings.beside):
        raise UsageFault("A lifecycle that is served beside another has further ones beside it.")
    logs = [one.log for one in settings.each()]
    if len(set(logs)) < len(logs):
        twice = next(log for log in logs if logs.count(log) > 1)
        raise UsageFault(
            f"Two lifecycles of one server write the same prediction log: {twice}.",
            hint="name each once; packages need names of their own: everloop package MODEL --name NAME",
        )
    for one in settings.beside:
        if one.tls not in (None, settings.tls):
            raise UsageFault(
                "A lifecycle that is served beside another states certificates of its own.",
                hint="state the same deploy.serve.tls in the first file, which says how the server listens",
            )


def hash_token(text: str) -> str:
    """Gives what is stored of a token."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageFault(f"The file {path} of deploy.serve.tls cannot be read: {error.strerror}.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
