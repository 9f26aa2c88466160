"""What a search must still do after its last fit, and how long that will take.

Weights are chosen, the preparation is proven, decisions are chosen and the model is evaluated: in the process
itself, where nothing can be ended. So the time for it is kept free, the longer the slower the machine is.
"""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 0.5
SHARE = 0.02
PER_ROW = 7e-5
PER_NUMBER = 2e-6
"""Of what weights are chosen by: a number for each row that judged and each class, up to `MOST_NUMBERS`."""

MOST_NUMBERS = 500_000
MOST_SHARE = 0.4
"""However slow the machine, no more of a budget is kept for its end."""


@dataclass(frozen=True, slots=True)
class Closing:
    """How much there is to do after the last fit.

    Attributes:
        judged: Rows that the folds are judged on, all together.
        evaluated: Rows of the test part.
        outputs: How many numbers an answer has.
    """

    judged: int
    evaluated: int = 0
    outputs: int = 1

    def seconds(self, total: float, *, slowness: float = 1.0, preparing: float = 0.0) -> float:
        """Gives the seconds that it is likely to take.

        Args:
            total: The whole budget; endless where trials are counted, and then nothing is kept.
            slowness: How many seconds pass in one that is computed; see `Pace.slowness`.
            preparing: Seconds that preparations still to be fitted will take, as they were seen.
        """
        if total == float("inf"):
            return 0.0
        rows = PER_ROW * max(self.judged, self.evaluated)
        weights = PER_NUMBER * min(self.judged * self.outputs, MOST_NUMBERS)
        return min(MOST_SHARE * total, slowness * (SECONDS + rows + weights) + SHARE * total + preparing)
