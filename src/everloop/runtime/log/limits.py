"""When the prediction log commits, and how much may wait for it."""

from __future__ import annotations

from dataclasses import dataclass

DURABILITIES = ("buffer", "fsync")


@dataclass(frozen=True)
class LogLimits:
    """When lines are committed and segments end.

    Attributes:
        group_seconds: The longest that a line stays in the buffer, with durability `buffer`.
        group_lines: As many lines are committed at once without waiting, with durability `buffer`.
        sync_seconds: The longest that the disk is left to itself with what was written, with durability
            `buffer`: what a killed process has written is there, what a machine that loses its power had
            not synced may not be.
        sync_bytes: As many bytes are synced without waiting.
        segment_bytes: A segment that has grown to this is closed and a new one begun.
        segment_seconds: The same by age.
        most_waiting: As many bytes may wait for the disk before more are refused.
    """

    group_seconds: float = 0.05
    group_lines: int = 1000
    sync_seconds: float = 1.0
    sync_bytes: int = 2**20
    segment_bytes: int = 64 * 2**20
    segment_seconds: float = 3600.0
    most_waiting: int = 64 * 2**20
