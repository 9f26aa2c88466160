"""Kinds of sources that the lifecycle file can name; the first key of each tells the kind."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from everloop.spec.fields import Duration, Share
from everloop.spec.http import HttpAuth, HttpPages, check_web_address
from everloop.spec.part import Part
from everloop.spec.secret import AddressField, OpenAddress, SecretField


class SourcePart(Part):
    """What every source may say of its rows, for features that look at them as of a decision."""

    time: str | None = Field(
        None,
        description="The column that says when a row's event happened; by default its only column of times, "
        "else its cursor.",
    )
    known: str | None = Field(
        None,
        description="The column that says when a row became known, where that is later: a feature does not "
        "see the row before. By default `time`.",
    )
    key: str | tuple[str, ...] | None = Field(
        None,
        description="The column or columns that tell events apart. Rows with the same key are versions of "
        "one event; the last one that was known counts.",
    )


BadRowsRule = Literal["refuse", "quarantine"]
BAD_ROWS = "What is done with rows that cannot be read: the run stops, or they are kept beside the snapshot."
MOST_BAD_ROWS = "The greatest share of rows (and of files, for whole files) that may be kept aside."


class StreamLimit(Part):
    """Where a reading of a stream ends: after so many messages, or so much time; whichever is first."""

    messages: int | None = Field(None, ge=1, strict=True, description="At most so many messages.")
    time: Duration | None = Field(None, description="At most so long.")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.messages is None and self.time is None:
            raise ValueError("expected {messages: 10000}, {time: 30s} or both")
        return self


class FileSource(SourcePart):
    """Files: CSV, Parquet, JSON lines, Excel; a path, a glob or a URL."""

    file: OpenAddress = Field(
        description="A path or glob, beside the lifecycle file, or a URL such as s3://bucket/rows-*.csv."
    )
    format: Literal["csv", "parquet", "jsonl", "excel"] | None = Field(
        None, description="Where the name does not tell."
    )
    encoding: str | None = Field(
        None, description="Of text that is not UTF-8, such as latin-1; UTF-16 is seen by its mark."
    )
    sheet: str | None = Field(None, description="Of an Excel workbook; by default the first one.")
    options: dict[str, AddressField] = Field(
        default_factory=dict,
        description="What a URL's storage needs, such as key, secret, endpoint_url; a value may be env:NAME.",
    )
    bad_rows: BadRowsRule = Field("refuse", description=BAD_ROWS)
    most_bad_rows: Share = Field(0.01, description=MOST_BAD_ROWS)


class SqlSource(SourcePart):
    """A table or query of a database."""

    sql: str = Field(description="A query, or a table's name.")
    url: AddressField = Field(description="The database: an address without a password, or env:NAME.")
    cursor: str | None = Field(
        None, description="The column by which new rows are told from old ones; only those are read."
    )
    late: Duration | None = Field(
        None, description="How much later than their cursor's time rows may be written."
    )


class HttpSource(SourcePart):
    """An HTTP API that answers with JSON."""

    http: OpenAddress = Field(description="The address.")
    rows: str | None = Field(
        None,
        description="Where an answer has its rows, such as `data.items`; by default the answer itself, or "
        "its only list.",
    )
    pages: HttpPages | None = Field(
        None, description="How to come to the next page, such as `{next: links.next}`."
    )
    auth: HttpAuth | None = Field(None, description="Who asks; `env:NAME` of a bearer token as a rule.")
    headers: dict[str, AddressField] = Field(
        default_factory=dict, description="Headers to send; a value may be env:NAME or file:PATH."
    )
    parameters: dict[str, AddressField] = Field(
        default_factory=dict, description="Parameters to send; a value may be env:NAME or file:PATH."
    )
    timeout: Duration = Field(timedelta(seconds=30), description="How long an answer is waited for.")
    cursor: str | None = Field(None, description="The field by which new rows are told from old ones.")
    since: str | None = Field(
        None,
        description="The parameter with the cursor's last value; without one all pages are read, and only "
        "new rows kept.",
    )
    late: Duration | None = Field(
        None, description="How much later than their cursor's time rows may come; taken off `since`."
    )

    @model_validator(mode="after")
    def _since_a_cursor(self) -> Self:
        check_web_address(self.http)
        if (self.since or self.late) and self.cursor is None:
            raise ValueError("expected a cursor beside since and late")
        return self


class KafkaSource(SourcePart):
    """A Kafka topic."""

    kafka: str = Field(description="The topic.")
    servers: OpenAddress = Field(description="The brokers.")
    format: Literal["json", "avro"] = Field("json", description="How messages are encoded.")
    registry: AddressField | None = Field(
        None, description="The schema registry's address, for Avro; with a password as env:NAME."
    )
    limit: StreamLimit | None = Field(
        None, description="Where a reading ends before the topic's ends as they are when it begins."
    )
    envelope: dict[str, Literal["key", "timestamp", "partition", "offset"]] = Field(
        default_factory=dict, description="Columns from what a message says beside its content."
    )
    bad_rows: BadRowsRule = Field("quarantine", description=BAD_ROWS)
    most_bad_rows: Share = Field(0.05, description=MOST_BAD_ROWS)
    options: dict[str, AddressField] = Field(
        default_factory=dict,
        description="Options of librdkafka, such as `security.protocol`; a value may be env:NAME.",
    )


class MqttSource(SourcePart):
    """MQTT topics."""

    mqtt: str = Field(description="The topic, with wildcards.")
    host: OpenAddress = Field("localhost", description="The broker.")
    port: int = Field(1883, ge=1, le=65535, strict=True, description="The broker's port.")
    limit: StreamLimit = Field(
        default_factory=lambda: StreamLimit(time=timedelta(seconds=10)),
        description="Where a reading ends, for a topic has no end; by default after ten seconds.",
    )
    envelope: dict[str, Literal["topic", "received", "retained"]] = Field(
        default_factory=dict, description="Columns from what a message says beside its content."
    )
    bad_rows: BadRowsRule = Field("quarantine", description=BAD_ROWS)
    most_bad_rows: Share = Field(0.05, description=MOST_BAD_ROWS)
    user: AddressField | None = Field(None, description="The user, as text, env:NAME or file:PATH.")
    password: SecretField | None = Field(None, description="The user's password, as env:NAME or file:PATH.")
    tls: bool = Field(False, description="Whether to speak TLS, with the system's certificates.")


class LogSource(SourcePart):
    """Log files, read by a pattern."""

    log: str = Field(description="A path or glob.")
    pattern: str = Field("combined", description="combined, syslog, or a regular expression with names.")
    within: Duration | None = Field(
        None,
        description="Only lines of this last time before the snapshot's; their time is the field `time`.",
    )
    encoding: str | None = Field(None, description="Of text that is not UTF-8, such as latin-1.")
    options: dict[str, AddressField] = Field(
        default_factory=dict, description="What a URL's storage needs; a value may be env:NAME."
    )
    bad_rows: BadRowsRule = Field("quarantine", description=BAD_ROWS)
    most_bad_rows: Share = Field(0.01, description=MOST_BAD_ROWS)


class GlueSource(SourcePart):
    """A table of the AWS Glue Data Catalog."""

    glue: str = Field(description="The table, as `database.table`.")
    region: str | None = Field(None, description="The AWS region; by default as the environment says.")
    endpoint: OpenAddress | None = Field(None, description="Where the catalog answers, if not at AWS.")
    options: dict[str, AddressField] = Field(
        default_factory=dict,
        description="`key`, `secret` and `token` for the catalog and S3, `endpoint_url` and what else S3 "
        "needs; a value may be env:NAME. By default what every AWS program finds.",
    )


class FeastSource(SourcePart):
    """A feature view of a Feast repository."""

    feast: str = Field(description="The repository's folder, beside the lifecycle file.")
    view: str = Field(description="The feature view.")


SOURCE_KINDS: dict[str, type[SourcePart]] = {
    "file": FileSource,
    "sql": SqlSource,
    "http": HttpSource,
    "kafka": KafkaSource,
    "mqtt": MqttSource,
    "log": LogSource,
    "glue": GlueSource,
    "feast": FeastSource,
}


def kind_of_source(value: Any) -> str | None:
    """Gives the kind of a source, such as ``sql``; None where it is none that the file can name.

    Args:
        value: A source's part of the file, read or as plain data.
    """
    if isinstance(value, Part):
        return next((kind for kind, part in SOURCE_KINDS.items() if isinstance(value, part)), None)
    return next((kind for kind in SOURCE_KINDS if isinstance(value, dict) and kind in value), None)


Source = Annotated[
    Annotated[FileSource, Tag("file")]
    | Annotated[SqlSource, Tag("sql")]
    | Annotated[HttpSource, Tag("http")]
    | Annotated[KafkaSource, Tag("kafka")]
    | Annotated[MqttSource, Tag("mqtt")]
    | Annotated[LogSource, Tag("log")]
    | Annotated[GlueSource, Tag("glue")]
    | Annotated[FeastSource, Tag("feast")],
    Discriminator(
        kind_of_source,
        custom_error_type="source_kind",
        custom_error_message="expected a source with one of the keys " + ", ".join(SOURCE_KINDS),
    ),
]
