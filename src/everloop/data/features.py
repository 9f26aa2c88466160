"""Features of the row, from the lifecycle file's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from everloop.core.errors import SpecFault
from everloop.data.adding import becomes_column
from everloop.table.cleaning import CleaningPlan
from everloop.table.expression import renamed
from everloop.table.feature import FeatureDefinition, define


def row_features(
    features: Mapping[str, Any], types: Mapping[str, str], plan: CleaningPlan
) -> tuple[FeatureDefinition, ...]:
    """Reads the features that are SQL expressions over one row; they see clean columns.

    The others are columns by now.

    Args:
        features: The file's part `data.features`.
        types: From each column's name to its type.
        plan: The fitted cleaning: a feature that names a column reads its clean twin.

    Raises:
        SpecFault: When an expression is wrong or takes a column's name.
    """
    expressions = {name: feature for name, feature in features.items() if not becomes_column(feature)}
    for name in expressions:
        if name in types:
            raise SpecFault(
                f"The feature {name} has the name of a column.",
                hint=f"call it {name}_2",
                place=f"data.features.{name}",
            )
    defined = define(expressions, {**types, **plan.clean_types})
    return tuple(FeatureDefinition(one.name, renamed(one.expression, plan.clean_names)) for one in defined)
