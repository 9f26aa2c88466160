"""Serving alone: package, plan, graph, router, prediction log, HTTP server.

Example:
    >>> from everloop.runtime import NumberEncoder, Plan, PlanInput, compile_row
    >>> plan = Plan(
    ...     inputs=(PlanInput("amount", "number"),),
    ...     encoders=(NumberEncoder("amount", offset=0, fill=100.0, centre=100.0, scale=50.0),),
    ...     width=1,
    ... )
    >>> encode = compile_row(plan)
    >>> encode({"amount": 200.0}), encode({"amount": None})
    (array([2.]), array([0.]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.runtime.explain import Reason
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.package import Answer, Package
    from everloop.runtime.plan import (
        LookupEncoder,
        NumberEncoder,
        OneHotEncoder,
        Plan,
        PlanInput,
        compile_row,
    )
    from everloop.runtime.plan_table import encode_table

_WHERE = {
    "Answer": "package",
    "LookupEncoder": "encoders",
    "Manifest": "manifest",
    "NumberEncoder": "encoders",
    "OneHotEncoder": "encoders",
    "Package": "package",
    "Plan": "plan",
    "PlanInput": "encoders",
    "Reason": "explain",
    "compile_row": "plan",
    "encode_table": "plan_table",
}

__all__ = [
    "Answer",
    "LookupEncoder",
    "Manifest",
    "NumberEncoder",
    "OneHotEncoder",
    "Package",
    "Plan",
    "PlanInput",
    "Reason",
    "compile_row",
    "encode_table",
]

__getattr__ = lazy_names(__name__, _WHERE)
