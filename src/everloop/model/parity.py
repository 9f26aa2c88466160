"""The parity certificate: compiled and trained answers are equal, shown on rows before anything ships.

What is compared with the trained estimator (`Trained.scores`), each on test rows, on edge rows, and on
rows whose values lie on the splits of the trees:

- ``trained``: the estimator read back from the package's ``pipeline.skops``;
- ``plan_graph``: `runtime.Package.answer`, row by row, as the server does it (on a sample);
- ``graph``: ``model.onnx`` alone, from raw columns;
- ``batch``: the plan on a table, then ``score.onnx``, with small trees as masks (`runtime.many`) and
  without; also on vectors that lie on the splits.

A difference is absolute for scores up to 1 and relative above. Decisions have to be equal, except
where the trained score is within the tolerance of the threshold (or the two best classes are): there
rounding alone decides. How many such rows there were, and how many of them differ, is in the certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.tasks import decides_by
from everloop.model import parity_rows
from everloop.model.certificate import Certificate, Difference, RuntimeParity
from everloop.model.compile.form import Floats
from everloop.model.compile.registry import score_form
from everloop.model.compile.score import answers
from everloop.model.scoring import calibrated, raw_scores
from everloop.runtime.decision import decide, expected_worth
from everloop.runtime.graph_engine import graph_engine

if TYPE_CHECKING:
    import polars as pl

    from everloop.model.trained import Trained
    from everloop.runtime.package import Answer, Package
    from everloop.spec.frame import Frame

MOST_TEST_ROWS = 20_000
MOST_SINGLE_ROWS = 2_000
MOST_SPLIT_ROWS = 1_200
NEAR_DECISION = 200


@dataclass(frozen=True)
class Trial:
    """The rows that are tried, what kind each is, and the trained model's scores."""

    table: pl.DataFrame
    rows: list[dict[str, Any]]
    kinds: list[str]
    expected: Floats
    refused: int


def certify(trained: Trained, folder: Path, rows: Any, seed: int = 0) -> Certificate:
    """Compares a package's runtimes with the trained model.

    Args:
        trained: The model with its original estimator.
        folder: The package, complete except for ``parity.json``.
        rows: A table with the plan's raw columns, such as the test part; at least one row.
        seed: What chance is drawn from.

    Returns:
        The certificate, passed or not; `Certificate.require` refuses one that did not.

    Raises:
        PackageRefused: When the package cannot be loaded.
        DataFault: When a column is missing from the rows.
    """
    from everloop.model.estimator_file import load_estimator
    from everloop.runtime.package import Package

    package = Package(folder)
    form = score_form(trained.estimator)
    splits = form.split_values()
    trial = tried(trained, rows, splits, seed)
    compare = Comparison(trained, form.tolerance)
    again = load_estimator(folder / "pipeline.skops")
    runtimes = {"trained": compare(trial, trained_scores(trained, again, trained.encode(trial.table)))}
    runtimes["plan_graph"] = row_by_row(compare, package, trial, seed)
    absent = {}
    if (folder / "model.onnx").exists():
        runtimes["graph"] = compare(trial, _graph_scores(trained, folder / "model.onnx", trial.rows))
    else:
        from everloop.model.compile.graph import graph_gaps_of

        absent["graph"] = " ".join(graph_gaps_of(trained.plan))
    runtimes["batch"] = _batch(compare, package, trial, splits, seed)
    counts = {kind: trial.kinds.count(kind) for kind in ("test", "edge", "split")}
    return Certificate(
        tolerance=form.tolerance,
        threshold=trained.threshold,
        rows={**counts, "refused": trial.refused},
        runtimes=runtimes,
        absent=absent,
    )


class Comparison:
    """Compares one runtime's scores with the trained model's."""

    def __init__(self, trained: Trained, tolerance: float) -> None:
        self.trained = trained
        self.tolerance = tolerance

    def __call__(self, trial: Trial, scores: Floats, decisions: Any = None) -> RuntimeParity:
        """Compares a runtime's scores of a trial's rows, and its decisions where they are its own."""
        expected = trial.expected
        apart = difference(expected, scores)
        mine = self._decided(expected, trial)
        theirs = self._decided(scores, trial) if decisions is None else np.asarray(decisions)
        if decides_by(self.trained.frame.task, "number"):
            ties = np.zeros(len(expected), dtype=bool)
            room = self.tolerance * max(1.0, abs(self.trained.decision.scale))
            differ = difference(mine[:, np.newaxis], theirs[:, np.newaxis]) > room
        elif decides_by(self.trained.frame.task, "items"):
            ties, differ = np.zeros(len(expected), dtype=bool), (mine != theirs).any(axis=1)
        else:
            ties, differ = self._ties(expected, trial), mine != theirs
        worst = int(apart.argmax()) if len(apart) else 0
        if len(apart) and apart[worst] <= self.tolerance and (differ & ~ties).any():
            worst = int(np.flatnonzero(differ & ~ties)[0])
        return RuntimeParity(
            rows=len(expected),
            largest_difference=float(apart.max(initial=0.0)),
            decisions_differ=int((differ & ~ties).sum()),
            ties=int(ties.sum()),
            ties_differ=int((differ & ties).sum()),
            worst=self._worst(trial, scores, worst, float(apart[worst]) if len(apart) else 0.0),
        )

    def _decided(self, scores: Floats, trial: Trial) -> Any:
        task = self.trained.frame.task
        single = scores if scores.shape[1] > 1 else scores[:, 0]
        return decide(single, task, self.thresholds(trial), self.trained.decision)

    def thresholds(self, trial: Trial) -> Floats:
        """Gives the threshold of each row, (n,)."""
        rule, threshold = self.trained.decision, self.trained.threshold
        otherwise = 0.5 if threshold is None else threshold
        if rule.segment is None:
            return np.full(len(trial.rows), otherwise)
        return rule.thresholds_for((row.get(rule.segment) for row in trial.rows), otherwise)

    def _ties(self, expected: Floats, trial: Trial) -> Any:
        if decides_by(self.trained.frame.task, "threshold"):
            return np.abs(expected[:, 0] - self.thresholds(trial)) <= self.tolerance
        rule = self.trained.decision
        size = max((abs(price) for row in rule.matrix for price in row), default=1.0)
        best = np.sort(expected_worth(expected, rule), axis=1)[:, -2:]
        return best[:, 1] - best[:, 0] <= 2 * self.tolerance * size * (
            expected.shape[1] if rule.matrix else 1
        )

    def _worst(self, trial: Trial, scores: Floats, index: int, apart: float) -> Difference | None:
        if not len(scores) or (apart == 0.0 and np.array_equal(scores, trial.expected, equal_nan=True)):
            return None
        return Difference(
            trial.kinds[index],
            trial.rows[index],
            trial.expected[index].tolist(),
            scores[index].tolist(),
            apart,
        )


def difference(expected: Floats, scores: Floats) -> Floats:
    """Gives how far each row's scores are apart: absolute up to 1, relative above; (n,).

    A missing score equals a missing one and nothing else.
    """
    same = (expected == scores) | (np.isnan(expected) & np.isnan(scores))
    with np.errstate(invalid="ignore"):
        apart = np.abs(expected - scores) / np.maximum(1.0, np.abs(expected))
    apart = np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf))
    return np.asarray(apart.max(axis=1, initial=0.0))


def trained_scores(trained: Trained, estimator: Any, X: Floats) -> Floats:
    """Gives what an estimator says of encoded rows by a model's calibration, (n, outputs)."""
    scores = calibrated(raw_scores(estimator, X, trained.frame), trained.calibration)
    return np.asarray(scores, dtype=np.float64).reshape(len(X), answers(trained.frame))


def tried(
    trained: Trained,
    rows: Any,
    splits: Mapping[int, Floats],
    seed: int,
    *,
    most: int = MOST_TEST_ROWS,
    finite: bool = False,
) -> Trial:
    """Gives the rows to try: a table's, then odd ones, then some on splits, with the trained model's scores.

    Args:
        trained: The model.
        rows: A table with the plan's raw columns; at least one row.
        splits: Slot to the split values that trees compare it with.
        seed: What chance is drawn from.
        most: How many of the table's rows at most.
        finite: Whether a row without a finite score counts as refused.

    Raises:
        DataFault: When the table has no rows.
    """
    import polars as pl

    from everloop.table.tables import as_frame

    test = as_frame(rows)
    if test.height == 0:
        raise DataFault("A parity certificate needs rows to try, and the table has none.")
    if test.height > most:
        test = test.sample(most, seed=seed)
    plan = trained.plan
    typical = parity_rows.rows_of(plan, test.head(50))
    made = [
        *(("edge", row) for row in parity_rows.edge_rows(plan, typical)),
        *(("split", row) for row in parity_rows.split_rows(plan, splits, typical, MOST_SPLIT_ROWS, seed)),
    ]
    own = parity_rows.rows_of(plan, test)
    table = pl.concat([parity_rows.table_of(plan, own), parity_rows.table_of(plan, [row for _, row in made])])
    expected, accepted = _accepted(trained, trained.encode(table), finite=finite)
    kinds = ["test"] * test.height + [kind for kind, _ in made]
    everything = _in_segments(trained, test, own + [row for _, row in made])
    return Trial(
        table=table.filter(pl.Series(accepted)),
        rows=[row for row, fine in zip(everything, accepted, strict=True) if fine],
        kinds=[kind for kind, fine in zip(kinds, accepted, strict=True) if fine],
        expected=expected,
        refused=int((~accepted).sum()),
    )


def _in_segments(trained: Trained, test: pl.DataFrame, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives each row a segment where the plan itself does not read it: its own, made rows all in turn."""
    column = trained.decision.segment
    if column is None or any(item.name == column for item in trained.plan.inputs):
        return rows
    known = test[column].to_list() if column in test.columns else []
    turns = [*trained.decision.thresholds, None]
    made = (turns[place % len(turns)] for place in range(len(rows) - len(known)))
    return [{**row, column: value} for row, value in zip(rows, [*known, *made], strict=True)]


def _accepted(trained: Trained, X: Floats, *, finite: bool = False) -> tuple[Floats, Any]:
    def score(rows: slice) -> Floats:
        found = trained_scores(trained, trained.estimator, X[rows])
        if finite and not np.isfinite(found).all():
            raise DataFault("The model has no finite answer to the row.")
        return found

    with np.errstate(all="ignore"):  # an odd row may overflow; its score is compared like any other
        return accepted_scores(score, len(X), answers(trained.frame))


def accepted_scores(score: Callable[[slice], Floats], rows: int, width: int) -> tuple[Floats, Any]:
    """Scores rows; those that the estimator itself refuses (an infinity, a missing value) are left out.

    Args:
        score: Gives the scores of some rows, or raises.
        rows: How many there are.
        width: How many scores a row gets.

    Returns:
        The scores of the accepted rows, and which those are.
    """
    parts: list[Floats] = []
    accepted = np.ones(rows, dtype=bool)

    def look(start: int, end: int) -> None:
        try:
            parts.append(score(slice(start, end)))
        except (ValueError, DataFault):
            if end - start == 1:
                accepted[start] = False
                return
            middle = (start + end) // 2
            look(start, middle)
            look(middle, end)

    if rows:
        look(0, rows)
    return np.concatenate(parts) if parts else np.zeros((0, width)), accepted


def row_by_row(
    compare: Comparison, package: Package, trial: Trial, seed: int, most: int = MOST_SINGLE_ROWS
) -> RuntimeParity:
    """Asks the package for single rows: all edges and splits, the nearest decisions, a sample of the rest."""
    chosen = _single_rows(compare, trial, seed, most)
    part = _part(trial, chosen)
    given = [package.answer(_as_from_json(row, index)) for index, row in enumerate(part.rows)]
    scores, decisions = _said(given, compare.trained.frame)
    return compare(part, scores.reshape(len(part.rows), answers(compare.trained.frame)), decisions)


def _said(given: Sequence[Answer], frame: Frame) -> tuple[Floats, Any]:
    """Gives answers as scores and decisions, in the form in which the trained model gives them."""
    scores = np.array([np.atleast_1d(answer.score) for answer in given], dtype=np.float64)
    if decides_by(frame.task, "number"):
        return scores, [float(answer.prediction) for answer in given if type(answer.prediction) is float]
    places = {text: place for place, text in enumerate(frame.classes)}
    if decides_by(frame.task, "items"):
        listed = np.array([[places[item] for item in answer.prediction] for answer in given])  # type: ignore[union-attr]
        return np.concatenate([listed.astype(np.float64), scores], axis=1), listed
    return scores, [places[str(answer.prediction)] for answer in given]


def _single_rows(compare: Comparison, trial: Trial, seed: int, most: int) -> list[int]:
    random = np.random.default_rng(seed)
    test = [index for index, kind in enumerate(trial.kinds) if kind == "test"]
    chosen = {index for index, kind in enumerate(trial.kinds) if kind != "test"}
    if decides_by(compare.trained.frame.task, "threshold"):
        distance = np.abs(trial.expected[test, 0] - compare.thresholds(trial)[test])
        chosen |= {test[place] for place in np.argsort(distance, kind="stable")[:NEAR_DECISION]}
    more = min(len(test), max(0, most - len(chosen)))
    chosen |= {test[place] for place in random.choice(len(test), size=more, replace=False)} if more else set()
    return sorted(chosen)


def _part(trial: Trial, chosen: Sequence[int]) -> Trial:
    return Trial(
        trial.table[list(chosen)],
        [trial.rows[index] for index in chosen],
        [trial.kinds[index] for index in chosen],
        trial.expected[list(chosen)],
        trial.refused,
    )


def _as_from_json(row: Mapping[str, Any], index: int) -> dict[str, Any]:
    """A client may write 3 as 3.0 and leave a null out; every second row does."""
    if index % 2 == 0:
        return dict(row)
    return {
        name: float(value) if type(value) is int and abs(value) < 2**53 else value
        for name, value in row.items()
        if value is not None
    }


def _graph_scores(trained: Trained, path: Path, rows: Sequence[dict[str, Any]]) -> Floats:
    from everloop.model.compile.graph import graph_feeds

    onnxruntime = graph_engine()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["score"], graph_feeds(trained.plan, rows))[0], dtype=np.float64)


def _batch(
    compare: Comparison, package: Package, trial: Trial, splits: Mapping[int, Floats], seed: int
) -> RuntimeParity:
    """Scores the whole table at once, and vectors that lie on the splits."""
    from everloop.runtime.graph import Graph

    trained = compare.trained
    vectors = parity_rows.split_vectors(splits, trained.encode(trial.table), MOST_SPLIT_ROWS, seed)
    expected, accepted = _accepted(trained, vectors)
    vectors = vectors[accepted]
    rows = [{f"x[{slot}]": value for slot, value in enumerate(vector)} for vector in vectors.tolist()]
    both = Trial(
        trial.table,
        trial.rows + rows,
        trial.kinds + ["vector"] * len(vectors),
        np.concatenate([trial.expected, expected]),
        trial.refused,
    )
    scores = [_by_many(package, trial)]
    if len(vectors):
        model = (package.folder / "score.onnx").read_bytes()
        graph = Graph(model, width=trained.plan.width, outputs=expected.shape[1])
        scores.append(graph.scores(vectors))
    return compare(both, np.concatenate(scores))


def _by_many(package: Package, trial: Trial) -> Floats:
    """Scores the table as small and as large tables are; of each row the answer that is farther off."""
    few = package.scores(trial.table)
    many = np.concatenate(list(package.table_scorer.scores(trial.table)))
    farther = difference(trial.expected, many) > difference(trial.expected, few)
    return np.where(farther[:, np.newaxis], many, few)
