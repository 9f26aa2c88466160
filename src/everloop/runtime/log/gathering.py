"""Lines on their way to the disk: encoded one by one, framed a few together, taken a group at a time."""

from __future__ import annotations

import math
import threading
from pathlib import Path

from everloop.core.errors import EverloopError, OutsideFault
from everloop.runtime.log.limits import LogLimits
from everloop.runtime.log.lines import UNHOLDABLE, Written, encode_line, plainly
from everloop.runtime.log.segment import MOST_TOGETHER, framed
from everloop.runtime.log.short_lines import ColumnNames

_UNFRAMED_LINES, _UNFRAMED_BYTES = 256, 2**20
"""About so much is framed by an append, if it was not taken before: many frames in a row cost less than each
between two requests."""


class Gathering:
    """What was appended and is not on disk yet. Many threads append, one takes.

    Args:
        folder: Where the log is, for messages.
        limits: How much may wait, and how large a group grows.

    Attributes:
        lock: Held while anything here is read or changed; `append` takes it only where more is due.
        changed: Tells the thread that takes that there is something to do.
        taken: The place of the last line that was taken.
        fault: Why lines are refused at present, or None.
        closed: Whether lines are refused for good.
    """

    def __init__(self, folder: Path, limits: LogLimits) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.taken = 0
        self.fault: EverloopError | None = None
        self.closed = False
        self._folder = folder
        self._group_lines, self._most_waiting = limits.group_lines, limits.most_waiting
        self._names = ColumnNames()
        self._payloads: list[bytes] = []  # without their frames yet
        self._framed = 0  # how many lines are in frames: those have left, or are about to leave, the list
        self._framed_at = MOST_TOGETHER  # as many lines are framed by the append of the last of them
        self._pieces: list[bytes] = []
        self._bytes = 0  # of the pieces
        self._committing = 0  # bytes that were taken and are not synced yet
        # What is due beside appending comes at places known before, 0 where all are refused.
        self._wake_at: float = 1
        self._look_at: float = 1

    def append(self, line: Written) -> int:
        """Takes a line; gives its place.

        Raises:
            EverloopError: When no line is taken now.
        """
        # Now: what a request has made is in the processor's caches, and is not kept from being used again.
        try:
            payload = plainly(line)
        except UNHOLDABLE:
            payload = encode_line(line)
        # Without the lock, which costs as much as the rest: a list takes an element whole. Whoever frames
        # counts lines before they leave the list, so counted in this order they are never too few.
        payloads = self._payloads
        payloads.append(payload)
        place = len(payloads) + self._framed
        if place >= self._look_at:
            self._look(payload, place)
        return place

    def number_of(self, names: tuple[str, ...]) -> int | None:
        """Gives what a short line says for its columns' names; None where it cannot be short."""
        with self.lock:
            return self._names.number(names)

    @property
    def appended(self) -> int:
        """The place of the last line that was appended."""
        return self._framed + len(self._payloads)

    @property
    def waits(self) -> bool:
        """Whether there are lines to take."""
        return self.appended > self.taken

    @property
    def full(self) -> bool:
        """Whether there are as many lines as are committed without waiting."""
        return self.appended - self.taken >= self._group_lines

    @property
    def bytes_waiting(self) -> int:
        """How many encoded bytes are not synced."""
        return self._bytes + self._committing

    def wake_at_once(self) -> None:
        """Has the next line wake the thread that takes; otherwise only a full group does.

        Ask `waits` afterwards: a line that came meanwhile wakes nobody.
        """
        self._wake_at = self.taken + 1
        self.bound(self._committing)

    def take(self) -> bytes:
        """Gives all lines in their frames, end to end, and begins a new group."""
        self._frame(len(self._payloads))
        group = b"".join(self._pieces)
        self._pieces, self._bytes = [], 0
        self.taken = self._framed
        self._wake_at = self.taken + self._group_lines
        return group

    def bound(self, committing: int) -> None:
        """Says how much may wait, whenever something that decides it has changed.

        Args:
            committing: How many bytes were taken and are not synced.
        """
        self._committing = committing
        refuses = self.closed or self.fault is not None or self.bytes_waiting > self._most_waiting
        self._look_at = 0 if refuses else min(self._wake_at, self._framed + self._framed_at)

    def close(self) -> None:
        """Refuses lines for good; what there is may still be taken."""
        with self.lock:
            self.closed = True
            self.bound(self._committing)
            self.changed.notify()

    def _look(self, payload: bytes, place: int) -> None:
        """Does what is due once a line was appended; where lines are refused it is taken back."""
        with self.lock:
            count = len(self._payloads)
            if count >= self._framed_at and self._look_at:
                self._frame(count)
                self.bound(self._committing)
            if self._look_at == 0:
                if self._withdrawn(payload):
                    raise self._refusal()
            elif place >= self._wake_at:
                full = self.taken + self._group_lines
                self._wake_at = full if place < full else math.inf
                self.bound(self._committing)
                self.changed.notify()

    def _withdrawn(self, payload: bytes) -> bool:
        """Takes a line back; tells whether it was still there, and not in a frame already."""
        for index in range(len(self._payloads) - 1, -1, -1):
            if self._payloads[index] is payload:
                del self._payloads[index]
                return True
        return False

    def _frame(self, count: int) -> None:
        """Puts the first lines of the list into frames."""
        for begin in range(0, count, MOST_TOGETHER):
            some = self._payloads[: min(MOST_TOGETHER, count - begin)]
            piece = framed(some, self._names.encoded)
            self._pieces.append(piece)
            self._bytes += len(piece)
            self._framed += len(some)
            del self._payloads[: len(some)]
            fitting = _UNFRAMED_BYTES * len(some) // len(piece)
            self._framed_at = max(1, min(_UNFRAMED_LINES, fitting))

    def _refusal(self) -> EverloopError:
        if self.closed:
            return OutsideFault(f"The prediction log in {self._folder} is closed.")
        return self.fault or OutsideFault(
            f"The disk under {self._folder} does not keep up: {self.bytes_waiting} bytes wait."
        )
