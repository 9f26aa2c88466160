"""The protocol buffers of a SavedModel and of its checkpoint, as far as they are read here.

Numbers and kinds of the fields are those of TensorFlow's own files
(https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core: `protobuf/saved_model.proto`,
`meta_graph.proto`, `saver.proto`, `tensor_bundle.proto`, `framework/graph.proto`, `function.proto`,
`node_def.proto`, `attr_value.proto`, `tensor.proto`). A map is a list of keys and values, as it is in a file.
No message holds one of its own kind, so that nothing in a file is deep.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from everloop.core.errors import ModelFault
from everloop.core.extras import require

Message = Any
"""A message of one of these kinds; fields by their names, what is repeated as lists."""

MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "SavedModel": {"saved_model_schema_version": (1, "int64"), "meta_graphs": (2, "MetaGraph*")},
    "MetaGraph": {
        "meta_info_def": (1, "MetaInfo"),
        "graph_def": (2, "Graph"),
        "saver_def": (3, "Saver"),
        "collection_def": (4, "CollectionEntry*"),
        "signature_def": (5, "SignatureEntry*"),
    },
    "MetaInfo": {"tags": (4, "string*")},
    "Saver": {"restore_op_name": (3, "string")},
    "CollectionEntry": {"key": (1, "string"), "value": (2, "Collection")},
    "Collection": {"node_list": (1, "NodeList")},
    "NodeList": {"value": (1, "string*")},
    "SignatureEntry": {"key": (1, "string"), "value": (2, "Signature")},
    "Signature": {
        "inputs": (1, "TensorEntry*"),
        "outputs": (2, "TensorEntry*"),
        "method_name": (3, "string"),
    },
    "TensorEntry": {"key": (1, "string"), "value": (2, "TensorInfo")},
    "TensorInfo": {"name": (1, "string"), "dtype": (2, "int64"), "tensor_shape": (3, "Shape")},
    "Shape": {"dim": (2, "Dim*"), "unknown_rank": (3, "bool")},
    "Dim": {"size": (1, "int64")},
    "Graph": {"node": (1, "Node*"), "library": (2, "Library")},
    "Library": {"function": (1, "Function*")},
    "Function": {
        "signature": (1, "Operation"),
        "node_def": (3, "Node*"),
        "ret": (4, "TextEntry*"),
    },
    "Operation": {"name": (1, "string"), "input_arg": (2, "Argument*"), "output_arg": (3, "Argument*")},
    "Argument": {"name": (1, "string")},
    "TextEntry": {"key": (1, "string"), "value": (2, "string")},
    "Node": {
        "name": (1, "string"),
        "op": (2, "string"),
        "input": (3, "string*"),
        "attr": (5, "AttributeEntry*"),
    },
    "AttributeEntry": {"key": (1, "string"), "value": (2, "Attribute")},
    "Attribute": {
        "list": (1, "AttributeList"),
        "s": (2, "bytes"),
        "i": (3, "int64"),
        "f": (4, "float"),
        "b": (5, "bool"),
        "type": (6, "int64"),
        "tensor": (8, "Tensor"),
        "placeholder": (9, "string"),
        "func": (10, "FunctionName"),
    },
    "AttributeList": {"i": (3, "int64*"), "f": (4, "float*")},
    "FunctionName": {"name": (1, "string")},
    "Tensor": {
        "dtype": (1, "int64"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "float*"),
        "double_val": (6, "double*"),
        "int_val": (7, "int32*"),
        "string_val": (8, "bytes*"),
        "int64_val": (10, "int64*"),
        "bool_val": (11, "bool*"),
    },
    "BundleHeader": {"num_shards": (1, "int32"), "endianness": (2, "int64")},
    "BundleEntry": {
        "dtype": (1, "int64"),
        "shape": (2, "Shape"),
        "shard_id": (3, "int32"),
        "offset": (4, "int64"),
        "size": (5, "int64"),
        "crc32c": (6, "fixed32"),
        "slices": (7, "Slice*"),
    },
    "Slice": {},
}
"""Kind of message -> its fields: the name -> the number and the kind, with a star where it is repeated."""

_PACKAGE = "everloop.saved_model"


def parsed(kind: str, content: bytes, name: str) -> Message:
    """Reads a message.

    Args:
        kind: Its kind, one of `MESSAGES`.
        content: Its bytes.
        name: Where they are from, for the message of an error.

    Raises:
        ModelFault: When they are no such message.
        MissingExtra: When Google's protobuf is not installed.
    """
    reading = require("google.protobuf.message", extra="train")
    try:
        return message_class(kind).FromString(content)
    except (reading.DecodeError, RecursionError) as error:
        raise ModelFault(f"{name} is damaged: {str(error)[:200]}.") from None


@cache
def message_class(kind: str) -> Any:
    """Gives the class of a kind of message, which reads and writes it."""
    factory = require("google.protobuf.message_factory", extra="train")
    return factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{kind}"))


@cache
def _pool() -> Any:
    form = require("google.protobuf.descriptor_pb2", extra="train")
    file = form.FileDescriptorProto(name="saved_model.proto", package=_PACKAGE, syntax="proto3")
    field = form.FieldDescriptorProto
    for kind, fields in MESSAGES.items():
        message = file.message_type.add(name=kind)
        for name, (number, told) in fields.items():
            plain = told.rstrip("*")
            label = field.LABEL_REPEATED if told.endswith("*") else field.LABEL_OPTIONAL
            if plain in MESSAGES:
                message.field.add(
                    name=name, number=number, label=label, type=field.TYPE_MESSAGE,
                    type_name=f".{_PACKAGE}.{plain}",
                )  # fmt: skip
            else:
                kind_of_number = getattr(field, f"TYPE_{plain.upper()}")
                message.field.add(name=name, number=number, label=label, type=kind_of_number)
    pool = require("google.protobuf.descriptor_pool", extra="train").DescriptorPool()
    pool.Add(file)
    return pool
