"""From a package's files to the model that answers in a Python runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import ModelFault, PackageRefused
from everloop.runtime.python.model import ESTIMATOR_NAME, PythonModel
from everloop.runtime.python.prepared import PreparedModel
from everloop.runtime.python.reading import estimator_of
from everloop.runtime.python.requirements import require_installed

if TYPE_CHECKING:
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.plan import Plan


def python_model(content: bytes, plan: Plan, manifest: Manifest) -> PythonModel | PreparedModel:
    """Reads a package's model, whose digest was checked.

    A plan that encodes stands before a search's own members; one that does not names the raw columns that an
    estimator from elsewhere reads.

    Raises:
        MissingExtra: When a library is not installed.
        PackageRefused: When another version of it is, a type is not trusted, or it is another model.
    """
    require_installed(manifest.requirements)
    kind = PreparedModel if plan.encoders else PythonModel
    try:
        kept = estimator_of(content, ESTIMATOR_NAME)
        return kind(kept, plan, manifest.task, len(manifest.classes))
    except ModelFault as fault:
        raise PackageRefused(fault.message, hint=fault.hint) from None
