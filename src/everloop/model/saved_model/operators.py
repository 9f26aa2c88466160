"""What each operation of TensorFlow's that computes with numbers alone is in a portable graph.

What is not in the table is refused by its name: it reads or writes files, calls Python, loops, looks up
texts, draws at random, or nobody needed it yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from everloop.model.saved_model.image_operators import IMAGE_OPERATORS
from everloop.model.saved_model.shape_operators import SHAPE_OPERATORS

if TYPE_CHECKING:
    from everloop.model.saved_model.step import Step

Operator = Callable[["Step"], str | list[str]]
"""Adds the twin of an operation; gives the value, or the values of its outputs."""


def _twin(name: str) -> Operator:
    """The operator that takes the same in the same order."""
    return lambda step: step.add(name, *step.names())


def _negated(name: str) -> Operator:
    return lambda step: step.add("Not", step.add(name, *step.names()))


def _reduced(name: str) -> Operator:
    def add(step: Step) -> str:
        keep = int(step.flag("keep_dims"))
        return step.add(name, step.name(0), step.whole_constant(step.whole(1)), keepdims=keep)

    return add


def _reduced_truths(name: str) -> Operator:
    def add(step: Step) -> str:
        given = step.cast(step.name(0), np.int32)
        keep = int(step.flag("keep_dims"))
        found = step.add(name, given, step.whole_constant(step.whole(1)), keepdims=keep)
        return step.cast(found, np.bool_)

    return add


def _place_of(name: str) -> Operator:
    def add(step: Step) -> str:
        found = step.add(name, step.name(0), axis=step.whole(1)[0], keepdims=0)
        return step.cast(found, step.kind("output_type"))

    return add


def _product(step: Step) -> str:
    sides = []
    for place, names in enumerate((("transpose_a", "adj_x"), ("transpose_b", "adj_y"))):
        turned = any(step.flag(name) for name in names)
        value = step.name(place)
        sides.append(step.add("Einsum", value, equation="...ij->...ji") if turned else value)
    return step.add("MatMul", *sides)


def _with_bias(step: Step) -> str:
    if step.text("data_format") not in ("", "NHWC"):
        raise step.refuse("has its channels first")
    return step.add("Add", step.name(0), step.name(1))


def _floored_quotient(step: Step) -> str:
    if np.issubdtype(step.kind(), np.integer):
        rest = step.add("Mod", step.name(0), step.name(1))
        return step.add("Div", step.add("Sub", step.name(0), rest), step.name(1))
    return step.add("Floor", step.add("Div", step.name(0), step.name(1)))


def _floored_rest(step: Step) -> str:
    if np.issubdtype(step.kind(), np.integer):
        return step.add("Mod", step.name(0), step.name(1))
    return step.add("Sub", step.name(0), step.add("Mul", _floored_quotient(step), step.name(1)))


def _squared_difference(step: Step) -> str:
    difference = step.add("Sub", step.name(0), step.name(1))
    return step.add("Mul", difference, difference)


def _without_quotient_by_zero(step: Step) -> str:
    zero = step.constant(0)
    none = step.add("Equal", step.name(1), zero)
    by = step.add("Where", none, step.constant(1), step.name(1))
    return step.add("Where", none, zero, step.add("Div", step.name(0), by))


def _exponential_below(step: Step, factor: float, scale: float) -> str:
    """A line above zero, an exponential below it; the exponential is given nothing that overflows."""
    x, zero = step.name(0), step.constant(0)
    power = step.add("Exp", step.add("Min", x, zero))
    below = step.add("Mul", step.add("Sub", power, step.constant(1)), step.constant(factor * scale))
    above = step.add("Mul", x, step.constant(scale)) if scale != 1.0 else x
    return step.add("Where", step.add("Greater", x, zero), above, below)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _leaky(step: Step) -> str:
    x, zero = step.name(0), step.constant(0)
    less = step.add("Mul", x, step.constant(step.real("alpha", float(np.float32(0.2)))))
    return step.add("Where", step.add("Greater", x, zero), x, less)


def _soft_plus(step: Step) -> str:
    """The greater of 0 and x, and the logarithm of 1 and a power that does not overflow."""
    small = step.add("Exp", step.add("Neg", step.add("Abs", step.name(0))))
    rest = step.add("Log", step.add("Add", step.constant(1), small))
    return step.add("Add", step.add("Max", step.name(0), step.constant(0)), rest)


def _finite(step: Step) -> str:
    nothing = step.add("IsNaN", step.name(0))
    return step.add("Not", step.add("Or", nothing, step.add("IsInf", step.name(0))))


def _interval(step: Step) -> str:
    """Counts the bounds that a number has reached."""
    number = step.cast(step.add("Unsqueeze", step.name(0), step.whole_constant([-1])), np.float32)
    reached = step.add("GreaterOrEqual", number, step.constant(step.reals("boundaries"), np.float32))
    return step.add("ReduceSum", step.cast(reached, np.int32), step.whole_constant([-1]), keepdims=0)


def _cast(step: Step) -> str:
    step.kind("SrcT")
    return step.cast(step.name(0), step.kind("DstT"))


def _one_plus(name: str, *, after: bool) -> Operator:
    def add(step: Step) -> str:
        one = step.constant(1)
        if after:
            return step.add("Sub", step.add(name, step.name(0)), one)
        return step.add(name, step.add("Add", step.name(0), one))

    return add


_SAME = (
    *("Abs", "Cos", "Div", "Equal", "Erf", "Exp", "Floor", "Greater", "IsInf", "Less", "Log", "Mul", "Neg"),
    *("Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sqrt", "Sub", "Tan", "Tanh"),
)
"""Operations whose twin has their name."""

_TWINS = {
    "Add": "Add", "AddV2": "Add", "AddN": "Sum", "Ceil": "Ceil", "GreaterEqual": "GreaterOrEqual",
    "Inv": "Reciprocal", "IsNan": "IsNaN", "LessEqual": "LessOrEqual", "LogicalAnd": "And",
    "LogicalNot": "Not", "LogicalOr": "Or", "Maximum": "Max", "Minimum": "Min", "RealDiv": "Div",
    "Rint": "Round", "SelectV2": "Where",
}  # fmt: skip

OPERATORS: Mapping[str, Operator] = {
    **{name: _twin(name) for name in _SAME},
    **{name: _twin(twin) for name, twin in _TWINS.items()},
    "All": _reduced_truths("ReduceMin"),
    "Any": _reduced_truths("ReduceMax"),
    "ArgMax": _place_of("ArgMax"),
    "ArgMin": _place_of("ArgMin"),
    "BatchMatMul": _product,
    "BatchMatMulV2": _product,
    "BiasAdd": _with_bias,
    "BiasAddV1": _with_bias,
    "Bucketize": _interval,
    "Cast": _cast,
    "ClipByValue": lambda step: step.add("Min", step.add("Max", step.name(0), step.name(1)), step.name(2)),
    "DivNoNan": _without_quotient_by_zero,
    "Einsum": lambda step: step.add("Einsum", *step.names(), equation=step.text("equation")),
    "Elu": lambda step: _exponential_below(step, 1.0, 1.0),
    "Erfc": lambda step: step.add("Sub", step.constant(1), step.add("Erf", step.name(0))),
    "Expm1": _one_plus("Exp", after=True),
    "FloorDiv": _floored_quotient,
    "FloorMod": _floored_rest,
    "IsFinite": _finite,
    "LeakyRelu": _leaky,
    "Log1p": _one_plus("Log", after=False),
    "LogSoftmax": lambda step: step.add("LogSoftmax", step.name(0), axis=-1),
    "MatMul": _product,
    "Max": _reduced("ReduceMax"),
    "Mean": _reduced("ReduceMean"),
    "Min": _reduced("ReduceMin"),
    "NotEqual": _negated("Equal"),
    "Prod": _reduced("ReduceProd"),
    "Relu6": lambda step: step.add("Min", step.add("Max", step.name(0), step.constant(0)), step.constant(6)),
    "Rsqrt": lambda step: step.add("Reciprocal", step.add("Sqrt", step.name(0))),
    "Selu": lambda step: _exponential_below(step, _SELU_ALPHA, _SELU_SCALE),
    "Softmax": lambda step: step.add("Softmax", step.name(0), axis=-1),
    "Softplus": _soft_plus,
    "Softsign": lambda step: step.add(
        "Div", step.name(0), step.add("Add", step.constant(1), step.add("Abs", step.name(0)))
    ),
    "Square": lambda step: step.add("Mul", step.name(0), step.name(0)),
    "SquaredDifference": _squared_difference,
    "Sum": _reduced("ReduceSum"),
    **SHAPE_OPERATORS,
    **IMAGE_OPERATORS,
}
"""Operation of TensorFlow's -> what adds its twin."""
