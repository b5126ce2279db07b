"""Losses over class scores [n, classes, *d] and targets [n, *d]."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import DataError
from edge_rt.ops._attrs import Attrs, OptionalInt, Str
from edge_rt.ops._rules import has, shape_of, widened
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.types import FLOATS, DType

LABELS = frozenset({DType.INT32, DType.INT64})


class LossAttrs(Attrs):
    ignore_index = OptionalInt()
    reduction = Str("mean", choices=("none", "sum", "mean"))


def _loss_shape(attrs: LossAttrs, types: Types) -> Any:
    scores, target = shape_of(types, 0), shape_of(types, 1)
    check_rank("scores", scores, 2, 9)
    check_shape("target", target, [scores[0], *scores[2:]])
    if has(types, 2):
        check_shape("weight", shape_of(types, 2), [scores[1]])
    return list(target) if attrs.reduction == "none" else []


def loss(attrs: LossAttrs, log_prob: Array, target: Array, weight: Array | None) -> Array:
    """Weighted negative log-likelihood of the targets. Raises DataError for a target that is no class."""
    ignored = np.zeros(target.shape, bool) if attrs.ignore_index is None else target == attrs.ignore_index
    index = np.where(ignored, 0, target).astype(np.int64)
    if index.size and not 0 <= index.min() <= index.max() < log_prob.shape[1]:
        raise DataError(f"targets must be in [0, {log_prob.shape[1] - 1}], got {index.min()} to {index.max()}")
    each = -np.take_along_axis(log_prob, index[:, None], axis=1)[:, 0]
    factor = np.ones(index.shape, log_prob.dtype) if weight is None else weight.astype(log_prob.dtype)[index]
    factor = np.where(ignored, log_prob.dtype.type(0), factor)
    each = each * factor
    if attrs.reduction == "none":
        return np.asarray(each)
    return np.asarray(each.sum() if attrs.reduction == "sum" else each.sum() / factor.sum())


def _nll_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return [_loss_shape(attrs, types)]


def _nll(attrs: Any, log_prob: Array, target: Array, weight: Array | None = None) -> Array:
    return loss(attrs, widened(log_prob), target, weight).astype(log_prob.dtype)


NEGATIVE_LOG_LIKELIHOOD_LOSS = define(
    "NegativeLogLikelihoodLoss", "input:T target:I weight:T? -> loss:T", since=22, T=FLOATS, I=LABELS, attrs=LossAttrs,
    shapes=_nll_shapes, reference=_nll, accuracy=SUMS,
)  # fmt: skip


def _cross_entropy_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return [_loss_shape(attrs, types), shape_of(types)]


def _cross_entropy(attrs: Any, scores: Array, labels: Array, weights: Array | None = None) -> tuple[Array, Array]:
    data = widened(scores)
    shifted = data - data.max(axis=1, keepdims=True)
    log_prob = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    result = loss(attrs, log_prob, labels, weights)
    return result.astype(scores.dtype), log_prob.astype(scores.dtype)


SOFTMAX_CROSS_ENTROPY_LOSS = define(
    "SoftmaxCrossEntropyLoss", "scores:T labels:I weights:T? -> output:T log_prob:T", since=13, T=FLOATS, I=LABELS,
    attrs=LossAttrs, shapes=_cross_entropy_shapes, reference=_cross_entropy, accuracy=SUMS,
)  # fmt: skip
