"""Counting of n-grams. Texts are token numbers: strings are no tensors here."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Floats, Int, Ints, Str, Strs
from edge_rt.ops._rules import shape_of, shown
from edge_rt.ops._spec import ARITHMETIC, Array, Types, Values, define
from edge_rt.ops._windows import check_rank
from edge_rt.types import DType


class TfIdfVectorizerAttrs(Attrs):
    max_gram_length = Int()
    max_skip_count = Int()
    min_gram_length = Int()
    mode = Str(choices=("TF", "IDF", "TFIDF"))
    ngram_counts = Ints()
    ngram_indexes = Ints()
    pool_int64s = Ints(())
    pool_strings = Strs(())
    weights = Floats(())


def _tfidf_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("X", shape, 1, 2)
    if attrs.pool_strings:
        raise GraphError("n-grams must be integers, got strings")
    if attrs.weights and len(attrs.weights) != len(attrs.ngram_indexes):
        raise GraphError(f"weights must be one per n-gram of {len(attrs.ngram_indexes)}, got {len(attrs.weights)}")
    if not 1 <= attrs.min_gram_length <= attrs.max_gram_length or attrs.max_skip_count < 0 or not attrs.ngram_indexes:
        raise GraphError(
            f"n-grams must have 1 <= min_gram_length <= max_gram_length, got {attrs.min_gram_length} and "
            f"{attrs.max_gram_length}, max_skip_count {attrs.max_skip_count}, {len(attrs.ngram_indexes)} n-grams"
        )
    if min(attrs.ngram_indexes) < 0:
        raise GraphError(f"ngram_indexes must be at least 0, got {min(attrs.ngram_indexes)}")
    _check_pool(attrs)
    return [[*shape[:-1], max(attrs.ngram_indexes) + 1]]


def _check_pool(attrs: TfIdfVectorizerAttrs) -> None:
    size, found = len(attrs.pool_int64s), 0
    ends = [*attrs.ngram_counts[1:], size]
    for n, (start, end) in enumerate(zip(attrs.ngram_counts, ends), 1):
        if not 0 <= start <= end <= size or (end - start) % n:
            raise GraphError(f"ngram_counts must part the pool of {size} into n-grams, got {shown(attrs.ngram_counts)}")
        found += (end - start) // n
    if found != len(attrs.ngram_indexes):
        raise GraphError(f"ngram_indexes must be one per n-gram of {found}, got {len(attrs.ngram_indexes)}")


def _grams(attrs: TfIdfVectorizerAttrs) -> list[tuple[int, Array]]:
    """(place of the first in ngram_indexes, i64[count, n]) of the pool's n-grams, for each n from 1."""
    ends = [*attrs.ngram_counts[1:], len(attrs.pool_int64s)]
    found, first = [], 0
    for n, (start, end) in enumerate(zip(attrs.ngram_counts, ends), 1):
        rows = np.array(attrs.pool_int64s[start:end], np.int64).reshape(-1, n)
        found.append((first, rows))
        first += len(rows)
    return found


def _tfidf(attrs: Any, x: Array) -> Array:
    rows = np.atleast_2d(x).astype(np.int64)
    counts = np.zeros((len(rows), max(attrs.ngram_indexes) + 1), np.float32)
    weights = np.zeros(counts.shape[1], np.float32)
    weights[list(attrs.ngram_indexes)] = attrs.weights or 1.0
    for n, (first, pool) in enumerate(_grams(attrs), 1):
        if not attrs.min_gram_length <= n <= attrs.max_gram_length or not len(pool):
            continue
        columns = np.array(attrs.ngram_indexes[first : first + len(pool)])
        # A single token has no gaps to skip in.
        for step in range(1, min(attrs.max_skip_count + 2, rows.shape[1] + 1) if n > 1 else 2):
            starts = np.arange(max(0, rows.shape[1] - (n - 1) * step))
            seen = rows[:, starts[:, None] + np.arange(n) * step]
            hits = (seen[:, :, None] == pool).all(axis=-1).sum(axis=1)
            np.add.at(counts.T, columns, hits.T)
    if attrs.mode == "IDF":
        counts = (counts > 0).astype(np.float32)
    if attrs.mode != "TF":
        counts *= weights
    return counts.reshape(*x.shape[:-1], -1)


TF_IDF_VECTORIZER = define(
    "TfIdfVectorizer", "X:T -> Y:float32", since=9, T=frozenset({DType.INT32, DType.INT64}),
    attrs=TfIdfVectorizerAttrs, shapes=_tfidf_shapes, reference=_tfidf, accuracy=ARITHMETIC,
)  # fmt: skip
