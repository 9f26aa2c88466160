"""`everloop.model.package`: a package of a model, also of one that was trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from everloop.core.errors import ModelFault, PackageRefused
from everloop.model.compile.registry import compiles
from everloop.model.foreign import searched_of, trained_of
from everloop.model.packaging import write_package
from everloop.model.python_package import answers_in_python, write_python_package

if TYPE_CHECKING:
    from collections.abc import Sequence

    from everloop.core.clock import Clock
    from everloop.runtime.manifest import Manifest


def package(  # noqa: PLR0913
    model: Any,
    folder: Path | str = "package",
    *,
    sample: Any = None,
    name: str = "model",
    version: int = 1,
    target: str = "prediction",
    classes: Sequence[str] = (),
    contract: Any = None,
    runtime: Literal["graph", "python"] | None = None,
    clock: Clock | None = None,
) -> Manifest:
    """Makes a package of a model, also of one that was trained elsewhere.

    What has a compiled form is compiled, and serves without its library. What has none, or whose compiled
    form is not proven equal, serves in a Python runtime: its library answers, and the manifest says so
    (`runtime` is `python`, with the versions that it requires).

    Args:
        model: What `everloop.model.search` gave, or a fitted estimator over numeric columns: scikit-learn's
            forests, trees, histogram boosting and linear models, LightGBM, XGBoost, CatBoost; a PyTorch
            ``Sequential`` or a Keras ``Sequential``; what `model.foreign_file.read_model` reads. Any other
            estimator or pipeline of scikit-learn, over columns of numbers and texts, serves in Python.
        folder: The package's future place.
        sample: Rows such as the model will see: any table. Its columns are the model's, by name where the
            model knows names, else in their order.
        name: The lifecycle's name.
        version: The version's number.
        target: What the prediction is called, for an estimator.
        classes: The labels in the order of the outputs, where the model does not say them.
        contract: What a row must satisfy; without it the columns' types.
        runtime: `graph` refuses what does not compile, `python` compiles nothing; None compiles what it can.
        clock: Where the time of making comes from.

    Returns:
        The package's manifest.

    Raises:
        ModelFault: When the model can neither be compiled nor be kept without code of its own, or does not
            fit the sample.
        PackageRefused: When the package does not answer as the given model.
    """
    from everloop.core.clock import SystemClock

    created = (clock or SystemClock()).now()
    stated: dict[str, Any] = {"lifecycle": name, "version": version, "created": created, "contract": contract}
    searched = searched_of(model)
    if searched is not None:
        return write_package(searched, folder, sample=sample, runtime=runtime, **stated)
    first: ModelFault | PackageRefused
    if runtime == "python":
        reason = "it was asked for"
    else:
        try:
            trained = trained_of(model, sample, target, classes)
            return write_package(trained, folder, sample=sample, runtime="graph", **stated)
        except (ModelFault, PackageRefused) as refused:
            if runtime == "graph" or not answers_in_python(model):
                raise
            first, reason = refused, refused.message
    try:
        return write_python_package(
            model, folder, sample=sample, target=target, classes=classes, reason=reason, **stated
        )
    except ModelFault:
        # What compiles was refused for its sample, and says best why.
        if runtime is None and compiles(model):
            raise first from None
        raise
