import io
import wave
from collections import Counter

import numpy as np
import polars as pl
import pytest

from everloop.monitor import (
    Reference,
    ReferenceRules,
    count_window,
    drift,
    judge_state,
    reference,
    tell_apart,
)
from everloop.monitor.facets import facets_of, kind_of, with_facets
from everloop.table.content import array_text, content_text

WORDS = np.array(
    [f"{a}{b}{c}" for a in "bdfgk" for b in ("ala", "ero", "umi") for c in ("n", "st", "rk", "l")]
)


def notes(rows, seed, new=0.0):
    """Texts of eight words, the frequent ones first; some of them words that were never there."""
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, WORDS.size + 1)
    drawn = random.choice(WORDS, (rows, 8), p=share / share.sum())
    drawn = np.where(random.random(drawn.shape) < new, "zzz" + drawn.astype(object), drawn.astype(object))
    return pl.Series("note", [" ".join(row) for row in drawn])


def pictures(rows, seed, *, light=0.0, red=0.0):
    random = np.random.default_rng(seed)
    images = random.integers(40, 160, (rows, 4, 4, 3)) + random.integers(-20, 20, (rows, 1, 1, 1)) + light
    images = images + np.array([red, 0, 0])
    return pl.Series("photo", [array_text(np.clip(one, 0, 255).astype(np.uint8)) for one in images])


def tone(frequency, loud):
    rate = 8000
    samples = loud * np.sin(2 * np.pi * frequency * np.arange(rate // 4) / rate)
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return content_text(stream.getvalue())


def test_new_words_are_those_that_no_other_row_of_the_reference_has():
    before = pl.DataFrame(
        {"note": ["Red green blue grey", "red green ochre teal", "red blue, blue! grey", None, "it is 12"]}
    )
    facets = facets_of(before.with_columns(other=1))
    assert [facet.names for facet in facets] == [("note (new words)", "note (words)")]
    # By hand: each row against all others.
    lists = [[word.strip(",!").lower() for word in (text or "").split()] for text in before["note"]]
    lists = [[word for word in words if len(word) > 2 and word.isalpha()] for words in lists]
    rows = Counter(word for words in lists for word in set(words))
    own = [np.mean([rows[word] == 1 for word in words]) if words else np.nan for words in lists]
    found = with_facets(before, facets, own=True)
    np.testing.assert_array_equal(found["note (new words)"], own)
    np.testing.assert_array_equal(found["note (words)"], [4, 4, 4, np.nan, 0])
    after = with_facets(pl.DataFrame({"note": ["OCHRE crimson", "red"]}), facets)
    assert after["note (new words)"].to_list() == [0.5, 0.0]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (notes(200, 0), "prose"),
        (pictures(3, 0), "image"),
        (pl.Series([tone(440, 0.5)]), "sound"),
        (pl.Series(["some high school", "finished high school", "never went there"] * 50), None),
        (pl.Series(["Oslo", "Rome"] * 50), None),
        (pl.Series([1.0, 2.0]), None),
        (pl.Series([None, None], dtype=pl.String), None),
    ],
)
def test_what_a_column_carries(column, kind):
    assert kind_of(column) == kind


def test_new_words_are_drift_and_the_same_words_are_none():
    before = pl.DataFrame([notes(1500, 0)])
    assert not drift(before, pl.DataFrame([notes(1500, 1)])).drifted
    report = drift(before, pl.DataFrame([notes(1500, 2, new=0.05)]))
    assert report.moved() == ("note (new words)",)
    assert report.skipped == ()


@pytest.mark.parametrize(
    ("change", "moved"), [({"light": 25}, "photo (brightness)"), ({"red": 25}, "photo (red)")]
)
def test_light_and_colour_are_drift(change, moved):
    before = pl.DataFrame([pictures(400, 0)])
    assert not drift(before, pl.DataFrame([pictures(400, 1)])).drifted
    assert moved in drift(before, pl.DataFrame([pictures(400, 2, **change)])).moved()


def test_the_numbers_of_an_image_are_its_pixels():
    image = np.zeros((2, 2, 3))
    image[:, 1] = [90, 60, 30]
    facets = facets_of(pl.DataFrame({"photo": [array_text(image)]}))
    found = with_facets(
        pl.DataFrame({"photo": [array_text(image), None, "data:image/png;base64,AAAA"]}), facets
    )
    grey = 0.299 * 90 + 0.587 * 60 + 0.114 * 30
    told = [found[name][0] for name in facets[0].names]
    expected = [grey / 2, grey / 2, 45 - grey / 2, 30 - grey / 2, 15 - grey / 2, grey / 2]
    assert told == pytest.approx(expected)
    assert found["photo (brightness)"][1:].is_nan().all()  # missing, and no image


def test_the_numbers_of_a_sound_are_its_samples():
    sounds = pl.DataFrame({"call": [tone(440, 0.5), tone(880, 0.25)]})
    found = with_facets(sounds, facets_of(sounds))
    assert found["call (pitch)"].to_list() == pytest.approx([440, 880], rel=0.02)
    assert found["call (loudness)"].to_list() == pytest.approx([0.5 / 2**0.5, 0.25 / 2**0.5], rel=1e-3)
    assert found["call (seconds)"].to_list() == [0.25, 0.25]


def test_facets_are_kept_counted_and_merged_as_columns_are(tmp_path):
    before = pl.DataFrame([notes(600, 0), pictures(600, 0)])
    made = reference(before, rules=ReferenceRules(window_rows=300))
    made.save(tmp_path)
    kept = Reference.load(tmp_path)
    assert kept == made
    assert set(kept.columns) == {"note", "photo"}
    assert "zalan" not in (tmp_path / "reference.json").read_text()  # no word is kept
    after = pl.DataFrame([notes(300, 3, new=0.2), pictures(300, 3)])
    whole = count_window(after, kept)
    parts = count_window(after[:100], kept).merge(count_window(after[100:], kept))
    assert {name: each.counts for name, each in parts.histograms.items()} == {
        name: each.counts for name, each in whole.histograms.items()
    }
    assert judge_state(whole, kept).moved()[0] == "note (new words)"


@pytest.mark.slow
def test_rows_are_told_apart_by_what_they_carry():
    found = tell_apart(pl.DataFrame([notes(500, 0)]), pl.DataFrame([notes(500, 1, new=0.3)]))
    assert next(iter(found.columns)) == "note (new words)"
