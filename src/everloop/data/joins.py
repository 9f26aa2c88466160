"""The answer of a query kept beside the snapshots that are cut from it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def kept_join(kept: Path | None, joined: Path) -> Iterator[None]:
    """Puts what is kept of an answer where it is to be written, and keeps what was written there.

    Args:
        kept: Under this name the answer is kept, for readings and a query that the name stands for; None
            keeps nothing. Both places must be on one file system that knows links, else nothing is kept.
        joined: Where it is looked for and, if it is not there, written inside the block.
    """
    if kept is not None:
        with suppress(OSError):
            os.link(kept, joined)
    yield
    if kept is not None and joined.exists() and not kept.exists():
        scratch = kept.with_name(f".scratch-{secrets.token_hex(6)}")
        with suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            os.link(joined, scratch)
            scratch.replace(kept)
