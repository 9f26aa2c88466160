"""The form that every estimator is brought to before it becomes a graph: arrays, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from everloop.table.expression import GraphBuilder

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Link = Literal[
    "identity", "sigmoid", "softmax", "exp", "log1p_exp", "signed_square", "half_power", "greatest"
]

# How a node decides, as `ai.onnx.ml` 5 TreeEnsemble numbers it.
LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6


@dataclass(frozen=True)
class Tree:
    """One decision tree: node 0 is the root, and a node whose left child is -1 is a leaf.

    Attributes:
        target: The output that its leaves add to.
        feature: The column that each node looks at, (nodes,).
        threshold: The split value of each node, (nodes,) double.
        left: Where a row goes when the node's question holds, (nodes,).
        right: Where it goes otherwise, (nodes,).
        missing_left: Whether a missing value goes left, (nodes,).
        value: What a leaf adds, (nodes,) double.
        mode: The question: value <= threshold, value < threshold, or value is a member, (nodes,).
        members: For each node that asks for membership, the integers that go left.
    """

    target: int
    feature: Integers
    threshold: Floats
    left: Integers
    right: Integers
    missing_left: npt.NDArray[np.bool_]
    value: Floats
    mode: npt.NDArray[np.uint8]
    members: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def simplified(self) -> Tree:
        """Gives the same function with every split dropped whose two sides are the same leaf value."""
        left, right, value = self.left.copy(), self.right.copy(), self.value.copy()
        while True:
            inner = np.flatnonzero(left >= 0)
            a, b = left[inner], right[inner]
            same = (left[a] < 0) & (left[b] < 0) & (value[a] == value[b])
            if not same.any():
                break
            nodes = inner[same]
            value[nodes] = value[left[nodes]]
            left[nodes] = right[nodes] = -1
        return Tree(
            self.target,
            self.feature,
            self.threshold,
            left,
            right,
            self.missing_left,
            value,
            self.mode,
            {node: members for node, members in self.members.items() if left[node] >= 0},
        )

    def reachable(self) -> Integers:
        """Gives the nodes that can be reached from the root, level by level."""
        levels, level = [], np.array([0], dtype=np.int64)
        while level.size:
            levels.append(level)
            inner = level[self.left[level] >= 0]
            level = np.column_stack([self.left[inner], self.right[inner]]).ravel()
        return np.concatenate(levels)


class GraphPart(Protocol):
    """What an estimator that is neither trees nor a line computes before its link."""

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from encoded rows, double (n, width), to double (n, outputs)."""
        ...


@dataclass(frozen=True)
class ScoreForm:
    """What an estimator computes from its encoded vector: trees, a linear form or another part, then a link.

    Attributes:
        width: The number of columns it was trained on.
        outputs: The number of sums (before `column` chooses one).
        link: What turns the sums into the score.
        trees: The trees that are summed.
        coefficients: The linear form, (width, outputs), where there are no trees.
        part: What is computed where there are neither trees nor coefficients.
        bias: Where each sum starts, (outputs,).
        divisor: What the sum of the trees is divided by.
        slope: What a sum is multiplied with before the sigmoid.
        column: The one output that is kept (the positive class of a two-class softmax).
        float32_input: The library rounds its input to float32 before it compares with doubles.
        float32_sums: The library compares, adds and links in float32, so scores agree to 1e-6, not 1e-9.
        zero_is_missing: Columns whose zeros are treated as missing.
        truncated: Columns of integer codes, whose fraction is dropped before they are compared.
    """

    width: int
    outputs: int
    link: Link
    trees: tuple[Tree, ...] = ()
    coefficients: Floats | None = None
    part: GraphPart | None = None
    bias: tuple[float, ...] = ()
    divisor: float = 1.0
    slope: float = 1.0
    column: int | None = None
    float32_input: bool = False
    float32_sums: bool = False
    zero_is_missing: tuple[int, ...] = ()
    truncated: tuple[int, ...] = ()

    @property
    def scores(self) -> int:
        """The width of the score: 1, or the number of classes."""
        return 1 if self.column is not None or self.link == "greatest" else self.outputs

    @property
    def takes_missing(self) -> bool:
        """Whether a missing number has an answer; a tree has a side for it."""
        return self.coefficients is None and self.part is None

    def slots_without_missing(self) -> frozenset[int]:
        """Gives the slots in which a missing number has no answer."""
        return frozenset() if self.takes_missing else frozenset(range(self.width))

    @property
    def tolerance(self) -> float:
        """How far a compiled score may be from the trained one, relative above 1."""
        return 1e-6 if self.float32_sums else 1e-9

    def split_values(self) -> dict[int, Floats]:
        """Gives, for each column that trees look at, its different numeric split values in order."""
        found: dict[int, list[Floats]] = {}
        for tree in self.trees:
            numeric = (tree.left >= 0) & (tree.mode != MEMBER)
            for column in np.unique(tree.feature[numeric]):
                here = numeric & (tree.feature == column)
                found.setdefault(int(column), []).append(tree.threshold[here])
        return {column: np.unique(np.concatenate(parts)) for column, parts in sorted(found.items())}
