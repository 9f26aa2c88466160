"""Operations over images, whose channels come last: TensorFlow's form; the portable graph has them first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from everloop.model.saved_model.step import Step

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def _window(step: Step) -> dict[str, Any]:
    """Gives where windows begin, as the portable graph says it."""
    if step.text("data_format") not in ("", "NHWC"):
        raise step.refuse("has its channels first")
    strides = step.numbers("strides")
    if len(strides) != 4 or strides[0] != 1 or strides[3] != 1:
        raise step.refuse("strides over rows or channels")
    told: dict[str, Any] = {"strides": strides[1:3]}
    padding = step.text("padding")
    if padding == "EXPLICIT":
        (top, bottom), (left, right) = np.reshape(step.numbers("explicit_paddings"), (4, 2))[1:3]
        return told | {"pads": [int(one) for one in (top, left, bottom, right)]}
    if padding not in ("SAME", "VALID"):
        raise step.refuse(f"pads by {padding[:20]!r}")
    return told | {"auto_pad": "SAME_UPPER" if padding == "SAME" else "VALID"}


def _between(step: Step, operator: str, *more: str, **attributes: Any) -> str:
    """Adds an operator between two that move the channels."""
    given = step.add("Transpose", step.name(0), perm=_FIRST)
    return step.add("Transpose", step.add(operator, given, *more, **attributes), perm=_LAST)


def _dilated(step: Step) -> dict[str, Any]:
    by = step.numbers("dilations")
    return {"dilations": by[1:3]} if by else {}


def _convolved(step: Step) -> str:
    kernel = step.add("Transpose", step.name(1), perm=[3, 2, 0, 1])
    return _between(step, "Conv", kernel, **_window(step), **_dilated(step))


def _convolved_apart(step: Step) -> str:
    """Each channel by kernels of its own."""
    kernel = step.fixed(1)
    if kernel.ndim != 4:
        raise step.refuse("has no kernel of a window, channels and kernels of each")
    height, width, channels, each = kernel.shape
    turned = kernel.transpose(2, 3, 0, 1).reshape(channels * each, 1, height, width)
    return _between(
        step, "Conv", step.graph.constant(turned), group=channels, **_window(step), **_dilated(step)
    )


def _pooled(operator: str) -> Any:
    def add(step: Step) -> str:
        sizes = step.numbers("ksize")
        if len(sizes) != 4 or sizes[0] != 1 or sizes[3] != 1:
            raise step.refuse("pools rows or channels")
        return _between(step, operator, kernel_shape=sizes[1:3], **_window(step))

    return add


def _normalised(step: Step) -> str:
    """Batch normalisation by the mean and variance that were learned."""
    if (
        step.text("data_format") not in ("", "NHWC")
        or step.flag("is_training")
        or not step.says("is_training")
    ):
        raise step.refuse("has its channels first, or learns")
    _, scale, offset, mean, variance = step.names()
    spread = step.add(
        "Sqrt", step.add("Add", variance, step.constant(step.real("epsilon", 1e-4), np.float32))
    )
    centred = step.add("Sub", step.name(0), mean)
    return step.add("Add", step.add("Mul", centred, step.add("Div", scale, spread)), offset)


IMAGE_OPERATORS: Mapping[str, Any] = {
    "AvgPool": _pooled("AveragePool"),
    "Conv2D": _convolved,
    "DepthwiseConv2dNative": _convolved_apart,
    "FusedBatchNormV2": _normalised,
    "FusedBatchNormV3": _normalised,
    "MaxPool": _pooled("MaxPool"),
}
"""Operation of TensorFlow's -> what adds its twin."""
