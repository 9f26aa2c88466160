# ruff: noqa: S101
"""What every learner must pass: subclass `LearnerSuite` and give it the learner.

Example::

    class TestMine(LearnerSuite):
        learner = MyLearner()
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest

from everloop.core.errors import ModelFault
from everloop.core.tasks import TASKS
from everloop.measure.clusters import adjusted_rand
from everloop.measure.metrics import compute
from everloop.model.interactions import matrix_of
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Learner, Task

_SOME_DAY = datetime(2025, 1, 1, tzinfo=UTC)
ROWS, WIDTH = 240, 4
CLASSES: dict[str, int] = {"binary": 2, "multiclass": 3, "anomaly": 2}
MARGIN = 0.9


def _frame(task: Task, estimator: Any = None) -> Frame:
    classes: tuple[str, ...] = ("a", "b", "c")[: CLASSES.get(task, 0)]
    if task == "clustering" and estimator is not None:
        width = estimator.predict_proba(np.zeros((1, estimator.n_features_in_))).shape[1]
        classes = tuple(str(one) for one in range(width))
    positive = "b" if task in ("binary", "anomaly") else None
    return Frame(task=task, target="answer", classes=classes, positive=positive, metric="log_loss")


def _far_out(X: NDArray[np.float64], random: np.random.Generator) -> tuple[NDArray[np.float64], Any]:
    """Moves every twentieth row far away, to all sides."""
    y = (np.arange(ROWS) % 20 == 0).astype(np.int64)
    away = X + 8.0 * y[:, None] * random.choice([-1.0, 1.0], size=X.shape)
    return away.astype(np.float32).astype(np.float64), y


def _apart(X: NDArray[np.float64], random: np.random.Generator) -> tuple[NDArray[np.float64], Any]:
    """Moves the rows to three places, as far from each other as ten times their spread."""
    y = random.choice(3, size=ROWS, p=[0.5, 0.3, 0.2])
    return X + 10.0 * np.eye(WIDTH)[y], y


def _tastes(X: NDArray[np.float64], random: np.random.Generator) -> tuple[NDArray[np.float64], Any]:
    """Gives events of 12 entities and 8 items: every second entity likes four of them."""
    entity = np.arange(len(X)) // 20
    liked = entity % 2 * 4 + random.integers(0, 4, len(X))
    return np.column_stack([entity, liked]).astype(np.float64), np.zeros(len(X))


_UNSUPERVISED = {"anomaly": _far_out, "clustering": _apart, "recommendation": _tastes}


class LearnerSuite:
    """The behaviour that `everloop.model.learners.Learner` states, as tests.

    Attributes:
        learner: What is tested.
        configuration: A small one, so that the suite is quick; by default the first of the portfolio.
    """

    learner: ClassVar[Learner]
    configuration: ClassVar[dict[str, Any] | None] = None

    # What the tests are made from ---------------------------------------------------------------------

    def rows(self, task: Task, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Gives rows and their actuals, (240, 4) and (240,).

        An actual depends on the first two columns; an anomaly lies far out in them; clusters lie apart.
        """
        random = np.random.default_rng(seed)
        X = random.normal(size=(ROWS, WIDTH))
        if not TASKS[task].supervised:
            return _UNSUPERVISED[task](X, random)
        signal = X[:, 0] + 0.5 * X[:, 1]
        if self.learner.capabilities.computes_in_float32:
            X = X.astype(np.float32).astype(np.float64)
        if task == "regression":
            return X, signal
        edges = np.quantile(signal, np.linspace(0, 1, CLASSES[task] + 1)[1:-1])
        return X, np.digitize(signal, edges)

    def fit(self, task: Task, X: NDArray[np.float64], y: NDArray[Any], **options: Any) -> Any:
        """Fits the learner."""
        configuration = dict(self.learner.portfolio[0]) if self.configuration is None else self.configuration
        return self.learner.fit(X, y, task=task, configuration=configuration, **options)

    def said(self, task: Task, estimator: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Gives what an estimator says: chances, or numbers."""
        ask = {"regression": "predict", "anomaly": "score_samples", "recommendation": "scores"}
        given = matrix_of(X) if task == "recommendation" else X
        return np.asarray(getattr(estimator, ask.get(task, "predict_proba"))(given))

    # The tests ----------------------------------------------------------------------------------------

    def test_declares_a_search_space_that_holds_its_portfolio(self) -> None:
        """Every configuration of the portfolio lies within the declared space."""
        assert 1 <= len(self.learner.portfolio) <= 8
        space = {item.name: item for item in self.learner.space}
        for configuration in self.learner.portfolio:
            for name, value in configuration.items():
                item = space[name]
                inside = value in item.choices if item.kind == "choice" else item.low <= value <= item.high
                assert inside, f"{name}={value} lies outside {item}"

    def test_learns_each_task(self) -> None:
        """It does much better than chance on rows that it learned from."""
        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            estimator = self.fit(task, X, y)
            if task == "regression":
                assert np.corrcoef(estimator.predict(X), y)[0, 1] > MARGIN
            elif task == "recommendation":
                scores = estimator.scores(matrix_of(X))
                assert scores.shape == (12, 8)
                own = scores.reshape(12, 2, 4).mean(axis=2)[np.arange(12), np.arange(12) % 2]
                assert own.mean() >= scores.mean() - 1e-12
            elif task == "anomaly":
                assert compute("roc_auc", y, -estimator.score_samples(X)) > MARGIN
            elif task == "clustering":
                chances = estimator.predict_proba(X)
                np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-9)
                found = chances.argmax(axis=1)
                assert adjusted_rand(found, y) > MARGIN
                assert (np.diff(np.bincount(found)) <= 0).all(), "the largest cluster comes first"
            else:
                assert list(estimator.classes_) == list(range(CLASSES[task]))
                chances = estimator.predict_proba(X)
                assert chances.shape == (ROWS, CLASSES[task])
                np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-6)
                assert (chances.argmax(axis=1) == y).mean() > MARGIN - 0.1

    def test_same_seed_same_model(self) -> None:
        """Two fits with the same arguments agree bit for bit, whatever the number of threads."""
        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            said = [self.said(task, self.fit(task, X, y, seed=7, threads=n), X) for n in (1, 1, 2)]
            assert np.array_equal(said[0], said[1])
            assert np.allclose(said[0], said[2], rtol=0, atol=1e-9)

    def test_leaves_its_input_alone(self) -> None:
        """Neither rows nor actuals nor weights are changed."""
        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            weights = np.ones(ROWS)
            before = X.copy(), y.copy(), weights.copy()
            given = {"weights": weights} if self.learner.capabilities.takes_weights else {}
            self.said(task, self.fit(task, X, y, **given), X)
            for was, now in zip(before, (X, y, weights), strict=True):
                assert np.array_equal(was, now)

    def test_takes_missing_values_where_it_says_so(self) -> None:
        """NaN in training and in rows to score gives finite answers."""
        if not self.learner.capabilities.takes_missing:
            return
        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            X[::3, 0] = np.nan
            assert np.isfinite(self.said(task, self.fit(task, X, y), X)).all()
            assert np.isfinite(self.said(task, self.fit(task, X, y), np.full((2, WIDTH), np.nan))).all()

    def test_answers_for_rows_unlike_any(self) -> None:
        """Slots that were constant in training, as those of an unseen category, harm nothing."""
        for task in self.learner.capabilities.tasks:
            if not TASKS[task].alone:
                continue
            X, y = self.rows(task)
            X[:, 3] = 0.0
            estimator = self.fit(task, X, y)
            strange = np.array([[1e30, -1e30, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
            assert np.isfinite(self.said(task, estimator, strange)).all()

    def test_a_class_may_be_absent(self) -> None:
        """Classes 0 and 2 alone are learned; ``classes_`` says what the columns are."""
        if "multiclass" not in self.learner.capabilities.tasks:
            return
        X, y = self.rows("multiclass")
        kept = y != 1
        estimator = self.fit("multiclass", X[kept], y[kept])
        chances = np.zeros((int(kept.sum()), 3))
        chances[:, np.asarray(estimator.classes_)] = estimator.predict_proba(X[kept])
        assert (chances.argmax(axis=1) == y[kept]).mean() > MARGIN

    def test_a_fold_of_one_class_gives_a_model(self) -> None:
        """In a fold whose rows are all of one class what is fitted always says so."""
        import polars as pl

        from everloop.model.features import Features
        from everloop.model.scoring import raw_scores
        from everloop.model.trial import Material, fit_on

        for task in self.learner.capabilities.tasks:
            if task not in ("binary", "multiclass"):
                continue
            X, _ = self.rows(task)
            frame, y = _frame(task), np.ones(ROWS, dtype=np.int64)
            material = Material(pl.DataFrame(), frame, y, Features({}, {}), ())
            estimator = fit_on(self.learner, X, y, material, dict(self.learner.portfolio[0]))
            said = raw_scores(estimator, X, frame).reshape(ROWS, -1)
            certain = [1.0] if task == "binary" else [0.0, 1.0, 0.0]
            assert np.array_equal(said, np.tile(certain, (ROWS, 1)))

    def test_weights_count(self) -> None:
        """Rows of weight 0 have no say: the answers follow the others. Who takes no weights, refuses them."""
        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            if not self.learner.capabilities.takes_weights:
                with pytest.raises(ModelFault, match="weights"):
                    self.fit(task, X, y, weights=np.ones(ROWS))
                continue
            if not TASKS[task].supervised:
                if TASKS[task].alone:
                    self._counts_as_repeated(task, X, y)
                continue
            weights = np.where(np.arange(ROWS) % 2 == 0, 1.0, 0.0)
            turned = y.copy()
            turned[1::2] = -turned[1::2] if task == "regression" else y.max() - turned[1::2]
            said = self.said(task, self.fit(task, X, turned, weights=weights), X[::2])
            if task == "regression":
                assert np.corrcoef(said.ravel(), y[::2])[0, 1] > MARGIN
            else:
                assert (said.argmax(axis=1) == y[::2]).mean() > MARGIN - 0.1

    def _counts_as_repeated(self, task: Task, X: NDArray[np.float64], y: NDArray[Any]) -> None:
        """A whole weight is as many rows, 0 is none, and a part of each weight changes nothing."""
        counts = np.array([1, 0, 3, 2, 1, 7])[np.arange(ROWS) % 6]
        weighed = self.said(task, self.fit(task, X, y, weights=counts.astype(np.float64)), X)
        scaled = self.said(task, self.fit(task, X, y, weights=counts / counts.mean()), X)
        times = np.repeat(np.arange(ROWS), counts)
        expected = self.said(task, self.fit(task, X[times], y[times]), X)
        np.testing.assert_allclose(weighed, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(scaled, expected, rtol=1e-2, atol=1e-2)

    def test_compiles_to_an_equal_graph(self) -> None:
        """The graph answers as the estimator does, on rows that it learned from and on others."""
        from everloop.model.compile import score_form, score_model
        from everloop.model.scoring import raw_scores
        from everloop.runtime.graph import Graph

        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            if not TASKS[task].alone:  # what compiles are the lists that it gives
                continue
            estimator = self.fit(task, X, y)
            frame = _frame(task, estimator)
            strange = np.vstack([X, np.zeros((1, WIDTH)), 10.0 * X, X[:1] * 1e12])
            if self.learner.capabilities.computes_in_float32:
                strange = strange.astype(np.float32).astype(np.float64)
            expected = raw_scores(estimator, strange, frame).reshape(len(strange), -1)
            graph = Graph(score_model(estimator, frame), width=WIDTH, outputs=expected.shape[1])
            limit = score_form(estimator).tolerance * np.maximum(1.0, np.abs(expected))
            assert (np.abs(graph.scores(strange) - expected) <= limit).all()

    def test_earns_its_certificate(self) -> None:
        """With a preparation of its own: missing values, categories never seen, huge numbers."""
        import polars as pl

        from everloop.core.clock import SimulatedClock
        from everloop.model import package
        from everloop.model.features import Features
        from everloop.model.preparation import PreparationSettings, fit_preparation
        from everloop.model.trained import Trained

        task = self.learner.capabilities.tasks[0]
        if not TASKS[task].alone:
            return
        X, y = self.rows(task)
        table = pl.DataFrame(
            {
                "amount": [None if place % 9 == 0 else value for place, value in enumerate(X[:, 0])],
                "count": (X[:, 1] * 10).astype(np.int64),
                "kind": [None if place % 7 == 0 else "abc"[place % 3] for place in range(ROWS)],
            }
        )
        frame = _frame(task)
        features = Features(
            {"amount": "number", "count": "number", "kind": "category"},
            {"amount": "number", "count": "integer", "kind": "text"},
        )
        settings = PreparationSettings.of(self.learner.capabilities)
        plan, encoded = fit_preparation(table, frame, features, settings, y)
        estimator = self.fit(task, encoded, y)
        trained = Trained(_frame(task, estimator), plan, self.learner.name, {}, estimator)
        with tempfile.TemporaryDirectory() as folder:
            package(trained, f"{folder}/package", sample=table, clock=SimulatedClock(_SOME_DAY))

    def test_survives_its_file(self) -> None:
        """Saved and loaded, it gives the same answers, and saved twice the same bytes."""
        from everloop.model.estimator_file import load_estimator, save_estimator

        for task in self.learner.capabilities.tasks:
            X, y = self.rows(task)
            with tempfile.TemporaryDirectory() as folder:
                first, second = Path(folder) / "a.skops", Path(folder) / "b.skops"
                estimator = self.fit(task, X, y)
                save_estimator(estimator, first)
                loaded = load_estimator(first)
                save_estimator(self.fit(task, X, y), second)
                assert first.read_bytes() == second.read_bytes()
            assert np.array_equal(self.said(task, estimator, X), self.said(task, loaded, X))
