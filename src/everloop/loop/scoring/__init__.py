"""Batch scoring: rows of a file or a database in, the same rows with what a package says of them out.

Rows go by in parts, so their number does not matter. What is scored is kept until the output is there,
so scoring that was stopped, or killed, goes on where it was.

Example:
    >>> from pathlib import Path
    >>> from everloop.loop.scoring import FileRows, score_rows
    >>> score_rows(package, FileRows("loans.csv"), Path("scored.parquet"))  # doctest: +SKIP
    24000
"""

from everloop.loop.scoring.asked import DatabaseRows, FileRows
from everloop.loop.scoring.score import score_rows
from everloop.loop.scoring.table import DatabaseTable

__all__ = ["DatabaseRows", "DatabaseTable", "FileRows", "score_rows"]
