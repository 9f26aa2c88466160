"""The prediction log as a topic that may be out of reach: lines wait on this machine's disk meanwhile.

A line is first committed to segments here, as without a topic, and sent from there in order. How far the
topic has confirmed is kept beside them, so that a process that is killed goes on from there; what was sent
again then is read once, as everything that is logged twice under one id.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import msgspec

from everloop.core.errors import EverloopError, OutsideFault
from everloop.core.files import storage_faults, write_file
from everloop.runtime.log.holding import LockFile
from everloop.runtime.log.limits import LogLimits
from everloop.runtime.log.lines import Written
from everloop.runtime.log.segment import MAGIC, SegmentName, frames, segment_names
from everloop.runtime.log.together import apart
from everloop.runtime.log.topic_address import TopicAddress
from everloop.runtime.log.topic_sender import TopicSender
from everloop.runtime.log.writing import PredictionLog

FOLDER = "outbox"

_LOOK_SECONDS = 0.05
_READ_BYTES = 16 * 2**20
_MOST_SENDING = 8 * 2**20
_SMALL_SEGMENTS = LogLimits(segment_bytes=8 * 2**20, segment_seconds=60.0)


class OutboxPlace(msgspec.Struct, frozen=True):
    """How far the lines of a worker's segments are confirmed: in which segment, up to which byte."""

    number: int
    offset: int


class OutboxLog:
    """Appends lines to segments and sends them to a topic. Safe to share between threads.

    Args:
        address: The topic.
        folder: The log's folder; the segments that wait are in `outbox` below it.
        worker: Whose lines these are.
        durability: As for `PredictionLog`: a line is durable when it is on this machine's disk.
        options: Further options of librdkafka.
        most_bytes: As many bytes may wait on the disk before further lines are refused.

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
        most_bytes: int = 2**30,
    ) -> None:
        with storage_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._most_bytes = most_bytes
        self._stored = 0
        self._lock_file = LockFile(folder / f"worker-{worker}.lock")
        try:
            self._sender = TopicSender(address, worker, options, patience=1.0)
            self._log = PredictionLog(folder / FOLDER, worker, durability, _SMALL_SEGMENTS)
        except EverloopError:
            self._lock_file.close()
            raise
        self._tail = _Tail(folder / FOLDER, worker)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._forward, name=f"outbox-{worker}", daemon=True)
        self._thread.start()

    def append(self, line: Written) -> int:
        """Takes a line; gives its place, for `durable`.

        Raises:
            StorageFull: When the disk has no room; the line was not taken.
            OutsideFault: When too much waits for the topic, or the disk fails; the line was not taken.
        """
        fault = self.fault
        if fault is not None:
            raise fault
        return self._log.append(line)

    def number_of(self, names: tuple[str, ...]) -> None:
        """Gives no number: each line of a topic says its columns' names."""

    def durable(self, place: int) -> Future[None]:
        """Promises that a line and all before it are on this machine's disk."""
        return self._log.durable(place)

    def flush(self, timeout: float = 10.0) -> None:
        """Waits until all that was appended is on this machine's disk."""
        self._log.flush(timeout)

    @property
    def fault(self) -> EverloopError | None:
        """Why lines are refused at present, or None."""
        if self._stored > self._most_bytes:
            return OutsideFault(
                f"{self._stored} bytes of the prediction log wait for the topic, more than is allowed.",
                hint="the server goes on by itself once its brokers confirm",
            )
        return self._log.fault

    @property
    def state(self) -> dict[str, int | str | None]:
        """Numbers for health and metrics."""
        silent = self._sender.fault
        return {
            **self._log.state,
            "topic": str(self._sender.address),
            "topic_fault": None if silent is None else silent.message,
            "bytes_waiting_for_topic": self._stored,
            "fault": None if self.fault is None else self.fault.message,
        }

    def close(self, seconds: float = 10.0) -> None:
        """Commits what is left and sends it, as far as the topic takes it in time; the rest is sent later.

        Raises:
            StorageFull: When what is left cannot be written.
        """
        if self._closing.is_set():
            return
        try:
            self._log.close()
        finally:
            end = time.perf_counter() + seconds
            while self._sender.fault is None and time.perf_counter() < end and self._tail.bytes_waiting():
                time.sleep(_LOOK_SECONDS / 5)
            self._closing.set()
            self._thread.join(10)
            self._sender.close(0.0)
            self._lock_file.close()

    def _forward(self) -> None:
        while not self._closing.is_set():
            if self._sender.bytes_waiting < _MOST_SENDING:
                for payload in self._tail.read():
                    self._sender.send(payload)
                self._tail.mark(self._sender.sent)
            with contextlib.suppress(EverloopError, OSError):  # a full disk: it is tried again
                self._tail.confirm(self._sender.confirmed)
            self._stored = self._tail.bytes_waiting()
            self._closing.wait(_LOOK_SECONDS)


class _Tail:
    """The end of a worker's segments that the topic has not confirmed; one thread reads and confirms."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder, self._worker = folder, worker
        self._place_path = folder / f"worker-{worker}.sent"
        self._read = self._kept = self._load()
        self._marks: deque[tuple[int, OutboxPlace]] = deque()

    def read(self) -> list[bytes]:
        """Gives lines that were written since, some at a time."""
        for number in self._numbers():
            if number < self._read.number:
                continue
            start = self._read.offset if number == self._read.number else len(MAGIC)
            with SegmentName(self._worker, number).segment(self._folder).open("rb") as file:
                file.seek(start)
                found = list(frames(file.read(_READ_BYTES), 0))
            if found:
                self._read = OutboxPlace(number, start + found[-1][1])
                first = 1 if start == len(MAGIC) else 0  # the header says what the lines are
                if len(found) > first:
                    return [line for payload, _ in found[first:] for line in apart(payload)]
        return []

    def mark(self, sent: int) -> None:
        """Says that what was read is sent when so many lines are."""
        if not self._marks or self._marks[-1][1] != self._read:
            self._marks.append((sent, self._read))

    def confirm(self, confirmed: int) -> None:
        """Keeps how far lines are confirmed, and removes segments that are confirmed whole."""
        place = self._kept
        while self._marks and self._marks[0][0] <= confirmed:
            place = self._marks.popleft()[1]
        if place != self._kept:
            write_file(self._place_path, msgspec.json.encode(place))
            self._kept = place
            for number in self._numbers():
                if number < place.number:
                    SegmentName(self._worker, number).segment(self._folder).unlink(missing_ok=True)

    def bytes_waiting(self) -> int:
        """Tells how much of the segments is not confirmed."""
        kept, waiting = self._kept, 0
        for number in self._numbers():
            if number < kept.number:
                continue
            with contextlib.suppress(FileNotFoundError):  # confirmed and removed meanwhile
                size = SegmentName(self._worker, number).segment(self._folder).stat().st_size
                waiting += max(0, size - kept.offset) if number == kept.number else size
        return waiting

    def _numbers(self) -> list[int]:
        return [name.number for name in segment_names(self._folder) if name.worker == self._worker]

    def _load(self) -> OutboxPlace:
        try:
            return msgspec.json.decode(self._place_path.read_bytes(), type=OutboxPlace)
        except FileNotFoundError:
            return OutboxPlace(0, len(MAGIC))
        except (OSError, msgspec.DecodeError) as error:
            raise OutsideFault(
                f"{self._place_path} cannot be read: {error}.", hint=f"rm {self._place_path} sends all again"
            ) from None
