"""The certificate of a Python runtime: what is loaded back answers as the estimator that was given.

What is compared with the estimator itself, asked with the sample as it was given:

- ``trained``: the estimator read back from ``pipeline.skops``, with the same table;
- ``row``: `runtime.Package.answer`, row by row, on a sample of the rows and on odd ones;
- ``batch``: `runtime.Package.scores` on the table;
- ``predict``: the estimator's own decisions beside those of the package (not for a number).

Of a search's own model, whose plan prepares the rows, the first three are compared with the trained model.

A library may add the numbers of one row in another order than those of a table. Where the given estimator
itself answers a row and a table further apart than 1e-9, 1e-6 is the certificate's tolerance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, ModelFault, PackageRefused
from everloop.model import parity_rows
from everloop.model.certificate import Certificate, RuntimeParity
from everloop.model.parity import (
    Comparison,
    Trial,
    accepted_scores,
    difference,
    row_by_row,
    trained_scores,
    tried,
)
from everloop.runtime.package import Package
from everloop.runtime.python import ESTIMATOR_NAME, PreparedModel, PythonModel, estimator_of
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    from pathlib import Path

    from everloop.model.compile.form import Floats
    from everloop.model.trained import Trained

MOST_ROWS, MOST_SINGLE, MOST_COMPARED = 5_000, 300, 50
FINE, ROUGH = 1e-9, 1e-6


class GivenModel:
    """The estimator as it was given, with the rows that it is asked with.

    Args:
        trained: The model; its estimator is not changed.
        sample: Rows such as the model will see.
        seed: What the choice of rows is drawn from.

    Raises:
        ModelFault: When the estimator refuses every row.
    """

    def __init__(self, trained: Trained, sample: Any, seed: int) -> None:
        self.trained, self.seed = trained, seed
        try:
            self.model = PythonModel(
                trained.estimator, trained.plan, trained.frame.task, len(trained.frame.classes)
            )
        except PackageRefused as refused:
            raise ModelFault(refused.message, hint=refused.hint) from None
        names = list(trained.columns)
        frame = as_frame(sample).select(names)
        if frame.height == 0:
            raise DataFault("A parity certificate needs rows to try, and the table has none.")
        chosen = np.arange(frame.height)
        if len(chosen) > MOST_ROWS:
            chosen = np.sort(np.random.default_rng(seed).choice(chosen, MOST_ROWS, replace=False))
        is_pandas = self.model.rows.named and type(sample).__module__.partition(".")[0] == "pandas"
        own = sample[names].iloc[chosen] if is_pandas else None
        frame = frame[chosen.tolist()]
        if own is None:
            own = self.model.rows.as_read(self.model.rows.of_table(frame))
        scores, accepted = accepted_scores(
            lambda rows: self._asked(_part(own, rows)), frame.height, self.model.outputs
        )
        if not accepted.any():
            raise ModelFault(
                f"{trained.learner} refuses every row of the sample.",
                hint="give rows of the form that it was trained on",
            )
        self.frame = frame.filter(accepted.tolist())
        self.own = own[accepted]
        self.scores = scores
        self.refused = int((~accepted).sum())

    def _asked(self, table: Any) -> Floats:
        """Asks the estimator; whatever it raises, it refuses."""
        try:
            return self.model.scores_of(table)
        except (PackageRefused, DataFault):
            raise
        except Exception as error:
            raise DataFault(f"The model raised {type(error).__name__}.") from error

    def takes_missing(self, column: str) -> bool:
        """Says whether the estimator answers a row in which a column is missing."""
        row = parity_rows.rows_of(self.trained.plan, self.frame.head(1))[0]
        try:
            self.model.scores(self.model.encode([{**row, column: None}]))
        except DataFault:
            return False
        return True

    def tolerance(self) -> float:
        """Gives how far answers may be apart: further where the estimator's own are, of a row and a table."""
        few = range(min(len(self.scores), MOST_COMPARED))
        single = np.concatenate([self._asked(_part(self.own, slice(place, place + 1))) for place in few])
        apart = difference(self.scores[: len(single)], single).max(initial=0.0)
        return FINE if apart <= FINE else ROUGH

    def trial(self) -> Trial:
        """Gives the rows to try: the sample's, then odd ones, as far as the estimator answers them."""
        import polars as pl

        plan = self.trained.plan
        own = parity_rows.rows_of(plan, self.frame)
        odd = parity_rows.edge_rows(plan, own[:50])
        values = self.model.encode(odd)
        scores, accepted = accepted_scores(
            lambda rows: self.model.scores(values[rows]), len(odd), self.model.outputs
        )
        taken = [row for row, fine in zip(odd, accepted, strict=True) if fine]
        return Trial(
            table=pl.concat([parity_rows.table_of(plan, own), parity_rows.table_of(plan, taken)]),
            rows=own + taken,
            kinds=["test"] * len(own) + ["edge"] * len(taken),
            expected=np.concatenate([self.scores, scores]),
            refused=self.refused + int((~accepted).sum()),
        )

    def decisions(self) -> Any:
        """Gives the classes' places that the estimator itself decides for."""
        estimator = self.trained.estimator
        places = {label: place for place, label in enumerate(np.asarray(estimator.classes_).tolist())}
        return np.array([places[label] for label in np.ravel(estimator.predict(self.own)).tolist()])


def certify_prepared(trained: Trained, folder: Path, rows: Any, reason: str, seed: int) -> Certificate:
    """Compares a package of a search's own model that was not compiled with the trained model.

    Args:
        trained: The model with its original estimator.
        folder: The package, complete except for ``parity.json``.
        rows: A table with the plan's raw columns; at least one row.
        reason: Why it was not compiled.
        seed: What chance is drawn from.

    Returns:
        The certificate, passed or not.

    Raises:
        ModelFault: When the model refuses every row.
        PackageRefused: When the package cannot be loaded.
    """
    package = Package(folder)
    trial = tried(trained, rows, {}, seed, most=MOST_ROWS, finite=True)
    if not trial.rows:
        raise ModelFault(f"{trained.learner} refuses every row.", hint="train it again with other learners")
    X = trained.encode(trial.table)
    few = range(min(len(X), MOST_COMPARED))
    single = [trained_scores(trained, trained.estimator, X[place : place + 1]) for place in few]
    apart = difference(trial.expected[: len(few)], np.concatenate(single)).max(initial=0.0)
    compare = Comparison(trained, FINE if apart <= FINE else ROUGH)
    kept = estimator_of((folder / ESTIMATOR_NAME).read_bytes(), ESTIMATOR_NAME)
    again = PreparedModel(kept, trained.plan, trained.frame.task, len(trained.frame.classes))
    runtimes = {
        "trained": compare(trial, again.scores(X)),
        "row": row_by_row(compare, package, trial, seed, MOST_SINGLE),
        "batch": compare(trial, package.scores(trial.table)),
    }
    return _certificate(trained, compare, trial, runtimes, reason)


def _certificate(
    trained: Trained, compare: Comparison, trial: Trial, runtimes: dict[str, RuntimeParity], reason: str
) -> Certificate:
    counts = {kind: trial.kinds.count(kind) for kind in ("test", "edge")}
    return Certificate(
        tolerance=compare.tolerance,
        threshold=trained.threshold,
        rows={**counts, "refused": trial.refused},
        runtimes=runtimes,
        absent=dict.fromkeys(("plan_graph", "graph"), reason),
    )


def _part(table: Any, rows: slice) -> Any:
    return table.iloc[rows] if hasattr(table, "iloc") else table[rows]


def certify_python(given: GivenModel, folder: Path, reason: str) -> Certificate:
    """Compares a package of a Python runtime with the estimator that it was made of.

    Args:
        given: The estimator and its rows.
        folder: The package, complete except for ``parity.json``.
        reason: Why it was not compiled.

    Returns:
        The certificate, passed or not.

    Raises:
        PackageRefused: When the package cannot be loaded, or its decisions are not the estimator's.
    """
    trained, package, trial = given.trained, Package(folder), given.trial()
    compare = Comparison(trained, given.tolerance())
    again = PythonModel(
        estimator_of((folder / ESTIMATOR_NAME).read_bytes(), ESTIMATOR_NAME),
        trained.plan,
        trained.frame.task,
        len(trained.frame.classes),
    )
    tested = Trial(
        trial.table.head(len(given.scores)), trial.rows[: len(given.scores)], ["test"] * len(given.scores),
        given.scores, given.refused,
    )  # fmt: skip
    runtimes = {
        "trained": compare(tested, again.scores_of(given.own)),
        "row": row_by_row(compare, package, trial, given.seed, MOST_SINGLE),
        "batch": compare(trial, package.scores(trial.table)),
    }
    if trained.frame.task != "regression":
        runtimes["predict"] = _decided_alike(compare(tested, given.scores, given.decisions()), trained)
    return _certificate(trained, compare, trial, runtimes, reason)


def _decided_alike(found: RuntimeParity, trained: Trained) -> RuntimeParity:
    if found.decisions_differ:
        raise PackageRefused(
            f"{trained.learner} does not decide by its own chances: of {found.rows} rows of the sample its "
            f"predict differs on {found.decisions_differ}.",
            hint="wrap it: sklearn.calibration.CalibratedClassifierCV(model).fit(X, y)",
        )
    return found
