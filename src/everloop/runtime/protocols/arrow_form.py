"""Rows and answers as an Arrow IPC stream: what `POST /predict` takes and gives where a client says so.

https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format. What is compressed is refused: a
small body could stand for more than the memory there is.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from everloop.core.errors import MissingExtra
from everloop.core.extras import require
from everloop.runtime.http import Refusal

if TYPE_CHECKING:
    from everloop.runtime.service.served import Served

ARROW = b"application/vnd.apache.arrow.stream"
_RECORD_BATCH, _DICTIONARY_BATCH = 3, 2
# The places of fields in the format's FlatBuffers tables: Message.fbs.
_HEADER_TYPE, _HEADER, _DATA, _COMPRESSION = 1, 2, 1, 3


def rows_of_arrow(content: bytes, most: int) -> list[dict[str, Any]]:
    """Reads rows from a stream.

    Args:
        content: The stream.
        most: The most rows that are taken.

    Raises:
        Refusal: 400 when it is no stream or a damaged or compressed one, 413 when it has too many rows,
            415 when this installation does not read Arrow.
    """
    pyarrow = _pyarrow()
    try:
        _refuse_compressed(pyarrow, content)
        rows: list[dict[str, Any]] = []
        with pyarrow.ipc.open_stream(content) as reader:
            for batch in reader:
                if len(rows) + batch.num_rows > most:
                    raise Refusal(413, "There are too many rows.", f"Expected at most {most} in a request.")
                batch.validate(full=True)
                rows += batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, IndexError, OverflowError, struct.error) as error:
        told = f"{error}".partition("\n")[0][:200]
        raise Refusal(400, "The body is no Arrow IPC stream.", f"{told}.") from None
    return rows


def answers_as_arrow(served: list[Served]) -> bytes:
    """Gives answers as a stream of one batch: `id`, `prediction`, `score`, `version`."""
    pyarrow = _pyarrow()
    table = pyarrow.table(
        {
            "id": [one.id for one in served],
            "prediction": [one.answer.prediction for one in served],
            "score": [one.answer.score for one in served],
            "version": [one.version for one in served],
        }
    )
    out = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    content: bytes = out.getvalue().to_pybytes()
    return content


def _pyarrow() -> Any:
    try:
        module = require("pyarrow", extra="train")
        require("pyarrow.ipc", extra="train")
    except MissingExtra:
        raise Refusal(
            415, "This server does not read Arrow.", "Expected application/json; pyarrow is not installed."
        ) from None
    return module


def _refuse_compressed(pyarrow: Any, content: bytes) -> None:
    for message in pyarrow.ipc.MessageReader.open_stream(pyarrow.BufferReader(content)):
        head = bytes(message.metadata)
        (root,) = struct.unpack_from("<I", head)
        kind = _field(head, root, _HEADER_TYPE)
        batch = _table(head, root, _HEADER)
        if kind is None or batch is None or head[kind] not in (_RECORD_BATCH, _DICTIONARY_BATCH):
            continue
        if head[kind] == _DICTIONARY_BATCH:
            batch = _table(head, batch, _DATA)
        if batch is not None and _field(head, batch, _COMPRESSION) is not None:
            raise Refusal(400, "The Arrow IPC stream is compressed.", "Expected it as it is.")


def _field(content: bytes, table: int, place: int) -> int | None:
    """Gives where a field of a FlatBuffers table is, None where it is left out."""
    (back,) = struct.unpack_from("<i", content, table)
    (size,) = struct.unpack_from("<H", content, table - back)
    slot = 4 + 2 * place
    if slot + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", content, table - back + slot)
    return table + offset if offset else None


def _table(content: bytes, table: int, place: int) -> int | None:
    at = _field(content, table, place)
    return None if at is None else at + struct.unpack_from("<I", content, at)[0]
