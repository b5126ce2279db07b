"""Normalisations. Statistics are taken in float32 or wider."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Int, Ints
from edge_rt.ops._rules import axes_of, axis_of, broadcasts_to, has, shape_of, widened
from edge_rt.ops._spec import SUMS, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.ops.conv import per_channel
from edge_rt.types import FLOATS

Array = np.ndarray[Any, Any]


def normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Array, Array]:
    """(x - mean) / sqrt(variance + epsilon) over `axes`, with the mean and 1 / sqrt(variance + epsilon), axes kept."""
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    inverse = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + np.asarray(epsilon, x.dtype))
    return centred * inverse, mean, inverse



class BatchNormalizationAttrs(Attrs):
    epsilon = Float(1e-5)
    momentum = Float(0.9)
    training_mode = Bool(False)


def _batch_norm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x = shape_of(types, 0)
    check_rank("X", x, 1, 9)
    channels = x[1] if len(x) > 1 else 1
    for index, name in enumerate(("scale", "B", "input_mean", "input_var"), 1):
        check_shape(name, shape_of(types, index), [channels])
    return [x, [channels], [channels]] if attrs.training_mode else [x]


def _batch_norm(attrs: Any, x: Array, scale: Array, bias: Array, mean: Array, var: Array) -> Any:
    rank = max(x.ndim, 2)
    data = widened(x)
    shape = [t.astype(data.dtype).reshape(per_channel(t, rank).shape) for t in (scale, bias)]
    if not attrs.training_mode:
        factor = shape[0] / np.sqrt(per_channel(var.astype(data.dtype), rank) + np.asarray(attrs.epsilon, data.dtype))
        y = (data - per_channel(mean.astype(data.dtype), rank)) * factor + shape[1]
        return y.astype(x.dtype, copy=False)
    axes = (0, *range(2, x.ndim))
    y, now, _ = normalized(data, axes, attrs.epsilon)
    spread = np.square(data - now).mean(axis=axes)
    y = y * shape[0] + shape[1]
    kept = attrs.momentum
    running = [old * kept + new.reshape(-1) * (1 - kept) for old, new in ((mean, now), (var, spread))]
    return y.astype(x.dtype, copy=False), *(r.astype(mean.dtype, copy=False) for r in running)


BATCH_NORMALIZATION = define(
    "BatchNormalization", "X:T scale:S B:S input_mean:U input_var:U -> Y:T running_mean:U running_var:U", since=15,
    T=FLOATS, S=FLOATS, U=FLOATS, attrs=BatchNormalizationAttrs,
    shapes=_batch_norm_shapes, reference=_batch_norm, accuracy=SUMS,
)  # fmt: skip


class EpsilonAttrs(Attrs):
    epsilon = Float(1e-5)


def _instance_norm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x = shape_of(types, 0)
    check_rank("input", x, 3, 9)
    check_shape("scale", shape_of(types, 1), [x[1]])
    check_shape("B", shape_of(types, 2), [x[1]])
    return [x]


def _instance_norm(attrs: Any, x: Array, scale: Array, bias: Array) -> Array:
    y, _, _ = normalized(widened(x), tuple(range(2, x.ndim)), attrs.epsilon)
    return (y * per_channel(scale, x.ndim) + per_channel(bias, x.ndim)).astype(x.dtype, copy=False)


INSTANCE_NORMALIZATION = define(
    "InstanceNormalization", "input:T scale:T B:T -> output:T", since=22, T=FLOATS, attrs=EpsilonAttrs,
    shapes=_instance_norm_shapes, reference=_instance_norm, accuracy=SUMS,
)  # fmt: skip


class GroupNormalizationAttrs(EpsilonAttrs):
    num_groups = Int()
    stash_type = Int(1)


def _group_norm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shapes = _instance_norm_shapes(attrs, types, values)
    channels = shape_of(types, 0)[1]
    if attrs.num_groups < 1 or (is_known(channels) and channels % attrs.num_groups):
        raise GraphError(f"num_groups must divide the {channels} channels, got {attrs.num_groups}")
    return shapes


def _group_norm(attrs: Any, x: Array, scale: Array, bias: Array) -> Array:
    grouped = widened(x).reshape(x.shape[0], attrs.num_groups, math.prod(x.shape[1:]) // attrs.num_groups)
    y = normalized(grouped, (2,), attrs.epsilon)[0].reshape(x.shape)
    return (y * per_channel(scale, x.ndim) + per_channel(bias, x.ndim)).astype(x.dtype, copy=False)


GROUP_NORMALIZATION = define(
    "GroupNormalization", "X:T scale:T bias:T -> Y:T", since=21, T=FLOATS, attrs=GroupNormalizationAttrs,
    shapes=_group_norm_shapes, reference=_group_norm, accuracy=SUMS,
)  # fmt: skip


class LayerNormalizationAttrs(EpsilonAttrs):
    axis = Int(-1)
    stash_type = Int(1)


def _check_layer_norm(attrs: LayerNormalizationAttrs, types: Types) -> int:
    x = shape_of(types, 0)
    first = axis_of(attrs.axis, len(x))
    if attrs.stash_type != 1:
        raise GraphError(f"stash_type must be 1 (float32), got {attrs.stash_type}")
    for index, name in enumerate(("scale", "bias"), 1):
        if has(types, index):
            broadcasts_to(shape_of(types, index), x, name)
    return first


def _layer_norm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x = shape_of(types, 0)
    first = _check_layer_norm(attrs, types)
    reduced = [*x[:first], *[1] * (len(x) - first)]
    return [x, reduced, reduced]


def _layer_norm(attrs: Any, x: Array, scale: Array, bias: Array | None = None) -> Any:
    axes = tuple(range(axis_of(attrs.axis, x.ndim), x.ndim))
    y, mean, inverse = normalized(widened(x), axes, attrs.epsilon)
    y = y * scale
    if bias is not None:
        y = y + bias
    return y.astype(x.dtype, copy=False), mean.astype(np.float32), inverse.astype(np.float32)


LAYER_NORMALIZATION = define(
    "LayerNormalization", "X:T Scale:T B:T? -> Y:T Mean:float32 InvStdDev:float32", since=17, T=FLOATS,
    attrs=LayerNormalizationAttrs, shapes=_layer_norm_shapes, reference=_layer_norm, accuracy=SUMS,
)  # fmt: skip


def _rms_norm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    _check_layer_norm(attrs, types)
    return [shape_of(types, 0)]


def _rms_norm(attrs: Any, x: Array, scale: Array) -> Any:
    axes = tuple(range(axis_of(attrs.axis, x.ndim), x.ndim))
    data = widened(x)
    mean = np.square(data).mean(axis=axes, keepdims=True)
    y = data / np.sqrt(mean + np.asarray(attrs.epsilon, data.dtype))
    return (y * scale).astype(scale.dtype, copy=False)


RMS_NORMALIZATION = define(
    "RMSNormalization", "X:T scale:V -> Y:V", since=23, T=FLOATS, V=FLOATS, attrs=LayerNormalizationAttrs,
    shapes=_rms_norm_shapes, reference=_rms_norm, accuracy=SUMS,
)  # fmt: skip


class LrnAttrs(Attrs):
    alpha = Float(1e-4)
    beta = Float(0.75)
    bias = Float(1.0)
    size = Int()


def _lrn_shapes(attrs: Any, types: Types, values: Values) -> Any:
    check_rank("X", shape_of(types, 0), 3, 9)
    if attrs.size < 1:
        raise GraphError(f"size must be >= 1, got {attrs.size}")
    return [shape_of(types, 0)]


def _lrn(attrs: Any, x: Array) -> Any:
    data = widened(x)
    channels = x.shape[1]
    before, after = min((attrs.size - 1) // 2, channels), min(attrs.size // 2, channels)
    squares = np.pad(np.square(data), [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
    total = sum(squares[:, k : k + channels] for k in range(before + after + 1))
    y = data / (attrs.bias + attrs.alpha / attrs.size * total) ** attrs.beta
    return y.astype(x.dtype, copy=False)


LRN = define("LRN", "X:T -> Y:T", since=13, T=FLOATS, attrs=LrnAttrs, shapes=_lrn_shapes, reference=_lrn, accuracy=SUMS)


class LpNormalizationAttrs(Attrs):
    axis = Int(-1)
    p = Int(2)


def _lp_norm_shapes(attrs: Any, types: Types, values: Values) -> Any:
    axis_of(attrs.axis, len(shape_of(types, 0)))
    if attrs.p not in (1, 2):
        raise GraphError(f"p must be 1 or 2, got {attrs.p}")
    return [shape_of(types, 0)]


def _lp_norm(attrs: Any, x: Array) -> Array:
    data = widened(x)
    size = np.abs(data)
    if attrs.p == 1:
        norm = size.sum(axis=attrs.axis, keepdims=True)
    else:
        norm = np.sqrt(np.square(size).sum(axis=attrs.axis, keepdims=True))
    return np.where(norm == 0, 0, data / np.where(norm == 0, 1, norm)).astype(x.dtype, copy=False)


LP_NORMALIZATION = define(
    "LpNormalization", "input:T -> output:T", since=22, T=FLOATS, attrs=LpNormalizationAttrs,
    shapes=_lp_norm_shapes, reference=_lp_norm, accuracy=SUMS,
)  # fmt: skip


class MeanVarianceAttrs(Attrs):
    axes = Ints((0, 2, 3))


def _mean_variance(attrs: Any, x: Array) -> Any:
    data = widened(x)
    centred = data - data.mean(axis=attrs.axes, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=attrs.axes, keepdims=True))
    return (centred / (deviation + np.asarray(1e-9, data.dtype))).astype(x.dtype, copy=False)


def _mean_variance_shapes(attrs: Any, types: Types, values: Values) -> Any:
    axes_of(attrs.axes, len(shape_of(types, 0)))
    return [shape_of(types, 0)]


MEAN_VARIANCE_NORMALIZATION = define(
    "MeanVarianceNormalization", "X:T -> Y:T", since=13, T=FLOATS, attrs=MeanVarianceAttrs,
    shapes=_mean_variance_shapes, reference=_mean_variance, accuracy=SUMS,
)  # fmt: skip
