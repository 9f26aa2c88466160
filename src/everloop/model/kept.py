"""Estimators as a Python runtime keeps them: audited, without pickle, with what they need to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault, UsageFault
from everloop.model.ensemble import Ensemble
from everloop.model.estimator_file import canonical_bytes, estimator_bytes
from everloop.model.estimators.rescaled import Rescaled
from everloop.model.estimators.reweighed import Reweighed
from everloop.runtime.python import estimator_of, requirements_of
from everloop.runtime.python.reading import named_modules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.model.trained import Trained


def kept_bytes(kept: Any, called: str) -> bytes:
    """Gives an estimator's file, or that of `kept_parts`, once its types are audited.

    Args:
        kept: What is kept.
        called: What messages call it.

    Raises:
        ModelFault: When it holds code of its own, or a type that is not trusted.
    """
    try:
        content = canonical_bytes(estimator_bytes(kept))
    except UsageFault:
        raise
    except Exception as error:
        raise ModelFault(
            f"{called} cannot be kept without a pickle: {str(error).splitlines()[0][:200]}",
            hint="use what scikit-learn has in its place, or hand the model over as ONNX",
        ) from error
    estimator_of(content, f"of {called}")
    return content


def needs_of(content: bytes, *more: str) -> dict[str, str]:
    """Gives what a file, and further modules, need to be installed: distribution to version."""
    return requirements_of((named_modules(content) | {"skops", *more}) - {"builtins", "collections"})


def runtime_told(requirements: Mapping[str, str], reason: str) -> str:
    """Says what serves a model that was not compiled, and why, for its card."""
    needed = ", ".join(f"{name} {version}" for name, version in requirements.items())
    told = f"It serves in a Python runtime, slower than compiled, which needs {needed}."
    return f"{told} Why: {reason.rstrip('.')}."


def kept_parts(trained: Trained) -> dict[str, Any]:
    """Takes a search's model apart into estimators and numbers, as `runtime.python.prepared` reads them."""
    estimator, calibration = trained.estimator, trained.calibration
    if isinstance(estimator, Ensemble):
        weights = estimator.weights.tolist()
        members = list(zip(estimator.members, estimator.slots, weights, strict=True))
    else:
        members = [(estimator, np.arange(trained.plan.width), 1.0)]
    return {
        "members": [
            {"slots": slots, "weight": weight, **_unwrapped(member)} for member, slots, weight in members
        ],
        "calibration": None if calibration is None else [calibration.slope, calibration.intercept],
    }


def _unwrapped(member: Any) -> dict[str, Any]:
    if isinstance(member, Reweighed):
        return {"estimator": member.estimator, "factors": member.factors}
    if isinstance(member, Rescaled):
        low, high = (float(bound) for bound in member.bounds)
        numbers = {"shift": member.shift, "centre": member.centre, "spread": member.spread}
        return {
            "estimator": member.estimator,
            "scale": {"name": member.scale, "low": low, "high": high, **numbers},
        }
    return {"estimator": member}
