"""What serves a model that could not be compiled: its own library, asked in this process.

Nothing here is imported for a package whose runtime is `graph`, and no library is imported before a
package's digests are checked, its requirements found and every type that its estimator names audited.

Example:
    >>> from everloop.runtime.python import TRUSTED_TYPES
    >>> "sklearn.tree._tree.Tree" in TRUSTED_TYPES
    True
"""

from __future__ import annotations

from everloop.runtime.python.model import ESTIMATOR_NAME, PythonModel
from everloop.runtime.python.opening import python_model
from everloop.runtime.python.prepared import PreparedModel
from everloop.runtime.python.reading import estimator_of
from everloop.runtime.python.requirements import requirements_of
from everloop.runtime.python.types import TRUSTED_TYPES

__all__ = [
    "ESTIMATOR_NAME",
    "TRUSTED_TYPES",
    "PreparedModel",
    "PythonModel",
    "estimator_of",
    "python_model",
    "requirements_of",
]
