"""The trees of a `score.onnx`, taken out of it, and the graph that is left."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LESS_OR_EQUAL, LESS = 0, 1
MOST_LEAVES = 64
"""A tree of more leaves has no mask of one word."""

_MOST_LEAVES_IN_ALL = 400_000
_ALL_BITS = 2**64 - 1


@dataclass(frozen=True)
class Nodes:
    """Nodes as arrays, (nodes,).

    Attributes:
        tree: The tree, by its place.
        slot: The slot of the vector that is asked about.
        split: What its value is compared with.
        missing_yes: Whether a missing value is a yes.
        kept: The bits of the tree's leaves that a no leaves.
    """

    tree: NDArray[np.int64]
    slot: NDArray[np.int64]
    split: NDArray[np.float64]
    missing_yes: NDArray[np.bool_]
    kept: NDArray[np.uint64]

    def only(self, chosen: NDArray[np.bool_]) -> Nodes:
        """Gives some of them."""
        return Nodes(
            self.tree[chosen],
            self.slot[chosen],
            self.split[chosen],
            self.missing_yes[chosen],
            self.kept[chosen],
        )


@dataclass(frozen=True)
class GraphTrees:
    """One `TreeEnsemble` of a graph: sums of trees that all ask the same kind of question.

    Attributes:
        output: The name of what it gives in the graph.
        outputs: How many sums a row gets.
        slots: For each column that it reads, the slot of the vector.
        single: Whether it reads the vector rounded to single precision.
        strict: Whether a node asks ``value < split``; otherwise ``value <= split``.
        nodes: The nodes of all trees.
        leaves: For each leaf its tree, its bit and its place among the weights, (leaves, 3).
        weights: What each leaf adds, in the type in which it is added.
        targets: Which sum each leaf adds to.
    """

    output: str
    outputs: int
    slots: NDArray[np.int64]
    single: bool
    strict: bool
    nodes: Nodes
    leaves: NDArray[np.int64]
    weights: NDArray[np.floating[Any]]
    targets: NDArray[np.int64]


def trees_of(model: bytes, width: int) -> tuple[list[GraphTrees], bytes, bool]:
    """Takes the small trees out of a graph.

    Args:
        model: The content of a `score.onnx`.
        width: The length of its vector.

    Returns:
        The sums of trees; the graph without them, which reads each under its own name; and whether that
        graph still reads the vector ``x``. Nothing is taken where the onnx library is not installed.
    """
    if b"TreeEnsemble" not in model or importlib.util.find_spec("onnx") is None:
        return [], model, True
    import onnx

    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    makers = {name: node for node in graph.node for name in node.output}
    constants = {one.name: one for one in graph.initializer}
    taken = []
    for node in graph.node:
        source = _source(node, makers, constants, width) if node.op_type == "TreeEnsemble" else None
        trees = None if source is None else _read(node, *source)
        if trees is not None:
            taken.append(trees)
    if not taken:
        return [], model, True
    reads_vector = _without(graph, taken)
    return taken, loaded.SerializeToString(), reads_vector


def _source(
    node: Any, makers: dict[str, Any], constants: dict[str, Any], width: int
) -> tuple[NDArray[np.int64], bool] | None:
    """Follows what an ensemble reads back to the vector: which slots, whether rounded; None if computed."""
    import onnx

    name, single = node.input[0], False
    picks: list[NDArray[np.int64]] = []
    while name != "x":
        maker = makers.get(name)
        if maker is None or maker.op_type not in ("Cast", "Gather", "Identity"):
            return None
        if maker.op_type == "Cast":
            single = single or maker.attribute[0].i == onnx.TensorProto.FLOAT
        elif maker.op_type == "Gather":
            axis = [one.i for one in maker.attribute if one.name == "axis"]
            if axis != [1] or maker.input[1] not in constants:
                return None
            picks.append(onnx.numpy_helper.to_array(constants[maker.input[1]]).astype(np.int64).ravel())
        name = maker.input[0]
    slots = np.arange(width)
    for pick in reversed(picks):
        slots = slots[pick]
    return slots, single


def _read(node: Any, slots: NDArray[np.int64], single: bool) -> GraphTrees | None:
    """Reads an ensemble whose trees have masks; None for others."""
    import onnx

    given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    leaves = len(given["leaf_targetids"])
    if leaves > min(MOST_LEAVES * len(given["tree_roots"]), _MOST_LEAVES_IN_ALL):
        return None
    modes, splits, weights = (
        onnx.numpy_helper.to_array(given[name]) for name in ("nodes_modes", "nodes_splits", "leaf_weights")
    )
    alike = len(np.unique(modes)) == 1 and modes[0] in (LESS_OR_EQUAL, LESS)
    if (
        not alike
        or np.isnan(splits).any()
        or given.get("post_transform")
        or given.get("aggregate_function", 1) != 1
    ):
        return None
    walked = _walked(given)
    if walked is None:
        return None
    tree, places, kept, leaf_rows = walked
    missing = given.get("nodes_missing_value_tracks_true") or [0] * len(splits)
    nodes = Nodes(
        tree=tree,
        slot=slots[np.array(given["nodes_featureids"])[places]],
        split=splits.astype(np.float64)[places],
        missing_yes=np.array(missing, dtype=bool)[places],
        kept=kept,
    )
    return GraphTrees(
        output=node.output[0],
        outputs=given["n_targets"],
        slots=slots,
        single=single,
        strict=bool(modes[0] == LESS),
        nodes=nodes,
        leaves=leaf_rows,
        weights=weights,
        targets=np.array(given["leaf_targetids"]),
    )


def _walked(given: dict[str, Any]) -> tuple[Any, Any, Any, Any] | None:
    """Numbers each tree's leaves from the yes side to the no side.

    Returns:
        For each node its tree, its place and the bits that a no keeps; and the leaves. None where a tree
        has more leaves than a word has bits, or comes back to a node.
    """
    yes, no = given["nodes_truenodeids"], given["nodes_falsenodeids"]
    yes_leaf, no_leaf = given["nodes_trueleafs"], given["nodes_falseleafs"]
    met: list[tuple[int, int]] = []
    kept: list[int] = []
    leaves: list[tuple[int, int, int]] = []
    for tree, root in enumerate(given["tree_roots"]):
        # Depth first; a node comes up again, with its first bit, when its yes side is numbered.
        waiting, bit = [(root, 0, -1)], 0
        while waiting:
            node, leaf, first = waiting.pop()
            if bit > MOST_LEAVES or len(waiting) > 2 * MOST_LEAVES:
                return None
            if leaf:
                leaves.append((tree, bit, node))
                bit += 1
            elif first >= 0:
                met.append((tree, node))
                kept.append(~((1 << bit) - (1 << first)) & _ALL_BITS)
            else:
                waiting += [(no[node], no_leaf[node], -1), (node, 0, bit), (yes[node], yes_leaf[node], -1)]
        if bit > MOST_LEAVES:
            return None
    tree_of, place = np.array(met).T
    return tree_of, place, np.array(kept, dtype=np.uint64), np.array(leaves)


def _without(graph: Any, taken: list[GraphTrees]) -> bool:
    """Makes what the trees give inputs of the graph, and drops what nothing needs any more."""
    import onnx

    outside = {one.output: one for one in taken}
    needed, kept = {one.name for one in graph.output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output) and not outside.keys() & set(node.output):
            kept.append(node)
            needed.update(node.input)
    reads_vector = "x" in needed
    constants = [one for one in graph.initializer if one.name in needed]
    inputs = [one for one in graph.input if reads_vector]
    for name, one in outside.items():
        kind = onnx.TensorProto.DOUBLE if one.weights.dtype == np.float64 else onnx.TensorProto.FLOAT
        inputs.append(onnx.helper.make_tensor_value_info(name, kind, [None, one.outputs]))
    for field, items in (("node", kept[::-1]), ("initializer", constants), ("input", inputs)):
        graph.ClearField(field)
        getattr(graph, field).extend(items)
    graph.ClearField("value_info")
    return reads_vector
