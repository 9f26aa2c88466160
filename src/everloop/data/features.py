"""Features of the row, from the lifecycle file's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.core.errors import SpecFault
from everloop.table.cleaning import CleaningPlan
from everloop.table.expression import renamed
from everloop.table.feature import FeatureDefinition, define


def row_features(
    features: Mapping[str, Any], types: Mapping[str, str], plan: CleaningPlan
) -> tuple[FeatureDefinition, ...]:
    """Reads the features that are SQL expressions over one row; they see clean columns.

    Args:
        features: The file's part `data.features`.
        types: From each column's name to its type.
        plan: The fitted cleaning: a feature that names a column reads its clean twin.

    Raises:
        SpecFault: When an expression is wrong, takes a column's name, or is of another kind.
    """
    expressions = {}
    for name, feature in features.items():
        place = f"data.features.{name}"
        if not isinstance(feature, str):
            source = getattr(feature, "source", None) or "SOURCE"
            raise SpecFault(
                f"The feature {name} looks at other rows, which features do not do yet.",
                hint=f"join it in data.table, where it is as of the decision: asof left join {source} on "
                "rows.KEY = source.KEY and rows.TIME >= source.TIME",
                place=place,
            )
        if ".py:" in feature:
            raise SpecFault(
                f"The feature {name} is Python, which features cannot be yet.",
                hint="write it as an SQL expression over the row's columns, or compute it in data.table",
                place=place,
            )
        if name in types:
            raise SpecFault(
                f"The feature {name} has the name of a column.", hint=f"call it {name}_2", place=place
            )
        expressions[name] = feature
    defined = define(expressions, {**types, **plan.clean_types})
    return tuple(FeatureDefinition(one.name, renamed(one.expression, plan.clean_names)) for one in defined)
