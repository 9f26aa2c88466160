"""A model that was trained elsewhere, as if it had been trained here."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.registry import classes_of, kind_of, score_form
from everloop.model.foreign_network import is_network, network_of
from everloop.model.trained import Trained
from everloop.runtime.plan import NumberEncoder, Plan, PlanInput
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from everloop.model.compile.form import ScoreForm

_LARGEST_SINGLE = 1e38
"""What computes in float32 is given nothing greater; float32 ends at 3.4e38."""

_LARGEST_OF_NETWORK = 1e9
"""A network is given nothing greater: what it learned from were numbers of its own scale."""

_LARGEST_FACTOR = 1e150
"""A linear model is given nothing greater, so that no product overflows."""


def searched_of(model: Any) -> Trained | None:
    """Gives what a search came to, of a `model.Model` or a `Trained`; None of anything else."""
    inside = getattr(model, "trained", model)
    return inside if isinstance(inside, Trained) else None


def trained_of(model: Any, sample: Any, target: str = "prediction", classes: Sequence[str] = ()) -> Trained:
    """Gives a model from elsewhere as the model phase's own artifact.

    Args:
        model: A fitted estimator over numeric columns, a PyTorch module or a
            Keras model whose layers follow one another.
        sample: Rows such as the model will see.
        target: What the prediction is called.
        classes: The labels in the order of the outputs, where the model does not say them.

    Raises:
        ModelFault: When the estimator cannot be compiled, or does not fit the sample.
    """
    if kind_of(model) == "sklearn.Pipeline" or hasattr(model, "named_steps"):
        raise ModelFault(
            "A pipeline cannot be compiled; an estimator over numeric columns can.",
            hint="hand over its last step, with a sample that the steps before it have transformed",
        )
    if is_network(model):
        model = network_of(model, classes)
    form = score_form(model)
    if sample is None:
        raise ModelFault(
            "An estimator alone does not say what its columns are called.",
            hint="give a sample: package(estimator, folder, sample=table)",
        )
    plan = _plan(model, form, sample, target)
    estimator, labels = _with_class_indices(model, classes)
    frame = foreign_frame(labels, target, plan)
    return Trained(
        frame=frame,
        plan=plan,
        learner=kind_of(model),
        configuration={},
        estimator=estimator,
        target_type=target_type_of(labels),
        threshold=0.5 if frame.task == "binary" else None,
        threshold_reason="an even chance, since no prices are known" if frame.task == "binary" else "",
        notes=("It was trained elsewhere.",),
    )


def _plan(model: Any, form: ScoreForm, sample: Any, target: str) -> Plan:
    from everloop.table.schema import schema_of

    types = {name: kind for name, kind in schema_of(sample).types.items() if name != target}
    names = named_columns(model, form.width, list(types))
    for name in names:
        if types[name] not in ("number", "integer", "boolean"):
            raise ModelFault(
                f"Column {name!r} of the sample is {types[name]}; an estimator alone reads numbers.",
                hint="turn the column into numbers in the sample, as it was for training",
            )
    low, high = _limits(form)
    encoders = tuple(
        NumberEncoder(name, slot, low=low, high=high, float32=form.float32_input)
        for slot, name in enumerate(names)
    )
    return Plan(
        inputs=tuple(PlanInput(name, types[name]) for name in names), encoders=encoders, width=len(names)
    )


def _limits(form: ScoreForm) -> tuple[float, float] | tuple[None, None]:
    if form.float32_input and form.part is None:
        return -_LARGEST_SINGLE, _LARGEST_SINGLE
    if form.coefficients is not None:
        return -_LARGEST_FACTOR, _LARGEST_FACTOR
    if form.part is not None:
        return -_LARGEST_OF_NETWORK, _LARGEST_OF_NETWORK
    return None, None


def named_columns(model: Any, width: int, columns: list[str]) -> list[str]:
    """Gives the columns that a model reads, in its order: those that it names, else all of the sample's.

    Raises:
        ModelFault: When the sample lacks one, or has another number of them.
    """
    known = getattr(model, "feature_names_in_", getattr(model, "feature_names_", None))
    if known is not None and set(map(str, known)) <= set(columns):
        return [str(name) for name in known]
    if known is not None and not _invented(known):
        absent = sorted(set(map(str, known)) - set(columns))
        raise ModelFault(f"The sample lacks {absent}, which the model was trained on; it has {columns[:12]}.")
    if len(columns) != width:
        raise ModelFault(
            f"The model was trained on {width} columns without names; the sample has {len(columns)}.",
            hint="give a sample with exactly the model's columns, in their order",
        )
    return columns


def _invented(names: Any) -> bool:
    """LightGBM names the columns of an array Column_0 and so on; CatBoost 0 and so on."""
    return all(str(name) in (f"Column_{index}", str(index)) for index, name in enumerate(names))


class Numbered:
    """An estimator that keeps its labels to itself, as one whose classes are numbered.

    Args:
        estimator: The estimator; its chances are in the order of its labels.
        classes: How many classes there are.
    """

    def __init__(self, estimator: Any, classes: int) -> None:
        self.estimator, self.classes_ = estimator, np.arange(classes)

    def predict(self, X: Any) -> Any:
        """Gives the index of the likeliest class for each row: (n,)."""
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X: Any) -> Any:
        """Gives the chance of each class: (n, classes)."""
        return self.estimator.predict_proba(X)


def numbered_form(estimator: Any) -> ScoreForm:
    """Reads a `Numbered`: what is in it."""
    return score_form(estimator.estimator)


def _with_class_indices(model: Any, classes: Sequence[str] = ()) -> tuple[Any, Any]:
    """Gives the estimator with its classes numbered, and the labels; the one given is not changed."""
    estimator = copy.copy(model)
    vars(estimator).pop("feature_names_in_", None)
    labels = classes_of(model)
    if classes and (labels is None or len(labels) != len(classes)):
        known = "no classes" if labels is None else f"{len(labels)} classes"
        raise ModelFault(f"The model has {known}; {len(classes)} were named: {', '.join(classes)}.")
    if labels is None:
        return estimator, None
    if len(labels) < 2:
        raise ModelFault(
            f"{kind_of(model)} knows one class only, {str(labels[0])!r}; there is nothing to predict."
        )
    for name in ("classes_", "_classes"):
        if name in vars(estimator):
            setattr(estimator, name, np.arange(len(labels)))
    if [str(label) for label in classes_of(estimator)] != [str(place) for place in range(len(labels))]:
        estimator = Numbered(estimator, len(labels))
    return estimator, np.array(list(classes)) if classes else np.asarray(labels)


def foreign_frame(labels: Any, target: str, plan: Plan) -> Frame:
    """Gives the problem that a model answers, from its labels in their order; None where it says a number."""
    from everloop.table.labels import label_text

    classes = () if labels is None else tuple(str(label_text(label)) for label in labels.tolist())
    task = "regression" if labels is None else "binary" if len(classes) == 2 else "multiclass"
    metrics = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}
    return Frame(
        task=task,
        target=target,
        classes=classes,
        positive=classes[1] if task == "binary" else None,
        metric=metrics[task],
        entity=None,
        time=None,
        label_time=None,
        label_delay_seconds=None,
        sensitive=(),
        excluded={},
        inputs=tuple(item.name for item in plan.inputs),
        reasons={"task": "what the estimator predicts"},
    )


def target_type_of(labels: Any) -> str:
    """Gives the type of predictions, from the labels."""
    if labels is None:
        return "number"
    return {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}.get(labels.dtype.kind, "text")
