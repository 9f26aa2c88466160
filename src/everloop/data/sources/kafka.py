"""Kafka topics, by librdkafka."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.core.progress import Event
from everloop.data.sources.bad_rows import BadRow
from everloop.data.sources.protocol import Capabilities, Increment, Surroundings
from everloop.data.sources.schema_registry import AvroReader
from everloop.data.sources.stream_landing import increments
from everloop.data.sources.streams import Bound, FlawedMessage, StreamBatch, bad_message, json_row
from everloop.table.expression.moments import time_of

if TYPE_CHECKING:
    from everloop.spec import KafkaSource

SECONDS = 10.0
WAIT_SECONDS = 0.1
# A broker tells of an end at once; one that says nothing for so long is asked.
SILENT_SECONDS = 5.0


@dataclass(frozen=True)
class Topic:
    """A Kafka topic: one row for each message, in the order of each partition.

    A reading goes from where the last one ended to what was there when it began; its position is the
    next offset of each partition. It is no member of a consumer group and commits nothing, and sees
    what transactions have committed. A message that cannot be read is named by partition and offset.
    """

    spec: KafkaSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="kafka",
        reads="a Kafka topic of JSON, or of Avro with a schema registry",
        cheap_fingerprint=False,
        keeps_order=False,
        needs_network=True,
        incremental=True,
        knows_columns=False,
    )

    @property
    def most_bad_rows(self) -> float:
        """The greatest share of messages that may be bad."""
        return self.spec.most_bad_rows

    def identity(self) -> dict[str, Any]:
        """Names the topic, the brokers and the form."""
        return {"topic": self.spec.kafka, "servers": self.spec.servers, "format": self.spec.format}

    def read_after(self, position: dict[str, Any] | None, scratch: Path) -> Iterator[Increment]:
        """Reads what came after a position, up to the ends as they are now.

        Raises:
            SourceUnreachable: When no broker answers, or the topic is not there.
            SourceUnreadable: When the position is not in the topic any more.
        """
        limit = self.spec.limit
        bound = Bound(limit.messages if limit else None, limit.time if limit else None)
        with closing(self._batches(position, bound)) as batches:
            yield from increments(batches, scratch, refuses=self.spec.bad_rows == "refuse")

    def follow(self, position: dict[str, Any] | None) -> Iterator[StreamBatch]:
        """Gives what comes, without an end."""
        return self._batches(position, None)

    def _batches(self, position: dict[str, Any] | None, bound: Bound | None) -> Generator[StreamBatch]:
        read = self._reader()
        with self._consumer() as (consumer, errors):
            offsets = self._assign(consumer, errors, position)
            ends: dict[int, int] | None = None if bound is None else {}
            silent = Bound(None, timedelta(seconds=SILENT_SECONDS))
            while True:
                room = Bound(None, None).room() if bound is None else bound.room()
                rows: list[Mapping[str, Any]] = []
                bad: list[BadRow] = []
                for message in self._messages(consumer, room):
                    self._note_end(consumer, message, ends)
                    number, offset = message.partition(), message.offset()
                    if ends is not None and offset >= ends[number]:
                        # Came after the reading began; the end itself may lie behind a transaction's mark.
                        offsets[number] = max(offsets[number], ends[number])
                    elif message.error() is not None:
                        offsets[number] = max(offsets[number], offset)
                    else:
                        offsets[number] = offset + 1
                        self._take(message, read, rows, bad)
                yield StreamBatch(rows, bad, _position(offsets))
                if bound is not None and ends is not None:
                    bound.took(len(rows) + len(bad))
                    if bound.reached or _at_ends(offsets, ends):
                        return
                    self._expect_all(consumer, offsets, ends, silent)

    def _reader(self) -> Callable[[bytes | None], dict[str, Any]]:
        if self.spec.format == "json":
            return json_row
        registry = self.spec.registry
        if registry is None:
            raise SpecFault(
                "Avro messages name their schema by a number; the registry that knows it is not named.",
                hint="registry: http://localhost:8081",
            )
        return AvroReader(registry if isinstance(registry, str) else registry.reveal()).row

    def _take(
        self,
        message: Any,
        read: Callable[[bytes | None], dict[str, Any]],
        rows: list[Mapping[str, Any]],
        bad: list[BadRow],
    ) -> None:
        place = f"{self.spec.kafka}, partition {message.partition()}"
        try:
            row = read(message.value())
            for column, part in self.spec.envelope.items():
                row[column] = _ENVELOPE[part](message)
            rows.append(row)
        except FlawedMessage as flaw:
            bad.append(bad_message(place, "offset", message.offset(), flaw, message.value()))

    @contextmanager
    def _consumer(self) -> Iterator[tuple[Any, list[Any]]]:
        """Gives a consumer, and what its client meets meanwhile."""
        kafka = require("confluent_kafka", extra="kafka")
        own = {name: v if isinstance(v, str) else v.reveal() for name, v in self.spec.options.items()}
        errors: list[Any] = []
        settings = {
            "bootstrap.servers": self.spec.servers,
            "group.id": "everloop",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "allow.auto.create.topics": False,
            "log_level": 0,
            "error_cb": errors.append,
            **own,
        }
        try:
            consumer = kafka.Consumer(settings)
        except kafka.KafkaException as error:
            raise SpecFault(
                f"Kafka's client does not take an option: {_told(error)}.", place="options"
            ) from None
        try:
            yield consumer, errors
        except kafka.KafkaException as error:
            raise SourceUnreachable(
                f"Kafka at {self.spec.servers} does not answer: {_told(error)}."
            ) from None
        finally:
            consumer.close()

    def _assign(self, consumer: Any, errors: list[Any], position: dict[str, Any] | None) -> dict[int, int]:
        """Has the consumer read every partition from its place; gives those places."""
        kafka = require("confluent_kafka", extra="kafka")
        topic = self._described(consumer, errors)
        if topic.error is not None or not topic.partitions:
            raise SourceUnreachable(f"Kafka at {self.spec.servers} has no topic {self.spec.kafka}.")
        known = {int(number): offset for number, offset in (position or {}).get("offsets", {}).items()}
        offsets = {number: known.get(number, 0) for number in sorted(topic.partitions)}
        consumer.assign(
            [
                kafka.TopicPartition(self.spec.kafka, number, known.get(number, kafka.OFFSET_BEGINNING))
                for number in offsets
            ]
        )
        return offsets

    def _described(self, consumer: Any, errors: list[Any]) -> Any:
        """Asks for the topic's partitions; gives up early where the client says that no broker is there."""
        kafka = require("confluent_kafka", extra="kafka")
        waiting = Bound(None, timedelta(seconds=SECONDS))
        while True:
            try:
                return consumer.list_topics(self.spec.kafka, timeout=WAIT_SECONDS).topics[self.spec.kafka]
            except kafka.KafkaException:
                consumer.poll(0)  # has the client tell its errors
                down = kafka.KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001  (its public name)
                if waiting.reached or any(error.code() == down for error in errors):
                    raise

    def _messages(self, consumer: Any, room: int) -> Iterator[Any]:
        """Gives messages and the ends of partitions, as far as they have come."""
        kafka = require("confluent_kafka", extra="kafka")
        errors = kafka.KafkaError
        for message in consumer.consume(room, timeout=WAIT_SECONDS):
            error = message.error()
            if error is None or error.code() == errors._PARTITION_EOF:  # noqa: SLF001  (its public name)
                yield message
            elif error.code() == errors._AUTO_OFFSET_RESET:  # noqa: SLF001
                self._go_on(consumer, message)
            else:
                raise kafka.KafkaException(error)

    def _go_on(self, consumer: Any, message: Any) -> None:
        """Goes on where the broker has removed what would have been next.

        Raises:
            SourceUnreadable: When the position lies behind the end: this is another topic of that name.
        """
        kafka = require("confluent_kafka", extra="kafka")
        number, wanted = message.partition(), message.offset()
        place = kafka.TopicPartition(self.spec.kafka, number)
        low, _ = consumer.get_watermark_offsets(place, timeout=SECONDS)
        if wanted > low:
            raise self._made_anew(number, wanted)
        told = f"{self.spec.kafka}, partition {number}: {wanted} to {low} were removed before they were read"
        self.surroundings.progress(Event("data", told, kind="notice"))
        place.offset = low
        consumer.seek(place)

    def _expect_all(
        self, consumer: Any, offsets: Mapping[int, int], ends: Mapping[int, int], silent: Bound
    ) -> None:
        """Raises when a partition says nothing, not even that nothing is there."""
        quiet = [number for number in offsets if number not in ends]
        if not quiet or not silent.reached:
            return
        kafka = require("confluent_kafka", extra="kafka")
        for number in quiet:
            place = kafka.TopicPartition(self.spec.kafka, number)
            _, high = consumer.get_watermark_offsets(place, timeout=SECONDS)
            if high < offsets[number]:
                raise self._made_anew(number, offsets[number])
        raise SourceUnreachable(
            f"Kafka at {self.spec.servers} gives nothing of partition {quiet[0]} of {self.spec.kafka}."
        )

    def _made_anew(self, number: int, wanted: int) -> SourceUnreadable:
        return SourceUnreadable(
            f"Partition {number} of the topic {self.spec.kafka} ends before offset {wanted}, which was "
            "reached before: the topic was made anew.",
            hint="give it another name, or remove what is kept of it under .everloop/sources",
        )

    def _note_end(self, consumer: Any, message: Any, ends: dict[int, int] | None) -> None:
        """Keeps a partition's end as it is when its first message comes."""
        if ends is None or message.partition() in ends:
            return
        kafka = require("confluent_kafka", extra="kafka")
        place = kafka.TopicPartition(self.spec.kafka, message.partition())
        _, high = consumer.get_watermark_offsets(place, cached=True)
        ends[message.partition()] = max(high, message.offset() if message.error() is not None else 0)


def _sent(message: Any) -> datetime | None:
    kind, milliseconds = message.timestamp()
    return None if not kind else time_of(milliseconds * 1000)


_ENVELOPE: dict[str, Callable[[Any], Any]] = {
    "key": lambda message: None if message.key() is None else message.key().decode("utf-8", "replace"),
    "timestamp": _sent,
    "partition": lambda message: message.partition(),
    "offset": lambda message: message.offset(),
}
"""What a message says beside its content."""


def _at_ends(offsets: Mapping[int, int], ends: Mapping[int, int]) -> bool:
    return all(number in ends and offset >= ends[number] for number, offset in offsets.items())


def _position(offsets: Mapping[int, int]) -> dict[str, Any]:
    return {"offsets": {str(number): offset for number, offset in offsets.items()}}


def _told(error: Any) -> str:
    inner = error.args[0] if error.args else error
    return str(inner.str() if hasattr(inner, "str") else inner)
