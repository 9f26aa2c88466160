"""Kinds of sources that the lifecycle file can name; the first key of each tells the kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from everloop.spec.fields import Duration
from everloop.spec.part import Part
from everloop.spec.secret import AddressField, OpenAddress, SecretField


class FileSource(Part):
    """Files: CSV, Parquet, JSON lines; a path, a glob or a URL."""

    file: OpenAddress = Field(description="A path or glob, beside the lifecycle file.")
    format: Literal["csv", "parquet", "jsonl"] | None = Field(
        None, description="Where the name does not tell."
    )


class SqlSource(Part):
    """A table or query of a database."""

    sql: str = Field(description="A query, or a table's name.")
    url: AddressField = Field(description="The database: an address without a password, or env:NAME.")
    cursor: str | None = Field(None, description="The column by which new rows are told from old ones.")


class HttpSource(Part):
    """An HTTP API that answers with JSON."""

    http: OpenAddress = Field(description="The address.")
    pages: dict[str, Any] | None = Field(None, description="How to find the next page.")
    auth: SecretField | None = Field(None, description="A bearer token.")
    headers: dict[str, AddressField] = Field(
        default_factory=dict, description="Headers to send; a value may be env:NAME or file:PATH."
    )
    cursor: str | None = Field(None, description="The field by which new rows are told from old ones.")


class KafkaSource(Part):
    """A Kafka topic."""

    kafka: str = Field(description="The topic.")
    servers: OpenAddress = Field(description="The brokers.")
    format: Literal["json", "avro"] = Field("json", description="How messages are encoded.")


class MqttSource(Part):
    """MQTT topics."""

    mqtt: str = Field(description="The topic, with wildcards.")
    host: OpenAddress = Field("localhost", description="The broker.")
    port: int = Field(1883, ge=1, le=65535, strict=True, description="The broker's port.")


class LogSource(Part):
    """Log files, read by a pattern."""

    log: str = Field(description="A path or glob.")
    pattern: str = Field("combined", description="combined, syslog, or a regular expression with names.")
    within: Duration | None = Field(None, description="Only lines of this last time.")


SOURCE_KINDS: dict[str, type[Part]] = {
    "file": FileSource,
    "sql": SqlSource,
    "http": HttpSource,
    "kafka": KafkaSource,
    "mqtt": MqttSource,
    "log": LogSource,
}


def _kind(value: Any) -> str | None:
    if isinstance(value, Part):
        return next((kind for kind, part in SOURCE_KINDS.items() if isinstance(value, part)), None)
    return next((kind for kind in SOURCE_KINDS if isinstance(value, dict) and kind in value), None)


Source = Annotated[
    Annotated[FileSource, Tag("file")]
    | Annotated[SqlSource, Tag("sql")]
    | Annotated[HttpSource, Tag("http")]
    | Annotated[KafkaSource, Tag("kafka")]
    | Annotated[MqttSource, Tag("mqtt")]
    | Annotated[LogSource, Tag("log")],
    Discriminator(
        _kind,
        custom_error_type="source_kind",
        custom_error_message="expected a source with one of the keys " + ", ".join(SOURCE_KINDS),
    ),
]
