"""Trees as the attributes of one `ai.onnx.ml` 5 TreeEnsemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from everloop.model.compile.form import LESS_OR_EQUAL, MEMBER, Tree

SUM, NO_TRANSFORM = 1, 0
NEAR_NODES = 8_000


def sum_of(trees: Sequence[Tree], bias: Sequence[float]) -> list[Tree]:
    """Gives the trees to sum, simplified, after one of a single value for each part of the bias.

    The order is that in which the libraries add: the bias first, then tree by tree.
    """
    start = [constant_tree(target, value) for target, value in enumerate(bias) if value != 0.0]
    return [*start, *(tree.simplified() for tree in trees)] or [constant_tree(0, 0.0)]


def near_parts(trees: Sequence[Tree]) -> list[list[Tree]]:
    """Divides trees so that the nodes of each part lie in a processor's cache while many rows go through it.

    A part walks all rows before the next one does; a large forest is walked three times as fast so.
    """
    parts: list[list[Tree]] = []
    nodes = NEAR_NODES
    for tree in trees:
        if nodes >= NEAR_NODES:
            parts.append([])
            nodes = 0
        parts[-1].append(tree)
        nodes += len(tree.left)
    return parts


def constant_tree(target: int, value: float) -> Tree:
    """Gives a tree that is one leaf."""
    return Tree(
        target=target,
        feature=np.zeros(1, dtype=np.int64),
        threshold=np.zeros(1),
        left=np.array([-1]),
        right=np.array([-1]),
        missing_left=np.zeros(1, dtype=bool),
        value=np.array([value]),
        mode=np.full(1, LESS_OR_EQUAL, dtype=np.uint8),
    )


def ensemble_attributes(trees: Sequence[Tree], outputs: int, dtype: type[np.floating]) -> dict[str, Any]:
    """Lays trees out as TreeEnsemble wants them: one array over all nodes, one over all leaves.

    Args:
        trees: At least one tree.
        outputs: The number of sums.
        dtype: What the splits are compared and the leaves are added in: float64 or float32.

    Returns:
        The operator's attributes; arrays stand for the tensors and for the lists of integers.

    Source:
        https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
    """
    parts: dict[str, list[Any]] = {name: [] for name in _PARTS}
    roots: list[int] = []
    nodes = leaves = 0
    # Where all nodes ask the same kind of question the operator has a shorter loop.
    mode = next((tree.mode[0] for tree in trees if tree.left[0] >= 0), LESS_OR_EQUAL)
    for given in trees:
        tree = _with_two_leaves(given, mode)
        order = tree.reachable()
        is_leaf = tree.left[order] < 0
        place = np.zeros(len(tree.left), dtype=np.int64)
        inner, ends = order[~is_leaf], order[is_leaf]
        place[inner] = nodes + np.arange(len(inner))
        place[ends] = leaves + np.arange(len(ends))
        roots.append(nodes)
        _append(parts, tree, inner, ends, place)
        nodes, leaves = nodes + len(inner), leaves + len(ends)
    attributes: dict[str, Any] = {
        "n_targets": outputs,
        "aggregate_function": SUM,
        "post_transform": NO_TRANSFORM,
        "tree_roots": roots,
    }
    for name, kind in _PARTS.items():
        if parts[name] or name != "membership_values":
            joined = np.concatenate(parts[name]).astype(dtype if kind is np.float64 else kind)
            attributes[name] = joined if name in _TENSORS else joined.tolist()
    return attributes


def _with_two_leaves(tree: Tree, mode: int) -> Tree:
    """A tree that is one leaf becomes a question with the same answer on both sides."""
    if tree.left[0] >= 0:
        return tree
    return Tree(
        target=tree.target,
        feature=np.zeros(3, dtype=np.int64),
        threshold=np.zeros(3),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        missing_left=np.zeros(3, dtype=bool),
        value=np.full(3, tree.value[0]),
        mode=np.full(3, LESS_OR_EQUAL if mode == MEMBER else mode, dtype=np.uint8),
    )


_PARTS: dict[str, Any] = {
    "nodes_featureids": np.int64,
    "nodes_modes": np.uint8,
    "nodes_splits": np.float64,
    "nodes_truenodeids": np.int64,
    "nodes_falsenodeids": np.int64,
    "nodes_trueleafs": np.int64,
    "nodes_falseleafs": np.int64,
    "nodes_missing_value_tracks_true": np.int64,
    "leaf_targetids": np.int64,
    "leaf_weights": np.float64,
    "membership_values": np.float64,
}
_TENSORS = frozenset({"nodes_modes", "nodes_splits", "leaf_weights", "membership_values"})


def _append(parts: dict[str, list[Any]], tree: Tree, inner: Any, ends: Any, place: Any) -> None:
    left, right = tree.left[inner], tree.right[inner]
    parts["nodes_featureids"].append(tree.feature[inner])
    parts["nodes_modes"].append(tree.mode[inner])
    parts["nodes_splits"].append(tree.threshold[inner])
    parts["nodes_truenodeids"].append(place[left])
    parts["nodes_falsenodeids"].append(place[right])
    parts["nodes_trueleafs"].append(tree.left[left] < 0)
    parts["nodes_falseleafs"].append(tree.left[right] < 0)
    parts["nodes_missing_value_tracks_true"].append(tree.missing_left[inner])
    parts["leaf_targetids"].append(np.full(len(ends), tree.target))
    parts["leaf_weights"].append(tree.value[ends])
    for node in inner:
        if tree.mode[node] == MEMBER:  # NaN ends the list of each node
            parts["membership_values"].append(np.array([*tree.members[int(node)], np.nan]))
