"""SavedModels written by hand, without TensorFlow: one that is well, and what does harm in its place."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from everloop.model.saved_model.checkpoint import INDEX, masked_checksum
from everloop.model.saved_model.messages import message_class

FLOAT, TEXT = 1, 7
WIDTH = 3
DATA = "variables/variables.data-00000-of-00001"
KERNEL, BIAS = np.array([[0.5], [-1.0], [2.0]], dtype=np.float32), np.array([0.25], dtype=np.float32)
_MAGIC = 0xDB4775248B80FB57
_KINDS = {"f4": FLOAT, "f8": 2, "i4": 3, "i8": 9, "b1": 10}


def node(name: str, operation: str, *inputs: str, **attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a node; each attribute as its field and value, such as ``{"type": FLOAT}``."""
    told = [{"key": key, "value": value} for key, value in attributes.items()]
    return {"name": name, "op": operation, "input": list(inputs), "attr": told}


def tensor(array: Any) -> dict[str, Any]:
    """Gives a constant's value: numbers, or a list of texts."""
    if isinstance(array, list):
        shape = {"dim": [{"size": len(array)}]}
        texts = [one.encode() for one in array]
        return {"tensor": {"dtype": TEXT, "tensor_shape": shape, "string_val": texts}}
    shape = {"dim": [{"size": size} for size in array.shape]}
    kind = _KINDS[array.dtype.str[1:]]
    return {"tensor": {"dtype": kind, "tensor_shape": shape, "tensor_content": array.tobytes()}}


def claimed(*sizes: int) -> dict[str, Any]:
    """Gives a constant's value that is one number and a shape."""
    shape = {"dim": [{"size": size} for size in sizes]}
    return {"tensor": {"dtype": FLOAT, "tensor_shape": shape, "float_val": [1.0]}}


def function(
    name: str, arguments: Sequence[str], nodes: Sequence[Mapping[str, Any]], **results: str
) -> dict[str, Any]:
    """Gives a function; its results by name, each the tensor that it is."""
    signature = {
        "name": name,
        "input_arg": [{"name": one} for one in arguments],
        "output_arg": [{"name": one} for one in results],
    }
    told = [{"key": key, "value": value} for key, value in results.items()]
    return {"signature": signature, "node_def": list(nodes), "ret": told}


def call(name: str, called: str, *inputs: str) -> dict[str, Any]:
    """Gives a node that calls a function."""
    return node(name, "StatefulPartitionedCall", *inputs, f={"func": {"name": called}})


def saved_model(  # noqa: PLR0913  (each is a part of the file)
    nodes: Sequence[Mapping[str, Any]],
    functions: Sequence[Mapping[str, Any]] = (),
    *,
    restoring: str = "",
    first: str = "",
    signature: str = "serving_default",
    inputs: Mapping[str, tuple[int, Sequence[int]]] | None = None,
    score: str = "score:0",
    width: int = 1,
) -> bytes:
    """Gives a `saved_model.pb`.

    Args:
        nodes: The graph's nodes.
        functions: Its library.
        restoring: The node that restores its variables.
        first: The node that is run when it is loaded.
        signature: What its signature is called.
        inputs: What the signature reads, each a placeholder of its name: kind and sizes, -1 for the rows.
        score: The tensor that the signature answers with.
        width: How many numbers that has for each row.
    """
    inputs = inputs or {"x": (FLOAT, (-1, WIDTH))}
    given = [_told(name, f"{name}:0", *said) for name, said in inputs.items()]
    answers = [_told("score", score, FLOAT, (-1, width))]
    signatures = [{"key": signature, "value": {"inputs": given, "outputs": answers}}]
    if first:
        signatures.append(
            {"key": "__saved_model_init_op", "value": {"outputs": [_told("first", first, 0, ())]}}
        )
    placeholders = [node(name, "Placeholder", dtype={"type": kind}) for name, (kind, _) in inputs.items()]
    meta = {
        "meta_info_def": {"tags": ["serve"]},
        "graph_def": {"node": [*placeholders, *nodes], "library": {"function": list(functions)}},
        "saver_def": {"restore_op_name": restoring},
        "signature_def": signatures,
    }
    written: bytes = message_class("SavedModel")(meta_graphs=[meta]).SerializeToString(deterministic=True)
    return written


def _told(name: str, where: str, kind: int, sizes: Sequence[int]) -> dict[str, Any]:
    shape = {"dim": [{"size": size} for size in sizes]}
    return {"key": name, "value": {"name": where, "dtype": kind, "tensor_shape": shape}}


def variables(arrays: Mapping[str, Any]) -> dict[str, bytes]:
    """Gives the files of a checkpoint."""
    entries, data = {b"": message_class("BundleHeader")(num_shards=1).SerializeToString()}, b""
    for key, array in sorted(arrays.items()):
        content = array.tobytes()
        entries[key.encode()] = message_class("BundleEntry")(
            dtype=_KINDS[array.dtype.str[1:]],
            shape={"dim": [{"size": size} for size in array.shape]},
            offset=len(data),
            size=len(content),
            crc32c=masked_checksum(content),
        ).SerializeToString()
        data += content
    return {INDEX: index(entries), DATA: data}


def index(entries: Mapping[bytes, bytes]) -> bytes:
    """Gives an index as LevelDB writes one: a block of entries, one of notes, one that leads to them."""
    content, handles = b"", []
    for block in (entries, {}):
        handles.append(_varint(len(content)) + _varint(len(_block(block)) - 5))
        content += _block(block)
    last = _block({max(entries): handles[0]})
    handles.append(_varint(len(content)) + _varint(len(last) - 5))
    return content + last + (handles[1] + handles[2]).ljust(40, b"\0") + struct.pack("<Q", _MAGIC)


def _block(entries: Mapping[bytes, bytes]) -> bytes:
    content = b"".join(
        b"\0" + _varint(len(key)) + _varint(len(value)) + key + value for key, value in entries.items()
    )
    content += struct.pack("<II", 0, 1) + b"\0"
    return content + struct.pack("<I", masked_checksum(content))


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


RESTORED = ("kernel", "bias")
"""The variables of what `line` and `restoring` make."""


def line(*more: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the function `line`: the chance by a line through x, with further nodes in it."""
    kind: dict[str, Mapping[str, Any]] = {"T": {"type": FLOAT}}
    nodes = [
        node("kernel", "ReadVariableOp", "kernel_of"),
        node("bias", "ReadVariableOp", "bias_of"),
        node("product", "MatMul", "x", "kernel:value:0", **kind),
        node("sum", "BiasAdd", "product:product:0", "bias:value:0", **kind),
        node("chance", "Sigmoid", "sum:output:0", **kind),
        node("answer", "Identity", "chance:y:0", "^ready", **kind),
        node("ready", "NoOp", "^kernel", "^bias"),
    ]
    return function("line", ("x", "kernel_of", "bias_of"), [*nodes, *more], result="answer:output:0")


def restoring() -> dict[str, Any]:
    """Gives the function `restoring`, which gives both variables their numbers."""
    nodes = [
        node("keys", "Const", value=tensor([f"{name}/VALUE" for name in RESTORED])),
        node("slices", "Const", value=tensor(["" for _ in RESTORED])),
        node("stored", "RestoreV2", "file", "keys:output:0", "slices:output:0"),
    ]
    for place, name in enumerate(RESTORED):
        nodes.append(node(f"read_{name}", "Identity", f"stored:tensors:{place}"))
        nodes.append(node(f"give_{name}", "AssignVariableOp", name, f"read_{name}:output:0"))
    return function("restoring", ("file", *RESTORED), nodes)


def served(*functions: Mapping[str, Any], more: Sequence[Mapping[str, Any]] = (), **options: Any) -> bytes:
    """Gives a SavedModel of `line` as TensorFlow writes one, with other functions in place of it if given."""
    nodes = [
        node("file", "Placeholder"),
        *(node(name, "VarHandleOp", shared_name={"s": name.encode()}) for name in RESTORED),
        call("score", "line", "x", *RESTORED),
        call("restore", "restoring", "file", *RESTORED),
    ]
    library = [*(functions or [line()]), restoring()]
    return saved_model([*nodes, *more], library, **{"restoring": "restore", **options})


def numbers() -> dict[str, bytes]:
    """Gives the checkpoint of `served`."""
    return variables({"kernel/VALUE": KERNEL, "bias/VALUE": BIAS})


def _harmful(operation: str) -> bytes:
    return served(line(node("harm", operation, "x")))


def _writing_first() -> bytes:
    path = node("path", "Const", value=tensor(["/tmp/harm"]))  # noqa: S108  (nothing writes it)
    return served(more=[path, node("write", "WriteFile", "path", "path")], first="write")


def _doubling() -> bytes:
    """Functions that call the next twice each: more than a thousand million operations in a small file."""
    arguments = ("x", *RESTORED)
    functions = [
        function(
            "line" if step == 0 else f"line_{step}",
            arguments,
            [call(one, f"line_{step + 1}", *arguments) for one in ("once", "again")],
            result="again:output:0",
        )
        for step in range(30)
    ]
    body = [node("answer", "Identity", "x")]
    return served(*functions, function("line_30", arguments, body, result="answer:output:0"))


def _itself() -> bytes:
    body = [call("again", "line", "x", *RESTORED)]
    return served(function("line", ("x", *RESTORED), body, result="again:output:0"))


def _constant(value: Mapping[str, Any]) -> bytes:
    return saved_model([node("c", "Const", value=value), node("score", "Sum", "x", "c")])


def _filled() -> bytes:
    sizes = node("sizes", "Const", value=tensor(np.array([2**20, 2**20], dtype=np.int32)))
    one = node("one", "Const", value=tensor(np.array(1, dtype=np.float32)))
    return saved_model([sizes, one, node("score", "Fill", "sizes", "one")])


def _claiming() -> dict[str, bytes]:
    """Gives a checkpoint whose index claims more than it holds."""
    shape = {"dim": [{"size": 2**40}]}
    entry = message_class("BundleEntry")(dtype=FLOAT, shape=shape, size=2**42).SerializeToString()
    return {**numbers(), INDEX: index({b"": b"", b"bias/VALUE": entry, b"kernel/VALUE": entry})}


def _cut(name: str) -> dict[str, bytes]:
    files = numbers()
    return {**files, name: files[name][:-1]}


def nothing() -> dict[str, bytes]:
    """Gives no files."""
    return {}


SavedModelAttack = tuple[Callable[[], bytes], Callable[[], Mapping[str, bytes]]]
_OPERATIONS = ("WriteFile", "ReadFile", "PyFunc", "While", "LookupTableFindV2", "OwnLibrarysOperation")

SAVED_MODEL_ATTACKS: dict[str, SavedModelAttack] = {
    **{f"with {one}": (partial(_harmful, one), numbers) for one in _OPERATIONS},
    "that writes when it is loaded": (_writing_first, numbers),
    "whose function calls itself": (_itself, numbers),
    "of functions that double": (_doubling, numbers),
    "of a circle": (lambda: saved_model([node("score", "Abs", "b"), node("b", "Abs", "score")]), nothing),
    "of a constant larger than memory": (lambda: _constant(claimed(2**40)), nothing),
    "of a constant whose size overflows": (lambda: _constant(claimed(2**62, 2**62)), nothing),
    "that fills memory": (_filled, nothing),
    "that ends early": (lambda: served()[:-20], numbers),
    "without its numbers": (served, nothing),
    "whose index ends early": (served, lambda: _cut(INDEX)),
    "whose numbers end early": (served, lambda: _cut(DATA)),
    "whose index claims much": (served, _claiming),
}
"""What each attack is -> its `saved_model.pb`, and the files beside it."""
