"""The preparation is fitted on the rows learned from alone; a training proves it on what it made."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest

from everloop.core.errors import TrainingFailed
from everloop.model.columns import column_kinds
from everloop.model.features import Features
from everloop.model.fitted_apart import proof_sentence, prove_fitted_apart
from everloop.model.learners.registry import learner
from everloop.model.preparation import fit_preparation
from everloop.model.trial import Material, fit_final
from everloop.runtime.plan import LookupEncoder, NumberEncoder
from everloop.spec.frame import Frame
from everloop.table.schema import schema_of


def material_of(rows=600, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 2, rows)
    table = pl.DataFrame(
        {
            "x": np.where(draw.random(rows) < 0.1, np.nan, draw.normal(size=rows)),
            "town": [f"t{one}" for one in draw.integers(0, 90, rows)],
            "kind": draw.choice(["a", "b", "c"], rows),
            "y": np.where(y == 1, "yes", "no"),
        }
    ).with_columns(pl.col("x").fill_nan(None))
    frame = Frame("binary", "y", ("no", "yes"), "yes", "roc_auc", inputs=("x", "town", "kind"))
    kinds = column_kinds(table, frame.inputs)
    features = Features(kinds.kept, schema_of(table).types, {})
    return Material(table, frame, y, features, folds=())


@pytest.mark.parametrize("name", ["linear", "hist_gradient_boosting"])
def test_what_a_training_made_is_proven(name):
    material, linear = material_of(), learner(name)
    plan, _ = fit_final(linear, {}, material)
    proof = prove_fitted_apart(plan, linear, material)
    assert proof["rows"] == 600
    assert proof["constants"] > 90
    assert list(proof["out_of_fold"]) == ["town"]
    assert proof["out_of_fold"]["town"] > 0.9
    assert "came out the same; 1 columns are encoded by the target out of fold" in proof_sentence(proof)


def test_constants_from_other_rows_are_found():
    material, linear = material_of(), learner("linear")
    more = material_of(900)  # as if the test part had been there when the constants were fitted
    plan, _ = fit_final(linear, {}, more)
    with pytest.raises(
        TrainingFailed, match=r"preparation of x, town was not fitted on the training rows alone"
    ):
        prove_fitted_apart(plan, linear, material)
    plan, _ = fit_final(linear, {}, material)
    for place, encoder in enumerate(plan.encoders):
        changed = {NumberEncoder: {"centre": 0.1}, LookupEncoder: {"unknown": 0.1}}.get(type(encoder))
        if changed:
            others = list(plan.encoders)
            others[place] = msgspec.structs.replace(encoder, **changed)
            with pytest.raises(TrainingFailed, match=f"preparation of {encoder.column} was not"):
                prove_fitted_apart(msgspec.structs.replace(plan, encoders=tuple(others)), linear, material)


def test_encodings_with_the_rows_own_targets_are_found(monkeypatch):
    from everloop.model import fitted_apart

    def without_folds(table, frame, features, settings, actual):
        from everloop.runtime.plan_table import encode_table

        plan, _ = fit_preparation(table, frame, features, settings, actual)
        return plan, np.asarray(encode_table(plan, table))

    material, linear = material_of(), learner("linear")
    plan, _ = fit_final(linear, {}, material)
    monkeypatch.setattr(fitted_apart, "fit_preparation", without_folds)
    with pytest.raises(TrainingFailed, match="town is encoded by the target, and each training row's own"):
        prove_fitted_apart(plan, linear, material)


def test_a_model_without_categories_is_proven_too():
    material = material_of()
    frame = replace(material.frame, inputs=("x",))
    kinds = column_kinds(material.table, frame.inputs)
    material = replace(
        material, frame=frame, features=Features(kinds.kept, schema_of(material.table).types, {})
    )
    plan, _ = fit_final(learner("linear"), {}, material)
    assert prove_fitted_apart(plan, learner("linear"), material)["out_of_fold"] == {}
