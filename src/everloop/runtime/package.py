"""A package that is ready to answer: its digests checked, its plan compiled, its graph loaded."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from everloop.core.digest import digest_file
from everloop.core.errors import DataFault, EverloopError, ModelFault, PackageRefused, SpecFault
from everloop.core.tasks import decides_by, score_width
from everloop.runtime.compiled import GRAPH_NAME, CompiledModel
from everloop.runtime.decision import PLAIN, DecisionRule, decisions_of, expected_worth
from everloop.runtime.explain import EXPLAIN_NAME, Reason, Reasons, read_reference_row
from everloop.runtime.features.definitions import FEATURES_NAME, FeatureSet
from everloop.runtime.file_forms import HEAD_BYTES, refuse_form, refuse_json
from everloop.runtime.manifest import (
    MANIFEST_NAME,
    OUTSIDE_MANIFEST,
    Manifest,
    ManifestColumn,
    manifest_bytes,
)
from everloop.runtime.plan import Plan, compile_rows

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.runtime.counterfactual import Counterfactual
    from everloop.runtime.many import TableScorer
    from everloop.runtime.python import PreparedModel, PythonModel
    from everloop.table.contract import Contract

# What serving reads is held in memory; the rest is only digested, piece by piece.
SERVING_FILES = {"plan.json": 64 * 2**20, "contract.json": 64 * 2**20}
MODEL_FILES = {"graph": {GRAPH_NAME: 2 * 2**30}, "python": {"pipeline.skops": 2 * 2**30}}
"""What the model is read from, by the manifest's runtime, with the most bytes that it may have."""
_OPTIONAL_FILES = {EXPLAIN_NAME: 64 * 2**20, FEATURES_NAME: 16 * 2**20}
_MOST_BYTES = 8 * 2**30
_BATCH = 4096
MANY_ROWS = 20_000
"""Tables of so many rows are worth what making a `table_scorer` takes."""


class Answer(NamedTuple):
    """What a package says of one row.

    Attributes:
        prediction: The class's text, the number of a regression, or the items that are recommended.
        score: Binary: the chance of the positive class. Anomaly: how unusual the row is. Multiclass and
            clustering: one chance for each class, in the manifest's order. Regression: the number.
            Recommendation: one for each item of the list.
    """

    prediction: str | float | tuple[str, ...]
    score: float | tuple[float, ...]


class Package:
    """A package's folder, loaded. Loading executes nothing that is in it. Safe to share between threads.

    Args:
        folder: The package.
        verify: Whether every file's digest is checked first. Without it only the files that serving
            reads are.
        trusted: Public keys, as `runtime.signing.public_key` gives them. Where there are any, one of them
            must have signed the manifest.

    Raises:
        PackageRefused: When a file is missing, added, changed, a link or of a newer form, or a signature
            is wanted and is not there; the message names it.

    Example:
        >>> package = Package("package/")  # doctest: +SKIP
        >>> package.answer({"amount": 1200.0, "region": "north"})  # doctest: +SKIP
        Answer(prediction='no', score=0.07)
    """

    def __init__(self, folder: str | Path, *, verify: bool = True, trusted: Sequence[str] = ()) -> None:
        self.folder = Path(folder)
        # The bytes that the signature is held against are the bytes that are used.
        said = manifest_bytes(self.folder)
        if trusted:
            from everloop.runtime.signing import require_signature

            require_signature(self.folder, said, trusted)
        self.manifest: Manifest = Manifest.from_json(said)
        contents = read_files(self.folder, self.manifest, verify=verify)
        with _naming_the_plan(self.folder / "plan.json"):
            self.plan: Plan = Plan.from_json(contents["plan.json"])
            compile_rows(self.plan)
        self._contract_json = contents["contract.json"]
        self._explain = contents.get(EXPLAIN_NAME)
        self._features_json = contents.get(FEATURES_NAME)
        self._model = _model_of(contents, self.plan, self.manifest)
        self._encode_rows, self._scores = self._model.encode, self._model.scores
        self._threshold = math.nan if self.manifest.threshold is None else self.manifest.threshold
        self._rule: DecisionRule = self.manifest.decision or PLAIN
        # What is read when it is first used is read now, so that a package is refused whole.
        _ = self.contract, self.features, self._explain and self._reference_row
        self._by_one_threshold = decides_by(self.manifest.task, "threshold") and self._rule.segment is None

    @cached_property
    def contract(self) -> Contract:
        """The contract that every row is held against; the target, which no request has, is left out."""
        from everloop.table.contract import Contract

        try:
            contract = Contract.from_dict(msgspec.json.decode(self._contract_json))
        except (msgspec.DecodeError, RecursionError, SpecFault) as error:
            raise PackageRefused(f"contract.json cannot be read: {error}") from None
        return contract.only([name for name in contract.types if name != self.manifest.target])

    @cached_property
    def asked(self) -> tuple[ManifestColumn, ...]:
        """What a request's row says: the model's inputs, and behind them what else the contract demands."""
        rules = self.contract.columns
        needed = {rule.name: rule.type for rule in rules if not rule.nullable and rule.severity == "error"}
        inputs = [
            msgspec.structs.replace(column, nullable=column.nullable and column.name not in needed)
            for column in self.manifest.inputs
        ]
        known = {column.name for column in inputs}
        others = (
            ManifestColumn(name, kind, nullable=False) for name, kind in needed.items() if name not in known
        )
        return (*inputs, *others)

    @cached_property
    def features(self) -> FeatureSet:
        """The features over rows of other sources that the model reads, as `features.json` defines them."""
        return FeatureSet() if self._features_json is None else FeatureSet.from_json(self._features_json)

    @property
    def table_scorer(self) -> TableScorer:
        """What scores tables of `MANY_ROWS` and more; it takes a moment to make.

        Raises:
            ModelFault: When the package was not compiled.
        """
        if not isinstance(self._model, CompiledModel):
            raise ModelFault(f"{self.folder} was not compiled, so it has no graph to score tables with.")
        return self._model.table_scorer

    def prepare(self, row: Mapping[str, Any]) -> NDArray[np.float64]:
        """Encodes one raw row by the plan.

        Args:
            row: Column to value; a column that is not there is missing.

        Returns:
            The vector, (width,) doubles.
        """
        vector: NDArray[np.float64] = self._encode_rows((row,))[0]
        return vector

    def answer(self, row: Mapping[str, Any]) -> Answer:
        """Answers one raw row.

        Args:
            row: Column to value, as the contract describes; a column that is not there is missing.

        Returns:
            The prediction and the score.
        """
        return self.answers((row,))[0]

    def answers(self, rows: Sequence[Mapping[str, Any]], table: pl.DataFrame | None = None) -> list[Answer]:
        """Answers raw rows, as `answer` does each of them, in bounded batches.

        Args:
            rows: The rows.
            table: The same rows as a table, where there is one: hundreds of them are read from it sooner.
        """
        if len(rows) > _BATCH and table is None:
            return [one for part in _parts(rows) for one in self.answers(part)]
        if not rows:
            return []
        scores = self._scores(self._encode_rows(rows)) if table is None else self.scores(table)
        if self._by_one_threshold:
            classes, threshold = self.manifest.classes, self._threshold
            return [Answer(classes[score >= threshold], score) for score in scores[:, 0].tolist()]
        return [self._answer(one, row) for one, row in zip(scores, rows, strict=True)]

    def scores(self, data: Any) -> NDArray[np.float64]:
        """Scores a table or rows.

        Args:
            data: Polars, pandas, Arrow or a path; or a sequence of mappings; or one mapping.

        Returns:
            (rows, k) doubles: k is the number of classes for a multiclass task, else 1.

        Raises:
            DataFault: When a column that the plan reads is not in the table.
        """
        parts = list(self._scored(data))
        return np.concatenate(parts) if parts else np.zeros((0, _outputs(self.manifest)))

    def predict(self, data: Any) -> NDArray[Any]:
        """Predicts for a table or rows.

        Args:
            data: Polars, pandas, Arrow or a path; or a sequence of mappings; or one mapping.

        Returns:
            (rows,) class texts as objects, or doubles for a regression.

        Raises:
            DataFault: When a column that the plan reads is not in the table.
        """
        return self.decide(self.scores(data), data)

    def decide(self, scores: NDArray[np.float64], data: Any = None) -> NDArray[Any]:
        """Turns scores (rows, k) into predictions (rows,).

        Args:
            scores: What `scores` gave.
            data: What they were given for; read where segments have thresholds of their own.
        """
        chosen = self.chosen(scores, data)
        if decides_by(self.manifest.task, "number"):
            return chosen
        decided: NDArray[Any] = np.array(self.manifest.classes, dtype=object)[chosen]
        return decided

    def chosen(self, scores: NDArray[np.float64], data: Any = None) -> NDArray[Any]:
        """Turns scores into numbers, or into places among the manifest's classes, as `decide` does."""
        single = scores if scores.shape[1] > 1 else scores[:, 0]
        return decisions_of(single, data, self.manifest.task, self.manifest.threshold, self._rule)

    def explain(self, row: Mapping[str, Any], k: int = 5) -> tuple[Reason, ...]:
        """Gives the strongest reasons for a row's score; `runtime.explain` says how.

        Args:
            row: The raw row.
            k: How many reasons at most.

        Raises:
            ModelFault: When the package has no `explain.npz`.
        """
        return self._reasons.of(row, k)

    def counterfactual(
        self, row: Mapping[str, Any], wanted: str | None = None, *, fixed: Sequence[str] = (), most: int = 3
    ) -> Counterfactual | None:
        """Gives the smallest change of a row that is decided as wanted; `runtime.counterfactual` says how.

        Sensitive columns, the entity, the time and what the lifecycle file calls fixed are never changed;
        every other value stays within the contract's range, list and rules between columns.

        Args:
            row: The raw row.
            wanted: The class; of two it is the other one.
            fixed: Further columns that must stay.
            most: How many columns may be changed at most.

        Returns:
            The changes with the row, its prediction and its score, as this package gives them; None where
            no change of so few columns was found.

        Raises:
            ModelFault: When the package predicts a number.
            UsageFault: When the row is decided so already, or a class or column is not known.
        """
        from everloop.runtime.counterfactual import counterfactual

        return counterfactual(self, row, wanted, fixed=fixed, most=most)

    @property
    def explains(self) -> bool:
        """Whether the package has what reasons need."""
        return self._explain is not None

    @property
    def questions(self) -> int:
        """How many rows the model is asked for a row's reasons."""
        return 1 + len(self._reference_row)

    @cached_property
    def _reference_row(self) -> dict[str, Any]:
        if self._explain is None:
            raise ModelFault(
                f"{self.folder} has no {EXPLAIN_NAME}, so it gives no reasons.",
                hint="make the version again with a run of this Everloop",
            )
        names = {item.name for item in self.plan.inputs}
        return {name: value for name, value in read_reference_row(self._explain).items() if name in names}

    @cached_property
    def _reasons(self) -> Reasons:
        return Reasons(self._reference_row, self._encode_rows, self._scores, self.plan)

    def _answer(self, scores: NDArray[np.float64], row: Mapping[str, Any]) -> Answer:
        manifest, rule = self.manifest, self._rule
        if decides_by(manifest.task, "largest"):
            best = expected_worth(scores[np.newaxis], rule).argmax()
            return Answer(manifest.classes[int(best)], tuple(scores.tolist()))
        if decides_by(manifest.task, "items"):
            places = len(scores) // 2
            items = tuple(manifest.classes[int(place)] for place in scores[:places])
            return Answer(items, tuple(scores[places:].tolist()))
        score = float(scores[0])
        if decides_by(manifest.task, "number"):
            return Answer(rule.offset + rule.scale * score, score)
        threshold = self._threshold
        if rule.segment is not None:
            threshold = rule.threshold_for(row.get(rule.segment), threshold)
        return Answer(manifest.classes[score >= threshold], score)

    def _scored(self, data: Any) -> Iterator[NDArray[np.float64]]:
        """Scores rows in bounded batches."""
        if isinstance(data, Mapping):
            data = [data]
        if isinstance(data, (list, tuple)):
            for part in _parts([_mapping(row) for row in data]):
                yield self._scores(self._encode_rows(part))
            return
        from everloop.table.tables import as_frame

        frame = as_frame(data)
        if frame.height >= MANY_ROWS and isinstance(self._model, CompiledModel):
            yield from self.table_scorer.scores(frame)
            return
        for start in range(0, max(frame.height, 1), _BATCH):
            yield self._scores(self._model.encode_table(frame[start : start + _BATCH]))


def _model_of(
    contents: Mapping[str, bytes], plan: Plan, manifest: Manifest
) -> CompiledModel | PreparedModel | PythonModel:
    """Gives what scores; a training library is imported for a Python runtime alone."""
    (content,) = (contents[name] for name in MODEL_FILES[manifest.runtime])
    if manifest.runtime == "graph":
        return CompiledModel(plan, content, _outputs(manifest))
    from everloop.runtime.python import python_model

    return python_model(content, plan, manifest)


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def read_files(folder: Path, manifest: Manifest, *, verify: bool) -> dict[str, bytes]:
    """Checks a package's files against its manifest and reads those that serving needs.

    The bytes that are digested are the bytes that are returned, so a file that changes in between
    is not used.

    Args:
        folder: The package.
        manifest: What it says of itself.
        verify: Whether files that serving does not read are digested too.

    Returns:
        File name to content.

    Raises:
        PackageRefused: When a file is missing, added, changed, a link, too large, a pickle or of no kind
            that a package holds.
    """
    needed = SERVING_FILES | MODEL_FILES[manifest.runtime]
    read = needed | _OPTIONAL_FILES
    _check_names(folder, manifest, needed)
    contents: dict[str, bytes] = {}
    total = 0
    for name, digest in manifest.files.items():
        path = folder / name
        size = path.lstat().st_size
        total += size
        if size > read.get(name, _MOST_BYTES) or total > _MOST_BYTES:
            raise PackageRefused(f"The package's file {name!r} is too large: {size} bytes.")
        if name in read:
            contents[name] = path.read_bytes()
            head = contents[name][:HEAD_BYTES]
            found = hashlib.sha256(contents[name]).hexdigest()
        else:
            head = _head(path)
            found = digest_file(path) if verify else digest
        if found != digest:
            raise PackageRefused(
                f"The package's file {name!r} is not the one that its manifest names: its SHA-256 differs.",
                place=str(path),
                hint="copy the package again from where it was released",
            )
        refuse_form(name, head)
        if name in contents and name.endswith(".json"):
            refuse_json(contents[name], name)
    return contents


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


@contextmanager
def _naming_the_plan(path: Path) -> Iterator[None]:
    """Makes whatever is wrong with the plan name its file."""
    try:
        yield
    except (EverloopError, RecursionError) as error:
        told = error.message if isinstance(error, EverloopError) else "it nests too deep."
        hint = error.hint if isinstance(error, PackageRefused) else None
        raise PackageRefused(f"plan.json cannot be used: {told}", place=str(path), hint=hint) from None


def _check_names(folder: Path, manifest: Manifest, needed: Iterable[str]) -> None:
    present = {path.name: path for path in folder.iterdir() if path.name not in OUTSIDE_MANIFEST}
    for name in [*manifest.files, *needed]:
        if name not in manifest.files or name not in present:
            where = "its folder" if name in manifest.files else MANIFEST_NAME
            raise PackageRefused(f"The package lacks {name!r}: it is not in {where}.", place=str(folder))
    for name, path in present.items():
        if not S_ISREG(path.lstat().st_mode):
            raise PackageRefused(
                f"{name!r} in the package is a link or a folder; expected a file.", place=str(path)
            )
        if name not in manifest.files:
            raise PackageRefused(f"{name!r} is in the package but not in its manifest.", place=str(path))


def _outputs(manifest: Manifest) -> int:
    return score_width(manifest.task, len(manifest.classes), manifest.listed)


def _mapping(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise DataFault(f"A row is a {type(row).__name__}; expected a mapping of column to value.")
    return row
