"""Who had what, how often: events as a sparse matrix, and likeness of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BM25_K, BM25_B = 1.2, 0.75
_BLOCK = 1_000


def matrix_of(events: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> Any:
    """Counts events.

    Args:
        events: The numbers of an entity and of an item, both from 0 on, (n, 2).
        weights: What each event counts, (n,); 1 when left out.

    Returns:
        Sparse (entities, items), in compressed rows, no zero kept.
    """
    from scipy.sparse import csr_array

    pairs = np.asarray(events).astype(np.int64)
    size = tuple((pairs.max(axis=0) + 1).tolist()) if len(pairs) else (0, 0)
    counts = np.ones(len(pairs)) if weights is None else np.asarray(weights, dtype=np.float64)
    found = csr_array((counts, (pairs[:, 0], pairs[:, 1])), shape=size)
    found.sum_duplicates()
    found.eliminate_zeros()
    return found


def weighted(rows: Any, how: str) -> Any:
    """Weighs counts: ``none`` takes each pair once, ``count`` as often as it is, ``bm25`` by BM25.

    Source:
        Robertson and Zaragoza (2009), with items as terms and entities as documents.
    """
    found = rows.copy()
    if how == "none":
        found.data = np.ones_like(found.data)
    if how == "bm25":
        having = np.bincount(found.indices, minlength=found.shape[1])
        rarity = np.log1p((found.shape[0] - having + 0.5) / (having + 0.5))
        length = np.asarray(found.sum(axis=1)).ravel()
        share = 1.0 - BM25_B + BM25_B * length / max(float(length.mean()), 1e-12)
        place = np.repeat(share, np.diff(found.indptr))
        found.data = found.data * (BM25_K + 1) / (found.data + BM25_K * place) * rarity[found.indices]
    return found


def cosine_neighbours(rows: Any, neighbours: int) -> Any:
    """Gives of each column its most similar other columns by the cosine, sparse (items, items).

    Ties go to the lower number.
    """
    from scipy.sparse import csr_array, vstack

    length = np.sqrt(np.asarray((rows * rows).sum(axis=0)).ravel())
    unit = rows.copy()
    unit.data = unit.data / np.maximum(length[unit.indices], 1e-300)
    columns, by_row = unit.T.tocsr(), unit.tocsr()
    blocks = []
    for start in range(0, columns.shape[0], _BLOCK):
        products = (columns[start : start + _BLOCK] @ by_row).tocsr()
        products.sort_indices()
        blocks.append(_strongest(products, start, neighbours))
    return csr_array(vstack(blocks, format="csr")) if blocks else csr_array((0, 0))


def _strongest(products: Any, first: int, most: int) -> Any:
    from scipy.sparse import csr_array

    data, places, ends = [], [], [0]
    for row in range(products.shape[0]):
        part = slice(products.indptr[row], products.indptr[row + 1])
        values, columns = products.data[part], products.indices[part]
        other = columns != first + row
        values, columns = values[other], columns[other]
        kept = np.sort(np.argsort(-values, kind="stable")[:most])
        data.append(values[kept])
        places.append(columns[kept])
        ends.append(ends[-1] + len(kept))
    return csr_array((np.concatenate(data), np.concatenate(places), ends), shape=products.shape)
