"""The prediction log fetched from its topic: what servers have sent becomes segments beside the record.

How far each partition was read is in the record, written after its lines are on disk: a loop that is killed
reads some lines again, which are read once, as everything that is logged twice under one id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.errors import DataFault, SourceUnreachable
from everloop.core.extras import require
from everloop.core.progress import Event
from everloop.runtime.log.lines import decode_line
from everloop.runtime.log.topic_address import TopicAddress
from everloop.runtime.log.writing import PredictionLog

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

OFFSETS = "prediction-log-offsets"
"""The record's state: from partition to the next offset."""

WORKER = "topic"
_SECONDS = 10.0
_WAIT_SECONDS = 0.5
_AT_ONCE = 10_000


class Collecting:
    """Fetches the lines of a lifecycle's topic. Close it at the end.

    Args:
        workspace: The lifecycle, whose file names a topic.

    Raises:
        MissingExtra: When confluent-kafka is not installed.
        RecordBusy: When another process fetches into the same folder.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        stated = workspace.spec.deploy.log
        self._address = TopicAddress.parse(str(stated.to))
        self._kafka = require("confluent_kafka", extra="kafka")
        own = {
            name: value if isinstance(value, str) else value.reveal()
            for name, value in stated.options.items()
        }
        self._consumer = self._kafka.Consumer(
            {
                "bootstrap.servers": self._address.servers,
                "group.id": "everloop",  # nothing is committed: the record knows the offsets
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
                "log_level": 0,
                "error_cb": lambda _: None,
                **own,
            }
        )
        self._log = PredictionLog(workspace.log_folder, worker=WORKER)

    def fetch(self) -> int:
        """Fetches what has come since the last time, up to the ends as they are now.

        Returns:
            How many lines were fetched.

        Raises:
            SourceUnreachable: When the brokers do not answer; what had come by then is kept.
            DataFault: When a message is no line of a prediction log.
        """
        try:
            return self._fetch()
        except self._kafka.KafkaException as error:
            raise SourceUnreachable(
                f"The prediction log's topic {self._address} does not answer: {error.args[0].str()}."
            ) from None

    def close(self) -> None:
        """Lets go of the topic and the folder."""
        self._consumer.close()
        self._log.close()

    def _fetch(self) -> int:
        offsets, ends = self._offsets(), self._ends()
        behind = {number for number, end in ends.items() if offsets.get(number, 0) < end}
        place = self._kafka.TopicPartition
        self._consumer.assign(
            [
                place(self._address.topic, one, offsets.get(one, self._kafka.OFFSET_BEGINNING))
                for one in behind
            ]
        )
        fetched = 0
        while behind:
            messages = self._consumer.consume(_AT_ONCE, timeout=_WAIT_SECONDS)
            for message in messages:
                if message.error() is not None:
                    raise self._kafka.KafkaException(message.error())
                self._log.append(self._line(message))
                offsets[message.partition()] = message.offset() + 1
            fetched += len(messages)
            if messages:
                self._keep(offsets)
            for asked in self._consumer.position([place(self._address.topic, one) for one in behind]):
                # Behind the last line there may be marks of transactions, which are no messages.
                if asked.offset >= ends[asked.partition] or (not messages and asked.offset < 0):
                    behind.discard(asked.partition)
        self._consumer.unassign()
        return fetched

    def _keep(self, offsets: dict[int, int]) -> None:
        """Writes down how far was read, once the lines are on disk."""
        self._log.flush()
        value = {str(number): offset for number, offset in offsets.items()}
        self._workspace.record.set_state(self._workspace.name, OFFSETS, value)

    def _offsets(self) -> dict[int, int]:
        kept = self._workspace.record.state(self._workspace.name, OFFSETS, {})
        return {int(number): int(offset) for number, offset in kept.items()}

    def _ends(self) -> dict[int, int]:
        topic = self._consumer.list_topics(self._address.topic, timeout=_SECONDS).topics[self._address.topic]
        if topic.error is not None:
            return {}  # nobody has sent anything yet
        place = self._kafka.TopicPartition
        return {
            number: self._consumer.get_watermark_offsets(
                place(self._address.topic, number), timeout=_SECONDS
            )[1]
            for number in topic.partitions
        }

    def _line(self, message: Any) -> Any:
        try:
            return decode_line(message.value() or b"")
        except msgspec.DecodeError:
            raise DataFault(
                f"Message {message.offset()} of partition {message.partition()} is no line of a prediction "
                f"log.",
                place=str(self._address),
                hint="name a topic under deploy.log.to that nothing else writes to",
            ) from None


def collect(workspace: Workspace) -> None:
    """Fetches what is new of a lifecycle whose log is a topic; brokers that do not answer are told of."""
    if workspace.spec.deploy.log.to is None:
        return
    try:
        workspace.collecting.fetch()
    except SourceUnreachable as error:
        workspace.progress(Event("monitor", f"{error.message} It is asked again.", kind="notice"))
