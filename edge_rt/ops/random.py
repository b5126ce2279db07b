"""Random numbers. Without a seed each call gives others; with one, each call gives the same on every machine.

They come from NumPy's RandomState, whose streams are fixed for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, ElementType, Float, Int, Ints, OptionalElementType, OptionalFloat, OptionalInt
from edge_rt.ops._rules import require_number, require_rank, same_shape, shape_of, shown
from edge_rt.ops._spec import Array, DTypeRule, Shape, ShapeRule, Types, Values, define
from edge_rt.types import ANY, COMPLEX, FLOATS, DType


def _generator(seed: float | None) -> np.random.RandomState:
    """A generator. A fractional seed counts by the bits of its float32."""
    if seed is None:
        return np.random.RandomState()
    whole = int(seed) if float(seed).is_integer() else int(np.float32(seed).view(np.uint32))
    return np.random.RandomState(whole & 0xFFFFFFFF)


def _chosen(allowed: frozenset[DType]) -> DTypeRule:
    """The attribute `dtype`, or else the element type of the first input, which must be one of `allowed`."""

    def rule(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
        dtype = attrs.dtype or given[0]
        if dtype not in allowed:
            raise GraphError(f"dtype must be one of {', '.join(sorted(t.value for t in allowed))}, got {dtype}")
        return [dtype]

    return rule


def _attribute_shape(attrs: Any, types: Types, values: Values) -> list[Shape]:
    if any(d < 0 for d in attrs.shape):
        raise GraphError(f"attribute 'shape' must not be negative, got {shown(attrs.shape)}")
    return [attrs.shape]


# ---- RandomNormal, RandomUniform ------------------------------------------------------------------------------------


class Normal(Attrs):
    mean = Float(0.0)
    scale = Float(1.0)
    seed = OptionalFloat()


class Uniform(Attrs):
    low = Float(0.0)
    high = Float(1.0)
    seed = OptionalFloat()


class RandomNormal(Normal):
    shape = Ints()
    dtype = ElementType(DType.FLOAT32)


class RandomNormalLike(Normal):
    dtype = OptionalElementType()


class RandomUniform(Uniform):
    shape = Ints()
    dtype = ElementType(DType.FLOAT32)


class RandomUniformLike(Uniform):
    dtype = OptionalElementType()


def _checked(shapes: ShapeRule) -> ShapeRule:
    """The rule, after a check of what is drawn from."""

    def rule(attrs: Any, types: Types, values: Values) -> Any:
        if isinstance(attrs, Normal):
            if not 0 <= attrs.scale < np.inf or not np.isfinite(attrs.mean):
                raise GraphError(f"mean and scale must be finite, scale at least 0, got {attrs.mean} and {attrs.scale}")
        elif not np.isfinite(attrs.high - attrs.low):
            raise GraphError(f"low and high must be finite, got {attrs.low} and {attrs.high}")
        return shapes(attrs, types, values)

    return rule


def _normal(attrs: Any, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    return np.asarray(_generator(attrs.seed).normal(attrs.mean, abs(attrs.scale), shape)).astype(dtype)


def _uniform(attrs: Any, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    return np.asarray(_generator(attrs.seed).uniform(attrs.low, attrs.high, shape)).astype(dtype)


for _name, _draw, _own, _like in (
    ("RandomNormal", _normal, RandomNormal, RandomNormalLike),
    ("RandomUniform", _uniform, RandomUniform, RandomUniformLike),
):
    define(
        _name, "-> output:T", since=22, attrs=_own, dtypes=_chosen(FLOATS), shapes=_checked(_attribute_shape),
        reference=lambda attrs, draw=_draw: draw(attrs, attrs.shape, attrs.dtype.numpy),
        foldable=False, is_pure=False,
    )  # fmt: skip
    define(
        f"{_name}Like", "input:T1 -> output:T2", since=22, attrs=_like, dtypes=_chosen(FLOATS), shapes=_checked(same_shape),
        reference=lambda attrs, x, draw=_draw: draw(attrs, x.shape, attrs.dtype.numpy if attrs.dtype else x.dtype),
        foldable=False, is_pure=False,
    )  # fmt: skip


# ---- Bernoulli, Multinomial -----------------------------------------------------------------------------------------


class Bernoulli(Attrs):
    dtype = OptionalElementType()
    seed = OptionalFloat()


class Multinomial(Attrs):
    dtype = ElementType(DType.INT32)
    sample_size = Int(1)
    seed = OptionalFloat()


def _bernoulli(attrs: Bernoulli, x: Array) -> Any:
    drawn = _generator(attrs.seed).uniform(0.0, 1.0, x.shape) < x
    return np.asarray(drawn).astype(attrs.dtype.numpy if attrs.dtype else x.dtype)


def _multinomial_shapes(attrs: Multinomial, types: Types, values: Values) -> list[Shape]:
    batch, _ = require_rank(types, 0, 2, "input")
    if attrs.sample_size < 1:
        raise GraphError(f"sample_size must be at least 1, got {attrs.sample_size}")
    return [(batch, attrs.sample_size)]


def _multinomial(attrs: Multinomial, x: Array) -> Any:
    """Classes drawn with probability softmax(x): where the running total passes a uniform number."""
    if x.shape[1] == 0:
        raise DataError("input must have at least one class")
    wide = x.astype(np.float64)
    total = np.cumsum(np.exp(wide - wide.max(1, keepdims=True)), 1)
    drawn = _generator(attrs.seed).uniform(0.0, 1.0, (x.shape[0], attrs.sample_size)) * total[:, -1:]
    classes = (drawn[:, :, None] >= total[:, None, :]).sum(2)
    return np.minimum(classes, x.shape[1] - 1).astype(attrs.dtype.numpy)


define(
    "Bernoulli", "input:T1 -> output:T2", T1=FLOATS, since=22, attrs=Bernoulli, dtypes=_chosen(ANY - COMPLEX),
    shapes=same_shape, reference=_bernoulli, foldable=False, is_pure=False,
)  # fmt: skip
define(
    "Multinomial", "input:T1 -> output:T2", T1=FLOATS, since=22, attrs=Multinomial,
    dtypes=_chosen(frozenset({DType.INT32, DType.INT64})), shapes=_multinomial_shapes, reference=_multinomial,
    foldable=False, is_pure=False,
)  # fmt: skip


# ---- Dropout --------------------------------------------------------------------------------------------------------


class Dropout(Attrs):
    seed = OptionalInt()


def _dropout_shapes(attrs: Dropout, types: Types, values: Values) -> list[Shape]:
    require_number(types, 1, "ratio")
    require_number(types, 2, "training_mode")
    return [shape_of(types)] * 2


def _dropout(
    attrs: Dropout, x: Array, ratio: Array | None = None, training_mode: Array | None = None
) -> tuple[Array, Array]:
    """x and True everywhere, but for training: then some elements are 0, and the others grow by 1 / (1 - ratio)."""
    share = 0.5 if ratio is None else float(ratio.reshape(-1)[0])
    if training_mode is None or not training_mode.reshape(-1)[0] or share == 0:
        return x, np.ones(x.shape, np.bool_)
    if not 0 <= share < 1:
        raise DataError(f"ratio must be in [0, 1), got {share}")
    mask = np.asarray(_generator(attrs.seed).uniform(0.0, 1.0, x.shape) >= share)
    return (x * mask * (1.0 / (1.0 - share))).astype(x.dtype), mask


define(
    "Dropout", "data:T ratio:T1? training_mode:bool? -> output:T mask:bool", T=FLOATS, T1=FLOATS, since=22,
    attrs=Dropout, shapes=_dropout_shapes, reference=_dropout,
    foldable=False, is_pure=False,
)  # fmt: skip
