"""Phase 5 of the lifecycle file: deployment."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from everloop.spec.fields import Count, Duration, GuardField, Share
from everloop.spec.part import Part
from everloop.spec.secret import AddressField, SecretField

_HOLD = "expected {requests: 500} or {time: 10m}"


def _growing(steps: tuple[float, ...]) -> tuple[float, ...]:
    if not steps or steps[0] <= 0 or list(steps) != sorted(set(steps)):
        raise ValueError("expected steps above 0% that grow, such as [5%, 25%, 50%, 100%]")
    return steps


class Hold(Part):
    """How long a step of a rollout lasts at least: `{requests: 500}` or `{time: 10m}`."""

    requests: Count | None = Field(None, description="Requests that the challenger has answered.")
    time: Duration | None = Field(None, description="Time that has passed.")

    @model_validator(mode="before")
    @classmethod
    def _of_keys(cls, value: Any) -> Any:
        if not isinstance(value, (dict, cls)):
            raise ValueError(_HOLD)
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.requests is None) == (self.time is None):
            raise ValueError(_HOLD)
        if self.time is not None and self.time.total_seconds() <= 0:
            raise ValueError("expected a time longer than nothing")
        return self


class TokensSpec(Part):
    """Who may ask what: a secret for each role. Stating one closes every route that asks for a role."""

    predict: SecretField | None = Field(None, description="May ask for predictions.")
    feedback: SecretField | None = Field(None, description="May send actuals and events.")
    admin: SecretField | None = Field(None, description="May do everything, and read metrics.")

    def references(self) -> dict[str, str]:
        """Gives where the token of each role is that the file states."""
        stated = ((role, getattr(self, role)) for role in type(self).model_fields)
        return {role: str(secret) for role, secret in stated if secret is not None}


class TlsSpec(Part):
    """Transport security, by files of PEM."""

    certificate: str = Field(description="The server's certificate, with the chain behind it.")
    key: str = Field(description="The file of its private key.")
    clients: str | None = Field(
        None, description="Authorities whose clients alone are let in (mTLS); left out: everyone."
    )


class SigningSpec(Part):
    """Who releases versions: packages are signed by ed25519, and what no trusted key signed is not served."""

    key: SecretField = Field(description="Where the private key is, in PEM.")
    trusted: tuple[str, ...] = Field(
        min_length=1,
        description="Files of public keys in PEM; each version that serves was signed by one of them.",
    )


class LimitsSpec(Part):
    """How much of one version may be under way at once; what is more is answered 503 and comes back later."""

    requests: Count | None = Field(None, description="The most requests at once; left out: no bound.")
    wait: Duration | None = Field(
        None,
        description="How long the rows under way may take together, by what a row costs at present: "
        "the slower a version is, the fewer are taken. Left out: no bound.",
    )


class ServeSpec(Part):
    """Where the model server listens."""

    host: str = Field(
        "127.0.0.1", description="The address; another than loopback needs tokens, or clients' certificates."
    )
    port: int = Field(8700, ge=0, le=65535, strict=True, description="The port; 0 takes a free one.")
    grpc_port: int | None = Field(
        None, ge=0, le=65535, strict=True, description="Where gRPC is answered too; left out: nowhere."
    )
    workers: Count = Field(1, description="Processes.")
    tokens: TokensSpec = Field(
        default_factory=TokensSpec, description="Who may ask; without any, everyone on loopback."
    )
    tls: TlsSpec | None = Field(None, description="Certificates; left out: in the clear.")
    durability: Literal["buffer", "fsync"] = Field(
        "buffer", description="Whether an answer waits until its line in the prediction log is on disk."
    )
    limits: LimitsSpec = Field(
        default_factory=LimitsSpec, description="How much of one version may be under way at once."
    )


class LogSpec(Part):
    """What the prediction log shows, and for how long it is kept."""

    private: dict[str, Literal["hash", "drop"]] = Field(
        default_factory=dict,
        description="Columns not logged as they are: `hash` keeps a text's keyed hash, `drop` nothing.",
    )
    to: str | None = Field(
        None,
        description="A topic that lines are sent to, `kafka://HOST:PORT/TOPIC`; left out: `.everloop/log`.",
    )
    options: dict[str, AddressField] = Field(
        default_factory=dict,
        description="Options of librdkafka for `to`, such as `security.protocol`; a value may be env:NAME.",
    )
    outage: Literal["refuse", "disk"] = Field(
        "refuse",
        description="What happens while the topic's brokers do not confirm: requests are answered 503, or "
        "lines wait on the server's disk.",
    )
    outage_gb: float = Field(1.0, gt=0, description="With `outage: disk`, how much may wait there.")
    keep: Duration | None = Field(None, description="How long lines are kept; left out: for ever.")
    most_gb: float | None = Field(
        None, gt=0, description="The largest the log may get; the oldest lines go first. Left out: no limit."
    )


class DeploySpec(Part):
    """How a new version takes over from the one that serves."""

    strategy: Literal["blue_green", "canary", "ab", "bandit", "shadow"] = Field(
        "canary", description="The rollout."
    )
    steps: Annotated[tuple[Share, ...], AfterValidator(_growing)] = Field(
        (0.05, 0.25, 0.5, 1.0), description="The challenger's share of the requests, step by step."
    )
    hold: Hold = Field(
        default_factory=lambda: Hold(requests=500), description="How long a step lasts at least."
    )
    guard: dict[str, GuardField] = Field(
        default_factory=dict,
        description="What must hold during a rollout: bounds, `not worse`, `not worse by 2%` or `better`.",
    )
    undecided: Literal["wait", "extend", "escalate", "roll_back"] = Field(
        "roll_back",
        description="What a rollout does whose guards cannot say that all is well after `patience` holds: "
        "waits on, gets as long again (three times at most), asks a person, or goes back.",
    )
    patience: Count = Field(20, description="How many holds the last step may last without evidence.")
    serve: ServeSpec = Field(default_factory=ServeSpec, description="Where the server listens.")
    log: LogSpec = Field(default_factory=LogSpec, description="What the prediction log keeps.")
    signing: SigningSpec | None = Field(
        None, description="Who signs what is released; left out: nobody does."
    )
