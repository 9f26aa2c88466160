"""The proof that a preparation was fitted apart from the rows that judge it, made on what was trained.

Two kinds of leak concern a pipeline: constants fitted outside the training part, and categories encoded
by the target without folds. Neither can happen here, and each training shows it: the constants are fitted
again from the rows that were learned from, and must come out the same to the last digit; and the numbers
that stand for a category in training must not be those that the rows' own targets went into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from everloop.core.errors import TrainingFailed
from everloop.model.preparation import PreparationSettings, fit_preparation
from everloop.model.trial import final_rows
from everloop.runtime.plan import LookupEncoder, Plan, TextEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.finishing import Member
    from everloop.model.learners.learner import Learner
    from everloop.model.trial import Material


BY_TARGET = ("many_categories", "text")
"""Kinds of feature that are encoded by the target."""


def prove_fitted_apart(
    plan: Plan, learner: Learner, material: Material, rows: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Fits the preparation again, from the rows that were learned from alone, and compares.

    Args:
        plan: The preparation that the model has.
        learner: What was trained.
        material: The rows that it was developed on; none of the test part.
        rows: Positions of those that it was fitted on; all that the learner takes, where left out.

    Returns:
        Facts for the record: ``rows`` that were learned from, ``constants`` that came out the same, and
        ``out_of_fold``: for each category that is encoded by the target the share of training rows whose
        number is not the one that their own target went into.

    Raises:
        TrainingFailed: When a constant came from elsewhere, or an encoding has the rows' own targets in it.
    """
    if rows is None:
        table, actual = final_rows(learner, material)
    else:
        table, actual = material.table.select(material.features.columns)[rows], material.actual[rows]
    settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
    again, X = fit_preparation(table, material.frame, material.features, settings, actual)
    foreign = _differing(plan, again)
    if foreign:
        raise TrainingFailed(
            f"The preparation of {', '.join(foreign)} was not fitted on the training rows alone: fitted on "
            "them again, its constants are others.",
            hint="everloop run --from model",
        )
    encoded = {name for name, kind in material.features.kinds.items() if kind in BY_TARGET}
    apart = _out_of_fold(again, table, X, encoded)
    within = [name for name, share in apart.items() if share == 0]
    if within:
        raise TrainingFailed(
            f"{', '.join(within)} is encoded by the target, and each training row's own target is in its "
            "number.",
            hint="everloop run --from model",
        )
    constants = sum(_constants(encoder) for encoder in again.encoders)
    return {"rows": table.height, "constants": constants, "out_of_fold": apart}


def prove_members(
    members: Sequence[Member], learners: Mapping[str, Learner], material: Material
) -> dict[str, Any]:
    """Proves every preparation of a model's members, each once; see `prove_fitted_apart`."""
    seen, proofs = set(), []
    for one in members:
        learner = learners[one.trial.learner]
        settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
        key = (settings, None if one.rows is None else len(one.rows), learner.capabilities.most_rows)
        if key not in seen:
            seen.add(key)
            proofs.append(prove_fitted_apart(one.plan, learner, material, one.rows))
    return {
        "rows": max(proof["rows"] for proof in proofs),
        "constants": sum(proof["constants"] for proof in proofs),
        "out_of_fold": {name: share for proof in proofs for name, share in proof["out_of_fold"].items()},
    }


def proof_sentence(proof: dict[str, Any]) -> str:
    """Tells the proof in a sentence."""
    encoded = proof["out_of_fold"]
    told = f"; {len(encoded)} columns are encoded by the target out of fold" if encoded else ""
    return (
        f"{proof['constants']:,} constants of the preparation, fitted again on the {proof['rows']:,} rows "
        f"learned from alone, came out the same{told}."
    )


def _differing(plan: Plan, again: Plan) -> list[str]:
    names = [a.column for a, b in zip(plan.encoders, again.encoders, strict=False) if a != b]
    if len(plan.encoders) != len(again.encoders) or plan.derived != again.derived:
        names.append("the derived columns")
    return names


def _constants(encoder: Any) -> int:
    """Counts what was fitted: limits, fill, centre, scale, categories, means."""
    fitted = [
        getattr(encoder, name) for name in encoder.__struct_fields__ if name not in {"column", "offset"}
    ]
    single = np.dtype(np.float32).itemsize
    sizes = [
        len(value) // single
        if isinstance(value, bytes)
        else len(value)
        if isinstance(value, (dict, tuple))
        else 1
        for value in fitted
        if value is not None
    ]
    return sum(sizes)


def _out_of_fold(
    plan: Plan, table: pl.DataFrame, X: NDArray[np.float64], encoded: set[str]
) -> dict[str, float]:
    from everloop.runtime.plan_table import encode_table

    # The parts of a time are looked up as well, in constants that no target went into.
    by_target = [
        one
        for one in plan.encoders
        if isinstance(one, (LookupEncoder, TextEncoder)) and one.column in encoded
    ]
    if not by_target:
        return {}
    starts = np.cumsum([0, *(one.width for one in by_target)]).tolist()
    moved = tuple(
        msgspec.structs.replace(one, offset=start) for one, start in zip(by_target, starts, strict=False)
    )
    own = encode_table(msgspec.structs.replace(plan, encoders=moved, width=starts[-1]), table)
    shares: dict[str, float] = {}
    for one, start in zip(by_target, starts, strict=False):
        if not np.ptp(own[:, start]):
            continue  # one number for all says nothing of any row
        share = float((X[:, one.offset] != own[:, start]).mean())
        shares[one.column] = max(share, shares.get(one.column, 0.0))
    return shares
