"""`score.onnx`: from the encoded vector to the calibrated score, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.core.tasks import TASKS, score_width
from everloop.measure.calibration import SCORE_CLIP
from everloop.model.compile.ensemble import ensemble_attributes, near_parts, sum_of
from everloop.model.compile.form import ScoreForm
from everloop.model.compile.lightgbm import ZERO_THRESHOLD
from everloop.model.compile.registry import classes_of, score_form
from everloop.table.expression import GraphBuilder

if TYPE_CHECKING:
    from everloop.measure.calibration import Sigmoid
    from everloop.spec.frame import Frame


def score_model(estimator: Any, frame: Frame, calibration: Sigmoid | None = None) -> bytes:
    """Compiles an estimator to the bytes of `score.onnx`.

    Args:
        estimator: A fitted estimator of `registry.EXPORTERS`, fitted on class indices in the order of
            ``frame.classes`` (or on numbers).
        frame: The problem that it answers.
        calibration: For binary, what turns its chance into a calibrated one.

    Returns:
        A model with input ``x``, double (n, width), and output ``score``, double (n, k): k is 1 for
        binary (the calibrated chance of the positive class) and regression, else the number of classes.

    Raises:
        ModelFault: When the estimator cannot be compiled or does not answer this problem.
    """
    form = score_form(estimator)
    graph = GraphBuilder("score")
    x = graph.input("x", "double", form.width)
    score = add_score(graph, x, form, seen_classes(estimator, form, frame), frame, calibration)
    graph.output("score", score, "double", answers(frame))
    return graph.to_bytes()


def answers(frame: Frame) -> int:
    """Gives the width of the score for a problem."""
    return score_width(frame.task, len(frame.classes), frame.listed)


def seen_classes(estimator: Any, form: ScoreForm, frame: Frame) -> tuple[int, ...]:
    """Gives the class indices that an estimator's outputs stand for, and checks that they fit.

    Raises:
        ModelFault: When the estimator answers another task, or its classes are not indices.
    """
    if not TASKS[frame.task].supervised:
        return tuple(range(form.scores))
    name = type(estimator).__name__
    raw = classes_of(estimator)
    if (raw is None) != (frame.task == "regression"):
        given = "numbers" if raw is None else "classes"
        raise ModelFault(f"{name} predicts {given}, but the task is {frame.task}.")
    if raw is None:
        return (0,)
    expected = tuple(range(len(frame.classes)))
    try:
        seen = tuple(int(label) for label in np.asarray(raw, dtype=np.int64))
    except (TypeError, ValueError):
        seen = ()
    outputs = 2 if form.scores == 1 else form.scores
    if len(seen) != outputs or not set(seen) <= set(expected) or (frame.task == "binary" and seen != (0, 1)):
        raise ModelFault(
            f"{name} was fitted on the labels {list(raw)[:5]}; expected the class indices 0 to "
            f"{expected[-1]} for {frame.task} with classes {', '.join(frame.classes[:5])}.",
            hint="fit it on class indices in the order of the classes",
        )
    return seen


def add_score(
    graph: GraphBuilder,
    x: str,
    form: ScoreForm,
    seen: tuple[int, ...],
    frame: Frame,
    calibration: Sigmoid | None,
) -> str:
    """Adds the nodes from an encoded vector to the score, (n, `answers`); gives the name of the result."""
    classes = len(frame.classes) if frame.task == "multiclass" else 0
    score = add_answer(graph, x, form, seen, classes)
    if calibration is not None and frame.task == "binary":
        score = _calibrate(graph, score, calibration)
    return score


def add_answer(graph: GraphBuilder, x: str, form: ScoreForm, seen: tuple[int, ...], classes: int) -> str:
    """Adds the nodes from an encoded vector to what an estimator says of it, before any calibration.

    Args:
        graph: Where to add.
        x: The encoded vector's name.
        form: What the estimator computes.
        seen: The classes that its outputs stand for.
        classes: How many chances to give; 0 for one chance, or a number.
    """
    score = _LINKS[form.link](graph, _sums(graph, x, form), form)
    if form.column is not None:
        score = graph.node("Gather", score, graph.constant(np.array([form.column])), axis=1)
    return _in_all_classes(graph, score, form, seen, classes) if classes else score


def _in_all_classes(
    graph: GraphBuilder, score: str, form: ScoreForm, seen: tuple[int, ...], classes: int
) -> str:
    """Puts the chances of the classes that were seen among all classes; the others have chance 0."""
    if form.scores == 1:
        other = graph.node("Sub", graph.constant(np.array(1.0)), score)
        score = graph.node("Concat", other, score, axis=1)
    if len(seen) == classes:
        return score
    return graph.node("MatMul", score, graph.constant(np.eye(classes)[list(seen)]))


def _sums(graph: GraphBuilder, x: str, form: ScoreForm) -> str:
    x = _prepared(graph, x, form)
    if form.part is not None:
        return form.part.add(graph, x)
    if form.coefficients is not None:
        product = graph.node("MatMul", x, graph.constant(form.coefficients))
        return graph.node("Add", product, graph.constant(np.array(form.bias)))
    # A library that adds in float32 is followed addition by addition: its rounding is part of its answer.
    dtype = np.float32 if form.float32_sums else np.float64
    if form.float32_sums:
        x = graph.cast(x, "float")
    trees = sum_of(form.trees, form.bias)
    parts = [trees] if form.float32_sums else near_parts(trees)
    sums = ""
    for part in parts:
        attributes = ensemble_attributes(part, form.outputs, dtype)
        more = graph.node("TreeEnsemble", x, domain="ai.onnx.ml", **attributes)
        sums = graph.node("Add", sums, more) if sums else more
    if form.float32_sums:
        sums = graph.cast(sums, "double")
    if form.divisor != 1.0:
        sums = graph.node("Div", sums, graph.constant(np.array(form.divisor)))
    return sums


def _prepared(graph: GraphBuilder, x: str, form: ScoreForm) -> str:
    """What the library does to its input before it compares."""
    if form.float32_input and not form.float32_sums:
        x = graph.cast(graph.cast(x, "float"), "double")
    if form.truncated:
        codes = graph.node("Mul", graph.node("Sign", x), graph.node("Floor", graph.node("Abs", x)))
        x = graph.node("Where", _column_mask(graph, form.truncated, form.width), codes, x)
    if form.zero_is_missing:
        near = graph.node("LessOrEqual", graph.node("Abs", x), graph.constant(np.array(ZERO_THRESHOLD)))
        missing = graph.node("And", near, _column_mask(graph, form.zero_is_missing, form.width))
        x = graph.node("Where", missing, graph.constant(np.array(np.nan)), x)
    return x


def _column_mask(graph: GraphBuilder, columns: tuple[int, ...], width: int) -> str:
    mask = np.zeros((1, width), dtype=bool)
    mask[0, list(columns)] = True
    return graph.constant(mask)


def _identity(_graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    return sums


def _sigmoid(graph: GraphBuilder, sums: str, form: ScoreForm) -> str:
    if form.slope != 1.0:
        sums = graph.node("Mul", sums, graph.constant(np.array(form.slope)))
    return logistic(graph, sums)


def logistic(graph: GraphBuilder, margin: str) -> str:
    """Adds 1 / (1 + exp(-margin)); an overflow of the exponential ends in 0, as it should."""
    one = graph.constant(np.array(1.0))
    return graph.node("Div", one, graph.node("Add", one, graph.node("Exp", graph.node("Neg", margin))))


def _softmax(graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    axes = graph.constant(np.array([1]))
    above = graph.node("Sub", sums, graph.node("ReduceMax", sums, axes, keepdims=1))
    powers = graph.node("Exp", above)
    return graph.node("Div", powers, graph.node("ReduceSum", powers, axes, keepdims=1))


def _exp(graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    return graph.node("Exp", sums)


def _log1p_exp(graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    return graph.node("Log", graph.node("Add", graph.constant(np.array(1.0)), graph.node("Exp", sums)))


def _signed_square(graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    return graph.node("Mul", graph.node("Sign", sums), graph.node("Mul", sums, sums))


def _half_power(graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    return graph.node("Pow", graph.constant(np.array(2.0)), graph.node("Neg", sums))


def _greatest(graph: GraphBuilder, sums: str, _form: ScoreForm) -> str:
    return graph.node("ReduceMax", sums, graph.constant(np.array([1])), keepdims=1)


_LINKS: dict[str, Callable[[GraphBuilder, str, ScoreForm], str]] = {
    "identity": _identity,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "exp": _exp,
    "log1p_exp": _log1p_exp,
    "signed_square": _signed_square,
    "half_power": _half_power,
    "greatest": _greatest,
}


def _calibrate(graph: GraphBuilder, chance: str, calibration: Sigmoid) -> str:
    """Adds the sigmoid of `measure.calibration`: on the log-odds of the chance, clipped alike."""
    low = graph.constant(np.array(SCORE_CLIP))
    high = graph.constant(np.array(1.0 - SCORE_CLIP))
    chance = graph.node("Where", graph.node("Less", chance, low), low, chance)
    chance = graph.node("Where", graph.node("Greater", chance, high), high, chance)
    rest = graph.node("Sub", graph.constant(np.array(1.0)), chance)
    odds = graph.node("Log", graph.node("Div", chance, rest))
    slope, intercept = np.array(calibration.slope), np.array(calibration.intercept)
    return logistic(
        graph, graph.node("Add", graph.node("Mul", odds, graph.constant(slope)), graph.constant(intercept))
    )
