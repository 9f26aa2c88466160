"""A pickle and archives that do harm to whoever opens them as if they were friendly; written by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np

MARK_NAME = "EVERLOOP_MALICIOUS_MARK"
"""The environment variable that says which file a payload makes when it is run."""


def pickled(protocol: int = 4) -> bytes:
    """Gives a pickle that makes the file that `MARK_NAME` names when it is loaded."""
    command = f'touch "${MARK_NAME}"'.encode()
    if protocol < 2:
        return b"cposix\nsystem\n(S'" + command + b"'\ntR."
    return b"\x80" + bytes([protocol]) + b"cposix\nsystem\n(U" + bytes([len(command)]) + command + b"tR."


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """Gives a zip file of these parts, whatever their names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def linked(name: str, target: str, parts: Mapping[str, bytes]) -> bytes:
    """Gives a zip file with a symbolic link in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo(name)
        link.external_attr = 0o120777 << 16
        archive.writestr(link, target)
        for other, content in parts.items():
            archive.writestr(other, content)
    return out.getvalue()


def bomb(name: str, size: int, parts: Mapping[str, bytes] | None = None) -> bytes:
    """Gives a zip file of which one part unpacks to so many zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w", force_zip64=True) as part:
            for _ in range(size // 2**20):
                part.write(bytes(2**20))
        for other, content in (parts or {}).items():
            archive.writestr(other, content)
    return out.getvalue()


def lying_bomb(name: str, size: int) -> bytes:
    """Gives a zip file whose directory says that its bomb is small."""
    content = bytearray(bomb(name, size))
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (100).to_bytes(4, "little")
    return bytes(content)


def claiming_array(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    """Gives the content of an .npy file that claims a shape and holds nothing."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": False, "shape": shape})
    return out.getvalue()


def pickled_arrays(*names: str) -> bytes:
    """Gives an .npz file whose arrays are pickles."""
    content = claiming_array((1,), "|O") + pickled()
    return zipped({f"{name}.npy": content for name in names})
