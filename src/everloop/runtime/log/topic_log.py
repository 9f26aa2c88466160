"""The prediction log as a topic: the same lines as in segments, each durable once it is confirmed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from everloop.core.errors import EverloopError, OutsideFault
from everloop.core.files import storage_faults
from everloop.runtime.log.holding import LockFile
from everloop.runtime.log.lines import Written, encode_line
from everloop.runtime.log.topic_address import TopicAddress
from everloop.runtime.log.topic_sender import TopicSender

MOST_WAITING = 64 * 2**20
"""As many bytes may wait for their confirmation before more are refused."""


class TopicLog:
    """Appends lines to a topic, as `PredictionLog` does to segments. Safe to share between threads.

    While the brokers do not confirm, further lines are refused; those that were taken are kept and sent until
    they are confirmed.

    Args:
        address: The topic.
        folder: Where the worker's name is held, so that no other process on this machine has it.
        worker: Whose lines these are.
        durability: What `state` says.
        options: Further options of librdkafka.
        patience: How long a line may wait for its confirmation before more are refused.

    Raises:
        RecordBusy: When another process on this machine writes as this worker.
        MissingExtra: When confluent-kafka is not installed.
    """

    def __init__(
        self,
        address: TopicAddress,
        folder: Path,
        worker: str = "0",
        durability: str = "buffer",
        options: Mapping[str, str] | None = None,
        *,
        patience: float = 5.0,
    ) -> None:
        with storage_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.durability = durability
        self._closed = False
        self._lock = threading.Lock()
        self._promises: deque[tuple[int, Future[None]]] = deque()
        self._lock_file = LockFile(folder / f"worker-{worker}.lock")
        try:
            self._sender = TopicSender(address, worker, options, patience=patience, told=self._settle)
        except EverloopError:
            self._lock_file.close()
            raise

    def append(self, line: Written) -> int:
        """Takes a line; gives its place, for `durable`.

        Raises:
            OutsideFault: When the brokers do not confirm or do not keep up; the line was not taken.
        """
        if self._closed:
            raise OutsideFault("The prediction log is closed.")
        if self._sender.fault is not None:
            raise self._sender.fault
        if self._sender.bytes_waiting > MOST_WAITING:
            raise OutsideFault(
                f"The topic does not keep up: {self._sender.bytes_waiting} bytes wait for confirmation."
            )
        return self._sender.send(encode_line(line))

    def number_of(self, names: tuple[str, ...]) -> None:
        """Gives no number: each line of a topic says its columns' names."""

    def durable(self, place: int) -> Future[None]:
        """Promises that a line and all before it are confirmed; it fails when the brokers fall silent."""
        promise: Future[None] = Future()
        with self._lock:
            if place <= self._sender.confirmed:
                promise.set_result(None)
            elif self._sender.fault is not None:
                promise.set_exception(self._sender.fault)
            else:
                self._promises.append((place, promise))
        return promise

    def flush(self, timeout: float = 10.0) -> None:
        """Waits until all that was appended is confirmed.

        Raises:
            OutsideFault: When it is not in time.
        """
        try:
            self.durable(self._sender.sent).result(timeout)
        except TimeoutError:
            raise OutsideFault(f"The topic took longer than {timeout} s to confirm.") from None

    @property
    def fault(self) -> EverloopError | None:
        """Why lines are refused at present, or None."""
        return self._sender.fault

    @property
    def state(self) -> dict[str, int | str | None]:
        """Numbers for health and metrics."""
        return {
            "durability": self.durability,
            "lines_appended": self._sender.sent,
            "lines_durable": self._sender.confirmed,
            "bytes_waiting": self._sender.bytes_waiting,
            "topic": str(self._sender.address),
            "fault": None if self._sender.fault is None else self._sender.fault.message,
        }

    def close(self, seconds: float = 10.0) -> None:
        """Waits for what is not confirmed, and lets go.

        Raises:
            OutsideFault: When lines are lost, which nobody was promised.
        """
        if self._closed:
            return
        self._closed = True
        lost = self._sender.close(seconds)
        self._lock_file.close()
        if lost:
            raise OutsideFault(f"{lost} lines of the prediction log were not confirmed and are lost.")

    def _settle(self, confirmed: int) -> None:
        fault, kept = self._sender.fault, []
        with self._lock:
            while self._promises and (fault is not None or self._promises[0][0] <= confirmed):
                kept.append(self._promises.popleft())
        for place, promise in kept:
            if not promise.set_running_or_notify_cancel():
                continue
            if place <= confirmed or fault is None:
                promise.set_result(None)
            else:
                promise.set_exception(fault)
