"""What chance is said to do, held against samples that were really drawn again, row by row."""

import numpy as np
import pytest

from everloop.measure.cells import Scratch
from everloop.measure.distances import BATCHED, Pairs
from everloop.measure.histogram import Histogram, build_bins, count
from everloop.monitor.chance import Chance

STATISTICS = ("kolmogorov_smirnov", "cramer_von_mises", "jensen_shannon", "missing_shift")
ROWS, DRAWS = 20_000, 2000
RANDOM = np.random.default_rng(8)
NORMAL = RANDOM.normal(size=ROWS)
TEXTS = np.array([*"aaaaaabbbccd"], dtype=object)[RANDOM.integers(0, 12, ROWS)]
COLUMNS = {
    "normal": NORMAL,
    "a peak": np.where(RANDOM.random(ROWS) < 0.6, 0.0, NORMAL),
    "few values": RANDOM.integers(0, 4, ROWS).astype(float),
    "missing ones": np.where(RANDOM.random(ROWS) < 0.1, np.nan, NORMAL),
    "heavy tails": np.exp(2 * NORMAL),
    "texts": TEXTS,
}


def really_drawn(whole: Histogram, size: int) -> Pairs:
    """Multinomial counts: each row is one of the histogram's, drawn with replacement."""
    counts, random = np.array([*whole.counts, whole.missing]), np.random.default_rng(2)
    before, after = (
        random.multinomial(rows, counts / counts.sum(), DRAWS).astype(float) for rows in (ROWS, size)
    )
    return Pairs.drawn(whole, before[:, :-1], after[:, :-1], before[:, -1], after[:, -1])


@pytest.mark.parametrize("size", [20_000, 3_000, 900])
@pytest.mark.parametrize("name", COLUMNS)
def test_distances_of_chance_are_those_of_rows_drawn_again(name, size):
    # Each value twice: what was seen once stands for what was never seen, which no row is drawn for here.
    values = COLUMNS[name][: ROWS // 2].repeat(2)
    whole = count(build_bins(values), values)
    chance = Chance(whole, DRAWS, np.random.default_rng(1), Scratch())
    ((_, pairs),) = chance.windows([size])
    truly = really_drawn(whole, size)
    for statistic in STATISTICS:
        found, expected = BATCHED[statistic](pairs), BATCHED[statistic](truly)
        if np.isnan(expected).all() or not expected.any():
            np.testing.assert_array_equal(found, expected)
            continue
        spread = expected.std()
        # More than four times the error of a mean and of a quantile of so many draws.
        assert found.mean() == pytest.approx(expected.mean(), abs=5 * spread * np.sqrt(2 / DRAWS))
        assert np.quantile(found, 0.95) == pytest.approx(np.quantile(expected, 0.95), abs=0.5 * spread)


def test_sizes_are_drawn_from_one_reference_and_a_segment_leaves_rows_out():
    whole = count(build_bins(NORMAL), NORMAL)
    chance = Chance(whole, 200, np.random.default_rng(1), Scratch(), part=0.25)
    for size, pairs in chance.windows([20_000, 2_000, 800]):
        assert pairs.after.sum(axis=-1).mean() == pytest.approx(size / 4, rel=0.05)
        assert pairs.before.sum(axis=-1).mean() == pytest.approx(ROWS, rel=0.02)


def test_windows_parted_from_a_reference_hold_new_categories_as_often_as_new_rows_do():
    random = np.random.default_rng(3)
    names = np.array([f"c{i}" for i in range(400)], dtype=object)
    shares = 1 / np.arange(1, 401) ** 1.5
    shares /= shares.sum()
    parted, truly = [], []
    for _ in range(40):
        rows = names[random.choice(400, 2200, p=shares)]
        whole = count(build_bins(rows[:2000]), rows[:2000])
        ((_, pairs),) = Chance(whole, 50, random, Scratch()).windows([200])
        parted.append(BATCHED["unseen_share"](pairs).mean())
        truly.append(BATCHED["unseen_share"](Pairs.of(whole, count(whole.bins, rows[2000:])))[0])
    # Two means of 40 references each, each with the error of the noisier one.
    assert np.mean(parted) > 0
    assert np.mean(parted) == pytest.approx(np.mean(truly), abs=4 * np.std(truly) / np.sqrt(40))
