"""An ONNX file as an estimator: it is run as it is, and its nodes become part of the compiled graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import EverloopError, ModelFault
from everloop.model.compile.form import ScoreForm
from everloop.runtime.graph import open_session
from everloop.runtime.graph_trial import TRIAL_SECONDS, on_trial
from everloop.runtime.onnx_guard import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from everloop.table.expression import GraphBuilder

    Matrix = NDArray[np.float64]

DOUBLE, SINGLE = "tensor(double)", "tensor(float)"
ROWS_AT_ONCE = 1_024
EXPORTED = "export it again, as one file and with ONNX's own operators alone"


class GivenGraph:
    """A graph with one input of rows and an output of chances, of scores, or of one number.

    Where classes are named and the rows of the output do not add up to 1, they are taken for scores of
    which softmax (of one score: the sigmoid) makes chances.

    Args:
        content: The ONNX file.
        classes: The labels in the order of the outputs; none for a number.
        columns: What the columns are called; none where the sample's order says it.
        single: Whether it computes in single precision; without it, where it reads that.

    Raises:
        ModelFault: When the file is no such graph.
    """

    def __init__(
        self,
        content: bytes,
        classes: Sequence[str] = (),
        *,
        columns: Sequence[str] = (),
        single: bool | None = None,
    ) -> None:
        self.content = content
        self.labels = tuple(classes)
        session = self._session()
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in (DOUBLE, SINGLE) or len(inputs[0].shape) != 2:
            told = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise ModelFault(
                f"The graph reads {told}; expected one input of numbers of shape (rows, columns).",
                hint="export it with one float or double input",
            )
        width = inputs[0].shape[1]
        if not isinstance(width, int):
            raise ModelFault("The graph does not say how many columns it reads.", hint="export it with them")
        self.input, self.single, self.width = inputs[0].name, inputs[0].type == SINGLE, width
        self.computes_single = self.single if single is None else single
        self.feature_names_in_ = tuple(columns) or None
        self.output, self.outputs = _answering(session, len(self.labels), self._feed(np.zeros((2, width))))
        self.link = self._link()
        self.classes_ = np.array(self.labels) if self.labels else None

    def predict(self, X: Matrix) -> NDArray[Any]:
        """Gives a number, or the likeliest class, for each row: (n,)."""
        answers = self._answers(X)
        return answers[:, 0] if self.classes_ is None else self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Matrix) -> Matrix:
        """Gives the chance of each class: (n, classes)."""
        answers = self._answers(X)
        if self.link == "sigmoid":
            with np.errstate(over="ignore"):  # its end is 0, as it should be
                answers = 1.0 / (1.0 + np.exp(-answers))
        if self.link == "softmax":
            powers = np.exp(answers - answers.max(axis=1, keepdims=True))
            answers = powers / powers.sum(axis=1, keepdims=True)
        return np.column_stack([1.0 - answers, answers]) if answers.shape[1] == 1 else answers

    def _answers(self, X: Matrix) -> Matrix:
        if np.isnan(X).any():
            raise ValueError("the graph is given no missing number")
        session = self._session()
        parts = [
            np.asarray(session.run([self.output], self._feed(X[start : start + ROWS_AT_ONCE]))[0])
            for start in range(0, max(len(X), 1), ROWS_AT_ONCE)
        ]
        answers: Matrix = np.concatenate(parts).astype(np.float64).reshape(len(X), self.outputs)
        if not np.isfinite(answers).all():
            raise ValueError("the graph has no finite answer")
        return answers

    def _feed(self, X: Matrix) -> dict[str, Any]:
        return {self.input: X.astype(np.float32 if self.single else np.float64)}

    def _link(self) -> str:
        """Looks at answers to rows of zeros and of random numbers: chances lie between 0 and 1."""
        if not self.labels:
            return "identity"
        X = np.vstack([np.zeros((1, self.width)), np.random.default_rng(0).normal(size=(64, self.width))])
        answers = self._answers(X)
        within = bool(((answers >= 0) & (answers <= 1)).all())
        if self.outputs == 1:
            return "identity" if within else "sigmoid"
        return "identity" if within and np.allclose(answers.sum(axis=1), 1.0, atol=1e-4) else "softmax"

    def _session(self) -> Any:
        try:
            refuse_unknown(self.content, "The ONNX file")
            return open_session(self.content, "The ONNX file")
        except EverloopError as error:
            raise ModelFault(error.message, hint=error.hint or EXPORTED) from None


def _answering(session: Any, classes: int, feed: dict[str, Any]) -> tuple[str, int]:
    """Finds the output of numbers, (n, outputs); among several, the one as wide as there are classes."""
    found = {}
    for one in session.get_outputs():
        if one.type in (DOUBLE, SINGLE):
            answer = _tried(session, one.name, feed)
            if answer.ndim in (1, 2) and len(answer) == 2:
                found[one.name] = 1 if answer.ndim == 1 else answer.shape[1]
    wanted = (classes, 1) if classes == 2 else (classes or 1,)
    for width in wanted:
        for name, outputs in found.items():
            if outputs == width:
                return name, width
    raise ModelFault(
        f"No output of the graph has {' or '.join(map(str, wanted))} numbers for each row; there are "
        f"{', '.join(f'{name} with {outputs}' for name, outputs in found.items()) or 'none of numbers'}.",
        hint="name the classes in the order of the outputs: --classes no,yes",
    )


def _tried(session: Any, output: str, feed: dict[str, Any]) -> Matrix:
    try:
        return on_trial(
            lambda options: np.asarray(session.run([output], feed, run_options=options)[0]), "the graph"
        )
    except Exception as error:  # noqa: BLE001  (onnxruntime has no public base class)
        raise ModelFault(
            f"The graph does not answer two rows within {TRIAL_SECONDS:.0f} s: {str(error).splitlines()[0]}."
        ) from None


def given_form(estimator: Any) -> ScoreForm:
    """Reads a `GivenGraph`; what it computes in float32 agrees to 1e-6."""
    return ScoreForm(
        width=estimator.width,
        outputs=estimator.outputs,
        link=estimator.link,
        part=GivenPart(estimator),
        column=1 if estimator.outputs == 2 and estimator.labels else None,
        float32_input=estimator.single,
        float32_sums=estimator.computes_single,
    )


@dataclass(frozen=True)
class GivenPart:
    """The nodes of the given graph, between two conversions where it reads single precision."""

    model: GivenGraph

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the given nodes from rows (n, width) to (n, outputs)."""
        one = self.model
        if one.single:
            x = graph.cast(x, "float")
        said = graph.cast(graph.embed(one.content, {one.input: x}, one.output), "double")
        return graph.node("Reshape", said, graph.constant(np.array([-1, one.outputs], dtype=np.int64)))
