"""What serves a trained model: its compiled form, or its own libraries where it has none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from msgspec import structs

from everloop.core.errors import ModelFault
from everloop.core.files import write_file
from everloop.model.compile.registry import kind_of, score_form
from everloop.model.compile.score import answers, score_model
from everloop.model.kept import kept_bytes, kept_parts, needs_of, runtime_told
from everloop.model.parity import certify
from everloop.model.python_parity import certify_prepared
from everloop.runtime.encoders import NumberEncoder
from everloop.runtime.python import ESTIMATOR_NAME
from everloop.runtime.python.prepared import ANSWERS

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import polars as pl

    from everloop.model.certificate import Certificate
    from everloop.model.compile.form import ScoreForm
    from everloop.model.trained import Trained
    from everloop.runtime.manifest import Manifest

Runtime = Literal["graph", "python"]


class ServedForm(Protocol):
    """One of the forms in which a package holds a model."""

    @property
    def told(self) -> str:
        """What its card says of the runtime; empty where it is compiled."""
        ...

    def slots_without_missing(self) -> frozenset[int]:
        """Gives the slots of the vector in which the model has no answer for a missing number."""
        ...

    def stated(self, manifest: Manifest) -> Manifest:
        """Gives the manifest with the runtime and what it needs."""
        ...

    def write(self, work: Path, created: datetime, title: str) -> None:
        """Writes the model's files beside ``plan.json``."""
        ...

    def certify(self, work: Path, rows: pl.DataFrame, seed: int) -> Certificate:
        """Compares the written package with the trained model."""
        ...


def served_form(trained: Trained, rows: pl.DataFrame, runtime: Runtime | None = None) -> ServedForm:
    """Gives the form in which a model serves: compiled where it compiles, else kept.

    Args:
        trained: The model.
        rows: Rows such as it sees.
        runtime: ``graph`` refuses what does not compile, ``python`` compiles nothing.

    Raises:
        ModelFault: When it neither compiles nor can be kept.
    """
    reason = "it was asked for"
    if runtime != "python":
        try:
            return CompiledForm(trained, score_form(trained.estimator))
        except ModelFault as fault:
            if runtime == "graph" or trained.frame.task not in ANSWERS:
                raise
            reason = fault.message
    return KeptForm(trained, rows, reason)


class CompiledForm:
    """A model whose estimator was read as arrays."""

    told = ""

    def __init__(self, trained: Trained, form: ScoreForm) -> None:
        self._trained, self._form = trained, form

    def slots_without_missing(self) -> frozenset[int]:
        """See `ServedForm`."""
        return self._form.slots_without_missing()

    def stated(self, manifest: Manifest) -> Manifest:
        """See `ServedForm`."""
        return manifest

    def write(self, work: Path, created: datetime, title: str) -> None:
        """See `ServedForm`."""
        from everloop.core.digest import digest_bytes
        from everloop.model.compile.graph import graph_gaps_of, model_graph
        from everloop.model.estimator_file import save_estimator
        from everloop.model.mlmodel import mlmodel_text

        trained = self._trained
        write_file(work / "score.onnx", score_model(trained.estimator, trained.frame, trained.calibration))
        save_estimator(trained.estimator, work / ESTIMATOR_NAME)
        if graph_gaps_of(trained.plan):
            return
        graph = model_graph(trained.plan, self._form, trained.estimator, trained.frame, trained.calibration)
        write_file(work / "model.onnx", graph)
        identity = digest_bytes(title.encode() + graph)
        text = mlmodel_text(trained, identity=identity, created=created, scores=answers(trained.frame))
        write_file(work / "MLmodel", text.encode())

    def certify(self, work: Path, rows: pl.DataFrame, seed: int) -> Certificate:
        """See `ServedForm`."""
        return certify(self._trained, work, rows, seed)


class KeptForm:
    """A model whose estimators are kept, audited, and asked by their own libraries.

    Raises:
        ModelFault: When one cannot be kept safely.
    """

    def __init__(self, trained: Trained, rows: pl.DataFrame, reason: str) -> None:
        self._trained, self._rows, self._reason = trained, rows, reason
        self._content = kept_bytes(kept_parts(trained), f"{trained.learner} ({kind_of(trained.estimator)})")

    @cached_property
    def _requirements(self) -> dict[str, str]:
        return needs_of(self._content)

    @property
    def told(self) -> str:
        """See `ServedForm`."""
        return runtime_told(self._requirements, self._reason)

    def slots_without_missing(self) -> frozenset[int]:
        """See `ServedForm`; each slot of a number is tried on a row."""
        trained = self._trained
        slots = [one.offset for one in trained.plan.encoders if isinstance(one, NumberEncoder)]
        row = np.nan_to_num(trained.encode(self._rows.head(1)))
        return frozenset(slot for slot in slots if not self._answers_missing(row, slot))

    def _answers_missing(self, row: Any, slot: int) -> bool:
        from everloop.model.parity import trained_scores

        changed = row.copy()
        changed[:, slot] = np.nan
        try:
            said = trained_scores(self._trained, self._trained.estimator, changed)
        except Exception:  # noqa: BLE001  (a library may raise anything: it refuses the row)
            return False
        return bool(np.isfinite(said).all())

    def stated(self, manifest: Manifest) -> Manifest:
        """See `ServedForm`."""
        return structs.replace(manifest, runtime="python", requirements=self._requirements)

    def write(self, work: Path, created: datetime, title: str) -> None:
        """See `ServedForm`."""
        del created, title
        write_file(work / ESTIMATOR_NAME, self._content)

    def certify(self, work: Path, rows: pl.DataFrame, seed: int) -> Certificate:
        """See `ServedForm`."""
        return certify_prepared(self._trained, work, rows, self._reason, seed)
