"""Texts as scores: weighed as scikit-learn weighs, fitted as its ridge, and better than tf-idf with a line."""

from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import everloop as el
from everloop.core.errors import PackageRefused
from everloop.model import text_scores
from everloop.model.text_scores import score_text
from everloop.runtime.encoders import TextEncoder
from everloop.runtime.plan import Plan, PlanInput
from everloop.runtime.text_terms import MOST_CHARACTERS, text_scorer, text_terms

DATA = Path(__file__).parents[3] / "shared" / "data"
WORDS = "please turn on off the kitchen light lamp play stop some music song louder now tomorrow".split()


def sentences(rows: int = 160, seed: int = 0) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice(WORDS, size=random.integers(3, 9))) for _ in range(rows)]
    actual = np.array([2 if "music" in text or "song" in text else int("light" in text) for text in texts])
    return texts, np.eye(3)[actual]


@given(st.text(max_size=60))
def test_terms_are_what_they_are_said_to_be(text: str) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    counts = text_terms(text)
    assert all(count > 0 for count in counts.values())
    read = {"lowercase": True, "token_pattern": r"(?u)\w+", "ngram_range": (1, 2)}
    analyse = CountVectorizer(**read).build_analyzer()
    words = [term for term in counts if not term.startswith("#")]
    assert sorted(words) == sorted(set(analyse(text)))
    assert sum(counts[word] for word in words) == len(analyse(text))


def test_parts_of_words_are_those_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    analyse = CountVectorizer(analyzer="char_wb", ngram_range=(3, 4)).build_analyzer()
    texts, _ = sentences()
    for text in texts:
        parts = {term[1:]: count for term, count in text_terms(text).items() if term.startswith("#")}
        theirs = analyse(text)
        assert parts == {part: theirs.count(part) for part in set(theirs)}


def test_a_long_text_is_read_to_a_bound() -> None:
    assert text_terms("a" * MOST_CHARACTERS + " end").keys() == text_terms("a" * MOST_CHARACTERS).keys()


def test_scores_are_those_of_scikit_learns_ridge(monkeypatch) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    monkeypatch.setattr(text_scores, "STEPS", 200)
    monkeypatch.setattr(text_scores, "_KEPT", type(text_scores._KEPT)())
    texts, targets = sentences()
    found = score_text(texts, targets, seed=0)

    def analyse(text: str) -> list[str]:
        return [term for term, count in text_terms(text).items() for _ in range(count)]

    tfidf = TfidfVectorizer(analyzer=analyse, sublinear_tf=True, vocabulary=list(found.terms))
    X = tfidf.fit_transform(texts)
    np.testing.assert_allclose(tfidf.idf_, found.rarity, rtol=1e-6)
    ridge = Ridge(alpha=text_scores.PENALTY, fit_intercept=False, solver="cholesky")
    expected = ridge.fit(X.toarray(), targets - targets.mean(axis=0)).predict(X) + targets.mean(axis=0)
    encoder = TextEncoder(
        "note", 0, found.terms, found.rarity.tobytes(), found.numbers.tobytes(), tuple(found.bias.tolist())
    )
    score = text_scorer(encoder)
    np.testing.assert_allclose(np.stack([score(text) for text in texts]), expected, atol=1e-5)
    part = np.random.default_rng(0).permutation(len(texts)) % text_scores.PARTS
    for number in range(text_scores.PARTS):
        own, others = part == number, part != number
        mean = targets[others].mean(axis=0)
        theirs = ridge.fit(X[others].toarray(), targets[others] - mean).predict(X[own]) + mean
        np.testing.assert_allclose(found.training[own], theirs, atol=1e-5)


def test_a_text_that_says_nothing_tempts_nobody() -> None:
    """Labels by chance: the scores of training rows must tell no more than chance."""
    texts, _ = sentences(400)
    actual = np.random.default_rng(1).integers(0, 2, 400)
    found = score_text([f"{text} {place}" for place, text in enumerate(texts)], actual[:, None] * 1.0, seed=0)
    assert abs(np.corrcoef(found.training[:, 0], actual)[0, 1]) < 0.15


def test_texts_without_a_common_term_give_no_scores() -> None:
    assert score_text([None, "", "once"], np.ones((3, 1)), seed=0) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"terms": ("a", "a")}, "twice"),
        ({"numbers": b""}, "another count"),
        ({"rarity": np.array([1.0, np.nan], dtype="<f4").tobytes()}, "no finite number"),
    ],
)
def test_an_encoder_that_lies_is_refused(change, message) -> None:
    two = np.ones(2, dtype="<f4").tobytes()
    encoder = msgspec.structs.replace(TextEncoder("note", 0, ("a", "b"), two, two, (0.0,)), **change)
    with pytest.raises(PackageRefused, match=message):
        Plan(inputs=(PlanInput("note", "text"),), encoders=(encoder,), width=1)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "sms_spam.csv.gz").exists(), reason="the shared tables are not here")
def test_spam_is_told_better_than_by_tf_idf_and_a_line() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    table = pl.read_csv(DATA / "sms_spam.csv.gz").sample(fraction=1.0, shuffle=True, seed=0)
    train, test = table[:3500], table[3500:]
    plain = make_pipeline(TfidfVectorizer(), LogisticRegression())
    plain.fit(train["message"].to_list(), train["label"].to_list())
    theirs = (plain.predict(test["message"].to_list()) == test["label"].to_numpy()).mean()
    model = el.model.search(train, "label", budget={"trials": 1}, learners=["linear"], seed=0)
    assert (model.predict(test) == test["label"].to_numpy()).mean() > theirs
