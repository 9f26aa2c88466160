"""Packages and model files that were made to do harm, and a loader's behaviour when it meets them.

Example:
    >>> from everloop.testing.malicious import PACKAGE_ATTACKS
    >>> "pickle as card.html" in PACKAGE_ATTACKS
    True
"""

from everloop.testing.malicious.files import FILE_ATTACKS, FileAttack
from everloop.testing.malicious.graphs import GRAPH_ATTACKS
from everloop.testing.malicious.packages import PACKAGE_ATTACKS, PackageAttack
from everloop.testing.malicious.patterns import REFUSED_PATTERNS, SLOW_PATTERNS
from everloop.testing.malicious.suite import ModelFileSuite, PackageLoaderSuite
from everloop.testing.malicious.watching import Act, Limits, Verdict, watch

__all__ = [
    "FILE_ATTACKS",
    "GRAPH_ATTACKS",
    "PACKAGE_ATTACKS",
    "REFUSED_PATTERNS",
    "SLOW_PATTERNS",
    "Act",
    "FileAttack",
    "Limits",
    "ModelFileSuite",
    "PackageAttack",
    "PackageLoaderSuite",
    "Verdict",
    "watch",
]
