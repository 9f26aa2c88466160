"""Operations that move numbers and do not change them: shapes, parts, and what is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from everloop.model.saved_model.step import Step

_ALL = 2**31 - 1
"""An end beyond every end."""


def _shape(step: Step) -> str:
    return step.cast(step.add("Shape", step.name(0)), step.kind("out_type"))


def _reshaped(step: Step) -> str:
    return step.add("Reshape", step.name(0), step.sizes(1))


def _squeezed(step: Step) -> str:
    axes = step.numbers("squeeze_dims") or step.numbers("axis")
    return step.add("Squeeze", step.name(0), *([step.whole_constant(axes)] if axes else []))


def _transposed(step: Step) -> str:
    return step.add("Transpose", step.name(0), perm=step.whole(1))


def _joined(step: Step) -> str:
    return step.add("Concat", *step.names()[:-1], axis=step.whole(len(step.reads) - 1)[0])


def _packed(step: Step) -> str:
    axis = step.number("axis")
    parts = [step.add("Unsqueeze", name, step.whole_constant([axis])) for name in step.names()]
    return step.add("Concat", *parts, axis=axis)


def _unpacked(step: Step) -> list[str]:
    axis = step.number("axis")
    parts = _divided(step, step.name(0), axis, step.number("num"))
    return [step.add("Squeeze", part, step.whole_constant([axis])) for part in parts]


_MOST_PARTS = 10_000


def _divided(step: Step, value: str, axis: int, count: int) -> list[str]:
    if not 0 < count <= _MOST_PARTS:
        raise step.refuse(f"makes {count} parts")
    if count == 1:
        return [value]
    return list(step.graph.nodes("Split", count, value, axis=axis, num_outputs=count))


def _split(step: Step) -> list[str]:
    return _divided(step, step.name(1), step.whole(0)[0], step.number("num_split"))


def _split_in_sizes(step: Step) -> list[str]:
    sizes = step.whole(1)
    if min(sizes, default=-1) < 0 or len(sizes) > _MOST_PARTS:
        raise step.refuse("leaves a size open")
    axis = step.whole(2)[0]
    return list(step.graph.nodes("Split", len(sizes), step.name(0), step.whole_constant(sizes), axis=axis))


def _gathered(step: Step) -> str:
    """Takes entries by place; TensorFlow refuses a place that is not there, here it has no answer (NaN)."""
    if step.number("batch_dims"):
        raise step.refuse("gathers within batches")
    axis = step.whole(2)[0] if len(step.reads) > 2 else 0
    given, places = step.reads[0].array, step.name(1)
    if step.reads[1].array is not None:
        return step.add("Gather", step.name(0), places, axis=axis)
    if given is None or axis or given.dtype.kind != "f" or not given.size:
        raise step.refuse("takes what is worked out by places that are worked out")
    kind = step.kind("Tindices")
    end = step.constant(len(given), kind)
    there = step.add("And", step.add("Less", places, end), step.add("Less", step.constant(-1, kind), places))
    place = step.add("Where", there, places, end)
    nothing = np.full((1, *given.shape[1:]), np.nan, dtype=given.dtype)
    return step.add("Gather", step.graph.constant(np.concatenate([given, nothing])), place)


def _one_hot(step: Step) -> str:
    if step.number("axis", -1) != -1:
        raise step.refuse("puts its places on an inner axis")
    places = step.add("Unsqueeze", step.cast(step.name(0), np.int64), step.whole_constant([-1]))
    depth = step.whole(1)[0]
    if not 0 < depth <= _MOST_PARTS:
        raise step.refuse(f"makes {depth} places")
    same = step.add("Equal", places, step.whole_constant(range(depth)))
    return step.add("Where", same, step.name(2), step.name(3))


def _padded(step: Step) -> str:
    ends = step.whole_constant(step.fixed(1).reshape(-1, 2).T.ravel())
    return step.add("Pad", step.name(0), ends, *(step.names()[2:] or [step.constant(0)]))


def _cut(step: Step) -> str:
    begins, sizes = step.whole(1), step.whole(2)
    ends = [_ALL if size < 0 else begin + size for begin, size in zip(begins, sizes, strict=True)]
    return step.add("Slice", step.name(0), step.whole_constant(begins), step.whole_constant(ends))


def _strided(step: Step) -> str:
    """A slice in Python's way: ranges, single places, new axes, and all axes between."""
    begins, ends, steps = (step.whole(place) for place in (1, 2, 3))
    masks = {
        name: step.number(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    count = len(begins)
    if not len(begins) == len(ends) == len(steps):
        raise step.refuse("has begins and ends that are not as many")
    kinds = [_slice_kind(masks, place) for place in range(count)]
    gap = kinds.index("ellipsis") if "ellipsis" in kinds else count
    ranges: list[tuple[int, int, int, int]] = []
    gone: list[int] = []
    made: list[int] = []
    for place, kind in enumerate(kinds):
        axis = _place_in(kinds, place, gap, but="new_axis")
        if kind == "new_axis":
            made.append(_place_in(kinds, place, gap, but="shrink_axis"))
        elif kind == "shrink_axis":
            ranges.append((begins[place], begins[place] + 1 or _ALL, axis, 1))
            gone.append(axis)
        elif kind == "range":
            ranges.append((*_ends(step, begins, ends, steps, masks, place), axis, steps[place]))
    return _sliced(step, ranges, gone, made)


def _slice_kind(masks: Mapping[str, int], place: int) -> str:
    return next(
        (name for name in ("ellipsis", "new_axis", "shrink_axis") if masks[name] >> place & 1), "range"
    )


def _place_in(kinds: list[str], place: int, gap: int, *, but: str) -> int:
    """Gives an axis by its place among those of all kinds but one, from the end where it is after the gap."""
    if place < gap:
        return sum(one != but for one in kinds[:place])
    return -sum(one != but for one in kinds[place:])


def _ends(
    step: Step, begins: list[int], ends: list[int], steps: list[int], masks: Mapping[str, int], place: int
) -> tuple[int, int]:
    back = steps[place] < 0
    if not steps[place]:
        raise step.refuse("has a step of 0")
    begin = (_ALL if back else 0) if masks["begin"] >> place & 1 else begins[place]
    end = (-_ALL if back else _ALL) if masks["end"] >> place & 1 else ends[place]
    return begin, end


def _sliced(step: Step, ranges: list[tuple[int, int, int, int]], gone: list[int], made: list[int]) -> str:
    value = step.name(0)
    if ranges:
        value = step.add("Slice", value, *(step.whole_constant(one) for one in zip(*ranges, strict=True)))
    if gone:
        value = step.add("Squeeze", value, step.whole_constant(gone))
    return step.add("Unsqueeze", value, step.whole_constant(made)) if made else value


def _alike(number: int) -> Callable[[Step], str]:
    """Numbers of one kind in the shape of what is read."""

    def add(step: Step) -> str:
        return step.add("Expand", step.constant(number), step.add("Shape", step.name(0)))

    return add


def _spread(value: int, sizes: int) -> Callable[[Step], str]:
    return lambda step: step.add("Expand", step.name(value), step.sizes(sizes))


SHAPE_OPERATORS: Mapping[str, Any] = {
    "BroadcastTo": _spread(0, 1),
    "ConcatV2": _joined,
    "ExpandDims": lambda step: step.add("Unsqueeze", step.name(0), step.whole_constant(step.whole(1))),
    "Fill": _spread(1, 0),
    "Gather": _gathered,
    "GatherV2": _gathered,
    "OneHot": _one_hot,
    "OnesLike": _alike(1),
    "Pack": _packed,
    "Pad": _padded,
    "PadV2": _padded,
    "Reshape": _reshaped,
    "Shape": _shape,
    "Slice": _cut,
    "Split": _split,
    "SplitV": _split_in_sizes,
    "Squeeze": _squeezed,
    "StridedSlice": _strided,
    "Tile": lambda step: step.add("Tile", step.name(0), step.sizes(1)),
    "Transpose": _transposed,
    "Unpack": _unpacked,
    "ZerosLike": _alike(0),
}
"""Operation of TensorFlow's -> what adds its twin."""
