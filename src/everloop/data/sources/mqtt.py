"""MQTT topics, by paho-mqtt: what sensors send."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event as Signal
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.digest import digest_value
from everloop.core.errors import OutsideFault, SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.sources.bad_rows import BadRow
from everloop.data.sources.protocol import Capabilities, Increment, Surroundings
from everloop.data.sources.stream_landing import increments
from everloop.data.sources.streams import Bound, FlawedMessage, StreamBatch, bad_message, json_row

if TYPE_CHECKING:
    from everloop.spec import MqttSource

SECONDS = 10.0
WAIT_SECONDS = 0.25
# How long the broker keeps what came while nobody listened.
SESSION_SECONDS = 7 * 86_400
_QUALITY = 1


@dataclass(frozen=True)
class Subscription:
    """MQTT topics, with wildcards: one row for each message, by MQTT 5 with at-least-once delivery.

    A topic has no end and no past: a reading lasts as long as its `limit` says. The broker keeps a
    session between readings (a week, and as many messages as it is set to keep), so that the next
    one continues; a message is acknowledged when it is kept. A process that is killed in between gets
    it again. Retained messages come at the first reading. A message that cannot be read is named by
    its topic and number.
    """

    spec: MqttSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="mqtt",
        reads="MQTT topics of JSON, for a time or a number of messages",
        cheap_fingerprint=False,
        keeps_order=False,
        needs_network=True,
        incremental=True,
        knows_columns=False,
        repeats=False,
    )

    @property
    def most_bad_rows(self) -> float:
        """The greatest share of messages that may be bad."""
        return self.spec.most_bad_rows

    def identity(self) -> dict[str, Any]:
        """Names the topic and the broker."""
        return {"topic": self.spec.mqtt, "host": self.spec.host, "port": self.spec.port}

    def read_after(self, position: dict[str, Any] | None, scratch: Path) -> Iterator[Increment]:
        """Reads what comes until the limit is reached.

        Raises:
            SourceUnreachable: When the broker does not answer, or the connection was lost.
            SourceUnreadable: When the broker refuses.
        """
        bound = Bound(self.spec.limit.messages, self.spec.limit.time)
        refuses = self.spec.bad_rows == "refuse"
        # The connection outlives the batches: the last are acknowledged when they are kept.
        with self._connected(position) as inbox:
            yield from increments(self._batches(inbox, position, bound), scratch, refuses=refuses)

    def follow(self, position: dict[str, Any] | None) -> Iterator[StreamBatch]:
        """Gives what comes, without an end."""
        with self._connected(position) as inbox:
            yield from self._batches(inbox, position, None)

    def _batches(
        self, inbox: _Inbox, position: dict[str, Any] | None, bound: Bound | None
    ) -> Iterator[StreamBatch]:
        count = int((position or {}).get("messages", 0))
        while True:
            inbox.check()
            messages = inbox.messages(Bound(None, None).room() if bound is None else bound.room())
            rows: list[Mapping[str, Any]] = []
            bad: list[BadRow] = []
            for message, came in messages:
                count += 1
                self._take(message, came, count, rows, bad)
            taken = inbox.acknowledger([message for message, _ in messages])
            yield StreamBatch(rows, bad, {"messages": count}, taken)
            if bound is not None:
                bound.took(len(messages))
                if bound.reached:
                    return

    def _take(
        self,
        message: Any,
        came: datetime,
        number: int,
        rows: list[Mapping[str, Any]],
        bad: list[BadRow],
    ) -> None:
        try:
            row = json_row(message.payload)
            for column, part in self.spec.envelope.items():
                row[column] = _ENVELOPE[part](message, came)
            rows.append(row)
        except FlawedMessage as flaw:
            bad.append(bad_message(message.topic, "message", number, flaw, message.payload))

    @contextmanager
    def _connected(self, position: dict[str, Any] | None) -> Iterator[_Inbox]:
        paho = require("paho.mqtt.client", extra="mqtt")
        inbox = _Inbox(self._name, self.surroundings.clock.now)
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            client_id=f"everloop-{digest_value(self.identity())[:15]}",
            protocol=paho.MQTTv5,
            manual_ack=True,
        )
        client.user_data_set(inbox)
        client.on_message, client.on_connect = _on_message, _on_connect
        client.on_disconnect, client.on_subscribe = _on_disconnect, _on_subscribe
        if self.spec.user is not None:
            client.username_pw_set(_revealed(self.spec.user), _revealed(self.spec.password))
        if self.spec.tls:
            client.tls_set()
        inbox.client, inbox.topic = client, self.spec.mqtt
        try:
            client.connect(
                self.spec.host,
                self.spec.port,
                keepalive=30,
                # Without a position nothing is kept, so what an older session holds is not continued.
                clean_start=position is None,
                properties=_session_kept(),
            )
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise SourceUnreachable(f"The MQTT broker {self._name} does not answer: {why}.") from None
        client.loop_start()
        try:
            inbox.wait_until_subscribed()
            yield inbox
        finally:
            client.disconnect()
            client.loop_stop()

    @property
    def _name(self) -> str:
        return f"{self.spec.host}:{self.spec.port}"


@dataclass
class _Inbox:
    """What the client's thread hands over.

    Args:
        name: The broker, for messages.
        now: Tells the time at which a message comes.
    """

    name: str
    now: Callable[[], datetime]
    topic: str = ""
    client: Any = None
    fault: OutsideFault | None = None
    subscribed: Signal = field(default_factory=Signal)
    queue: SimpleQueue[tuple[Any, datetime]] = field(default_factory=SimpleQueue)

    def check(self) -> None:
        """Raises what the client's thread has met."""
        if self.fault is not None:
            raise self.fault

    def wait_until_subscribed(self) -> None:
        """Waits for the broker's consent."""
        if not self.subscribed.wait(SECONDS):
            raise SourceUnreachable(f"The MQTT broker {self.name} has not answered within {SECONDS:g} s.")
        self.check()

    def messages(self, room: int) -> list[tuple[Any, datetime]]:
        """Gives what has come, after a short wait for the first."""
        found: list[tuple[Any, datetime]] = []
        end = perf_counter() + WAIT_SECONDS
        while len(found) < room and (left := end - perf_counter()) > 0:
            try:
                found.append(self.queue.get(timeout=left))
            except Empty:
                break
        return found

    def acknowledger(self, messages: list[Any]) -> Callable[[], None] | None:
        """Gives what tells the broker that messages are kept."""
        if not messages:
            return None

        def acknowledge() -> None:
            for message in messages:
                self.client.ack(message.mid, message.qos)

        return acknowledge

    def failed(self, fault: OutsideFault) -> None:
        """Keeps what is wrong for the reader."""
        self.fault = self.fault or fault
        self.subscribed.set()


def _on_connect(client: Any, inbox: _Inbox, _flags: Any, reason: Any, _properties: Any) -> None:
    if reason.is_failure:
        inbox.failed(
            SourceUnreadable(
                f"The MQTT broker {inbox.name} refuses: {reason}.", hint="user and password: env:NAME"
            )
        )
        return
    options = require("paho.mqtt.subscribeoptions", extra="mqtt").SubscribeOptions
    retained = options.RETAIN_SEND_IF_NEW_SUB
    client.subscribe(inbox.topic, options=options(qos=_QUALITY, retainHandling=retained))


def _on_subscribe(_client: Any, inbox: _Inbox, _mid: int, reasons: list[Any], _properties: Any) -> None:
    refused = [reason for reason in reasons if reason.is_failure]
    if refused:
        inbox.failed(
            SourceUnreadable(f"The MQTT broker {inbox.name} refuses the topic {inbox.topic}: {refused[0]}.")
        )
    inbox.subscribed.set()


def _on_disconnect(_client: Any, inbox: _Inbox, _flags: Any, reason: Any, _properties: Any) -> None:
    if reason.is_failure:
        inbox.failed(SourceUnreachable(f"The connection to the MQTT broker {inbox.name} was lost: {reason}."))


def _on_message(_client: Any, inbox: _Inbox, message: Any) -> None:
    inbox.queue.put((message, inbox.now()))


def _session_kept() -> Any:
    properties = require("paho.mqtt.properties", extra="mqtt")
    packets = require("paho.mqtt.packettypes", extra="mqtt")
    kept = properties.Properties(packets.PacketTypes.CONNECT)
    kept.SessionExpiryInterval = SESSION_SECONDS
    return kept


def _revealed(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value.reveal())


_ENVELOPE: dict[str, Callable[[Any, datetime], Any]] = {
    "topic": lambda message, _: message.topic,
    "received": lambda _, came: came,
    "retained": lambda message, _: bool(message.retain),
}
"""What a message says beside its content."""
