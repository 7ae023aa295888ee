"""TfIdfVectorizer over numbers: how often each of a pool of n-grams occurs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from builder.compiler.prepare.rewriting import Rewrite, Site

Grams = npt.NDArray[np.int64]


def tf_idf(site: Site) -> bool:
    """Compare every window of the input with every n-gram of the pool, and count."""
    extents, pool = site.shape(0), site.attribute("pool_int64s")
    if extents is None or pool is None:
        return False
    rows = [-1, extents[-1]]
    data = site.reshape(site.cast(site.node.input[0], np.int64), rows)
    counts = [
        _counts(site, data, extents[-1], grams) if len(grams) else None for grams in _pools(site)
    ]
    found = [name for name in counts if name is not None]
    zero = site.emit("Mul", site.emit("Gather", found[0], np.asarray([0]), axis=1), np.float32(0))
    every = site.emit("Concat", *found, zero, axis=1)
    ordered = site.emit("Gather", every, _order(site), axis=1)
    weighted = _weighted(site, ordered)
    width = max(site.attribute("ngram_indexes")) + 1
    site.reshape(weighted, [*extents[:-1], width], to=site.node.output[0])
    return True


def _pools(site: Site) -> list[Grams]:
    """Return the n-grams [count, n] of each length that counts; others are empty."""
    pool = np.asarray(site.attribute("pool_int64s"), np.int64)
    starts = [*site.attribute("ngram_counts"), len(pool)]
    low, high = site.attribute("min_gram_length"), site.attribute("max_gram_length")
    return [
        pool[start:end].reshape(-1, length) if low <= length <= high else pool[:0]
        for length, (start, end) in enumerate(itertools.pairwise(starts), start=1)
    ]


def _order(site: Site) -> Grams:
    """Return, for each element of the output, the counted n-gram it shows; the last is none."""
    pool = np.asarray(site.attribute("pool_int64s"), np.int64)
    starts = [*site.attribute("ngram_counts"), len(pool)]
    low, high = site.attribute("min_gram_length"), site.attribute("max_gram_length")
    indexes = site.attribute("ngram_indexes")
    shown: list[int] = []
    first = 0
    for length, (start, end) in enumerate(itertools.pairwise(starts), start=1):
        count = (end - start) // length
        if low <= length <= high:
            shown += indexes[first : first + count]
        first += count
    order = np.full(max(indexes) + 1, len(shown), np.int64)
    order[np.asarray(shown, np.int64)] = np.arange(len(shown))
    return order


def _counts(site: Site, data: str, width: int, grams: Grams) -> str | None:
    """Return how often each n-gram occurs in each row, as float32 [rows, count]."""
    length = grams.shape[1]
    # Beyond that no window fits into a row, however many skips are allowed.
    farthest = (width - 1) // (length - 1) if length > 1 else 1
    skips = range(min(site.attribute("max_skip_count") + 1, farthest) if length > 1 else 1)
    windows = [window for skip in skips for window in _windows(width, length, skip + 1)]
    if not windows:
        return None
    taken = site.emit("Gather", data, np.asarray(windows, np.int64), axis=1)
    equal = site.emit("Equal", site.emit("Unsqueeze", taken, np.asarray([2])), grams)
    whole = site.reduce("Min", site.cast(equal, np.float32), [3])
    total = site.reduce("Sum", site.emit("Squeeze", whole, np.asarray([3])), [1])
    return site.emit("Squeeze", total, np.asarray([1]))


def _windows(width: int, length: int, step: int) -> list[Sequence[int]]:
    reach = (length - 1) * step + 1
    return [range(first, first + reach, step) for first in range(width - reach + 1)]


def _weighted(site: Site, counts: str) -> str:
    mode = site.attribute("mode")
    if mode == "TF":
        return counts
    indexes, weights = site.attribute("ngram_indexes"), site.attribute("weights")
    values = np.ones(max(indexes) + 1, np.float32)
    if weights:
        values[np.asarray(indexes)] = weights
    if mode == "IDF":
        counts = site.emit("Min", counts, np.float32(1))
    return site.emit("Mul", counts, values)


TABLE: Mapping[str, Rewrite] = {"TfIdfVectorizer": tf_idf}
