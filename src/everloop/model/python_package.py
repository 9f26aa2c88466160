"""A package whose model could not be compiled: its estimator is kept, audited, and answers by its library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from msgspec import structs

from everloop.core.errors import ModelFault
from everloop.core.files import publish_folder, scratch_folder, write_file
from everloop.model.compile.registry import kind_of
from everloop.model.foreign import foreign_frame, named_columns, target_type_of
from everloop.model.input_features import InputFeatures
from everloop.model.kept import kept_bytes, needs_of, runtime_told
from everloop.model.packaging import free_place, manifest_of, write_explanation, write_json
from everloop.model.python_parity import GivenModel, certify_python
from everloop.model.trained import Trained
from everloop.runtime.manifest import write_manifest
from everloop.runtime.plan import Plan, PlanInput
from everloop.runtime.python import ESTIMATOR_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from everloop.runtime.manifest import Manifest
    from everloop.table.schema import ColumnType

LIBRARIES = ("sklearn", "lightgbm", "xgboost", "catboost")
"""Libraries whose fitted estimators can answer in a Python runtime."""


def answers_in_python(model: Any) -> bool:
    """Says whether a model is a fitted estimator of a library that a Python runtime can ask."""
    if kind_of(model).partition(".")[0] not in LIBRARIES or not hasattr(model, "predict"):
        return False
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def write_python_package(  # noqa: PLR0913  (each is a file or a field of the package)
    estimator: Any,
    folder: Path | str,
    *,
    lifecycle: str,
    version: int,
    created: datetime,
    sample: Any,
    target: str,
    reason: str,
    classes: Sequence[str] = (),
    contract: Any = None,
    seed: int = 0,
) -> Manifest:
    """Writes a package of a Python runtime, whole or not at all, and proves it on the way.

    Args:
        estimator: A fitted estimator or pipeline of `LIBRARIES`; it is not changed.
        folder: The package's future place; it must not be there yet, or be empty.
        lifecycle: The lifecycle's name.
        version: The version's number.
        created: When it is made, aware.
        sample: Rows such as the model will see.
        target: What the prediction is called.
        reason: Why it was not compiled.
        classes: The labels in the order of the outputs, where they are called otherwise.
        contract: What a row must satisfy; without it the columns' types, and where a value has to be there.
        seed: What the choice of rows for parity is drawn from.

    Returns:
        The manifest.

    Raises:
        ModelFault: When the estimator cannot be kept, or does not fit the sample.
        PackageRefused: When what is loaded back does not answer as the estimator.
        UsageFault: When the folder is there already.
    """
    final = free_place(folder)
    if not answers_in_python(estimator):
        raise ModelFault(
            f"A model of class {kind_of(estimator)} cannot answer in a Python runtime; fitted estimators of "
            f"{', '.join(LIBRARIES)} can.",
            hint="hand over the fitted estimator, or the model as an ONNX file",
        )
    if sample is None:
        raise ModelFault(
            "An estimator alone does not say what its columns are called.",
            hint="give a sample: package(estimator, folder, sample=table)",
        )
    trained = _as_trained(estimator, sample, target, classes)
    content = kept_bytes(estimator, kind_of(estimator))
    given = GivenModel(trained, sample, seed)
    with scratch_folder(final.absolute().parent) as work:
        made = InputFeatures.of({}, trained.columns)
        rules = _contract(trained, given, contract)
        more = ("pandas",) if given.model.rows.named else ()
        manifest = structs.replace(
            manifest_of(trained, lifecycle, version, created, {}, rules, made),
            runtime="python",
            requirements=needs_of(content, *more),
        )
        write_file(work / ESTIMATOR_NAME, content)
        trained.plan.save(work / "plan.json")
        write_json(work / "contract.json", rules)
        write_explanation(work, trained, given.frame)
        write_file(work / "card.html", _card(trained, manifest, created, reason).encode())
        write_manifest(work, manifest)
        write_json(work / "parity.json", certify_python(given, work, reason).require().to_dict())
        written = write_manifest(work, manifest)
        publish_folder(work, final)
    return written


def _card(trained: Trained, manifest: Manifest, created: datetime, reason: str) -> str:
    """Writes the model card: nothing is known of the training, and what serves has to be."""
    from everloop.model.card import card_html
    from everloop.model.card_facts import CardFacts

    told = runtime_told(manifest.requirements, reason)
    return card_html(trained, CardFacts(manifest.lifecycle, manifest.version, created, runtime=told))


def _as_trained(estimator: Any, sample: Any, target: str, classes: Sequence[str]) -> Trained:
    from everloop.table.schema import schema_of

    types = {name: kind for name, kind in schema_of(sample).types.items() if name != target}
    width = getattr(estimator, "n_features_in_", len(types))
    names = named_columns(estimator, int(width), list(types))
    plan = Plan(inputs=tuple(PlanInput(name, types[name]) for name in names), encoders=(), width=0)
    known = getattr(estimator, "classes_", None)
    labels = None if known is None or len(known) == 0 else np.asarray(known)
    if classes and (labels is None or len(labels) != len(classes)):
        told = "no classes" if labels is None else f"{len(labels)} classes"
        raise ModelFault(f"The model has {told}; {len(classes)} were named: {', '.join(classes)}.")
    if labels is not None and len(labels) < 2:
        raise ModelFault(f"{kind_of(estimator)} knows one class only; there is nothing to predict.")
    named = labels if not classes else np.array(list(classes))
    frame = foreign_frame(named, target, plan)
    return Trained(
        frame=frame,
        plan=plan,
        learner=kind_of(estimator),
        configuration={},
        estimator=estimator,
        target_type=target_type_of(named),
        threshold=0.5 if frame.task == "binary" else None,
    )


def _contract(trained: Trained, given: GivenModel, contract: Any) -> dict[str, Any]:
    """Gives what a row must satisfy, as JSON-able data; without rules of its own, what the model can read."""
    from everloop.core.values import to_jsonable
    from everloop.table.contract import ColumnRule, Contract

    if contract is None:
        rules = (
            ColumnRule(item.name, cast("ColumnType", item.type), nullable=given.takes_missing(item.name))
            for item in trained.plan.inputs
        )
        contract = Contract(tuple(rules))
    elif not isinstance(contract, Contract):
        contract = Contract.from_dict(contract)
    asked = contract.only([rule.name for rule in contract.columns if rule.name != trained.frame.target])
    return dict(to_jsonable(asked.to_dict()))
