"""Intents and spam from their texts: accuracy on rows not learned from, beside tf-idf with a line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.figures import Figure, Options, Report

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
QUICK_ROWS = 1_500


def tables() -> dict[str, tuple[pl.DataFrame, pl.DataFrame, str, str]]:
    """Gives train, test, text and target of each table that is there."""
    found = {}
    if (DATA / "sms_spam.csv.gz").exists():
        spam = pl.read_csv(DATA / "sms_spam.csv.gz").sample(fraction=1.0, shuffle=True, seed=0)
        found["sms_spam"] = (spam[:4400], spam[4400:], "message", "label")
    if (DATA / "hwu64.parquet").exists():
        wishes = pl.read_parquet(DATA / "hwu64.parquet").select("text", "intent")
        wishes = wishes.sample(fraction=1.0, shuffle=True, seed=0)
        found["hwu64"] = (wishes[:8800], wishes[8800:], "text", "intent")
    if (DATA / "clinc150.csv.gz").exists():
        clinc = pl.read_csv(DATA / "clinc150.csv.gz")
        parts = [
            clinc.filter(pl.col("split").str.ends_with(part)).select("text", "intent")
            for part in ("train", "test")
        ]
        found["clinc150"] = (parts[0], parts[1], "text", "intent")
    return found


def run(options: Options) -> Report:
    """Learns each table twice; quick: fewer rows."""
    figures = []
    most = QUICK_ROWS if options.quick else None
    for name, (whole, unseen, text, target) in tables().items():
        train, test = whole.head(most or whole.height), unseen.head(most or unseen.height)
        actual = test[target].to_numpy()
        start = time.perf_counter()
        ours = float((_ours(train, target).predict(test) == actual).mean())
        middle = time.perf_counter()
        theirs = float((_theirs(train, text, target).predict(test[text].to_list()) == actual).mean())
        seconds = f"{middle - start:.0f} s, theirs {time.perf_counter() - middle:.0f} s"
        figures.append(
            Figure(
                f"{name}: accuracy on {test.height:,} rows ({seconds})",
                ours,
                "",
                beside="TfidfVectorizer, LogisticRegression",
                other=theirs,
                goal=f">= {theirs:.4f}",
            )
        )
    return Report(
        tuple(figures), ("one trial of the learner `linear`, folds and certificate's proof included",)
    )


def _ours(train: pl.DataFrame, target: str) -> Any:
    import everloop as el

    return el.model.search(train, target, budget={"trials": 1}, learners=["linear"], seed=0)


def _theirs(train: pl.DataFrame, text: str, target: str) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    plain = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=200))
    return plain.fit(train[text].to_list(), train[target].to_list())
