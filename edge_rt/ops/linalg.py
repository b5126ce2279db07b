"""Matrix products: MatMul, Gemm, Einsum; Det."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float
from edge_rt.ops._rules import broadcast, broadcasts_to, equal_size, has, require_rank, shape_of, shown, widened
from edge_rt.ops._spec import SUMS, Array, Shape, Types, Values, define
from edge_rt.types import FLOATS, Dim, DType

WIDE = FLOATS | {DType.INT32, DType.INT64, DType.UINT32, DType.UINT64}


def product_shape(a: tuple[Dim, ...], b: tuple[Dim, ...]) -> list[Dim | None]:
    """Shape of a @ b: matrices broadcast over the leading axes; a vector is a row (left) or a column (right).

    Raises GraphError unless the inner sizes are equal.
    """
    if not a or not b:
        raise GraphError(f"inputs must have rank 1 or more, got {shown(a)} and {shown(b)}")
    inner, other = a[-1], b[-2] if len(b) > 1 else b[0]
    if isinstance(inner, int) and isinstance(other, int) and inner != other:
        raise GraphError(f"inner sizes must be equal, got {shown(a)} and {shown(b)}")
    batch = broadcast(a[:-2], b[:-2])
    return [*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())]


def _matmul(attrs: Attrs, a: Array, b: Array) -> Any:
    return np.matmul(widened(a), widened(b)).astype(a.dtype, copy=False)


define(
    "MatMul", "A:T B:T -> Y:T", T=WIDE, since=13, accuracy=SUMS, reference=_matmul,
    shapes=lambda attrs, types, values: [product_shape(shape_of(types, 0), shape_of(types, 1))],
)  # fmt: skip


# ---- Gemm -----------------------------------------------------------------------------------------------------------


class Gemm(Attrs):
    alpha = Float(1.0)
    beta = Float(1.0)
    transA = Bool(False)
    transB = Bool(False)


def _gemm_shapes(attrs: Gemm, types: Types, values: Values) -> list[Shape]:
    a, b = require_rank(types, 0, 2, "A"), require_rank(types, 1, 2, "B")
    m, k = a[::-1] if attrs.transA else a
    other, n = b[::-1] if attrs.transB else b
    equal_size(k, other, "inner sizes")
    if has(types, 2):
        broadcasts_to(shape_of(types, 2), (m, n), "C")
    return [(m, n)]


def _scaled(x: Array, factor: float) -> Any:
    """factor * x as the dtype of x; of integers rounded toward zero."""
    if factor == 1.0:
        return x
    if x.dtype.kind == "f":
        return np.multiply(x, x.dtype.type(factor))
    return np.trunc(np.multiply(x, factor)).astype(x.dtype)


def _gemm(attrs: Gemm, a: Array, b: Array, c: Array | None = None) -> Any:
    left, right = widened(a), widened(b)
    y = _scaled(np.matmul(left.T if attrs.transA else left, right.T if attrs.transB else right), attrs.alpha)
    if c is not None and attrs.beta != 0:
        y = np.add(y, _scaled(widened(c), attrs.beta))
    return y.astype(a.dtype, copy=False)


define(
    "Gemm", "A:T B:T C:T? -> Y:T", T=WIDE, since=13, attrs=Gemm, accuracy=SUMS, shapes=_gemm_shapes, reference=_gemm
)
