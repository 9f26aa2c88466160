"""ONNX graphs that were made to do harm, each a `score.onnx` of a width and of so many outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Graph = Callable[[int, int], bytes]
SIDE = 60_000
"""Two columns of so many numbers, half a megabyte each, have an outer product of 29 GB."""

ELSEWHERE = "../../../../../../etc/passwd"


def _model(nodes: Sequence[Any], width: int, outputs: int, tensors: Sequence[Any] = (), **more: Any) -> bytes:
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", width])
    score = helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n", outputs])
    graph = helper.make_graph(list(nodes), "score", [x], [score], list(tensors))
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 5), *more.pop("versions", ())]
    model = helper.make_model(graph, opset_imports=versions, ir_version=8, **more)
    content: bytes = model.SerializeToString()
    return content


def _tensor(name: str, array: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(array), name)


def _node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    from onnx import helper

    return helper.make_node(operator, list(inputs), list(outputs), **attributes)


def _harmless(width: int, outputs: int) -> tuple[list[Any], list[Any]]:
    """Gives nodes and tensors of a graph that is well: `score` is 0 for each row."""
    return [_node("MatMul", ["x", "w"], ["score"])], [_tensor("w", np.zeros((width, outputs)))]


def _external(name: str, shape: tuple[int, int]) -> Any:
    from onnx import TensorProto
    from onnx.external_data_helper import set_external_data

    tensor = _tensor(name, np.zeros(shape))
    set_external_data(tensor, ELSEWHERE)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def external_data(width: int, outputs: int) -> bytes:
    """A tensor that is kept in another file."""
    return _model(
        [_node("MatMul", ["x", "w"], ["score"])], width, outputs, [_external("w", (width, outputs))]
    )


def external_constant(width: int, outputs: int) -> bytes:
    """An attribute whose tensor is kept in another file."""
    constant = _node("Constant", [], ["w"], value=_external("w", (width, outputs)))
    return _model([constant, _node("MatMul", ["x", "w"], ["score"])], width, outputs)


def _claimed(dims: Sequence[int]) -> Graph:
    """A tensor whose dimensions claim more than is there."""

    def make(width: int, outputs: int) -> bytes:
        nodes, tensors = _harmless(width, outputs)
        tensors[0].ClearField("dims")
        tensors[0].dims.extend(dims)
        return _model(nodes, width, outputs, tensors)

    return make


def outer_product(width: int, outputs: int) -> bytes:
    """Two small constants whose product would not fit the memory."""
    nodes = [
        _node("MatMul", ["a", "b"], ["c"]),
        _node("ReduceMax", ["c"], ["d"], keepdims=0),
        _node("MatMul", ["x", "w"], ["y"]),
        _node("Add", ["y", "d"], ["score"]),
    ]
    tensors = [_tensor("a", np.zeros((SIDE, 1))), _tensor("b", np.zeros((1, SIDE)))]
    return _model(nodes, width, outputs, [*tensors, _tensor("w", np.zeros((width, outputs)))])


def outer_sum(width: int, outputs: int) -> bytes:
    """A row that is spread over more than the memory."""
    nodes = [
        _node("ReduceMax", ["x"], ["m"], keepdims=0),
        _node("Add", ["a", "m"], ["a2"]),
        _node("Add", ["a2", "b"], ["c"]),
        _node("ReduceMax", ["c"], ["d"], keepdims=0),
        _node("MatMul", ["x", "w"], ["y"]),
        _node("Add", ["y", "d"], ["score"]),
    ]
    tensors = [_tensor("a", np.zeros((SIDE, 1))), _tensor("b", np.zeros((1, SIDE)))]
    return _model(nodes, width, outputs, [*tensors, _tensor("w", np.zeros((width, outputs)))])


def _filled(shape: Sequence[int]) -> Graph:
    """A constant of a stated shape, which is a few bytes in the file."""

    def make(width: int, outputs: int) -> bytes:
        nodes = [
            _node("ConstantOfShape", ["s"], ["c"]),
            _node("ReduceMax", ["c"], ["d"], keepdims=0),
            _node("Cast", ["d"], ["e"], to=11),
            _node("MatMul", ["x", "w"], ["y"]),
            _node("Add", ["y", "e"], ["score"]),
        ]
        tensors = [_tensor("s", np.array(shape, dtype=np.int64))]
        return _model(nodes, width, outputs, [*tensors, _tensor("w", np.zeros((width, outputs)))])

    return make


def loop(width: int, outputs: int) -> bytes:
    """A loop that does not end."""
    from onnx import TensorProto, helper

    inside = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    before = helper.make_tensor_value_info("before", TensorProto.BOOL, [])
    after = helper.make_tensor_value_info("after", TensorProto.BOOL, [])
    again = _node("Identity", ["before"], ["after"])
    carried = helper.make_tensor_value_info("carried", TensorProto.DOUBLE, [])
    kept = helper.make_tensor_value_info("kept", TensorProto.DOUBLE, [])
    keep = _node("Identity", ["carried"], ["kept"])
    body = helper.make_graph([again, keep], "endless", [inside, before, carried], [after, kept])
    nodes = [
        _node("Loop", ["many", "yes", "zero"], ["end"], body=body),
        _node("MatMul", ["x", "w"], ["y"]),
        _node("Add", ["y", "end"], ["score"]),
    ]
    tensors = [
        _tensor("many", np.int64(2**62)),
        _tensor("yes", np.bool_(True)),
        _tensor("zero", np.float64(0)),
    ]
    return _model(nodes, width, outputs, [*tensors, _tensor("w", np.zeros((width, outputs)))])


def nested(width: int, outputs: int) -> bytes:
    """Branches within branches, deeper than a reader's stack may be."""
    from onnx import TensorProto, helper

    out = helper.make_tensor_value_info("o", TensorProto.BOOL, [])
    end = helper.make_graph(
        [_node("Constant", [], ["o"], value=_tensor("t", np.bool_(True)))], "g", [], [out]
    )
    inner = end
    for _ in range(25):
        branch = _node("If", ["yes"], ["o"], then_branch=inner, else_branch=end)
        inner = helper.make_graph([branch], "g", [], [out])
    nodes, tensors = _harmless(width, outputs)
    branch = _node("If", ["yes"], ["o"], then_branch=inner, else_branch=end)
    return _model([branch, *nodes], width, outputs, [*tensors, _tensor("yes", np.bool_(True))])


def unknown_domain(width: int, outputs: int) -> bytes:
    """An operator of somebody's library."""
    from onnx import helper

    nodes = [_node("RunShell", ["x"], ["score"], domain="evil")]
    return _model(nodes, width, outputs, versions=[helper.make_opsetid("evil", 1)])


def runtime_domain(width: int, outputs: int) -> bytes:
    """An operator that onnxruntime knows and ONNX does not."""
    from onnx import helper

    nodes, tensors = _harmless(width, outputs)
    gelu = _node("Gelu", ["x"], ["g"], domain="com.microsoft")
    return _model([gelu, *nodes], width, outputs, tensors, versions=[helper.make_opsetid("com.microsoft", 1)])


def function(width: int, outputs: int) -> bytes:
    """An operator that the file itself defines, by itself."""
    from onnx import helper

    versions = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    again = helper.make_function(
        "own", "Again", ["a"], ["b"], [_node("Again", ["a"], ["b"], domain="own")], versions
    )
    nodes = [_node("Again", ["x"], ["score"], domain="own")]
    return _model(nodes, width, outputs, versions=versions[1:], functions=[again])


def circle(width: int, outputs: int) -> bytes:
    """Nodes that read each other."""
    nodes = [
        _node("Add", ["x", "b"], ["a"]),
        _node("Identity", ["a"], ["b"]),
        _node("MatMul", ["a", "w"], ["score"]),
    ]
    return _model(nodes, width, outputs, [_tensor("w", np.zeros((width, outputs)))])


def _trees(**changes: Any) -> Graph:
    """A tree whose nodes lead elsewhere than to its own."""

    def make(width: int, outputs: int) -> bytes:
        plain = {
            "tree_roots": [0],
            "n_targets": outputs,
            "nodes_featureids": [0, 0],
            "nodes_truenodeids": [1, 0],
            "nodes_trueleafs": [0, 1],
            "nodes_falsenodeids": [1, 2],
            "nodes_falseleafs": [1, 1],
            "leaf_targetids": [0, 0, 0],
        } | changes
        arrays = {
            "nodes_modes": _tensor("modes", np.array([0, 0], dtype=np.uint8)),
            "nodes_splits": _tensor("splits", np.zeros(2)),
            "leaf_weights": _tensor("weights", np.zeros(3)),
        }
        node = _node("TreeEnsemble", ["x"], ["score"], domain="ai.onnx.ml", **plain, **arrays)
        return _model([node], width, outputs)

    return make


def many_nodes(width: int, outputs: int) -> bytes:
    """Work for days in a small file: each operator takes a second, and there are thousands."""
    side = 4_000
    nodes = [_node("ReduceMax", ["x"], ["m"], keepdims=0), _node("Add", ["a", "m"], ["a2"])]
    nodes.append(_node("Add", ["a2", "b"], ["p0"]))
    nodes += [_node("Mod", [f"p{step}", "big"], [f"p{step + 1}"], fmod=1) for step in range(5_000)]
    nodes += [
        _node("ReduceMax", ["p5000"], ["d"], keepdims=0),
        _node("MatMul", ["x", "w"], ["y"]),
        _node("Add", ["y", "d"], ["score"]),
    ]
    tensors = [
        _tensor("a", np.ones((side, 1))),
        _tensor("b", np.ones((1, side))),
        _tensor("big", np.array(1e9)),
    ]
    return _model(nodes, width, outputs, [*tensors, _tensor("w", np.zeros((width, outputs)))])


def one_node(width: int, outputs: int, *, constant: bool = False) -> bytes:
    """Work for a minute in one operator, within which the runtime cannot be stopped.

    Args:
        width: Of a row.
        outputs: Scores of a row.
        constant: Whether it is worked out when the graph is loaded already.
    """
    boxes = 150_000
    corner = "zero" if constant else "m"
    nodes = [
        _node("ReduceMax", ["x"], ["m"], keepdims=0),
        _node("Add", ["corners", corner], ["wide"]),
        _node("Cast", ["wide"], ["boxes"], to=1),
        _node("ConstantOfShape", ["shape"], ["scores"]),
        _node("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["chosen"]),
        _node("Cast", ["chosen"], ["numbers"], to=11),
        _node("ReduceMax", ["numbers"], ["d"], keepdims=0),
        _node("MatMul", ["x", "w"], ["y"]),
        _node("Add", ["y", "d"], ["score"]),
    ]
    corners = np.zeros((1, boxes, 4))
    corners[:, :, 2:] = 1.0
    tensors = [
        _tensor("corners", corners),
        _tensor("zero", np.array(0.0)),
        _tensor("shape", np.array([1, 1, boxes])),
        _tensor("most", np.array([boxes])),
        _tensor("overlap", np.array([1.0], dtype=np.float32)),
    ]
    return _model(nodes, width, outputs, [*tensors, _tensor("w", np.zeros((width, outputs)))])


def other_door(width: int, outputs: int) -> bytes:
    """A graph that reads another width than its plan writes."""
    return _model(*_args(_harmless(width + 1, outputs), width + 1, outputs))


def _args(parts: tuple[list[Any], list[Any]], width: int, outputs: int) -> tuple[Any, int, int, Any]:
    return parts[0], width, outputs, parts[1]


GRAPH_ATTACKS: dict[str, Graph] = {
    "external data": external_data,
    "external data in an attribute": external_constant,
    "dimensions beyond the data": _claimed((2**40, 2**20)),
    "dimensions that overflow": _claimed((2**33, 2**33)),
    "negative dimensions": _claimed((-1, 3)),
    "outer product": outer_product,
    "outer sum": outer_sum,
    "huge constant": _filled((2**20, 2**20)),
    "overflowing constant": _filled((2**62, 2**62)),
    "negative constant": _filled((-5,)),
    "endless loop": loop,
    "nested branches": nested,
    "unknown operator": unknown_domain,
    "operator of the runtime": runtime_domain,
    "function of its own": function,
    "circle of nodes": circle,
    "circle in a tree": _trees(nodes_truenodeids=[1, 0], nodes_trueleafs=[0, 0]),
    "tree beyond its nodes": _trees(nodes_truenodeids=[10**6, 0]),
    "tree before its nodes": _trees(nodes_truenodeids=[-(10**6), 0]),
    "tree beyond its leaves": _trees(nodes_falsenodeids=[1, 10**6]),
    "root beyond the tree": _trees(tree_roots=[10**6]),
    "feature beyond the row": _trees(nodes_featureids=[10**6, 0]),
    "target beyond the scores": _trees(leaf_targetids=[0, 0, 10**6]),
    "huge number of targets": _trees(n_targets=2**40),
    "work for days": many_nodes,
    "another width": other_door,
}
"""What each attack does -> the graph for a plan of so many slots and so many scores."""
