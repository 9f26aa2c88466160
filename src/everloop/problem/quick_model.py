"""A model that is fitted in a fraction of a second, for what is asked before anything is trained."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metrics import METRICS
from everloop.table.content import content_of
from everloop.table.labels import actuals_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

MOST_CATEGORIES = 255
MOSTLY_DIFFERENT = 0.5
MOST_WORDS = 80
MOST_BINS = 255
A_VALUE = ": a value"
IMAGE_PLACES, SOUND_PLACES, CONTENTS_LOOKED_AT = 8, 12, 200
# A boosted tree for each class and round: with more classes one forest for all is quicker.
MOST_BOOSTED_CLASSES = 12
_TAKEN = "\0taken"


def labelled_rows(table: ColumnTable, frame: Frame) -> NDArray[np.int64]:
    """Gives the positions of the labelled rows, in the order of their time where they have one."""
    import polars as pl

    places = np.flatnonzero(table[frame.target].is_not_null().to_numpy())
    if frame.time is None:
        return places
    times = table[frame.time].cast(pl.Datetime("us")).to_physical()
    early = np.iinfo(np.int64).min  # rows without a time come first
    return places[np.argsort(times.fill_null(early).to_numpy()[places], kind="stable")]


def taken(table: ColumnTable, places: NDArray[np.int64], columns: tuple[str, ...]) -> pl.DataFrame:
    """Reads some columns of some rows, in the order of the positions."""
    import polars as pl

    chosen = np.unique(places)
    mask = np.zeros(table.height, dtype=np.bool_)
    mask[chosen] = True
    marked = pl.concat([table.lazy(), pl.LazyFrame({_TAKEN: mask})], how="horizontal")
    rows = marked.filter(_TAKEN).select(columns).collect(engine="streaming")
    return rows[np.searchsorted(chosen, places)]


def arrays_of(rows: pl.DataFrame, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gives inputs (rows, width) and actuals (rows,) as numbers."""
    return inputs_of(rows, frame)[1], actuals_of(rows[frame.target], frame)


def inputs_of(rows: pl.DataFrame, frame: Frame) -> tuple[list[str], NDArray[np.float64]]:
    """Gives what is read of the input columns, in words, and as numbers (rows, width).

    A number is itself; a time is its moment, hour and weekday; text that repeats is the place of each
    value by frequency, and text that does not is read as a number or by its length and frequent words. An
    image is its brightness, a sound how loud it is, in a few places.
    """
    parts = {name: numbers for column in frame.inputs for name, numbers in _read(rows[column])}
    clean = [np.where(np.isfinite(numbers), numbers, np.nan) for numbers in parts.values()]
    return list(parts), np.column_stack(clean)


def _read(column: pl.Series) -> Iterator[tuple[str, NDArray[np.float64]]]:
    import polars as pl

    name = column.name
    if column.dtype.is_temporal():
        times = column.cast(pl.Datetime("us"))
        yield name, _doubles(times.dt.epoch("s"))
        yield f"hour of {name}", _doubles(times.dt.hour())
        yield f"weekday of {name}", _doubles(times.dt.weekday())
    elif content_of(column) is not None:
        yield from _read_content(column)
    elif column.dtype == pl.String or isinstance(column.dtype, (pl.Categorical, pl.Enum)):
        yield from _read_text(column.cast(pl.String))
    elif column.dtype.is_numeric() or column.dtype == pl.Boolean:
        yield name, _doubles(column)


def _read_content(column: pl.Series) -> Iterator[tuple[str, NDArray[np.float64]]]:
    from everloop.runtime.grid_shapes import GridShape, image_shape, sound_shape
    from everloop.runtime.grids import grid_of

    texts = column.to_list()
    known = [text for text in texts if text is not None][:CONTENTS_LOOKED_AT]
    if content_of(column) == "sound":
        shape, what = sound_shape(known, SOUND_PLACES, SOUND_PLACES), "loudness"
    else:
        size = image_shape(known, IMAGE_PLACES)
        shape, what = GridShape(size.rows, size.columns, 1), "brightness"
    encoder = shape.encoder(column.name)
    nothing = np.full(encoder.width, np.nan)
    grids = [nothing if (grid := grid_of(text, encoder)) is None else grid for text in texts]
    for place, numbers in enumerate(np.array(grids).T):
        row, side = divmod(place, shape.columns)
        yield f"{what} of {column.name} at {row + 1}, {side + 1}", numbers


def _read_text(column: pl.Series) -> Iterator[tuple[str, NDArray[np.float64]]]:
    import polars as pl

    name, known = column.name, column.drop_nulls()
    counts = known.value_counts(sort=True)
    frequent = counts[name].head(MOST_CATEGORIES).to_list()
    places = dict(zip(frequent, range(len(frequent)), strict=True))
    codes = column.replace_strict(places, default=None, return_dtype=pl.Float64)
    yield f"{name}{A_VALUE}", codes.to_numpy()
    if counts.height <= MOSTLY_DIFFERENT * len(known):
        return
    numbers = (
        column.str.extract(r"(-?\d[\d,]*\.?\d*)").str.replace_all(",", "").cast(pl.Float64, strict=False)
    )
    if numbers.is_not_null().sum() > MOSTLY_DIFFERENT * len(known):
        yield name, _doubles(numbers)
    yield f"length of {name}", _doubles(column.str.len_chars())
    words = column.str.to_lowercase().str.extract_all(r"\w+")
    found = words.drop_nulls().list.unique().explode().drop_nulls().value_counts(sort=True)
    for word in found[name].head(MOST_WORDS).to_list():
        yield f"{word!r} in {name}", _doubles(words.list.contains(word))


def _doubles(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def measured_metric(frame: Frame) -> str:
    """The frame's metric where it is one of scores; else one that a score can be judged by."""
    if METRICS[frame.metric].needs != "decision":
        return frame.metric
    return "roc_auc" if frame.task == "binary" else "log_loss"


def quick_learner(frame: Frame, seed: int = 0) -> Any:
    """Gives an estimator of scikit-learn that is not fitted yet."""
    from sklearn import ensemble

    if frame.task == "multiclass" and len(frame.classes) > MOST_BOOSTED_CLASSES:
        return ensemble.RandomForestClassifier(
            n_estimators=40, max_depth=12, min_samples_leaf=2, random_state=seed
        )
    settings = {"max_iter": 40, "learning_rate": 0.15, "max_leaf_nodes": 15, "random_state": seed}
    if frame.task == "regression":
        return ensemble.HistGradientBoostingRegressor(**settings)
    return ensemble.HistGradientBoostingClassifier(**settings)


def fitted_scores(
    learner: Any,
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    learned: NDArray[np.int64],
    held_out: NDArray[np.int64],
    frame: Frame,
) -> NDArray[np.float64] | None:
    """Fits on some rows and scores others; None where the rows learned from hold one class or no value.

    Returns:
        The chance of the positive class (n,), of each class (n, k), or the number (n,).
    """
    # scikit-learn's histograms cannot be made of a column without any value among the rows learned from.
    told = np.isfinite(inputs[learned]).any(axis=0)
    if not told.any():
        return None
    known, asked = inputs[learned][:, told], inputs[held_out][:, told]
    if "max_bins" in learner.get_params():
        # More bins than rows change nothing, and of thousands of columns each costs its share of the time.
        learner.set_params(max_bins=int(np.clip(len(learned), 2, MOST_BINS)))
    if frame.task == "regression":
        return np.asarray(learner.fit(known, target[learned]).predict(asked))
    if len(np.unique(target[learned])) < 2:
        return None
    with warnings.catch_warnings():
        # It warns of many classes on few rows, which is what small parts of a table have.
        warnings.simplefilter("ignore", UserWarning)
        model = learner.fit(known, target[learned])
    chances = np.zeros((len(held_out), len(frame.classes)))
    chances[:, model.classes_.astype(np.int64)] = model.predict_proba(asked)
    return chances[:, 1] if frame.task == "binary" else chances
