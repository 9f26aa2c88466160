"""Columns that are chosen: noise goes, what helps stays, and no seed moves the choice."""

from __future__ import annotations

import numpy as np
import polars as pl

from everloop.model.quick_frame import quick_frame
from everloop.model.searching import Budget
from everloop.model.selection import select_features
from everloop.model.train import material_of, train
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.model.tried_features import try_features

USEFUL = {"strong", "town", "weak"}


def shops(rows: int = 3_000, seed: int = 0) -> pl.DataFrame:
    """Gives rows with three useful columns, the last of them weak, and eight that are noise."""
    random = np.random.default_rng(seed)
    strong, weak = random.normal(size=rows), random.normal(size=rows)
    town = random.choice(["Ulm", "Kiel", "Jena"], rows)
    chance = 1 / (1 + np.exp(-(1.5 * strong + (town == "Ulm") + 0.5 * weak)))
    return pl.DataFrame(
        {
            "strong": strong,
            "town": town,
            "weak": weak,
            **{f"noise{k}": random.normal(size=rows) for k in range(6)},
            **{f"noise{k}": random.choice(list("abcdef"), rows) for k in (6, 7)},
            "bought": np.where(random.random(rows) < chance, "yes", "no"),
        }
    )


def kept_of(table: pl.DataFrame, target: str, seed: int) -> set[str]:
    settings = TrainingSettings(seed=seed)
    return set(select_features(material_of(Parts(table), quick_frame(table, target), settings)).kept)


def test_noise_goes_and_a_weak_column_that_helps_stays_on_any_rows_and_folds() -> None:
    """Of twenty-four columns of noise on three tables one may pass."""
    kept = [kept_of(shops(6_000, seed=seed), "bought", seed) for seed in range(3)]
    assert all(columns >= USEFUL for columns in kept)
    assert sum(len(columns - USEFUL) for columns in kept) <= 1


def test_few_rows_leave_out_only_what_looks_most_like_noise() -> None:
    kept = [kept_of(shops(2_500, seed=seed), "bought", seed) for seed in range(3)]
    assert all(columns >= USEFUL for columns in kept)
    assert sum(len(columns - USEFUL) for columns in kept) < 24 / 2


def test_noise_goes_where_a_number_is_learned() -> None:
    random = np.random.default_rng(0)
    table = shops(6_000).drop("bought")
    number = 3 * table["strong"] + table["weak"] + pl.Series(random.normal(0, 2, table.height))
    assert kept_of(table.with_columns(spent=number), "spent", 1) == {"strong", "weak"}


def test_columns_that_help_together_stay_though_each_alone_can_be_spared() -> None:
    """Twelve copies of one measurement, each with an error of its own."""
    random = np.random.default_rng(0)
    truth = random.normal(size=2_500)
    table = pl.DataFrame(
        {
            **{f"copy{k}": truth + random.normal(0, 3, 2_500) for k in range(12)},
            "y": np.where(truth + random.normal(0, 0.3, 2_500) > 0, "yes", "no"),
        }
    )
    assert len(kept_of(table, "y", 0)) >= 6


def test_searches_of_two_seeds_read_the_same_columns() -> None:
    table = shops(2_500)
    one, other = (
        train(
            Parts(table),
            quick_frame(table, "bought"),
            TrainingSettings(learners=("linear",), budget=Budget(trials=1), seed=seed),
        )
        for seed in (1, 2)
    )
    assert one.columns == other.columns
    assert one.features == other.features
    assert one.held_out_scores.tolist() != other.held_out_scores.tolist()


def test_what_was_shuffled_when_time_ran_out_decides() -> None:
    table = shops()
    material = material_of(Parts(table), quick_frame(table, "bought"), TrainingSettings())
    columns, asked = len(material.features), []

    def out_of_time() -> bool:
        asked.append(1)
        return len(asked) == 3 + columns + 2  # after the fits of three folds, and one round of all columns

    found = select_features(material, out_of_time=out_of_time)
    assert set(found.kept) >= {"strong"}
    assert len(found.kept) < columns


def test_nothing_is_tried_where_there_was_no_time_to_select() -> None:
    table = shops(1_000)
    material = material_of(Parts(table), quick_frame(table, "bought"), TrainingSettings())
    found = select_features(material, out_of_time=lambda: True)
    assert found.fits == ()
    assert try_features(material, found.fits, {}) == (material, ())
