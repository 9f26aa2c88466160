"""What a text says about the target: scores of its terms, fitted so that no row sees its own target.

Ridge regression of each class on tf-idf of words, pairs of words and parts of words, solved for all
classes at once by conjugate gradients. Its scores are a few columns beside the others: any learner can
go on from them, trees as well as lines. As where a category is encoded by the target, the scores of a
training row come from a fit without its part of the rows.

Source: Rifkin, Yeo, Poggio, "Regularized least-squares classification" (2003); stacking: Wolpert (1992).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.runtime.text_terms import PART, text_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

PENALTY = 1.0
STEPS = 10
PARTS = 4
LEAST_TEXTS = {False: 2, True: 3}
"""A term, or (True) a part of a word, in fewer texts is left out."""

MOST_TERMS, MOST_NUMBERS = 20_000, 2_000_000
"""How many terms are kept, and how many numbers they may have together."""


@dataclass(frozen=True, slots=True)
class TextScores:
    """One text column as scores.

    Attributes:
        terms: The terms that count.
        rarity: How rare each is, (terms,) single precision.
        numbers: What each adds to each score, (terms, outputs) single precision.
        bias: Where each score starts, (outputs,).
        training: The cross-fitted scores of the training rows, (n, outputs).
    """

    terms: tuple[str, ...]
    rarity: NDArray[np.float32]
    numbers: NDArray[np.float32]
    bias: Matrix
    training: Matrix


_KEPT: OrderedDict[Any, TextScores] = OrderedDict()
_MOST_KEPT = 4


def score_text(texts: Sequence[str | None], targets: Matrix, *, seed: int) -> TextScores | None:
    """Fits the scores of one column; what was fitted last is kept, since learners share it.

    Args:
        texts: The training rows, (n,).
        targets: A column for each score: numbers, or 0/1 for a class, (n, outputs).
        seed: Of the draw of parts.

    Returns:
        The scores; None where no term is in two texts.
    """
    from everloop.core.digest import digest_bytes

    told = digest_bytes("\0".join("\1" if text is None else text for text in texts).encode())
    key = (told, digest_bytes(np.ascontiguousarray(targets).tobytes()), seed)
    if key not in _KEPT:
        found = _fit(texts, targets, seed)
        if found is None:
            return None
        _KEPT[key] = found
        while len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
    _KEPT.move_to_end(key)
    return _KEPT[key]


def _fit(texts: Sequence[str | None], targets: Matrix, seed: int) -> TextScores | None:
    counted = [text_terms(text) if text else {} for text in texts]
    terms, rarity = _vocabulary(counted, most=min(MOST_TERMS, MOST_NUMBERS // targets.shape[1]))
    if not terms:
        return None
    X = _matrix(counted, terms, rarity)
    part = np.random.default_rng(seed).permutation(len(texts)) % PARTS
    training = np.empty(targets.shape)
    for number in range(PARTS):
        own, others = np.flatnonzero(part == number), np.flatnonzero(part != number)
        numbers, bias = _ridge(X[others], targets[others])
        training[own] = X[own] @ numbers + bias
    numbers, bias = _ridge(X, targets)
    return TextScores(terms, rarity, numbers.astype(np.float32), bias, training)


def _vocabulary(counted: list[dict[str, int]], most: int) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Gives the terms in most texts, but not in all, and how rare each is (smoothed, as scikit-learn's)."""
    rows: Counter[str] = Counter()
    for counts in counted:
        rows.update(counts.keys())
    known = [
        (term, count)
        for term, count in rows.items()
        if LEAST_TEXTS[term.startswith(PART)] <= count < len(counted)
    ]
    known.sort(key=lambda one: (-one[1], one[0]))
    known = known[:most]
    rarity = [1.0 + np.log((1.0 + len(counted)) / (1.0 + count)) for _, count in known]
    return tuple(term for term, _ in known), np.array(rarity, dtype=np.float32)


def _matrix(counted: list[dict[str, int]], terms: tuple[str, ...], rarity: NDArray[np.float32]) -> Any:
    """Gives the weighed terms of all rows as a sparse matrix, (n, terms)."""
    from scipy.sparse import csr_matrix

    places = {term: place for place, term in enumerate(terms)}
    columns: list[int] = []
    counts: list[int] = []
    ends = [0]
    for one in counted:
        for term, count in one.items():
            place = places.get(term)
            if place is not None:
                columns.append(place)
                counts.append(count)
        ends.append(len(columns))
    weights = (1.0 + np.log(np.array(counts, dtype=np.float64))) * rarity[columns].astype(np.float64)
    X = csr_matrix((weights, columns, ends), shape=(len(counted), len(terms)))
    X.sort_indices()
    lengths = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(X.indptr))
    return X


def _ridge(X: Any, targets: Matrix) -> tuple[Matrix, Matrix]:
    """Gives the ridge's numbers and bias by some steps of conjugate gradients, each output on its own."""
    bias = targets.mean(axis=0)
    left = X.T @ (targets - bias)
    numbers, way = np.zeros_like(left), left.copy()
    size = np.square(left).sum(axis=0)
    for _ in range(STEPS):
        seen = X.T @ (X @ way) + PENALTY * way
        step = size / np.maximum((way * seen).sum(axis=0), 1e-30)
        numbers += way * step
        left -= seen * step
        before, size = size, np.square(left).sum(axis=0)
        way = left + way * (size / np.maximum(before, 1e-30))
    return numbers, bias
