"""A model that a library of its own answers for: asked by one thread at a time, in silence."""

from __future__ import annotations

import threading
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


class AskedModel(ABC):
    """What every model of a Python runtime does alike. Safe to share between threads.

    Args:
        outputs: How many scores a row gets.
    """

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs
        self._lock = threading.Lock()
        self._threads = require("threadpoolctl", extra="train").ThreadpoolController()

    @abstractmethod
    def as_read(self, values: NDArray[Any]) -> Any:
        """Gives encoded rows as `scores_of` takes them."""

    @abstractmethod
    def said(self, table: Any) -> Matrix:
        """Asks the library for a table's scores, (rows, outputs)."""

    def scores(self, values: NDArray[Any]) -> Matrix:
        """Scores rows, as `Graph.scores` does.

        Args:
            values: What `encode` gave.

        Returns:
            (rows, outputs) doubles.

        Raises:
            DataFault: When the model itself refuses a row, or has no number for it.
        """
        if not len(values):
            return np.zeros((0, self.outputs))
        try:
            return self.scores_of(self.as_read(values))
        except DataFault:
            raise
        except Exception as error:
            raise DataFault(
                f"The model refuses the row: its library raised {type(error).__name__}."
            ) from error

    def scores_of(self, table: Any) -> Matrix:
        """Scores a table in the form that the library reads, (rows, outputs).

        Raises:
            DataFault: When an answer is no finite number.
            PackageRefused: When the answers have another shape than the package says.
        """
        # What it would warn of, a client cannot change; the filters are one for all threads. A row is less
        # work than to wake a second processor for it.
        with self._lock, warnings.catch_warnings(), self._threads.limit(limits=1):
            warnings.simplefilter("ignore")
            said = self.said(table)
        if not np.isfinite(said).all():
            raise DataFault("The model has no finite answer to the row.")
        return np.ascontiguousarray(said)
