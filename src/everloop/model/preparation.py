"""Fits the preparation: from raw columns to the matrix that a learner reads, as a plan of constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.tasks import TASKS
from everloop.measure.arrays import weights_for
from everloop.measure.weighted_mean import weighted_median
from everloop.model.grid_sizes import fit_grid
from everloop.model.target_encoding import encode_by_mean
from everloop.model.text_scores import score_text
from everloop.model.time_parts import time_parts
from everloop.runtime.plan import (
    DerivedColumn,
    Encoder,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    Plan,
    TextEncoder,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.features import Features
    from everloop.model.learners.learner import Capabilities
    from everloop.spec.frame import Frame

RARE = 5
"""A category of fewer training rows is merged into the slot for others."""

MOST_CLASS_MEANS = 10
"""Of a target with more classes only the most frequent get a column of means each."""

MOST_CLASS_SCORES = 200
"""Of a target with more classes only the most frequent get a column of a text's scores each."""

_LARGEST = 1e38  # float32 knows no greater numbers than 3.4e38


@dataclass(frozen=True, slots=True)
class PreparationSettings:
    """What the learner wants of its input.

    Attributes:
        takes_missing: NaN is kept; otherwise the median is filled in and an indicator added.
        wants_scaling: Numbers are centred and scaled to a standard deviation of 1.
        float32: Numbers are rounded to single precision: for all trees, so that they read the same vector,
            and an ensemble of them needs no second one.
        seed: Of the cross-fitting.
        beyond: How far outside of what training saw a number may lie before it is cut, as a share of the
            span; for what is far out to be told from what is at the border.
    """

    takes_missing: bool = False
    wants_scaling: bool = False
    float32: bool = False
    seed: int = 0
    beyond: float = 0.0

    @classmethod
    def of(cls, capabilities: Capabilities, *, seed: int = 0) -> PreparationSettings:
        """Gives what a learner of these capabilities wants."""
        return cls(
            takes_missing=capabilities.takes_missing,
            wants_scaling=capabilities.wants_scaling,
            float32=capabilities.computes_in_float32
            or (capabilities.takes_missing and not capabilities.wants_scaling),
            seed=seed,
        )


@dataclass(slots=True)
class _Draft:
    """The plan as it grows."""

    table: pl.DataFrame
    frame: Frame
    settings: PreparationSettings
    actual: NDArray[np.float64]
    each: NDArray[np.float64]
    encoders: list[Encoder] = field(default_factory=list)
    derived: list[DerivedColumn] = field(default_factory=list)
    cross_fitted: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    width: int = 0

    def add(self, encoder: Encoder) -> None:
        self.encoders.append(encoder)
        self.width += encoder.width


def fit_preparation(
    table: pl.DataFrame,
    frame: Frame,
    features: Features,
    settings: PreparationSettings,
    actual: NDArray[Any],
    weights: NDArray[np.float64] | None = None,
) -> tuple[Plan, NDArray[np.float64]]:
    """Fits the preparation of training rows.

    The matrix differs from ``encode_table(plan, table)`` only where a category is encoded by the
    target's mean: there each row's number was fitted without its own part of the rows.

    Args:
        table: The training rows.
        frame: The problem.
        features: What the model may read.
        settings: What the learner wants.
        actual: Class indices or numbers, (n,).
        weights: What each row counts in what is filled in and in scales, (n,); None counts them alike.

    Returns:
        The plan and the training matrix, (n, width).
    """
    from everloop.runtime.plan_table import encode_table

    each = weights_for(weights, table.height)
    draft = _Draft(table, frame, settings, np.asarray(actual, dtype=np.float64), each)
    fitters = _FITTERS if TASKS[frame.task].supervised else _WITHOUT_TARGET
    for name, kind in features.kinds.items():
        fitters[kind](draft, name)
    plan = Plan(
        inputs=features.inputs,
        derived=(*features.derived, *draft.derived),
        encoders=tuple(draft.encoders),
        width=draft.width,
    )
    X = np.asarray(encode_table(plan, table), dtype=np.float64)
    for offset, values in draft.cross_fitted.items():
        X[:, offset] = values
    return plan, X


def _fit_number(draft: _Draft, name: str) -> None:
    column = draft.table[name]
    draft.add(_number_encoder(name, column.cast(_float64(), strict=False), draft))


def _float64() -> Any:
    import polars as pl

    return pl.Float64


def _number_encoder(name: str, column: pl.Series, draft: _Draft) -> NumberEncoder:
    settings = draft.settings
    raw = column.to_numpy()
    known = ~np.isnan(raw)
    values, each = raw[known], draft.each[known]
    low, high = _bounds(values, settings.beyond)
    clipped = np.clip(values, low, high)
    missing = len(values) < len(raw)
    fill = None if settings.takes_missing else (weighted_median(clipped, each) if len(clipped) else 0.0)
    absent = float(draft.each[~known].sum())
    centre, scale = _scaling(clipped, each, absent, fill) if settings.wants_scaling else (0.0, 1.0)
    return NumberEncoder(
        column=name,
        offset=draft.width,
        low=low,
        high=high,
        fill=fill,
        centre=centre,
        scale=scale,
        indicator=missing and not settings.takes_missing,
        float32=settings.float32,
    )


def _bounds(values: NDArray[np.float64], beyond: float) -> tuple[float, float]:
    """Gives the least and the greatest of training, widened: what lies outside is cut there."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return -_LARGEST, _LARGEST
    low, high = max(finite.min(), -_LARGEST), min(finite.max(), _LARGEST)
    margin = beyond * (high / 2 - low / 2) * 2
    return float(max(low - margin, -_LARGEST)), float(min(high + margin, _LARGEST))


def _scaling(
    values: NDArray[np.float64], each: NDArray[np.float64], absent: float, fill: float | None
) -> tuple[float, float]:
    """Gives the mean and the standard deviation over all rows, the filled ones included, by weight."""
    if not len(values):
        return 0.0, 1.0
    rows = float(each.sum()) + absent
    fill = 0.0 if fill is None else fill
    mean = (float((each * values).sum()) + absent * fill) / rows
    squares = float((each * (values - mean) ** 2).sum()) + absent * (fill - mean) ** 2
    scale = float(np.sqrt(squares / rows))
    return (mean, scale) if np.isfinite(scale) and scale > 1e-12 * max(1.0, abs(mean)) else (mean, 1.0)


def _fit_category(draft: _Draft, name: str) -> None:
    from everloop.table.labels import label_counts

    column = draft.table[name]
    rows = label_counts(column)
    frequent = sorted(text for text, count in rows.items() if count >= RARE) or sorted(rows)
    rare = len(rows) > len(frequent)
    if len(frequent) == 2 and not rare and sum(rows.values()) == len(column):
        frequent = frequent[1:]  # the other is the one's absence
    draft.add(OneHotEncoder(name, draft.width, categories=tuple(frequent), other=rare))


def _fit_many_categories(draft: _Draft, name: str) -> None:
    for target in _mean_targets(draft, MOST_CLASS_MEANS):
        encoding = encode_by_mean(draft.table[name], target, seed=draft.settings.seed)
        centre, scale = 0.0, 1.0
        if draft.settings.wants_scaling:
            centre = float(encoding.training.mean())
            scale = float(encoding.training.std()) or 1.0
        rounded = _rounding(centre, scale, float32=draft.settings.float32)
        draft.cross_fitted[draft.width] = rounded(encoding.training)
        draft.add(
            LookupEncoder(
                name,
                draft.width,
                values={text: float(rounded(np.float64(v))) for text, v in encoding.values.items()},
                unknown=float(rounded(np.float64(encoding.unknown))),
                missing=float(rounded(np.float64(encoding.missing))),
            )
        )


def _fit_frequencies(draft: _Draft, name: str) -> None:
    """Encodes a category by the logarithm of its share of the rows: there is no target to go by."""
    from everloop.table.labels import label_texts

    column = draft.table[name]
    texts, each = label_texts(column), draft.each
    counts, absent = _weight_of_each(texts, each)
    total = float(each.sum())
    shares = {text: float(np.log(count / total)) for text, count in counts.items()}
    never = float(np.log(0.5 / total))
    missing = float(np.log(absent / total)) if absent else never
    centre, scale = 0.0, 1.0
    if draft.settings.wants_scaling:
        told = np.array([missing if text is None else shares[text] for text in texts.to_list()])
        centre, scale = _scaling(told, each, 0.0, None)
    rounded = _rounding(centre, scale, float32=draft.settings.float32)
    draft.add(
        LookupEncoder(
            name,
            draft.width,
            values={text: float(rounded(np.float64(share))) for text, share in shares.items()},
            unknown=float(rounded(np.float64(never))),
            missing=float(rounded(np.float64(missing))),
        )
    )


def _weight_of_each(texts: pl.Series, each: NDArray[np.float64]) -> tuple[dict[str, float], float]:
    """Sums the weight of each text, the heaviest first, equals by text; and of those that are missing."""
    distinct = texts.drop_nulls().unique().sort().to_list()
    places = texts.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    sums = np.bincount(places, each, len(distinct) + 1)
    heaviest = np.argsort(-sums[1:], kind="stable")
    return {distinct[place]: float(sums[1:][place]) for place in heaviest}, float(sums[0])


def _rounding(centre: float, scale: float, *, float32: bool) -> Any:
    def rounded(values: Any) -> Any:
        scaled = (values - centre) / scale
        return scaled.astype(np.float32).astype(np.float64) if float32 else scaled

    return rounded


def _mean_targets(draft: _Draft, most: int) -> Iterator[NDArray[np.float64]]:
    if draft.frame.task != "multiclass":
        yield draft.actual
        return
    counts = np.bincount(draft.actual.astype(np.int64), minlength=len(draft.frame.classes))
    for index in np.argsort(-counts, kind="stable")[:most]:
        if counts[index]:
            yield (draft.actual == index).astype(np.float64)


def _fit_time(draft: _Draft, name: str) -> None:
    for part in time_parts(name, draft.table[name]):
        draft.derived.append(DerivedColumn(part.name, part.expression))
        draft.add(_number_encoder(part.name, part.values, draft))
        if draft.settings.wants_scaling:
            # Trees cut a cycle where they like; a line needs it bent.
            rounded = _rounding(0.0, 1.0, float32=draft.settings.float32)
            for table in part.circle:
                values = {text: float(rounded(np.float64(value))) for text, value in table.items()}
                draft.add(LookupEncoder(part.name, draft.width, values=values, unknown=0.0, missing=0.0))


def _fit_text(draft: _Draft, name: str) -> None:
    targets = np.column_stack(list(_mean_targets(draft, MOST_CLASS_SCORES)))
    found = score_text(draft.table[name].to_list(), targets, seed=draft.settings.seed)
    if found is None:
        return
    width = targets.shape[1]
    centre, scale = np.zeros(width), np.ones(width)
    if draft.settings.wants_scaling:
        centre, spread = found.training.mean(axis=0), found.training.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
    training = (found.training - centre) / scale
    if draft.settings.float32:
        training = training.astype(np.float32).astype(np.float64)
    draft.cross_fitted.update({draft.width + place: training[:, place] for place in range(width)})
    draft.add(
        TextEncoder(
            name,
            draft.width,
            terms=found.terms,
            rarity=found.rarity.astype("<f4").tobytes(),
            numbers=(found.numbers / scale).astype("<f4").tobytes(),
            bias=tuple(((found.bias - centre) / scale).tolist()),
            float32=draft.settings.float32,
        )
    )


def _fit_content(kind: str) -> Any:
    def fit(draft: _Draft, name: str) -> None:
        texts, sizes = draft.table[name].to_list(), draft.frame.image_sizes
        float32 = draft.settings.float32
        draft.add(fit_grid(name, kind, texts, draft.width, float32=float32, sizes=sizes))

    return fit


_FITTERS: dict[str, Any] = {
    "number": _fit_number,
    "category": _fit_category,
    "many_categories": _fit_many_categories,
    "time": _fit_time,
    "text": _fit_text,
    "image": _fit_content("image"),
    "sound": _fit_content("sound"),
}
_WITHOUT_TARGET: dict[str, Any] = {**_FITTERS, "many_categories": _fit_frequencies}
