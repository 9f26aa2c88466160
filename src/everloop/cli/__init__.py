"""The command line: `everloop VERB`, each verb one file that is imported when it is run.

Example:
    >>> from everloop.cli import main
    >>> main(["run", "--help"])  # doctest: +SKIP
    0
"""

from everloop.cli.entry import main

__all__ = ["main"]
