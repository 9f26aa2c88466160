"""Lines sent to a topic, in order, until each is confirmed: by librdkafka's idempotent producer.

A line that the brokers have not confirmed is kept here and goes on being sent; none is given up while this
process lives. All lines of a sender have one key, so that they are in one partition, in their order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from everloop.core.errors import EverloopError, OutsideFault, UsageFault
from everloop.core.extras import require
from everloop.runtime.log.topic_address import TopicAddress

_LOOK_SECONDS = 0.05
_ASK_SECONDS = 1.0
_RENEW_SECONDS = 1.0


class TopicSilent(OutsideFault):
    """The brokers of the prediction log do not confirm lines."""

    code = "log-topic"
    retryable = True


class TopicSender:
    """Sends lines to a topic. Safe to share between threads.

    Args:
        address: The topic.
        key: Whose lines these are; they stay in order.
        options: Further options of librdkafka, such as how to sign in.
        patience: For how many seconds a line may wait for its confirmation before `fault` tells of it.
        told: Called, from a thread of the sender's own, with how many lines are confirmed in all, or
            when `fault` has changed.

    Raises:
        MissingExtra: When confluent-kafka is not installed.
        UsageFault: When its client does not take an option.
    """

    def __init__(
        self,
        address: TopicAddress,
        key: str,
        options: Mapping[str, str] | None = None,
        *,
        patience: float = 5.0,
        told: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.address = address
        self._kafka = require("confluent_kafka", extra="kafka")
        self._key, self._patience, self._told = key.encode(), patience, told
        self._options = {
            "bootstrap.servers": address.servers,
            "enable.idempotence": True,
            "message.timeout.ms": 0,  # a line is never given up
            "queue.buffering.max.messages": 10_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            "linger.ms": 2,
            "compression.type": "lz4",
            "reconnect.backoff.max.ms": 1000,
            "log_level": 0,
            "error_cb": lambda _: None,
            **(options or {}),
        }
        self._lock = threading.Lock()
        self._pending: deque[tuple[bytes, float]] = deque()
        self.bytes_waiting = 0
        self.sent = 0
        self.confirmed = 0
        self.fault: EverloopError | None = None
        self._made, self._broken = 0, False
        self._producer = self._new_producer()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name=f"topic-{key}", daemon=True)
        if not self._answers(patience):
            self.fault = self._silent()
        self._thread.start()

    def send(self, payload: bytes) -> int:
        """Takes a line; gives how many were taken in all."""
        with self._lock:
            self._pending.append((payload, time.perf_counter()))
            self.bytes_waiting += len(payload)
            self.sent += 1
            self._produce(payload)
            return self.sent

    def close(self, seconds: float) -> int:
        """Waits so long at most for what is not confirmed; gives how many lines are lost."""
        end = time.perf_counter() + seconds
        while self._pending and time.perf_counter() < end:
            time.sleep(_LOOK_SECONDS / 5)
        self._closing.set()
        self._thread.join(10)
        self._producer.purge()
        self._producer.poll(0)
        return len(self._pending)

    def _new_producer(self) -> Any:
        self._made += 1
        try:
            return self._kafka.Producer(self._options)
        except self._kafka.KafkaException as error:
            raise UsageFault(
                f"Kafka's client does not take an option: {error.args[0].str()}.", place="deploy.log.options"
            ) from None

    def _produce(self, payload: bytes) -> None:
        """Hands a line to the client; what it does not take is sent again by the next client."""
        if self._broken:
            return
        told = partial(self._confirm, self._made)
        try:
            self._producer.produce(self.address.topic, payload, self._key, on_delivery=told)
        except (self._kafka.KafkaException, BufferError):
            self._broken = True

    def _confirm(self, made: int, error: Any, _message: Any) -> None:
        """Notes what became of the oldest line; called within `poll`, in the order of sending."""
        if made != self._made or self._broken:
            return  # of a client whose lines are sent again
        if error is not None:
            self._broken = True
            return
        with self._lock:
            payload, _ = self._pending.popleft()
            self.bytes_waiting -= len(payload)
            self.confirmed += 1

    def _look_after(self) -> None:
        while not self._closing.is_set():
            before = self.confirmed
            self._producer.poll(_LOOK_SECONDS)
            if self._broken:
                self._change_fault(self._silent())
                self._closing.wait(_RENEW_SECONDS)
                self._renew()
            elif self._too_old():
                self._change_fault(self._silent())
            elif self.fault is not None and (self._pending_is_fresh() or self._answers(_ASK_SECONDS)):
                self._change_fault(None)
            if self.confirmed > before:
                self._told(self.confirmed)

    def _renew(self) -> None:
        """Sends everything that is not confirmed again, in order, by a client that is new."""
        old = self._producer
        with self._lock:
            self._producer = self._new_producer()
            self._broken = False
            for payload, _ in self._pending:
                self._produce(payload)
        old.purge()
        old.poll(0)

    def _too_old(self) -> bool:
        with self._lock:
            return bool(self._pending) and time.perf_counter() - self._pending[0][1] > self._patience

    def _pending_is_fresh(self) -> bool:
        """Whether lines are confirmed again."""
        with self._lock:
            return bool(self._pending)

    def _answers(self, seconds: float) -> bool:
        try:
            found = self._producer.list_topics(self.address.topic, timeout=seconds).topics
        except self._kafka.KafkaException:
            return False
        return found[self.address.topic].error is None

    def _change_fault(self, fault: EverloopError | None) -> None:
        if (self.fault is None) != (fault is None):
            self.fault = fault
            self._told(self.confirmed)

    def _silent(self) -> TopicSilent:
        return TopicSilent(
            f"The brokers at {self.address.servers} do not confirm lines of the topic {self.address.topic}.",
            hint="the server goes on by itself once they do",
        )
