"""Predictions whose columns' names stand once in their frame, and not in each line."""

from __future__ import annotations

from typing import Any

import msgspec

from everloop.runtime.log.lines import PredictionLine

TAG = "short"
MOST_NAMED = 8
"""So many lists of names a log keeps: each frame holds them all, and a server seldom sees a second one."""

_ENCODER = msgspec.msgpack.Encoder()

NO_NAMES = _ENCODER.encode({})
"""What stands in a frame for no names."""


class ShortLine(msgspec.Struct, frozen=True, array_like=True, tag=TAG, gc=False):
    """A `PredictionLine` as it is read.

    It is written as a tuple, the tag before these fields, since making the structure costs a tenth of what
    monitoring adds to a request.

    Attributes:
        columns: The number that the frame gives the names of `values`.
        values: The row's, in the order of the names.
    """

    id: str
    time: int
    version: int
    arm: str
    columns: int
    values: list[Any]
    score: float | tuple[float, ...]
    prediction: str | float | tuple[str, ...]
    latency_us: int
    chance: float

    def whole(self, names: dict[int, list[str]]) -> PredictionLine:
        """Gives the line with its row.

        Args:
            names: What the frame says, by their numbers.

        Raises:
            KeyError: When the frame does not say the names.
            ValueError: When there are more names than values, or fewer.
        """
        return PredictionLine(
            self.id,
            self.time,
            self.version,
            self.arm,
            dict(zip(names[self.columns], self.values, strict=True)),
            self.score,
            self.prediction,
            self.latency_us,
            self.chance,
        )


class ColumnNames:
    """The names that a log's frames say.

    Attributes:
        encoded: They as each frame holds them.
    """

    def __init__(self) -> None:
        self.encoded = NO_NAMES
        self._numbers: dict[tuple[str, ...], int] = {}

    def number(self, names: tuple[str, ...]) -> int | None:
        """Gives the number of a row's names.

        Every frame that is made from now on says them. None where there are too many lists of names already,
        or a name that MessagePack cannot hold: the line then says them itself.
        """
        known = self._numbers.get(names)
        if known is None and len(self._numbers) < MOST_NAMED:
            more = {**self._numbers, names: len(self._numbers)}
            try:
                self.encoded = _ENCODER.encode({number: name for name, number in more.items()})
            except UnicodeEncodeError:
                return None
            self._numbers, known = more, more[names]
        return known
