"""The compiled model: `score.onnx`, from encoded vectors to scores, run by onnxruntime."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import PackageRefused
from everloop.runtime.graph_engine import graph_engine
from everloop.runtime.graph_trial import LOAD_SECONDS, LOADED_BYTES_A_SECOND, on_trial
from everloop.runtime.onnx_guard import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

_DOUBLE = "tensor(double)"
_OUTPUTS = ["score"]

ROWS_AT_ONCE = 4_096
"""More rows are scored in parts, so that what lies between is bounded."""

MOST_MEMORY = 4 * 2**30
"""Bytes that all graphs of a process may hold between their nodes; a graph that asks for more fails."""


class Graph:
    """A loaded `score.onnx`. Safe to call from several threads.

    Args:
        model: The file's content.
        width: The length of a vector.
        outputs: How many scores a row gets.
        name: The file's name, for messages.

    Raises:
        PackageRefused: When the content is no such graph.
    """

    def __init__(self, model: bytes, *, width: int, outputs: int, name: str = "score.onnx") -> None:
        refuse_unknown(model, name)
        self._session = open_session(model, name)
        self._run = self._session.run
        self.outputs = outputs
        _check_doors(self._session, width, name)
        self._try(np.zeros((1, width)), name)

    def scores(self, vectors: Matrix) -> Matrix:
        """Scores encoded rows.

        Args:
            vectors: (rows, width) doubles.

        Returns:
            (rows, outputs) doubles.

        Raises:
            PackageRefused: When the graph fails or gives another shape than its package says.
        """
        if len(vectors) > ROWS_AT_ONCE:
            parts = range(0, len(vectors), ROWS_AT_ONCE)
            return np.concatenate([self.scores(vectors[part : part + ROWS_AT_ONCE]) for part in parts])
        return run_graph(self._run, {"x": vectors}, (vectors.shape[0], self.outputs))

    def _try(self, vector: Matrix, name: str) -> None:
        shape = (1, self.outputs)
        on_trial(
            lambda options: run_graph(partial(self._run, run_options=options), {"x": vector}, shape), name
        )


def run_graph(run: Callable[..., Any], feeds: Mapping[str, Any], shape: tuple[int, int]) -> Matrix:
    """Runs a session's graph to its scores.

    Args:
        run: The session's own `run`.
        feeds: Input name to array.
        shape: What the scores have to be.

    Raises:
        PackageRefused: When the graph fails or gives another shape.
    """
    try:
        scores: Matrix = run(_OUTPUTS, feeds)[0]
    except Exception as error:  # noqa: BLE001  (onnxruntime has no public base class)
        raise PackageRefused(f"score.onnx cannot be run: {_first_line(error)}") from None
    if scores.shape != shape:
        raise PackageRefused(f"score.onnx gave scores of shape {scores.shape}; expected {shape}.")
    return scores


def open_session(model: bytes, name: str) -> Any:
    """Loads a graph for one thread at a time.

    Raises:
        PackageRefused: When the content is no graph, or one that takes too long to load.
    """
    seconds = LOAD_SECONDS + len(model) / LOADED_BYTES_A_SECOND
    return on_trial(lambda _: _open_session(model, name), name, seconds)


def _open_session(model: bytes, name: str) -> Any:
    onnxruntime = graph_engine()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  (onnxruntime has no public base class)
        raise PackageRefused(f"{name} cannot be loaded: {_first_line(error)}") from None


@lru_cache(maxsize=1)
def _bound_memory() -> None:
    """Makes one place, of bounded size, out of which all graphs of the process take their memory."""
    onnxruntime = graph_engine()
    device, whole = onnxruntime.OrtMemType.DEFAULT, onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    as_asked, first_bytes, unused_bytes = 1, 2**20, -1
    arena = onnxruntime.OrtArenaCfg(MOST_MEMORY, as_asked, first_bytes, unused_bytes)
    onnxruntime.create_and_register_allocator(onnxruntime.OrtMemoryInfo("Cpu", whole, 0, device), arena)


def _check_doors(session: Any, width: int, name: str) -> None:
    entries = [(item.name, item.type) for item in session.get_inputs()]
    exits = [(item.name, item.type) for item in session.get_outputs()]
    if entries != [("x", _DOUBLE)] or ("score", _DOUBLE) not in exits:
        raise PackageRefused(
            f"{name} reads {entries} and gives {exits}; expected the double input 'x' and output 'score'."
        )
    shape = session.get_inputs()[0].shape
    if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != width):
        raise PackageRefused(f"{name} reads vectors of shape {shape}; the plan gives {width} numbers a row.")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
