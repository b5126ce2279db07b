"""Changes of the element type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, ElementType, Str
from edge_rt.ops._rules import UNKNOWN, integer_range, same_shape, settled
from edge_rt.ops._spec import Array, Types, Values, define
from edge_rt.types import ANY, COMPLEX, DType

REAL = ANY - COMPLEX


class CastLike(Attrs):
    """saturate and round_mode matter for 8-bit floats only, which edge-rt does not have."""

    saturate = Bool(True)
    round_mode = Str("up", choices=("up", "down", "nearest"))


class Cast(CastLike):
    to = ElementType()


def converted(x: Array, dtype: np.dtype[Any]) -> Array:
    """x as `dtype`. Floats are rounded toward zero; those beyond an integer dtype become its nearest number, NaN 0.

    Integers beyond an integer dtype keep their low bits.
    """
    if x.dtype.kind != "f" or dtype.kind not in "iu":
        return x.astype(dtype)
    low, high = integer_range(dtype)
    # 2.0 ** bits is exact in every float that reaches it, while `high` itself may round up to it
    limit = np.float64(high + 1)
    wide = np.where(np.isnan(x), 0, x).astype(np.float64)
    fits = np.trunc(np.clip(wide, low, np.nextafter(limit, 0)))
    return np.where(wide >= limit, dtype.type(high), fits.astype(dtype))


def _contents(values: Values, to: DType) -> list[Array | None]:
    x = values[0]
    if x is None:
        return UNKNOWN
    if x.dtype == object:
        return [settled(x, to)]
    with np.errstate(all="ignore"):
        return [converted(x, to.numpy)]


def _target(attrs: Cast, given: Sequence[DType | None]) -> list[DType]:
    if attrs.to not in REAL:
        raise GraphError(f"attribute 'to' must be a real element type, got {attrs.to}")
    return [attrs.to]


def _cast_contents(attrs: Cast, types: Types, values: Values) -> list[Array | None]:
    return _contents(values, attrs.to)


define(
    "Cast", "input:T1 -> output:T2", T1=REAL, since=28, attrs=Cast, shapes=same_shape, dtypes=_target,
    reference=lambda attrs, x: converted(x, attrs.to.numpy), propagate=_cast_contents,
)  # fmt: skip


def _like_contents(attrs: CastLike, types: Types, values: Values) -> list[Array | None]:
    like = types[1]
    assert like is not None
    return _contents(values, like.dtype)


define(
    "CastLike", "input:T1 target_type:T2 -> output:T2", T1=REAL, T2=REAL, since=25, attrs=CastLike, shapes=same_shape,
    reference=lambda attrs, x, like: converted(x, like.dtype), propagate=_like_contents,
)  # fmt: skip


# ---- BitCast --------------------------------------------------------------------------------------------------------


class BitCast(Attrs):
    to = ElementType()


def _same_width(attrs: BitCast, given: Sequence[DType | None]) -> list[DType]:
    source = given[0]
    if source is not None and source.itemsize != attrs.to.itemsize:
        raise GraphError(f"attribute 'to' must be as wide as the input, {source}; got {attrs.to}")
    return [attrs.to]


define(
    "BitCast", "input:T1 -> output:T2", since=26, attrs=BitCast, shapes=same_shape, dtypes=_same_width,
    reference=lambda attrs, x: x.view(attrs.to.numpy),
)  # fmt: skip
